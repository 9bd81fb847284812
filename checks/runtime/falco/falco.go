// Package falco reads the alerts of Falco, from its file of JSON lines or from
// its HTTP output, and says which check of ours speaks of the same. Everything
// in an alert may have been written by an attacker.
package falco

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// MostBytes is how long an alert may be; Falco's have about two thousand.
const MostBytes = 256 << 10

// An Event is one alert of Falco, as it writes it with json_output: true.
type Event struct {
	Rule     string         `json:"rule"`
	Priority string         `json:"priority"`
	Output   string         `json:"output"`
	Time     time.Time      `json:"time"`
	Source   string         `json:"source"`
	Tags     []string       `json:"tags"`
	Fields   map[string]any `json:"output_fields"`
}

// Parse reads one alert.
func Parse(data []byte) (Event, error) {
	var e Event
	if len(data) > MostBytes {
		return e, fmt.Errorf("an alert of %d bytes: at most %d are read", len(data), MostBytes)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("not an alert of Falco (json_output: true makes it write JSON): %w", err)
	}
	if e.Rule == "" {
		return e, errors.New("not an alert of Falco: it names no rule")
	}
	return e, nil
}

// field returns a field as text, "" where Falco did not know it.
func (e *Event) field(name string) string {
	switch v := e.Fields[name].(type) {
	case nil:
		return ""
	case string:
		if v == "<NA>" {
			return ""
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// rules says which check stands for a rule of Falco's own rule files: those of
// today and, where they were called otherwise, those of before.
var rules = map[string]string{
	"Terminal shell in container":                                     runtime.ShellOpened,
	"Run shell untrusted":                                             runtime.ShellOpened,
	"System user interactive":                                         runtime.ShellOpened,
	"Launch Package Management Process in Container":                  runtime.PackageManagerRun,
	"Drop and execute new binary in container":                        runtime.FileDrift,
	"Container Drift Detected (chmod)":                                runtime.FileDrift,
	"Container Drift Detected (open+create)":                          runtime.FileDrift,
	"Write below binary dir":                                          runtime.FileDrift,
	"Modify binary dirs":                                              runtime.FileDrift,
	"Set Setuid or Setgid bit":                                        runtime.FileDrift,
	"Known Cryptominer Process Executed":                              runtime.UnexpectedProcess,
	"Detect crypto miners using the Stratum protocol":                 runtime.UnexpectedProcess,
	"Launch Suspicious Network Tool in Container":                     runtime.UnexpectedProcess,
	"Read sensitive file untrusted":                                   runtime.SensitiveFileRead,
	"Read sensitive file trusted after startup":                       runtime.SensitiveFileRead,
	"Directory traversal monitored file read":                         runtime.SensitiveFileRead,
	"Find AWS Credentials":                                            runtime.SensitiveFileRead,
	"Search Private Keys or Passwords":                                runtime.SensitiveFileRead,
	"Read environment variable from /proc files":                      runtime.SensitiveFileRead,
	"Read ssh information":                                            runtime.SensitiveFileRead,
	"Create Symlink Over Sensitive Files":                             runtime.SensitiveFileRead,
	"Create Hardlink Over Sensitive Files":                            runtime.SensitiveFileRead,
	"Redirect STDOUT/STDIN to Network Connection in Container":        runtime.OutboundSuspicious,
	"Netcat Remote Code Execution in Container":                       runtime.OutboundSuspicious,
	"Contact cloud metadata service from container":                   runtime.OutboundSuspicious,
	"Contact EC2 Instance Metadata Service From Container":            runtime.OutboundSuspicious,
	"Detect outbound connections to common miner pool ports":          runtime.OutboundSuspicious,
	"Disallowed SSH Connection":                                       runtime.OutboundSuspicious,
	"Disallowed SSH Connection Non Standard Port":                     runtime.OutboundSuspicious,
	"Outbound Connection to C2 Servers":                               runtime.OutboundSuspicious,
	"Network Connection outside Local Subnet":                         runtime.OutboundSuspicious,
	"Contact K8S API Server From Container":                           runtime.OutboundSuspicious,
	"Detect release_agent File Container Escapes":                     runtime.EscapeAttempt,
	"Linux Kernel Module Injection Detected":                          runtime.EscapeAttempt,
	"Debugfs Launched in Privileged Container":                        runtime.EscapeAttempt,
	"Mount Launched in Privileged Container":                          runtime.EscapeAttempt,
	"PTRACE attached to process":                                      runtime.EscapeAttempt,
	"PTRACE anti-debug attempt":                                       runtime.EscapeAttempt,
	"Change thread namespace":                                         runtime.EscapeAttempt,
	"Change namespace privileges via unshare":                         runtime.EscapeAttempt,
	"BPF Program Not Profiled":                                        runtime.EscapeAttempt,
	"Container Run as Root User":                                      runtime.FalcoAlert,
	"Fileless execution via memfd_create":                             runtime.FilelessExec,
	"Execution from /dev/shm":                                         runtime.FilelessExec,
	"Polkit Local Privilege Escalation Vulnerability (CVE-2021-4034)": runtime.EscapeAttempt,
	"Sudo Potential Privilege Escalation":                             runtime.EscapeAttempt,
}

// severityOf is what a priority of Falco counts as.
func severityOf(priority string) checks.Severity {
	switch strings.ToLower(priority) {
	case "emergency", "alert", "critical":
		return checks.Critical
	case "error":
		return checks.High
	case "warning":
		return checks.Medium
	case "notice":
		return checks.Low
	}
	return checks.Info
}

// severities are those of our checks, which a lower priority of Falco does not
// change: it cannot know how much a container matters.
var severities = map[string]checks.Severity{
	runtime.ShellOpened: checks.Medium, runtime.PackageManagerRun: checks.High, runtime.FileDrift: checks.High,
	runtime.UnexpectedProcess: checks.High, runtime.SensitiveFileRead: checks.High, runtime.OutboundSuspicious: checks.High,
	runtime.EscapeAttempt: checks.Critical, runtime.FilelessExec: checks.Critical, runtime.UnexpectedListener: checks.Medium,
}

// shown are the fields that are evidence, in order.
var shown = []string{"proc.cmdline", "proc.exepath", "proc.pname", "user.name", "user.uid", "fd.name", "evt.type", "evt.arg.flags"}

const mostText = 400 // bytes of one field

// Alert says what e means for the container that facts finds, by its short id
// or its name. Of one that is not here only the name is known.
func (e *Event) Alert(now time.Time, facts func(id, name string) *runtime.Facts) runtime.Alert {
	a := runtime.Alert{Check: cmp.Or(rules[e.Rule], runtime.FalcoAlert), At: e.Time, Source: runtime.Falco, Key: cut(e.Rule), Name: "host"}
	if a.At.IsZero() || a.At.After(now.Add(time.Minute)) {
		a.At = now
	}
	if id, name := e.field("container.id"), e.field("container.name"); id != "" && id != "host" {
		a.Name = cut(cmp.Or(name, id))
		if f := facts(id, name); f != nil {
			a.Container, a.Name = f.ID, f.Name
		}
	}
	a.Message = checks.Msg("Falco saw in %s: %s", a.Name, cut(e.summary()))
	e.learned(&a)
	a.Severity = max(severities[a.Check], severityOf(e.Priority))
	a.Evidence = []checks.Evidence{{Source: "rule", Detail: cut(e.Rule) + " (" + cut(e.Priority) + ")"}}
	for _, name := range shown {
		if v := e.field(name); v != "" {
			a.Evidence = append(a.Evidence, checks.Evidence{Source: name, Detail: cut(v)})
		}
	}
	return a
}

// learned makes a what we say ourselves of the same, where the rule is one of
// those that are written of what is normal: see [Of].
func (e *Event) learned(a *runtime.Alert) {
	if !strings.HasSuffix(e.Rule, ours) {
		return
	}
	program, port := cut(e.field("proc.name")), cut(e.field("fd.sport"))
	switch {
	case strings.HasPrefix(e.Rule, programRule) && program != "":
		a.Check, a.Key = runtime.UnexpectedProcess, program
		a.Message = checks.Msg("%s runs %s, which it has never run before", a.Name, program)
	case strings.HasPrefix(e.Rule, listenerRule) && port != "":
		a.Check, a.Key = runtime.UnexpectedListener, port+"/tcp"
		a.Message = checks.Msg("%s waits for connections on port %s, which it has never done before", a.Name, a.Key)
	}
}

// summary returns the words of the output: without the time and the priority
// before them and the fields behind.
func (e *Event) summary() string {
	text := e.Output
	if _, rest, ok := strings.Cut(text, ": "+e.Priority+" "); ok && e.Priority != "" {
		text = rest
	}
	text, _, _ = strings.Cut(text, " | ")
	text, _, _ = strings.Cut(text, " (")
	if strings.TrimSpace(text) == "" {
		return e.Rule
	}
	return strings.TrimSpace(text)
}

func cut(s string) string {
	if len(s) <= mostText {
		return s
	}
	return strings.ToValidUTF8(s[:mostText], "") + "…"
}
