package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
)

// Attached is what a container uses of the host: its networks and volumes.
type Attached struct {
	Name, Image string
	Project     string // of compose or of a stack, "" without one
	Running     bool
	Task        bool     // started by a service of the swarm
	Networks    []string // sorted names and ids, as far as the engine has given them
	Volumes     []Mounted
	Published   bool // has a port on the host
	Open        bool // has a port on all addresses of the host
	Outdated    bool // its tag names another image by now
	ImageID     string
	Ports       string // on other than loopback addresses: "0.0.0.0:80->80/tcp"; "" when none
}

// Mounted is a volume in a container.
type Mounted struct {
	Volume, Target string
	Writable       bool
}

// Attach tells h of all containers of its engine; the host keeps the slice, and
// sorts it by name.
func (h *Host) Attach(all []Attached) {
	slices.SortFunc(all, func(a, b Attached) int { return strings.Compare(a.Name, b.Name) })
	h.Attached, h.Containers = all, nil
	for _, a := range all {
		if a.Running {
			h.Containers = append(h.Containers, Running{Name: a.Name, Image: a.Image, Published: a.Ports})
		}
	}
}

// Labels by which compose and the swarm mark what they start.
const (
	labelProject = "com.docker.compose.project"
	labelStack   = "com.docker.stack.namespace"
	labelTask    = "com.docker.swarm.task.id"
)

// Inspected returns what an inspected container uses. Its Outdated is false.
func Inspected(i container.InspectResponse) Attached {
	a := Attached{Name: strings.TrimPrefix(i.Name, "/"), ImageID: i.Image, Running: i.State != nil && i.State.Running, Volumes: volumes(i.Mounts)}
	var open []string
	if i.Config != nil {
		a.Image = i.Config.Image
		a.label(i.Config.Labels)
	}
	if i.NetworkSettings != nil {
		a.Networks = endpoints(i.NetworkSettings.Networks)
		for port, bindings := range i.NetworkSettings.Ports {
			for _, b := range bindings {
				a.publishes(b.HostIP)
				if !b.HostIP.IsLoopback() {
					open = append(open, address(b.HostIP)+":"+b.HostPort+"->"+port.String())
				}
			}
		}
	}
	a.Ports = joined(open)
	return a
}

// Listed returns what a listed container uses: the same as [Inspected], but
// that Image is an id where the tag has moved on.
func Listed(s container.Summary) Attached {
	a := Attached{Image: s.Image, ImageID: s.ImageID, Running: running(s.State), Volumes: volumes(s.Mounts)}
	var open []string
	for _, n := range s.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			a.Name = n // the others are aliases through links
		}
	}
	a.label(s.Labels)
	if s.NetworkSettings != nil {
		a.Networks = endpoints(s.NetworkSettings.Networks)
	}
	for _, p := range s.Ports {
		if p.PublicPort != 0 {
			a.publishes(p.IP)
			if !p.IP.IsLoopback() {
				open = append(open, fmt.Sprintf("%s:%d->%d/%s", address(p.IP), p.PublicPort, p.PrivatePort, p.Type))
			}
		}
	}
	a.Ports = joined(open)
	return a
}

// running agrees with State.Running of an inspection.
func running(s container.ContainerState) bool {
	return s == container.StateRunning || s == container.StatePaused || s == container.StateRestarting
}

func (a *Attached) label(labels map[string]string) {
	a.Project = labels[labelProject]
	if a.Project == "" {
		a.Project = labels[labelStack]
	}
	a.Task = labels[labelTask] != ""
}

func (a *Attached) publishes(on netip.Addr) {
	a.Published = true
	a.Open = a.Open || !on.IsValid() || on.IsUnspecified()
}

// address writes ip as it stands before a port; an unknown one is all of them.
func address(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "0.0.0.0"
	case ip.Is6():
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

func joined(open []string) string {
	slices.Sort(open)
	return strings.Join(slices.Compact(open), ", ")
}

// endpoints returns the names and ids of networks. A container that was never
// started has names only.
func endpoints(networks map[string]*network.EndpointSettings) []string {
	var all []string
	for name, e := range networks {
		all = append(all, name)
		if e != nil && e.NetworkID != "" {
			all = append(all, e.NetworkID)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func volumes(mounts []container.MountPoint) []Mounted {
	var all []Mounted
	for _, m := range mounts {
		if m.Type == mount.TypeVolume && m.Name != "" {
			all = append(all, Mounted{m.Name, m.Destination, m.RW})
		}
	}
	slices.SortFunc(all, func(a, b Mounted) int { return strings.Compare(a.Target, b.Target) })
	return all
}

// members are containers by the names and ids of their networks.
type members map[string][]*Attached

func (h *Host) members() members {
	m := members{}
	for i := range h.Attached {
		for _, key := range h.Attached[i].Networks {
			m[key] = append(m[key], &h.Attached[i])
		}
	}
	return m
}

// of returns the containers in a network.
func (m members) of(n network.Network) []*Attached {
	all := slices.Clone(m[n.Name])
	if n.ID != "" && n.ID != n.Name {
		all = append(all, m[n.ID]...)
	}
	slices.SortFunc(all, func(a, b *Attached) int { return strings.Compare(a.Name, b.Name) })
	return slices.Compact(all)
}

// names lists at most five names of containers, for evidence.
func names(containers []*Attached) string {
	var all []string
	for _, a := range containers {
		all = append(all, a.Name)
	}
	return some(all)
}

// some joins at most five of texts.
func some(texts []string) string {
	const most = 5
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return strings.Join(texts[:most], ", ") + ", …"
}
