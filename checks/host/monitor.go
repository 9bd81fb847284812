package host

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// A monitor watches what containers do at run time.
type monitor struct {
	images    []string // repositories, without their registry; "sysdig/" stands for all below it
	processes []string
}

var monitors = []monitor{
	{[]string{"falcosecurity/falco", "falcosecurity/falco-no-driver", "falcosecurity/falco-distroless", "falco", "bitnami/falco"}, []string{"falco"}},
	{[]string{"sysdig/"}, []string{"sysdig", "dragent", "csysdig"}},
	{[]string{"cilium/tetragon", "tetragon"}, []string{"tetragon"}},
	{[]string{"aquasec/tracee", "tracee"}, []string{"tracee", "tracee-ebpf", "tracee-rules"}},
}

var monitorMissing = check(checks.Check{
	ID:       "runtime-monitor-missing",
	Title:    "Nothing watches the running containers",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"OWASP Docker rule 6"},
}, func(h *Host, report func(checks.Finding)) {
	if slices.ContainsFunc(h.Containers, func(r Running) bool { return isMonitorImage(r.Image) }) ||
		slices.ContainsFunc(h.Processes, isMonitorProcess) {
		return
	}
	processes := "none of Falco, sysdig, Tetragon and Tracee"
	if h.Processes == nil {
		processes = "not known"
	}
	report(checks.Finding{
		Message: checks.Msg("an attack inside a container on %s would not be noticed", h.Ref().Name),
		Evidence: []checks.Evidence{
			{Source: "running containers", Detail: "none of Falco, sysdig, Tetragon and Tracee"},
			{Source: "processes", Detail: processes},
		},
	})
})

func isMonitorImage(ref string) bool {
	repository := repository(ref)
	return slices.ContainsFunc(monitors, func(m monitor) bool {
		return slices.ContainsFunc(m.images, func(image string) bool {
			return repository == image || strings.HasSuffix(image, "/") && strings.HasPrefix(repository, image)
		})
	})
}

// repository returns the repository of ref without registry, tag and digest.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if colon := strings.LastIndexByte(ref, ':'); colon > strings.LastIndexByte(ref, '/') {
		ref = ref[:colon]
	}
	// Only the name of a registry has a dot or a port.
	if first, rest, ok := strings.Cut(ref, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		ref = rest
	}
	return strings.TrimPrefix(ref, "library/")
}

func isMonitorProcess(name string) bool {
	return slices.ContainsFunc(monitors, func(m monitor) bool { return slices.Contains(m.processes, name) })
}
