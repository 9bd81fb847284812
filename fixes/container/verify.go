package container

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// A baseline is how well a container worked before: its replacement must not
// work worse.
type baseline struct {
	Running   bool             `json:"running"`
	Health    api.HealthStatus `json:"health,omitempty"`
	Listening []uint16         `json:"listening,omitempty"` // published TCP ports with a listener inside
}

// asksHealth reports whether the replacement has a health check of its own.
func (d *detail) asksHealth() bool {
	h := d.want.Config.Healthcheck
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

func (m *Mechanic) baseline(c *api.InspectResponse) baseline {
	b := baseline{Running: c.State.Running, Health: health(c)}
	if open, ok := m.listeners(c); ok {
		for _, p := range publishedPorts(c) {
			if open[p] {
				b.Listening = append(b.Listening, p)
			}
		}
	}
	return b
}

// health returns the state of a container's health check, "" when it has none.
// Some engines send an empty state instead of no state.
func health(c *api.InspectResponse) api.HealthStatus {
	if c.State.Health == nil || c.State.Health.Status == api.NoHealthcheck {
		return ""
	}
	return c.State.Health.Status
}

// verify waits until the container id is known to work, or not to.
func (m *Mechanic) verify(ctx context.Context, id string, before baseline, say func(checks.Message, float64)) error {
	c, err := m.inspect(ctx, id)
	if err != nil || !before.Running {
		return err // a container that did not run is only made
	}
	began := m.o.Now()
	started := c.State.StartedAt
	for {
		if err := alive(c, started); err != nil {
			return err
		}
		passed := m.o.Now().Sub(began)
		done, limit, err := m.judge(c, before, passed)
		if err != nil || done {
			return err
		}
		say(checks.Msg("watching whether it works"), min(1, passed.Seconds()/limit.Seconds()))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(m.o.Poll):
		}
		if c, err = m.inspect(ctx, id); err != nil {
			return err
		}
	}
}

func failed(format string, args ...any) error {
	return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf(format, args...))
}

// alive returns how the container failed since it was started at the time
// started. That it left without an error is a failure too: it is a service.
func alive(c *api.InspectResponse, started string) error {
	switch s := c.State; {
	case s.OOMKilled:
		return failed("the container ran out of memory")
	case s.Restarting || c.RestartCount > 0:
		return failed("the container was restarted after exit code %d", s.ExitCode)
	case !s.Running:
		return failed("the container stopped with exit code %d%s", s.ExitCode, colon(s.Error))
	case s.StartedAt != started:
		return failed("the container was restarted")
	}
	return nil
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + clean(s)
}

// judge reports whether c, which is alive, is known to work after the time
// passed, and how long that may take.
func (m *Mechanic) judge(c *api.InspectResponse, before baseline, passed time.Duration) (done bool, limit time.Duration, err error) {
	limit = m.o.Grace
	switch h := health(c); h {
	case api.Healthy:
		limit = 0
	case api.Unhealthy:
		if before.Health != api.Unhealthy {
			return false, limit, failed("the health check fails%s", colon(lastProbe(c)))
		}
	case api.Starting:
		if before.Health != api.Healthy {
			break // it was not better before
		}
		limit = patience(c.Config.Healthcheck)
		if passed >= limit {
			return false, limit, failed("the health check says nothing after %s", limit)
		}
		return false, limit, nil
	}
	if passed < limit {
		return false, limit, nil
	}
	missing := m.silent(c, before)
	if len(missing) == 0 {
		return true, limit, nil
	}
	if passed >= m.o.Listen {
		return false, m.o.Listen, failed("nothing listens on port %s any more", strings.Join(missing, ", "))
	}
	return false, m.o.Listen, nil
}

func lastProbe(c *api.InspectResponse) string {
	if log := c.State.Health.Log; len(log) > 0 && log[len(log)-1] != nil {
		return strings.TrimSpace(log[len(log)-1].Output)
	}
	return ""
}

// patience is the longest that a health check may take to decide.
func patience(h *api.HealthConfig) time.Duration {
	interval, timeout, retries := 30*time.Second, 30*time.Second, 3
	var start time.Duration
	if h != nil {
		start = h.StartPeriod
		keep(&interval, h.Interval, 0)
		keep(&timeout, h.Timeout, 0)
		keep(&retries, h.Retries, 0)
	}
	return start + time.Duration(retries)*(interval+timeout) + 30*time.Second
}

// silent returns the ports of before that nothing listens on in c.
func (m *Mechanic) silent(c *api.InspectResponse, before baseline) []string {
	open, ok := m.listeners(c)
	if !ok {
		return nil
	}
	var out []string
	for _, p := range before.Listening {
		if !open[p] {
			out = append(out, strconv.Itoa(int(p)))
		}
	}
	return out
}

// publishedPorts returns the TCP ports inside of c that are published.
func publishedPorts(c *api.InspectResponse) []uint16 {
	var out []uint16
	for _, p := range sortedPorts(c.NetworkSettings.Ports) {
		if p.Proto() == network.TCP && len(c.NetworkSettings.Ports[p]) > 0 {
			out = append(out, p.Num())
		}
	}
	return out
}

// listeners returns the TCP ports that something in c listens on. It is not
// known for engines on other machines. Connecting from outside would prove
// nothing: the engine's proxy takes every connection.
func (m *Mechanic) listeners(c *api.InspectResponse) (ports map[uint16]bool, known bool) {
	if !strings.HasPrefix(m.engine.DaemonHost(), "unix://") || c.State.Pid <= 0 || c.HostConfig.NetworkMode.IsHost() {
		return nil, false
	}
	dir := "/proc/" + strconv.Itoa(c.State.Pid)
	// The socket may lead to another machine, where the number means another process.
	if cgroup, err := os.ReadFile(dir + "/cgroup"); err != nil || !strings.Contains(string(cgroup), c.ID) {
		return nil, false
	}
	ports = map[uint16]bool{}
	for _, file := range []string{"/net/tcp", "/net/tcp6"} {
		data, err := os.ReadFile(dir + file)
		if err != nil {
			if file == "/net/tcp6" {
				continue // the kernel may have none
			}
			return nil, false
		}
		listening(string(data), ports)
	}
	return ports, true
}

// listening adds the listening ports of a /proc/net/tcp to ports:
//
//	sl  local_address rem_address   st …
//	 0: 00000000:1F90 00000000:0000 0A …
func listening(table string, ports map[uint16]bool) {
	const listen = "0A"
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listen {
			continue
		}
		_, port, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(port, 16, 16); err == nil {
			ports[uint16(n)] = true
		}
	}
}
