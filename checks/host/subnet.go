package host

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// A Route of this machine leads to a network.
type Route struct {
	To        netip.Prefix
	Interface string
}

// narrowest is the number of bits from which on a route stands for a network:
// 0.0.0.0/0 is the way to everywhere, and the halves of it, by which VPNs
// outdo it, are no less.
const narrowest = 5

var networkOverlap = check(checks.Check{
	ID:       "network-overlapping-subnet",
	Title:    "Network takes addresses that lead elsewhere",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
}, func(h *Host, report func(checks.Finding)) {
	own := map[string]bool{}
	for _, n := range h.Networks {
		own[bridgeOf(n)] = true
	}
	for _, n := range h.Networks {
		for _, pool := range n.IPAM.Config {
			route, ok := h.overlaps(n, pool.Subnet, own)
			if !ok {
				continue
			}
			report(checks.Finding{
				Key:     n.Name + "/" + pool.Subnet.String(),
				Message: checks.Msg("the network %s uses addresses that this machine reaches through %s", n.Name, route.Interface),
				Evidence: []checks.Evidence{
					{Source: "network " + n.Name + ", Subnet", Detail: pool.Subnet.String()},
					{Source: "route", Detail: route.To.String() + " " + route.Interface},
				},
			})
		}
	}
})

// overlaps returns a route into subnet that is not the engine's.
func (h *Host) overlaps(n network.Network, subnet netip.Prefix, own map[string]bool) (Route, bool) {
	if !subnet.IsValid() {
		return Route{}, false
	}
	// macvlan and ipvlan share the addresses of the interface they stand on.
	if n.Driver == driverMacvlan || n.Driver == driverIPvlan {
		return Route{}, false
	}
	i := slices.IndexFunc(h.Routes, func(r Route) bool {
		if own[r.Interface] || h.Podman && strings.HasPrefix(r.Interface, "podman") { // Podman does not say which is whose
			return false
		}
		return r.To.Bits() >= narrowest && r.To.Overlaps(subnet)
	})
	if i < 0 {
		return Route{}, false
	}
	return h.Routes[i], true
}

// bridgeOf returns the interface that stands for a bridge network on the host.
func bridgeOf(n network.Network) string {
	if name := n.Options["com.docker.network.bridge.name"]; name != "" {
		return name
	}
	if n.Name == "docker_gwbridge" || len(n.ID) < 12 {
		return n.Name
	}
	return "br-" + n.ID[:12]
}
