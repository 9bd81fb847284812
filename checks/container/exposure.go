package container

import (
	"cmp"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// What follows tells those who combine containers what a check of one of them
// concludes from, in the same words.

// A Mount is a place of the host, or a volume, that a container sees.
type Mount struct {
	Kind     mount.Type
	Source   string // path on the host in its shortest form, or the name of a volume
	Target   string
	ReadOnly bool
	Field    string // of the inspection that shows it
	Detail   string // what stands there
}

// Mounts returns what c mounts from outside.
func (c *Container) Mounts() []Mount {
	var all []Mount
	for _, m := range c.mounts() {
		source := m.source
		if m.kind == mount.TypeBind {
			source = hostPath(source)
		}
		all = append(all, Mount{m.kind, source, m.target, m.readOnly, m.field, m.description})
	}
	return all
}

// IsEngineSocket reports whether m is the interface of an engine, or a folder
// that holds it.
func (m Mount) IsEngineSocket() bool {
	switch m.Kind {
	case mount.TypeNamedPipe:
		return strings.HasSuffix(strings.ToLower(m.Source), `pipe\docker_engine`)
	case mount.TypeBind:
		return slices.Contains(sockets, path.Base(m.Source)) || m.Source != "/" && slices.Contains(socketFolders, m.Source)
	}
	return false
}

// RunsAsRoot reports whether the program of c is known to keep uid 0: it does
// not when it is seen to switch to another user at the start.
func (c *Container) RunsAsRoot() bool {
	if c.Settings.Config == nil || c.windows() {
		return false
	}
	user, known := c.user()
	return known && c.dropsPrivileges() == "" && checks.IsRoot(user, c.Passwd)
}

// A Publication is a port of a container that the host passes on.
type Publication struct {
	Key      string // of the finding about it: "8080:80/tcp"
	Port     network.Port
	HostPort string     // "" when the engine chooses
	Address  netip.Addr // of the host; not valid: all of them
}

// Open reports whether p takes connections from every interface.
func (p Publication) Open() bool { return isOpen(p.Address) }

// Local reports whether p takes connections of the host only.
func (p Publication) Local() bool { return p.Address.IsValid() && p.Address.Unmap().IsLoopback() }

// Published returns the ports that c publishes. Where the engine was told
// another default than all interfaces, its word counts.
func (c *Container) Published() []Publication {
	host := c.Settings.Host
	if host == nil || host.NetworkMode.IsHost() || host.NetworkMode.IsNone() || host.NetworkMode.IsContainer() {
		return nil
	}
	var all []Publication
	add := func(p Publication) {
		if !slices.ContainsFunc(all, func(o Publication) bool { return o.Key == p.Key && o.Open() == p.Open() }) {
			all = append(all, p)
		}
	}
	for _, port := range slices.SortedFunc(maps.Keys(host.PortBindings), comparePorts) {
		for _, b := range host.PortBindings[port] {
			p := Publication{Port: port, HostPort: b.HostPort, Address: b.HostIP}
			if b.HostPort == "0" {
				p.HostPort = ""
			}
			p.Key = cmp.Or(p.HostPort, "random") + ":" + port.String()
			if p.Open() && c.boundElsewhere(port, b.HostPort) {
				p.Address = c.boundTo(port)
			}
			add(p)
		}
	}
	if host.PublishAllPorts && c.opensAnything() {
		add(Publication{Key: "publish-all"})
	}
	return all
}

// boundTo returns the address that the engine really bound port to.
func (c *Container) boundTo(port network.Port) netip.Addr {
	for _, b := range c.Inspect.NetworkSettings.Ports[port] {
		if !isOpen(b.HostIP) {
			return b.HostIP
		}
	}
	return netip.Addr{}
}

// Listens returns the ports that c or its image says to listen on.
func (c *Container) Listens() []network.Port {
	ports := map[network.Port]bool{}
	if c.Settings.Config != nil {
		for p := range c.Settings.Config.ExposedPorts {
			ports[p] = true
		}
	}
	if c.Settings.Host != nil {
		for p := range c.Settings.Host.PortBindings {
			ports[p] = true
		}
	}
	if c.Image != nil && c.Image.Config != nil {
		for text := range c.Image.Config.ExposedPorts {
			if p, err := network.ParsePort(text); err == nil {
				ports[p] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(ports), comparePorts)
}

// NetworkNames returns the networks through which c reaches other containers:
// none for the network of the host and for no network at all.
func (c *Container) NetworkNames() []string {
	if c.Settings.Config != nil && c.Settings.Config.NetworkDisabled {
		return nil
	}
	if host := c.Settings.Host; host != nil && (host.NetworkMode.IsHost() || host.NetworkMode.IsNone() || host.NetworkMode.IsContainer()) {
		return nil
	}
	if len(c.Settings.Networks) > 0 {
		return slices.Sorted(maps.Keys(c.Settings.Networks))
	}
	if c.onDefaultBridge() {
		return []string{bridge}
	}
	return nil
}

// SecretVariables returns the names of variables of c that hold secrets.
func (c *Container) SecretVariables() []string {
	if c.Settings.Config == nil {
		return nil
	}
	var names []string
	for _, variable := range c.Settings.Config.Env {
		if name, value, ok := strings.Cut(variable, "="); ok && secret.Variable(name, value) {
			names = append(names, name)
		}
	}
	return names
}

// Repository returns the last part of the repository that the image of c
// stands in: "postgres".
func (c *Container) Repository() string { return repository(c.Settings.Image) }

// Capabilities returns what c is given beyond the default, in the words of the
// documentation: "SYS_ADMIN", "ALL".
func (c *Container) Capabilities() []string {
	if c.Settings.Host == nil {
		return nil
	}
	return normalCapabilities(c.Settings.Host.CapAdd)
}

// Runs reports whether the program of c runs, or will: a service of a compose
// file does.
func (c *Container) Runs() bool {
	return c.Inspect == nil || c.Inspect.State != nil && c.Inspect.State.Running
}
