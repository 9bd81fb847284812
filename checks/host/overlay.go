package host

import (
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

var overlayUnencrypted = check(checks.Check{
	ID:       "swarm-overlay-unencrypted",
	Title:    "Overlay network is not encrypted",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 7.3 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	for _, n := range h.Networks {
		if n.Driver != driverOverlay || encrypted(n) {
			continue
		}
		f := checks.Finding{
			Key:      n.Name,
			Message:  checks.Msg("what services say to each other in the network %s crosses the wire in clear", n.Name),
			Evidence: []checks.Evidence{{Source: "network " + n.Name + ", Options.encrypted", Detail: value(n.Options, "encrypted")}},
		}
		if h.Info.Swarm.Nodes == 1 {
			f.Severity = checks.Info // there is no wire yet
			f.Message = checks.Msg("what services say to each other in the network %s will cross the wire in clear once there is a second node", n.Name)
		}
		report(f)
	}
})

// encrypted reads the option, which is on when it is there: "--opt encrypted"
// gives it an empty value.
func encrypted(n network.Network) bool {
	v, ok := n.Options["encrypted"]
	return ok && v != "false"
}

var overlayAttachable = networkCheck(checks.Check{
	ID:       "network-attachable-overlay",
	Title:    "Any container may join the overlay network",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
}, func(h *Host, n network.Network, in []*Attached, report func(checks.Finding)) {
	if n.Driver != driverOverlay || !n.Attachable || h.Attached == nil {
		return
	}
	for _, a := range in {
		if !a.Task {
			return // somebody needs it
		}
	}
	report(checks.Finding{
		Message: checks.Msg("whoever can start a container on one node can join the network %s, and no container here needs to", n.Name),
		Evidence: []checks.Evidence{
			{Source: "network " + n.Name + ", Attachable", Detail: "true"},
			{Source: "containers of this node in it, without tasks of services", Detail: "none"},
		},
	})
})
