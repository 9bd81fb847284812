package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/runtime"
)

// A witness collects alerts.
type witness struct {
	mu     sync.Mutex
	alerts []heard
}

// heard is an alert and when it arrived.
type heard struct {
	runtime.Alert
	heard time.Time
}

func (w *witness) emit(a runtime.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alerts = append(w.alerts, heard{a, time.Now()})
}

func (w *witness) all() []heard {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.alerts)
}

// hang is how long an alert may take before a test gives up. How long it takes
// is logged, and bounded by nothing but this.
const hang = time.Minute

// until waits for an alert.
func (w *witness) until(wanted func(runtime.Alert) bool) (heard, bool) {
	for end := time.Now().Add(hang); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		all := w.all()
		if i := slices.IndexFunc(all, func(h heard) bool { return wanted(h.Alert) }); i >= 0 {
			return all[i], true
		}
	}
	return heard{}, false
}

func show(alerts []heard) string {
	var b strings.Builder
	for _, a := range alerts {
		fmt.Fprintf(&b, "%s %s %s: %s %v\n", a.Check, a.Name, a.Key, a.Message, a.Evidence)
	}
	return b.String()
}

// canary is in commands of tests and may be in no alert.
const canary = "not-a-real-canary-5d1c88e2"

// A provocation is what happens to a container, and the alert that it has to
// raise.
type provocation struct {
	name     string
	cmd      string // of the container
	user     string
	memory   int64
	restart  bool
	exec     *api.ExecCreateRequest
	after    time.Duration // from its start, or that of exec, until it happens
	normal   *runtime.Normal
	check    string
	source   runtime.Source // "": either
	evidence string
}

var provocations = []provocation{
	{name: "shell", exec: &api.ExecCreateRequest{Cmd: []string{"sh"}, Tty: true}, check: runtime.ShellOpened, source: runtime.Events, evidence: "terminal true"},
	{name: "shell-inside-a-script", exec: &api.ExecCreateRequest{Cmd: []string{"sh", "-c", "clear; (bash || sh)"}, Tty: true}, check: runtime.ShellOpened, source: runtime.Events, evidence: "bash || sh"},
	{name: "package-manager", exec: &api.ExecCreateRequest{Cmd: []string{"sh", "-c", "apk add --password=" + canary + " vim"}}, check: runtime.PackageManagerRun, source: runtime.Events, evidence: "apk add"},
	{name: "privileged", exec: &api.ExecCreateRequest{Cmd: []string{"env", "API_TOKEN=" + canary, "true"}, Privileged: true}, check: runtime.ExecPrivileged, source: runtime.Events, evidence: "privileged true"},
	{name: "root", user: "1000", exec: &api.ExecCreateRequest{Cmd: []string{"id"}, User: "0"}, check: runtime.ExecRoot, source: runtime.Events, evidence: "user 0"},
	{name: "dropped-by-exec", exec: &api.ExecCreateRequest{Cmd: []string{"cp", "/bin/busybox", "/tmp/tool"}}, check: runtime.FileDrift, source: runtime.Diff, evidence: "/tmp/tool"},
	{name: "dropped-by-itself", after: 3 * time.Second, cmd: "i=0; while :; do sleep 3; i=$((i+1)); cp /bin/busybox /tmp/tool$i; done", check: runtime.FileDrift, source: runtime.Diff, evidence: "/tmp/tool"},
	{name: "dropped-and-run", after: 2 * time.Second, exec: &api.ExecCreateRequest{Cmd: []string{"sh", "-c", "cp /bin/busybox /tmp/sleep; sleep 2; /tmp/sleep 60; :"}}, check: runtime.UnexpectedProcess, evidence: "/tmp/sleep"},
	{name: "unexpected-program", after: 2 * time.Second, cmd: "sleep 2; tail -f /dev/null; :", normal: &runtime.Normal{Programs: []string{"sh", "sleep"}}, check: runtime.UnexpectedProcess, evidence: "tail"},
	{name: "unexpected-shell", after: 2 * time.Second, cmd: "sleep 2; busybox ash -c 'sleep 60; :'; :", normal: &runtime.Normal{Programs: []string{"sh", "sleep"}}, check: runtime.ShellOpened, evidence: "busybox"},
	{name: "listener", after: 2 * time.Second, cmd: "sleep 2; nc -l -p 7777; sleep 60; :", normal: &runtime.Normal{Listeners: []string{"80/tcp"}}, check: runtime.UnexpectedListener, source: runtime.Proc, evidence: "LISTEN 7777/tcp"},
	{name: "miner", after: 2 * time.Second, cmd: "sleep 2; sh -c 'sleep 60; : stratum+tcp://u:" + canary + "@pool.example:3333'; :", check: runtime.UnexpectedProcess, evidence: "sh"},
	{name: "shell-on-a-socket", after: 2 * time.Second, cmd: "nc -l -p 5555 -e sh & sleep 2; sleep 60 | nc 127.0.0.1 5555; :", check: runtime.OutboundSuspicious, evidence: "socket"},
	{name: "cpu", after: 3 * time.Second, cmd: "sleep 2; while :; do :; done", normal: &runtime.Normal{CPU: 0.01}, check: runtime.CPUSustained, source: runtime.Stats, evidence: "CPUs"},
	{name: "crash-loop", cmd: "sleep 0.1; exit 3", restart: true, check: runtime.CrashLooping, source: runtime.Events, evidence: "exitCode 3"},
	{name: "memory", after: 2 * time.Second, cmd: "sleep 2; tail /dev/zero; sleep 60", memory: 16 << 20, check: runtime.OOMKilled, source: runtime.Events, evidence: "oom"},
}

// TestProvoked provokes every alert on a real engine, by a real container.
func TestProvoked(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	c := dockertest.Real(t)
	prefix := dockertest.Prefix(t, c)
	dockertest.Busybox(t, c, prefix, "box:1")
	seen := &witness{}
	declared := func(f *runtime.Facts) *runtime.Normal {
		for _, p := range provocations {
			if p.normal != nil && f.Name == prefix+p.name {
				n := *p.normal
				n.Declared = true
				return &n
			}
		}
		return nil
	}
	w := New(Options{
		Engine: c, Emit: seen.emit, Local: true, Looking: true,
		Only: func(name string) bool { return strings.HasPrefix(name, prefix) },
		Monitor: runtime.NewMonitor(runtime.Options{StartUp: time.Second, Sustain: time.Second, Busy: 0.05, // of a machine that does much else
			Normals: &runtime.Normals{Declared: declared}}),
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	var raised sync.WaitGroup
	for _, p := range provocations {
		raised.Go(func() { p.raise(t, c, prefix, seen) }) // all at once: most of it is waiting
	}
	raised.Wait()
	if t.Failed() {
		t.Logf("all alerts:\n%s", show(seen.all()))
	}
	if text := show(seen.all()); strings.Contains(text, canary) {
		t.Errorf("the canary is in\n%s", text)
	}
}

// raise provokes an alert and waits for it.
func (p *provocation) raise(t *testing.T, c *client.Client, prefix string, seen *witness) {
	o := client.ContainerCreateOptions{Name: prefix + p.name, Config: &api.Config{Image: prefix + "box:1", User: p.user, Cmd: []string{"sh", "-c", "sleep 600; :"}}, HostConfig: &api.HostConfig{}}
	if p.cmd != "" {
		o.Config.Cmd[2] = p.cmd
	}
	if p.memory > 0 {
		o.HostConfig.Memory, o.HostConfig.MemorySwap = p.memory, p.memory
	}
	if p.restart {
		o.HostConfig.RestartPolicy.Name = "always"
	}
	made, err := c.ContainerCreate(t.Context(), o)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := c.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
		t.Error(err)
		return
	}
	happens := time.Now()
	if p.exec != nil {
		time.Sleep(1500 * time.Millisecond) // so that it was looked at before
		happens = time.Now()
		provoke(t, c, made.ID, *p.exec)
	}
	happens = happens.Add(p.after)
	a, ok := seen.until(func(a runtime.Alert) bool {
		return a.Container == made.ID && a.Check == p.check && strings.Contains(fmt.Sprint(a.Evidence), p.evidence)
	})
	if _, err := c.ContainerRemove(t.Context(), made.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if !ok {
		t.Errorf("%s: no such alert", p.name)
		return
	}
	t.Logf("%s: raised %v after it happened, %v after the event or the look that shows it", p.name, a.heard.Sub(happens).Round(time.Millisecond), a.heard.Sub(a.At).Round(time.Millisecond))
	if p.source != "" && a.Source != p.source {
		t.Errorf("%s: concluded from %s, want %s", p.name, a.Source, p.source)
	}
	if a.Name != prefix+p.name || a.Message.IsZero() || a.Severity == 0 {
		t.Errorf("%s: incomplete: %+v", p.name, a)
	}
}

// provoke starts something in a container, as docker exec -d does. Where the
// engine cannot start it, the attempt has been seen all the same.
func provoke(t *testing.T, c *client.Client, id string, request api.ExecCreateRequest) {
	t.Helper()
	made, err := c.ExecCreate(t.Context(), id, client.ExecCreateOptions{
		Cmd: request.Cmd, User: request.User, Privileged: request.Privileged, TTY: request.Tty, AttachStdin: request.AttachStdin,
	})
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := c.ExecStart(t.Context(), made.ID, client.ExecStartOptions{Detach: true, TTY: request.Tty}); err != nil && !request.Privileged {
		t.Logf("not started: %v", err)
	}
}
