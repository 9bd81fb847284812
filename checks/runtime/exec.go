package runtime

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// An Exec is something that was started in a running container from outside.
type Exec struct {
	ID         string
	Command    []string
	User       string // "" is the user of the container
	Privileged bool
	TTY, Stdin bool
	By         string // who, as far as somebody knows; "" when nobody does
}

// ExecOf reads an inspection.
func ExecOf(i container.ExecInspectResponse) Exec {
	e := Exec{ID: i.ID, Stdin: i.OpenStdin}
	if p := i.ProcessConfig; p != nil {
		e.Command = append([]string{p.Entrypoint}, p.Arguments...)
		e.User, e.TTY = p.User, p.Tty
		e.Privileged = p.Privileged != nil && *p.Privileged
	}
	return e
}

// ExecEvent reads an event, for an exec that cannot be inspected any more: of
// the command only the words are known.
func ExecEvent(id, action string) Exec {
	_, line, _ := strings.Cut(action, ": ")
	return Exec{ID: id, Command: words(line)}
}

// Line returns the command line.
func (e *Exec) Line() string { return strings.Join(e.Command, " ") }

// evidence says what was started, as whom and by whom. Secrets in it are masked
// with the alert.
func (e *Exec) evidence() []checks.Evidence {
	user, by := e.User, e.By
	if user == "" {
		user = "of the container"
	}
	if by == "" {
		by = "not known: an engine does not say who asked"
	}
	return []checks.Evidence{
		{Source: "docker events", Detail: "exec_create: " + e.Line()},
		{Source: "exec inspect", Detail: fmt.Sprintf("user %s, privileged %t, terminal %t, input %t", user, e.Privileged, e.TTY, e.Stdin)},
		{Source: "by", Detail: by},
	}
}

// JudgeExec says what is wrong with starting e in a container.
func JudgeExec(f *Facts, e Exec, at time.Time) []Alert {
	if f.isHealthCheck(e.Line()) && !e.Privileged {
		return nil
	}
	var alerts []Alert
	say := func(check string, s checks.Severity, key string, m checks.Message) {
		alerts = append(alerts, Alert{Check: check, Container: f.ID, Name: f.Name, At: at, Severity: s, Key: key, Source: Events, Message: m, Evidence: e.evidence()})
	}
	whole := command(e.Command)
	name := whole.unwrapped().name()
	if e.Privileged {
		say(ExecPrivileged, checks.High, name, checks.Msg("somebody started %s in %s with every capability", name, f.Name))
	}
	if isRoot(e.User) && !checks.IsRoot(f.User, nil) {
		say(ExecRoot, checks.Medium, name, checks.Msg("somebody started %s in %s as root, although it runs as %s", name, f.Name, f.User))
	}
	if line := e.Line(); Mines(line) {
		say(UnexpectedProcess, checks.Critical, name, checks.Msg("%s runs %s, which computes coins for somebody else", f.Name, name))
	} else if HandsOutShell(line) {
		say(OutboundSuspicious, checks.Critical, name, checks.Msg("%s runs %s in a way that hands a shell to another machine", f.Name, name))
	}
	opened, managed := "", ""
	for _, c := range whole.inside() {
		if shell, told := c.isShell(); shell && !told && (e.TTY || e.Stdin) {
			opened = c.unwrapped().name()
		}
		if c.managesPackages() {
			managed = c.unwrapped().name()
		}
	}
	if opened != "" {
		say(ShellOpened, checks.Medium, opened, checks.Msg("somebody opened a shell in %s: %s", f.Name, opened))
	}
	if managed != "" {
		say(PackageManagerRun, checks.High, managed, checks.Msg("somebody runs %s in %s, which changes what its image brought", managed, f.Name))
	}
	return alerts
}

// Attributed returns alerts about starting e with who started it.
func Attributed(alerts []Alert, f *Facts, e Exec, at time.Time) []Alert {
	named := JudgeExec(f, e, at)
	return slices.DeleteFunc(named, func(a Alert) bool {
		return !slices.ContainsFunc(alerts, func(b Alert) bool { return a.Check == b.Check && a.Key == b.Key })
	})
}
