package container

import (
	"cmp"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

var networkHost = hostRule(checks.Check{
	ID:       "container-network-host",
	Title:    "Host network",
	Severity: checks.High,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.10 (v1.6.0)"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.NetworkMode.IsHost() {
		report(c.found(setting{"HostConfig.NetworkMode", []string{"network_mode", "networks"}}, string(host.NetworkMode),
			checks.Msg("%s shares the network of the host", c.Settings.Name)))
	}
})

var portOnAllInterfaces = hostRule(checks.Check{
	ID:       "container-port-on-all-interfaces",
	Title:    "Port published on all interfaces",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.14 (v1.6.0)", "OWASP Docker rule 5a", "CWE-668"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !publishing(host) {
		return
	}
	for _, port := range slices.SortedFunc(maps.Keys(host.PortBindings), comparePorts) {
		reported := map[string]bool{} // by host port: one binding may stand for each address family
		for _, b := range host.PortBindings[port] {
			if !isOpen(b.HostIP) || reported[b.HostPort] || c.boundElsewhere(port, b.HostPort) || c.dataStoreOn(port) != "" {
				continue // a data store is worse, and reported as one
			}
			reported[b.HostPort] = true
			report(openPort(c, port, b))
		}
	}
	if host.PublishAllPorts && c.opensAnything() {
		f := c.found(setting{"HostConfig.PublishAllPorts", []string{"ports"}}, "true",
			checks.Msg("%s publishes every exposed port on all interfaces", c.Settings.Name))
		f.Key = "publish-all"
		f.Fixes = []checks.Fix{publishLocally()}
		report(f)
	}
})

func openPort(c *Container, port network.Port, b network.PortBinding) checks.Finding {
	message := checks.Msg("%s publishes port %s on all interfaces", c.Settings.Name, b.HostPort)
	key := b.HostPort
	if b.HostPort == "" || b.HostPort == "0" {
		message = checks.Msg("%s publishes its port %s on all interfaces", c.Settings.Name, port.String())
		key = "random"
	}
	address := ""
	if b.HostIP.IsValid() {
		address = b.HostIP.String()
	}
	f := c.found(setting{"HostConfig.PortBindings", []string{"ports." + cmp.Or(b.HostPort, port.Port()), "ports"}},
		address+":"+b.HostPort+" → "+port.String(), message)
	f.Key = key + ":" + port.String()
	f.Fixes = []checks.Fix{{
		ID:      "loopback",
		Title:   checks.Msg("publish on 127.0.0.1 only"),
		Caution: checks.Msg("other machines no longer reach the port"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			bindings, ok := s.Host.PortBindings[port]
			if !ok {
				return nil
			}
			for i := range bindings {
				if bindings[i].HostPort == b.HostPort {
					bindings[i].HostIP = loopback(bindings[i].HostIP)
				}
			}
			s.Host.PortBindings[port] = slices.Compact(bindings)
			return nil
		},
	}}
	return f
}

// publishLocally replaces "all exposed ports" by a binding of each.
func publishLocally() checks.Fix {
	return checks.Fix{
		ID:      "loopback",
		Title:   checks.Msg("publish on 127.0.0.1 only"),
		Caution: checks.Msg("other machines no longer reach the ports, and their numbers change"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.PublishAllPorts = false
			if s.Config == nil {
				return nil
			}
			for port := range s.Config.ExposedPorts {
				if len(s.Host.PortBindings[port]) > 0 {
					continue
				}
				if s.Host.PortBindings == nil {
					s.Host.PortBindings = network.PortMap{}
				}
				s.Host.PortBindings[port] = []network.PortBinding{{HostIP: loopback(netip.Addr{})}}
			}
			return nil
		},
	}
}

// isOpen reports whether a binding to address takes connections from every
// interface. No address means all, unless the engine was told otherwise.
func isOpen(address netip.Addr) bool { return !address.IsValid() || address.Unmap().IsUnspecified() }

// loopback returns what to bind to instead of address.
func loopback(address netip.Addr) netip.Addr {
	switch {
	case !isOpen(address):
		return address
	case address.Is6():
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// boundElsewhere reports whether the engine really bound the port, and to
// certain addresses only: daemon.json can set another default than all.
func (c *Container) boundElsewhere(port network.Port, hostPort string) bool {
	if c.Inspect == nil || c.Inspect.NetworkSettings == nil {
		return false
	}
	actual := slices.DeleteFunc(slices.Clone(c.Inspect.NetworkSettings.Ports[port]), func(b network.PortBinding) bool {
		return hostPort != "" && hostPort != b.HostPort
	})
	return len(actual) > 0 && !slices.ContainsFunc(actual, func(b network.PortBinding) bool { return isOpen(b.HostIP) })
}

// opensAnything reports whether publishing all ports publishes any.
func (c *Container) opensAnything() bool {
	if c.Settings.Config != nil && len(c.Settings.Config.ExposedPorts) > 0 {
		return true
	}
	return c.Image != nil && c.Image.Config != nil && len(c.Image.Config.ExposedPorts) > 0
}

func comparePorts(a, b network.Port) int {
	return cmp.Or(cmp.Compare(a.Num(), b.Num()), cmp.Compare(a.Proto(), b.Proto()))
}

// bridge is the name of the network that the engine makes by itself.
const bridge = "bridge"

var defaultBridge = hostRule(checks.Check{
	ID:       "container-default-bridge",
	Title:    "On the default bridge",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.30 (v1.6.0)", "OWASP Docker rule 5"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !c.onDefaultBridge() || c.windows() {
		return
	}
	f := c.found(setting{"NetworkSettings.Networks", []string{"network_mode"}}, bridge,
		checks.Msg("%s is on the default bridge, where all containers reach each other", c.Settings.Name))
	if len(host.Links) == 0 { // links name containers that would have to move too
		f.Fixes = []checks.Fix{ownNetwork(c.lasting())}
	}
	report(f)
})

// onDefaultBridge trusts the networks more than the mode, which stays what it
// was at creation when a container is moved live.
func (c *Container) onDefaultBridge() bool {
	if c.Settings.Config != nil && c.Settings.Config.NetworkDisabled {
		return false
	}
	if len(c.Settings.Networks) > 0 {
		_, ok := c.Settings.Networks[bridge]
		return ok
	}
	switch c.Settings.Host.NetworkMode {
	case "", network.NetworkDefault, bridge:
		return true
	}
	return false
}

func ownNetwork(name string) checks.Fix {
	return checks.Fix{
		ID:      "own-network",
		Title:   checks.Msg("move to a network of its own"),
		Caution: checks.Msg("containers on the default bridge no longer reach it, and it gets another address"),
		Choices: []checks.Choice{{
			Key:     "network",
			Label:   checks.Msg("network, created when it does not exist"),
			Why:     checks.Msg("containers that work together can share one and find each other by name"),
			Default: networkFor(name),
			Valid:   validNetwork,
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			name := values["network"]
			if err := validNetwork(name); err != nil {
				return err
			}
			s.Host.NetworkMode = container.NetworkMode(name)
			delete(s.Networks, bridge)
			if s.Networks == nil {
				s.Networks = map[string]*network.EndpointSettings{}
			}
			if s.Networks[name] == nil {
				s.Networks[name] = &network.EndpointSettings{}
			}
			return nil
		},
	}
}

var networkName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`) })

func validNetwork(name string) error {
	switch {
	case !networkName().MatchString(name):
		return refuse(checks.Msg("%s cannot name a network: use letters, digits, dots and dashes", name))
	case slices.Contains([]string{bridge, "default", "host", "none", "container"}, name):
		return refuse(checks.Msg("%s is a network of the engine itself: choose another name", name))
	}
	return nil
}

// networkFor returns a valid network name after that of a container.
func networkFor(container string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '_' || r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '-'
	}, container) + "-net"
	if validNetwork(name) != nil {
		return "plimsoll-net"
	}
	return name
}
