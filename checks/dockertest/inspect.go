package dockertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// choosePorts returns the published ports of c, with free ones for those that
// were left to the engine.
func choosePorts(c *ctr, taken map[string]bool) (network.PortMap, error) {
	ports := network.PortMap{}
	for port := range c.Config.ExposedPorts {
		ports[port] = nil
	}
	want := network.PortMap{}
	for port := range ports { // bindings of what is not exposed are ignored
		want[port] = c.HostConfig.PortBindings[port]
	}
	if c.HostConfig.PublishAllPorts {
		for port := range c.Config.ExposedPorts {
			if len(want[port]) == 0 {
				want[port] = []network.PortBinding{{}}
			}
		}
	}
	next := 32768
	for _, port := range slices.SortedFunc(keys(want), func(a, b network.Port) int { return cmp.Compare(a.String(), b.String()) }) {
		for _, b := range want[port] {
			key := func() string { return fmt.Sprint(b.HostPort, "/", port.Proto()) }
			if b.HostPort == "" || b.HostPort == "0" {
				for b.HostPort = strconv.Itoa(next); taken[key()]; b.HostPort = strconv.Itoa(next) {
					next++
				}
			} else if taken[key()] {
				return nil, internal("driver failed programming external connectivity on endpoint %s (%s): Bind for %s:%s failed: port is already allocated", c.name(), c.ID, cmp.Or(text(b.HostIP), "0.0.0.0"), b.HostPort)
			}
			taken[key()] = true
			if !b.HostIP.IsValid() {
				b.HostIP = netip.IPv4Unspecified()
			}
			ports[port] = append(ports[port], b)
		}
	}
	return ports, nil
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// inspected is what clients of API 1.41 are sent beside the fields of today.
type inspected struct {
	container.InspectResponse
	Config          config
	NetworkSettings settings
}

type config struct {
	*container.Config
	MacAddress string `json:",omitempty"`
}

type settings struct {
	*container.NetworkSettings
	Bridge      string
	IPAddress   string
	Gateway     string
	IPPrefixLen int
	MacAddress  string
}

func (s *Server) inspectContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	out := inspected{InspectResponse: c.InspectResponse, Config: config{Config: c.Config, MacAddress: c.mac}, NetworkSettings: settings{NetworkSettings: c.NetworkSettings}}
	for _, e := range s.execs {
		if e.c == c && e.code == nil && c.running() {
			out.ExecIDs = append(out.ExecIDs, e.id)
		}
	}
	if bridge := c.NetworkSettings.Networks["bridge"]; bridge != nil && bridge.IPAddress.IsValid() {
		out.NetworkSettings.IPAddress = bridge.IPAddress.String()
		out.NetworkSettings.Gateway = text(bridge.Gateway)
		out.NetworkSettings.IPPrefixLen = bridge.IPPrefixLen
		out.NetworkSettings.MacAddress = bridge.MacAddress.String()
	}
	if len(c.links) > 0 {
		host := *c.HostConfig
		host.Links = c.linked()
		out.HostConfig = &host
	}
	if truth(r, "size") {
		rw, root := s.size(c)
		out.SizeRw, out.SizeRootFs = &rw, &root
	}
	if out.NetworkSettings.Ports == nil {
		ns := *c.NetworkSettings
		ns.Ports = network.PortMap{}
		out.NetworkSettings.NetworkSettings = &ns
	}
	return answer(w, http.StatusOK, out)
}

func (s *Server) size(c *ctr) (rw, root int64) {
	rw = int64(len(s.changed(c))) * 4096
	if c.image != nil {
		root = c.image.Size
	}
	return rw, root + rw
}

func (s *Server) listContainers(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	if err := f.known("ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label", "name", "network", "publish", "since", "status", "volume"); err != nil {
		return err
	}
	for _, status := range f["status"] {
		if container.ValidateContainerState(container.ContainerState(status)) != nil {
			return badRequest("invalid filter 'status=%s'", status)
		}
	}
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	all := truth(r, "all") || limit > 0 || len(f["status"]) > 0 || len(f["exited"]) > 0
	size := truth(r, "size")
	now := s.clock.Now()
	var out bytes.Buffer
	out.WriteByte('[')
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, c := range slices.Backward(s.order) {
		if !all && !c.running() || limit > 0 && count == limit || f != nil && !f.container(c) {
			continue
		}
		b, err := s.summary(c, now, size)
		if err != nil {
			return err
		}
		if count > 0 {
			out.WriteByte(',')
		}
		out.Write(b)
		count++
	}
	out.WriteString("]\n")
	return answerJSON(w, http.StatusOK, out.Bytes())
}

func (f filters) container(c *ctr) bool {
	networks := []string{}
	for name, e := range c.NetworkSettings.Networks {
		networks = append(networks, name, e.NetworkID)
	}
	volumes := []string{}
	for _, m := range c.Mounts {
		volumes = append(volumes, m.Name, m.Source, m.Destination)
	}
	health := string(container.NoHealthcheck)
	if c.State.Health != nil {
		health = string(c.State.Health.Status)
	}
	return (f.part("name", c.name()) || f.part("name", c.Name)) && f.beginning("id", c.ID) && f.labels(c.Config.Labels) &&
		f.exact("status", string(c.State.Status)) && f.exact("health", health) &&
		f.exact("network", networks...) && f.exact("volume", volumes...) &&
		f.exact("exited", strconv.Itoa(c.State.ExitCode)) &&
		f.exact("ancestor", c.Image, strings.TrimPrefix(c.Image, "sha256:"), c.Config.Image, familiar(c.Config.Image))
}

// summary returns c's entry of the list. It is kept until c changes or the
// text of its status does.
func (s *Server) summary(c *ctr, now time.Time, size bool) ([]byte, error) {
	status := statusText(c, now)
	if c.summary != nil && c.summaryText == status && !size {
		return c.summary, nil
	}
	one := container.Summary{
		ID: c.ID, Names: []string{c.Name}, Image: c.Config.Image, ImageID: c.Image, Created: c.created.Unix(),
		Command: command(c), Ports: portList(c), Labels: c.Config.Labels, State: c.State.Status, Status: status,
		NetworkSettings: &container.NetworkSettingsSummary{Networks: c.NetworkSettings.Networks}, Mounts: c.Mounts,
	}
	if i, err := s.imageByRef(c.Config.Image); err != nil || i.ID != c.Image {
		one.Image = c.Image // the reference means something else by now
	}
	one.HostConfig.NetworkMode = string(c.HostConfig.NetworkMode)
	if size {
		one.SizeRw, one.SizeRootFs = s.size(c)
	}
	b, err := json.Marshal(one)
	if err == nil && !size {
		c.summary, c.summaryText = b, status
	}
	return b, err
}

func command(c *ctr) string {
	words := []string{c.Path}
	for _, a := range c.Args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

func portList(c *ctr) []container.PortSummary {
	list := []container.PortSummary{}
	for port, bindings := range c.NetworkSettings.Ports {
		one := container.PortSummary{PrivatePort: port.Num(), Type: string(port.Proto())}
		if len(bindings) == 0 {
			list = append(list, one)
		}
		for _, b := range bindings {
			public, _ := strconv.ParseUint(b.HostPort, 10, 16)
			one.IP, one.PublicPort = b.HostIP, uint16(public)
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b container.PortSummary) int {
		return cmp.Or(cmp.Compare(a.PrivatePort, b.PrivatePort), cmp.Compare(a.PublicPort, b.PublicPort), cmp.Compare(a.Type, b.Type))
	})
	return list
}

func statusText(c *ctr, now time.Time) string {
	switch st := c.State; {
	case st.Restarting:
		return fmt.Sprintf("Restarting (%d) %s ago", st.ExitCode, ago(now.Sub(c.finished)))
	case st.Paused:
		return "Up " + ago(now.Sub(c.started)) + " (Paused)"
	case st.Running && st.Health != nil && st.Health.Status == container.Starting:
		return "Up " + ago(now.Sub(c.started)) + " (health: starting)"
	case st.Running && st.Health != nil:
		return "Up " + ago(now.Sub(c.started)) + " (" + string(st.Health.Status) + ")"
	case st.Running:
		return "Up " + ago(now.Sub(c.started))
	case st.Status == container.StateCreated:
		return "Created"
	default:
		return fmt.Sprintf("Exited (%d) %s ago", st.ExitCode, ago(now.Sub(c.finished)))
	}
}

// ago writes a duration as engines do.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "Less than a second"
	case d < 2*time.Second:
		return "1 second"
	case d < time.Minute:
		return fmt.Sprintf("%d seconds", d/time.Second)
	case d < 2*time.Minute:
		return "About a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d < 90*time.Minute:
		return "About an hour"
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", (d+30*time.Minute)/time.Hour)
	case d < 14*24*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%d weeks", d/(7*24*time.Hour))
	default:
		return fmt.Sprintf("%d months", d/(30*24*time.Hour))
	}
}
