package host

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// What can be seen afterwards of what happened.

var logLevelNotInfo = settingRule(checks.Check{
	ID:       "daemon-log-level-not-info",
	Title:    "Engine logs too little or too much",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 2.3 (v1.6.0)", "OWASP Docker rule 10"},
}, "log-level", "", func(h *Host, set setting) (wrong checks.Message) {
	if set.value() != "" && set.value() != "info" {
		wrong = checks.Msg("the engine of %s logs at level %s, not info", h.Ref().Name, set.value())
	}
	return wrong
})

var debugOn = check(checks.Check{
	ID:       "daemon-debug-on",
	Title:    "Engine runs in debug mode",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 2.3 (v1.6.0)", "CWE-489"},
	Covers:   []string{"daemon-log-level-not-info"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.Info.Debug {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("the log of %s drowns in details and may show what requests contain", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, Debug", Detail: "true"}},
	})
})

var loggingLocalOnly = check(checks.Check{
	ID:       "daemon-logging-local-only",
	Title:    "Container logs stay on this machine",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 2.13 (v1.6.0)", "CWE-778"},
}, func(h *Host, report func(checks.Finding)) {
	f := checks.Finding{Evidence: []checks.Evidence{{Source: "docker info, LoggingDriver", Detail: h.Info.LoggingDriver}}}
	switch h.Info.LoggingDriver {
	case "json-file", "local":
		f.Message = checks.Msg("whoever takes over %s can delete what the containers logged about it", h.Ref().Name)
	case "none":
		f.Message = checks.Msg("%s keeps nothing of what its containers log", h.Ref().Name)
	default:
		return
	}
	report(f)
})

// Audit is what the kernel was told to record.
type Audit struct {
	Watched []string // paths
	Files   []string // that the rules were read from; none: no rules are set up
}

var auditMissingDaemon = check(checks.Check{
	ID:       "host-audit-missing-daemon",
	Title:    "The engine's own doings are not audited",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 1.1.3 (v1.6.0)", "CWE-778"},
	Covers:   []string{"host-audit-missing-paths"}, // the same file of rules cures both
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil || h.Machine.Audit == nil || h.rootless() {
		return
	}
	for _, program := range []string{"/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"} {
		if slices.Contains(h.Machine.Audit.Watched, program) {
			return
		}
	}
	report(checks.Finding{
		Message:  checks.Msg("the audit log of %s says nothing about dockerd", h.Ref().Name),
		Evidence: []checks.Evidence{h.Machine.Audit.evidence("dockerd is not watched")},
	})
})

func (a *Audit) evidence(seen string) checks.Evidence {
	if len(a.Files) == 0 {
		return checks.Evidence{Source: "/etc/audit", Detail: "there are no rules"}
	}
	return checks.Evidence{Source: strings.Join(a.Files, " "), Detail: seen}
}

var auditMissingPaths = check(checks.Check{
	ID:       "host-audit-missing-paths",
	Title:    "Changes to the engine's files are not audited",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs: []string{
		"CIS 1.1.4 (v1.6.0)", "CIS 1.1.5 (v1.6.0)", "CIS 1.1.6 (v1.6.0)", "CIS 1.1.7 (v1.6.0)", "CIS 1.1.8 (v1.6.0)",
		"CIS 1.1.9 (v1.6.0)", "CIS 1.1.10 (v1.6.0)", "CIS 1.1.11 (v1.6.0)", "CIS 1.1.12 (v1.6.0)", "CIS 1.1.13 (v1.6.0)",
		"CIS 1.1.14 (v1.6.0)", "CIS 1.1.15 (v1.6.0)", "CIS 1.1.16 (v1.6.0)", "CIS 1.1.17 (v1.6.0)", "CIS 1.1.18 (v1.6.0)", "CWE-778",
	},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil || h.Machine.Audit == nil || h.rootless() {
		return
	}
	var missing []string
	for _, path := range h.Machine.AuditWorthy {
		if !h.Machine.Audit.watches(path) {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("who changes them is not recorded: %s", strings.Join(missing, ", ")),
		Evidence: []checks.Evidence{h.Machine.Audit.evidence("no rule for " + strings.Join(missing, " "))},
	})
})

// watches reports whether a rule covers path: a watch of a directory covers
// all below it.
func (a *Audit) watches(path string) bool {
	return slices.ContainsFunc(a.Watched, func(w string) bool {
		return path == w || strings.HasPrefix(path, strings.TrimSuffix(w, "/")+"/")
	})
}

// ParseAuditRules returns the paths that the rules of auditd in src watch:
// "-w PATH", "-F path=PATH", "-F dir=PATH" and "-F exe=PATH".
func ParseAuditRules(src string) []string {
	var watched []string
	for line := range strings.Lines(src) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for i, word := range words {
			if i == 0 {
				continue
			}
			switch words[i-1] {
			case "-w":
				watched = append(watched, word)
			case "-F":
				name, path, _ := strings.Cut(word, "=")
				if name == "path" || name == "dir" || name == "exe" {
					watched = append(watched, path)
				}
			}
		}
	}
	return watched
}
