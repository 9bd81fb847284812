package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var healthcheckDisabled = check(checks.Check{
	ID:       "healthcheck-disabled",
	Title:    "Health check switched off",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 4.6 (v1.6.0)", "cnspec no-healthcheck-none"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil {
		return
	}
	in := lastOf(s, "HEALTHCHECK")
	if in == nil || !strings.EqualFold(strings.TrimSpace(in.Args.String), "none") {
		return
	}
	finding := f.finding(in, "", checks.Msg("HEALTHCHECK NONE cancels the health check of the base image: a service that hangs counts as running"))
	b, known := f.base(s)
	inherited := b.Health || f.hasProbe(s, in)
	switch {
	case inherited:
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + s.Root().Image, Detail: "there is a health check to cancel"})
		if in.Stage == s {
			finding.Fixes = []checks.Fix{{
				ID: "inherited-probe", Title: checks.Msg("let the inherited health check work"),
				Caution: checks.Msg("a container that does not answer will be shown as unhealthy"),
				Edit:    fixed(f.remove(in, checks.Msg("the health check from below counts again"))),
			}}
		}
	case known:
		finding.Severity = checks.Low
		finding.Message = checks.Msg("HEALTHCHECK NONE cancels nothing, and nothing tells whether the service works")
	}
	report(finding)
})

// hasProbe reports whether the chain of s has a health check other than in.
func (f *File) hasProbe(s *Stage, in *Instruction) bool {
	for _, stage := range s.Chain() {
		for _, other := range stage.Instructions {
			if other.Keyword == "HEALTHCHECK" && other != in && other.Stage != in.Stage && !strings.EqualFold(other.Args.String, "none") {
				return true
			}
		}
	}
	return false
}

var stopsignalUngraceful = check(checks.Check{
	ID:       "stopsignal-ungraceful",
	Title:    "Stop signal without grace",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally no-ungraceful-stopsignal", "tally prefer-nginx-sigquit", "tally prefer-systemd-sigrtmin-plus-3"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	in := lastOf(s, "STOPSIGNAL")
	server := f.server(s)
	if in == nil {
		if server == "systemd" {
			report(f.finding(s.From, "", checks.Msg("systemd ignores SIGTERM, so every stop waits ten seconds and then kills it: it needs STOPSIGNAL %s", "SIGRTMIN+3")))
		}
		return
	}
	text, certain := f.expand(in.Args.String, f.variablesAt(in))
	if !certain {
		return
	}
	signal := signalName(text)
	right := gracefulSignal(server)
	var message checks.Message
	switch {
	case signal == "SIGKILL" || signal == "SIGSTOP":
		message = checks.Msg("%s cannot be handled: the program has no chance to finish its work", in.Args.String)
	case server == "nginx" && (signal == "SIGTERM" || signal == "SIGINT"):
		message = checks.Msg("%s makes nginx drop the requests it is working on: %s lets it finish them", in.Args.String, right)
	case server == "systemd" && signal != right:
		message = checks.Msg("%s does not stop systemd: %s does", in.Args.String, right)
	case server == "postgres" && signal == "SIGQUIT":
		message = checks.Msg("%s makes PostgreSQL quit without a checkpoint: %s closes the connections and shuts down", in.Args.String, right)
	default:
		return
	}
	finding := f.finding(in, "", message)
	if in.Args.String == text {
		start, end := in.Args.Range(0, len(text))
		finding.Fixes = []checks.Fix{{
			ID: "graceful-signal", Title: checks.Msg("send a signal that lets the program finish"),
			Caution: checks.Msg("a program that ignores the signal is killed ten seconds later"),
			Choices: []checks.Choice{{
				Key: "stop-signal", Label: checks.Msg("signal that stops the program"), Default: right,
				Options: []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGRTMIN+3", "SIGWINCH", "SIGHUP"},
				Why:     checks.Msg("what this program takes as a request to finish"),
			}},
			Edit: func(v checks.Values) ([]checks.Edit, error) {
				return []checks.Edit{{Start: start, End: end, New: v["stop-signal"], Reason: checks.Msg("the program can finish what it is doing")}}, nil
			},
		}}
	}
	report(finding)
})

// signalName returns the name of a signal given by name or by number.
func signalName(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	switch s {
	case "1":
		return "SIGHUP"
	case "2":
		return "SIGINT"
	case "3":
		return "SIGQUIT"
	case "9":
		return "SIGKILL"
	case "15":
		return "SIGTERM"
	case "19":
		return "SIGSTOP"
	case "37":
		return "SIGRTMIN+3"
	}
	if s != "" && !strings.HasPrefix(s, "SIG") {
		return "SIG" + s
	}
	return s
}

// gracefulSignal returns the signal that asks a server to finish.
func gracefulSignal(server string) string {
	switch server {
	case "nginx":
		return "SIGQUIT"
	case "systemd":
		return "SIGRTMIN+3"
	case "postgres":
		return "SIGINT"
	}
	return "SIGTERM"
}

// server returns which of the programs with a stop signal of their own s starts,
// or "".
func (f *File) server(s *Stage) string {
	switch w := f.started(s); path.Base(w) {
	case "nginx", "systemd", "postgres":
		return path.Base(w)
	case "init":
		if w == "/sbin/init" || w == "/usr/sbin/init" {
			return f.initSystem(s)
		}
		return ""
	case ".":
	default:
		return ""
	}
	if lastOf(s, "ENTRYPOINT") != nil || lastOf(s, "CMD") != nil {
		return "" // wrappers that say nothing of what they start
	}
	if name := parseReference(s.Root().Image).official(); name == "nginx" || name == "postgres" {
		return name
	}
	return ""
}

// wrapper reports whether a program starts the one that follows it.
func wrapper(w string) bool {
	switch path.Base(w) {
	case "exec", "tini", "dumb-init", "docker-entrypoint.sh", "/docker-entrypoint.sh", "entrypoint.sh", "gosu", "su-exec":
		return true
	}
	return false
}

// initSystem returns "systemd" where /sbin/init is systemd for certain.
func (f *File) initSystem(s *Stage) string {
	switch parseReference(s.Root().Image).official() {
	case "fedora", "centos", "rockylinux", "almalinux", "oraclelinux", "amazonlinux":
		return "systemd"
	}
	if f.installed(s, "systemd") || f.installed(s, "systemd-sysv") {
		return "systemd"
	}
	return ""
}
