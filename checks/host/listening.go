package host

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/registry"

	"plimsoll/checks"
)

// Whom the engine listens to and whom it trusts.

var daemonTCPWithoutTLS = check(checks.Check{
	ID:       "daemon-tcp-without-tls",
	Title:    "Engine obeys everybody who reaches its port",
	Severity: checks.Critical,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 2.7 (v1.6.0)", "OWASP Docker rule 1", "CWE-306"},
}, func(h *Host, report func(checks.Finding)) {
	for _, open := range h.openPorts() {
		f := checks.Finding{
			Key:      open.address,
			Message:  checks.Msg("whoever reaches %s commands the engine, as root and without a password", open.address),
			Evidence: []checks.Evidence{open.evidence},
		}
		if loopback(open.address) {
			f.Severity = checks.High
			f.Message = checks.Msg("every program and every web page on this machine can try %s, which obeys without a password", open.address)
		}
		report(f)
	}
})

type openPort struct {
	address  string // "0.0.0.0:2375"
	evidence checks.Evidence
}

// openPorts are the addresses at which the engine listens without asking for
// a client's certificate: as it warns itself, or as it was started.
func (h *Host) openPorts() []openPort {
	var open []openPort
	for _, warning := range h.Info.Warnings {
		_, rest, ok := strings.Cut(warning, "API is accessible on ")
		if !ok {
			continue
		}
		url, _, _ := strings.Cut(rest, " ")
		_, address, _ := strings.Cut(url, "://")
		first, _, _ := strings.Cut(warning, "\n")
		open = append(open, openPort{strings.TrimRight(address, "/."), checks.Evidence{Source: "docker info, Warnings", Detail: first}})
	}
	if len(open) > 0 {
		return open
	}
	hosts, known := h.Daemon.setting("hosts", "host")
	verify, verifyKnown := h.Daemon.setting("tlsverify", "")
	if !known || !verifyKnown || verify.isTrue() {
		return nil
	}
	for _, host := range hosts.values {
		if address, tcp := strings.CutPrefix(host, "tcp://"); tcp {
			open = append(open, openPort{address, hosts.evidence})
		}
	}
	return open
}

// loopback reports whether address, with or without a port, is of this
// machine alone.
func loopback(address string) bool {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip, err := netip.ParseAddr(strings.Trim(address, "[]"))
	return address == "localhost" || err == nil && ip.IsLoopback()
}

var authorizationMissing = check(checks.Check{
	ID:       "daemon-authorization-plugin-missing",
	Title:    "Whoever may use the engine may do everything",
	Severity: checks.Info,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 2.12 (v1.6.0)", "CWE-862"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.linux() || len(h.Info.Plugins.Authorization) > 0 || h.rootless() || h.desktop() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s makes no difference between those who may list containers and those who may start privileged ones", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, Plugins.Authorization", Detail: "none"}},
	})
})

var insecureRegistries = check(checks.Check{
	ID:       "daemon-insecure-registries",
	Title:    "Images are pulled without verified encryption",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 2.5 (v1.6.0)", "CWE-319"},
}, func(h *Host, report func(checks.Finding)) {
	for _, name := range insecure(h.Info.RegistryConfig) {
		report(checks.Finding{
			Key:      name,
			Message:  checks.Msg("whoever stands between this engine and %s decides what it runs", name),
			Evidence: []checks.Evidence{{Source: "docker info, RegistryConfig", Detail: name + " is not secure"}},
		})
	}
})

// insecure returns the registries and address ranges, other than this machine's
// own, that need not prove who they are.
func insecure(c *registry.ServiceConfig) []string {
	if c == nil {
		return nil
	}
	var names []string
	for name, index := range c.IndexConfigs {
		if index != nil && !index.Secure && !loopback(name) {
			names = append(names, name)
		}
	}
	for _, prefix := range c.InsecureRegistryCIDRs {
		if !prefix.Addr().IsLoopback() {
			names = append(names, prefix.String())
		}
	}
	slices.Sort(names)
	return names
}

var legacyRegistry = settingRule(checks.Check{
	ID:       "daemon-legacy-registry",
	Title:    "Configuration speaks of V1 registries",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"docker-bench C.2"},
}, "disable-legacy-registry", "", func(h *Host, set setting) (wrong checks.Message) {
	if len(set.values) > 0 {
		wrong = checks.Msg("disable-legacy-registry means nothing any more, and a newer engine does not start with it")
	}
	return wrong
})
