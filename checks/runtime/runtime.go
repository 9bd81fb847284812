// Package runtime judges what containers do: what is executed in them, which
// processes run, what they write, where they listen, how they end. What is
// normal for a container is learned or declared; see [Normal].
//
// A [Monitor] does no I/O: package watch feeds it from an engine, package
// falco from the alerts of Falco. What it notices is an [Alert], which becomes
// a finding of the container by the check that it names.
package runtime

import (
	"slices"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A Source is what an alert was concluded from.
type Source string

const (
	Events Source = "docker events"
	Top    Source = "docker top"
	Proc   Source = "/proc"
	Diff   Source = "docker diff"
	Stats  Source = "docker stats"
	Falco  Source = "Falco"
)

// An Alert is something that a container did and should not have done.
type Alert struct {
	Check     string // id of the check that reports it
	Container string // full id
	Name      string // of the container, as it was then
	At        time.Time
	Severity  checks.Severity
	Key       string // tells alerts of one check on one container apart
	Source    Source
	Message   checks.Message
	Evidence  []checks.Evidence
	Past      bool // it was raised before this start
}

// Clean returns a with secrets masked, safe to be shown and stored.
func (a Alert) Clean() Alert {
	a.Name, a.Key = terminal.Line(a.Name), terminal.Line(secret.Redact(a.Key))
	a.Message = a.Message.Clean()
	a.Evidence = slices.Clone(a.Evidence)
	for i, e := range a.Evidence {
		a.Evidence[i] = e.Clean()
	}
	return a
}

// The checks that report alerts.
const (
	ShellOpened        = "runtime-shell-in-container"
	PackageManagerRun  = "runtime-package-manager-run"
	ExecPrivileged     = "container-exec-privileged"
	ExecRoot           = "container-exec-root"
	FileDrift          = "container-file-drift"
	UnexpectedProcess  = "container-unexpected-process"
	UnexpectedListener = "runtime-unexpected-listener"
	CPUSustained       = "runtime-cpu-sustained"
	CrashLooping       = "container-crash-looping"
	OOMKilled          = "container-oom-killed"
	OutboundSuspicious = "runtime-outbound-suspicious"
	SensitiveFileRead  = "runtime-sensitive-file-read"
	EscapeAttempt      = "runtime-escape-attempt"
	FilelessExec       = "runtime-fileless-or-shm-exec"
	FalcoAlert         = "runtime-falco-alert"
)

// Lasting is how long an alert counts as a finding of its container.
const Lasting = 24 * time.Hour
