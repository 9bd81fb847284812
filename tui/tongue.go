package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A tongue says things in the language of the user.
type tongue struct {
	language assets.Language
	format   func(format string) string // translates an English format
}

func newTongue(language assets.Language) tongue {
	return tongue{language, assets.Translate(language)}
}

// T returns the translation of format with args filled in. Formats are English
// constants, so that a test can find them all.
func (t *tongue) T(format string, args ...any) string {
	format = t.format(format)
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// product names an engine.
func (t *tongue) product(podman bool, version string) string {
	if podman {
		return "Podman " + plain(version)
	}
	return t.T("Docker %s", plain(version))
}

// N says one or many of a number of things; both formats hold one %d.
func (t *tongue) N(one, many checks.Message, n int) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf(t.format(many.Format), n)
}

// say returns a message from elsewhere, safe to show. Secrets are looked for in
// its arguments only: its format is ours, and may speak of secrets.
func (t *tongue) say(m checks.Message) string {
	if m.IsZero() {
		return ""
	}
	args := slices.Clone(m.Args)
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = plain(a)
		case error, fmt.Stringer:
			args[i] = plain(fmt.Sprint(a))
		}
	}
	return terminal.Line(checks.Message{Format: m.Format, Args: args}.In(t.format))
}

// told is say for messages that were cleaned where they arose.
func (t *tongue) told(m checks.Message) string { return terminal.Line(m.In(t.format)) }

// err returns what an error says, safe to show, in the user's language as far
// as it knows it.
func (t *tongue) err(err error) string {
	if p, ok := err.(interface {
		In(func(string) string) string
	}); ok {
		return terminal.Line(secret.Redact(p.In(t.format)))
	}
	return terminal.Line(secret.Redact(err.Error()))
}

// severity returns the word for s.
func (t *tongue) severity(s checks.Severity) string { return t.T(s.String()) }

// letter returns the letter for s: the first of its word.
func (t *tongue) letter(s checks.Severity) string {
	r, _ := utf8.DecodeRuneInString(t.severity(s))
	return string(unicode.ToUpper(r))
}

// kind returns the plural heading of a kind of subject.
func (t *tongue) kind(k checks.Kind) string {
	switch k {
	case checks.Dockerfile:
		return t.T("Dockerfiles")
	case checks.Compose:
		return t.T("Compose files")
	case checks.Image:
		return t.T("Images")
	case checks.Container:
		return t.T("Containers")
	case checks.Host:
		return t.T("Host")
	}
	return string(k)
}

// duration returns d as people say it: "1.4 s", "350 ms", "2 min".
func (t *tongue) duration(d time.Duration) string {
	var s string
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		s = fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	if t.language == assets.German {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

// plain makes one line of text from outside safe to show.
func plain(s string) string { return terminal.Line(secret.Redact(s)) }
