package container

import (
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// alerting declares a rule that reports what a container was seen to do, beside
// what run finds in its state. Where both speak of the same, the state does.
func alerting(c checks.Check, run func(*Container, *container.InspectResponse, func(checks.Finding))) *checks.Check {
	return stateful(c, func(s *Container, i *container.InspectResponse, report func(checks.Finding)) {
		said := map[string]bool{}
		if run != nil {
			run(s, i, func(f checks.Finding) {
				said[f.Key] = true
				for _, e := range f.Evidence {
					said[e.Detail] = true // a path that was written
				}
				report(f)
			})
		}
		if said[""] {
			return // there is only one of its kind
		}
		for _, a := range slices.Backward(s.Alerts) { // the latest of each kind
			if a.Check != c.ID || said[a.Key] || s.Now.Sub(a.At) > runtime.Lasting {
				continue
			}
			said[a.Key] = true
			report(checks.Finding{Key: a.Key, Severity: a.Severity, Message: a.Message, Evidence: append(slices.Clone(a.Evidence),
				checks.Evidence{Source: "seen", Detail: a.At.UTC().Format(time.RFC3339)})})
		}
	})
}

var execPrivileged = alerting(checks.Check{
	ID:       runtime.ExecPrivileged,
	Title:    "Entered with every capability",
	Severity: checks.High,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 5.23 (v1.6.0)", "CWE-250"},
}, nil)

var shellOpened = alerting(checks.Check{
	ID:       runtime.ShellOpened,
	Title:    "Shell opened in a running container",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"Falco Terminal shell in container", "MITRE ATT&CK T1059"},
}, nil)

var packageManagerRun = alerting(checks.Check{
	ID:       runtime.PackageManagerRun,
	Title:    "Software installed in a running container",
	Severity: checks.High,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"Falco Launch Package Management Process in Container", "MITRE ATT&CK T1072"},
}, nil)

var unexpectedListener = alerting(checks.Check{
	ID:       runtime.UnexpectedListener,
	Title:    "Waits for connections where it never did",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"MITRE ATT&CK T1571"},
}, nil)

var cpuSustained = alerting(checks.Check{
	ID:       runtime.CPUSustained,
	Title:    "Computes as it never did",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"MITRE ATT&CK T1496", "CWE-770"},
}, nil)

var outboundSuspicious = alerting(checks.Check{
	ID:       runtime.OutboundSuspicious,
	Title:    "Connects to where it has no business",
	Severity: checks.High,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"Falco Redirect STDOUT/STDIN to Network Connection in Container", "MITRE ATT&CK T1071"},
}, nil)

var sensitiveFileRead = alerting(checks.Check{
	ID:       runtime.SensitiveFileRead,
	Title:    "Credentials read by an unexpected program",
	Severity: checks.High,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"Falco Read sensitive file untrusted", "MITRE ATT&CK T1555"},
}, nil)

var escapeAttempt = alerting(checks.Check{
	ID:       runtime.EscapeAttempt,
	Title:    "Tries to leave the container",
	Severity: checks.Critical,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"Falco Detect release_agent File Container Escapes", "MITRE ATT&CK T1611"},
}, nil)

var filelessExec = alerting(checks.Check{
	ID:       runtime.FilelessExec,
	Title:    "Program run from memory",
	Severity: checks.Critical,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"Falco Fileless execution via memfd_create", "MITRE ATT&CK T1620"},
}, nil)

var falcoAlert = alerting(checks.Check{
	ID:       runtime.FalcoAlert,
	Title:    "Falco has raised an alert",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"OWASP Docker rule 6"},
}, nil)
