package container

import (
	"slices"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// defaultCapabilities are what an engine gives to every container.
var defaultCapabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
	"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// escapes are capabilities that lead out of a container by themselves: over
// file handles, kernel modules, mounts, other processes or memory of the host.
var escapes = []string{"ALL", "BPF", "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"}

var capEscapeClass = hostRule(checks.Check{
	ID:       "container-cap-escape-class",
	Title:    "Capability that leads to the host",
	Severity: checks.Critical,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.4 (v1.6.0)", "docker-bench C.5.3.1", "docker-bench C.5.3.2", "docker-bench C.5.3.3", "docker-bench C.5.3.4", "OWASP Docker rule 3", "CWE-250"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, name := range normalCapabilities(host.CapAdd) {
		if !leadsToHost(name, host) {
			continue
		}
		report(addedCapability(c, name, checks.Msg("%s has the capability %s, which leads to the host", c.Settings.Name, name)))
	}
})

// leadsToHost reports whether a capability is enough to leave a container that
// is created with host.
func leadsToHost(name string, host *container.HostConfig) bool {
	return slices.Contains(escapes, name) || name == "NET_ADMIN" && host.NetworkMode.IsHost()
}

var capabilitiesAdded = hostRule(checks.Check{
	ID:       "container-capabilities-added",
	Title:    "Capability beyond the default ones",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.4 (v1.6.0)", "OWASP Docker rule 3", "CWE-250"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, name := range normalCapabilities(host.CapAdd) {
		if !leadsToHost(name, host) && !slices.Contains(defaultCapabilities, name) {
			report(addedCapability(c, name, checks.Msg("%s has the capability %s, which no container has by default", c.Settings.Name, name)))
		}
	}
})

// addedCapability starts a finding about one of the added capabilities.
func addedCapability(c *Container, name string, message checks.Message) checks.Finding {
	f := c.found(setting{"HostConfig.CapAdd", []string{"cap_add." + name, "cap_add.CAP_" + name, "cap_add"}}, list(c.Settings.Host.CapAdd), message)
	f.Key = name
	f.Fixes = []checks.Fix{{
		ID:      "drop-capability",
		Title:   checks.Msg("take the capability %s away", name),
		Caution: checks.Msg("what it was added for fails"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.CapAdd = slices.DeleteFunc(s.Host.CapAdd, func(added string) bool {
				return slices.Contains(normalCapabilities([]string{added}), name)
			})
			return nil
		},
	}}
	return f
}
