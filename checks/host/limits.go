package host

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// What the engine can limit and does limit.

var ulimitsDefault = settingRule(checks.Check{
	ID:       "daemon-ulimits-default",
	Title:    "No default ulimits for containers",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 2.8 (v1.6.0)", "OWASP Docker rule 7", "CWE-770"},
}, "default-ulimits", "default-ulimit", func(h *Host, set setting) (wrong checks.Message) {
	if len(set.values) == 0 && h.linux() {
		wrong = checks.Msg("containers of %s inherit the engine's own limits of open files and processes", h.Ref().Name)
	}
	return wrong
})

var cgroupParentCustom = settingRule(checks.Check{
	ID:       "daemon-cgroup-parent-custom",
	Title:    "Containers are put below another cgroup",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 2.10 (v1.6.0)"},
}, "cgroup-parent", "", func(h *Host, set setting) (wrong checks.Message) {
	if !slices.Contains([]string{"", "docker", "/docker", "system.slice"}, set.value()) && !h.rootless() {
		wrong = checks.Msg("all containers share what %s is given, and the limits that are set there", set.value())
	}
	return wrong
})

var cgroupV1 = check(checks.Check{
	ID:       "daemon-cgroup-v1",
	Title:    "Host uses cgroup v1",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
}, func(h *Host, report func(checks.Finding)) {
	if h.Info.CgroupVersion != "1" || !h.linux() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s limits by the first generation of control groups, which engines will stop to support", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, CgroupVersion", Detail: "1"}},
	})
})

var noLimitSupport = check(checks.Check{
	ID:       "daemon-no-limit-support",
	Title:    "Limits cannot be enforced on this host",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CWE-770"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.linux() || h.Info.NCPU == 0 {
		return
	}
	var missing []string
	for _, limit := range []struct {
		name string
		ok   bool
	}{
		{"MemoryLimit", h.Info.MemoryLimit}, {"PidsLimit", h.Info.PidsLimit},
		{"CpuCfsQuota", h.Info.CPUCfsQuota}, {"SwapLimit", h.Info.SwapLimit},
	} {
		if !limit.ok {
			missing = append(missing, limit.name)
		}
	}
	if len(missing) == 0 {
		return
	}
	f := checks.Finding{
		Message:  checks.Msg("limits are accepted by %s and not enforced", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, false", Detail: strings.Join(missing, " ")}},
	}
	if slices.Equal(missing, []string{"SwapLimit"}) {
		f.Severity = checks.Low
		f.Message = checks.Msg("a container of %s at its memory limit goes on in swap", h.Ref().Name)
	}
	report(f)
})

var logRotationMissing = check(checks.Check{
	ID:       "daemon-log-rotation-missing",
	Title:    "Container logs grow without bound",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CWE-770", "CWE-779"},
}, func(h *Host, report func(checks.Finding)) {
	set, known := h.Daemon.setting("log-opts", "log-opt")
	rotated := slices.ContainsFunc(set.values, func(v string) bool { return strings.HasPrefix(v, "max-size=") && v != "max-size=-1" })
	if h.Info.LoggingDriver != "json-file" || !known || rotated {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("one chatty container fills the disk of %s", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, LoggingDriver", Detail: "json-file"}, set.evidence},
	})
})

var partitionMissing = check(checks.Check{
	ID:       "host-separate-partition-missing",
	Title:    "Containers share the disk of the system",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 1.1.1 (v1.6.0)", "CWE-770"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil || h.Info.DockerRootDir == "" {
		return
	}
	system, data := h.Machine.mountOf("/"), h.Machine.mountOf(h.Info.DockerRootDir)
	if system.Device == "" || system.Device != data.Device {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("images, volumes and logs in %s can fill the file system that the machine boots from", h.Info.DockerRootDir),
		Evidence: []checks.Evidence{{
			Source: "/proc/self/mountinfo",
			Detail: "/ and " + h.Info.DockerRootDir + " are on device " + system.Device + " (" + system.Source + ")",
		}},
	})
})
