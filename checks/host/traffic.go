package host

import (
	"strings"

	"plimsoll/checks"
)

// Who reaches what over the network.

var iptablesDisabled = settingRule(checks.Check{
	ID:       "daemon-iptables-disabled",
	Title:    "Engine does not guard its networks",
	Severity: checks.High,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 2.4 (v1.6.0)"},
}, "iptables", "", func(h *Host, set setting) (wrong checks.Message) {
	if set.isFalse() {
		wrong = checks.Msg("nothing keeps the networks of %s apart unless somebody wrote the rules by hand", h.Ref().Name)
	}
	return wrong
})

var userlandProxyOn = settingRule(checks.Check{
	ID:       "daemon-userland-proxy-on",
	Title:    "A process per published port",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 2.16 (v1.6.0)"},
}, "userland-proxy", "", func(h *Host, set setting) (wrong checks.Message) {
	if !set.isFalse() && !h.rootless() && h.linux() {
		wrong = checks.Msg("docker-proxy runs on %s for every published port, as root and beside the kernel's own rules", h.Ref().Name)
	}
	return wrong
})

var bindAllInterfaces = check(checks.Check{
	ID:       "daemon-default-bind-all-interfaces",
	Title:    "Ports are published to the whole network",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.14 (v1.6.0)", "OWASP Docker rule 5a", "CWE-1327"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Bridge == nil {
		return
	}
	// An engine that says nothing here, such as Podman, publishes otherwise.
	address, told := h.Bridge.Options[hostBinding]
	if !told || address != "0.0.0.0" && address != "::" {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("-p 8080:80 on %s opens the port to every network that the machine is in", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "network bridge, " + hostBinding, Detail: address}},
	})
})

var directRoutingAllowed = check(checks.Check{
	ID:       "daemon-direct-routing-allowed",
	Title:    "Neighbours reach containers past published ports",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
}, func(h *Host, report func(checks.Finding)) {
	f := checks.Finding{Message: checks.Msg("machines in the same network can send packets straight to the containers of %s", h.Ref().Name)}
	for _, warning := range h.Info.Warnings {
		if strings.Contains(warning, "NO_IPTABLES_RAW") {
			f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker info, Warnings", Detail: warning})
		}
	}
	if set, known := h.Daemon.setting("allow-direct-routing", ""); known && set.isTrue() {
		f.Evidence = append(f.Evidence, set.evidence)
	}
	if len(f.Evidence) > 0 {
		report(f)
	}
})

var firewallBypassed = check(checks.Check{
	ID:       "host-firewall-bypassed",
	Title:    "Published ports pass by the firewall",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5a", "CWE-284"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil || h.Machine.Firewall == "" || h.rootless() {
		return
	}
	for _, c := range h.Containers {
		if c.Published == "" {
			continue
		}
		report(checks.Finding{
			Key:     c.Name,
			Message: checks.Msg("%s is on, and %s is open all the same", h.Machine.Firewall, c.Published),
			Evidence: []checks.Evidence{
				{Source: h.Machine.FirewallSource, Detail: h.Machine.Firewall + " is active"},
				{Source: "container " + c.Name, Detail: c.Published},
			},
		})
	}
})
