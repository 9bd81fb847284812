package host

import (
	"strings"

	"plimsoll/checks"
)

// Parts of the engine with published mistakes.

var runcEscape = check(checks.Check{
	ID:       "runc-escape-cve",
	Title:    "runc has a known way out of the container",
	Severity: checks.Critical,
	Chapter:  checks.Updates,
	Refs:     []string{"CVE-2024-21626", "CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881", "CWE-1395"},
}, func(h *Host, report func(checks.Finding)) {
	if b, ok := h.part("runc", "runc"); ok {
		b.report(h, "runc", report)
	}
})

var containerdVulnerable = check(checks.Check{
	ID:       "containerd-cve",
	Title:    "containerd has known vulnerabilities",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CVE-2020-15257", "CVE-2024-25621", "CWE-1395"},
}, func(h *Host, report func(checks.Finding)) {
	if b, ok := h.part("containerd", "containerd"); ok {
		b.report(h, "containerd", report)
	}
})

var desktopEscape = check(checks.Check{
	ID:       "desktop-escape-cve",
	Title:    "Docker Desktop has a known way out of the container",
	Severity: checks.Critical,
	Chapter:  checks.Updates,
	Refs:     []string{"CVE-2025-9074", "CVE-2026-5843", "CWE-1395"},
}, func(h *Host, report func(checks.Finding)) {
	number, ok := strings.CutPrefix(h.Platform, "Docker Desktop ")
	if !ok {
		return
	}
	number, _, _ = strings.Cut(number, " ")
	build{version: number, source: "docker version, Platform"}.report(h, "Docker Desktop", report)
})

var authzBypassable = check(checks.Check{
	ID:       "daemon-authz-plugin-bypassable",
	Title:    "The authorization plugin can be bypassed",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CVE-2024-41110", "CVE-2026-34040", "CWE-863"},
}, func(h *Host, report func(checks.Finding)) {
	if len(h.Info.Plugins.Authorization) > 0 {
		h.engine().report(h, "authorization", report)
	}
})

var buildkitVulnerable = check(checks.Check{
	ID:       "buildkit-cve",
	Title:    "The builder has known vulnerabilities",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CVE-2024-23651", "CVE-2024-23652", "CVE-2024-23653", "CVE-2026-33747", "CVE-2026-33748", "CWE-1395"},
}, func(h *Host, report func(checks.Finding)) {
	if h.linux() {
		h.engine().report(h, "builder of the engine", report)
	}
	if b, ok := h.part("BuildKit"); ok {
		b.report(h, "BuildKit", report)
	}
	for _, c := range h.Containers {
		if repository(c.Image) != "moby/buildkit" {
			continue
		}
		_, tag, _ := strings.Cut(c.Image[strings.LastIndexByte(c.Image, '/')+1:], ":")
		tag, _, _ = strings.Cut(tag, "@")
		build{version: tag, source: "image of container " + c.Name, key: c.Name}.report(h, "BuildKit", report)
	}
})

var kernelEscape = check(checks.Check{
	ID:       "host-kernel-escape-cve",
	Title:    "The kernel has a known way out of the container",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"OWASP Docker rule 0", "CVE-2022-0847", "CVE-2026-31431", "CWE-1395"},
}, func(h *Host, report func(checks.Finding)) {
	h.kernel().report(h, "kernel", report)
})

// report reports what is open of part.
func (b build) report(h *Host, part string, report func(checks.Finding)) {
	open := b.open(part)
	if len(open) == 0 {
		return
	}
	f := checks.Finding{Severity: b.weigh(open), Evidence: b.evidence(open)}
	f.Key = b.key
	f.Message = b.lacks(h, part, open)
	report(f)
}

// lacks says which fixes are missing, or may be.
func (b build) lacks(h *Host, part string, open []advisory) checks.Message {
	name, missing := h.Ref().Name, cves(open)
	switch certain := b.certain(); {
	case part == "engine" && certain, part == "authorization" && certain:
		return checks.Msg("engine %s on %s lacks the fix of %s", b.version, name, missing)
	case part == "engine", part == "authorization":
		return checks.Msg("engine %s of a distribution on %s has %s, or a fix that its version does not show", b.version, name, missing)
	case part == "builder of the engine" && certain:
		return checks.Msg("the builder in engine %s on %s lacks the fix of %s", b.version, name, missing)
	case part == "builder of the engine":
		return checks.Msg("the builder in engine %s of a distribution on %s has %s, or a fix that its version does not show", b.version, name, missing)
	case part == "kernel" && certain:
		return checks.Msg("kernel %s of %s lacks the fix of %s", b.version, name, missing)
	case part == "kernel":
		return checks.Msg("kernel %s of %s has %s, or a fix that its version does not show", b.version, name, missing)
	case certain:
		return checks.Msg("%s %s on %s lacks the fix of %s", part, b.version, name, missing)
	}
	return checks.Msg("%s %s of a distribution on %s has %s, or a fix that its version does not show", part, b.version, name, missing)
}

// kernel returns the stable kernel that h's was built from. Distributions that
// keep a version and add fixes say nothing by it: they have none here.
func (h *Host) kernel() build {
	if m := h.Machine; m != nil && m.Kernel != "" {
		b := build{version: m.Kernel, source: m.KernelSource, vendor: m.Patched}
		return b
	}
	release := h.Info.KernelVersion
	numbers, rest, _ := strings.Cut(release, "-")
	if strings.HasSuffix(numbers, ".0") && rest != "" || builtByVendor(release) && !strings.Contains(release, ".fc") && !strings.Contains(release, ".amzn") && !strings.Contains(release, "+deb") {
		return build{}
	}
	return build{version: release, source: "docker info, KernelVersion"}
}

var engineOutdated = check(checks.Check{
	ID:       "engine-version-outdated",
	Title:    "Engine is behind its fixes",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 1.2.2 (v1.6.0)", "OWASP Docker rule 0", "CWE-1395"},
}, func(h *Host, report func(checks.Finding)) {
	b := h.engine()
	v, ok := parseVersion(b.version)
	if !ok {
		return
	}
	open, old := b.open("engine"), abandoned(v, h.Now)
	f := checks.Finding{Severity: b.weigh(open), Evidence: b.evidence(open)}
	switch {
	case len(open) == 0 && (!old || b.vendor):
		return // a distribution looks after what its maintainers left
	case len(open) == 0:
		f.Severity = checks.Medium
		f.Message = checks.Msg("nobody fixes engine %s of %s any more", b.version, h.Ref().Name)
	case old && !b.vendor:
		f.Severity = checks.High
		f.Message = checks.Msg("nobody fixes engine %s of %s any more, and it has %s", b.version, h.Ref().Name, cves(open))
	default:
		f.Message = b.lacks(h, "engine", open)
	}
	if old && !b.vendor {
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "branches of moby/moby", Detail: "not maintained on " + advisoriesDate})
	}
	report(f)
})
