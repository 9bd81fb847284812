package checks

import (
	"fmt"
	"strings"

	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A Finding is one occurrence of a problem.
type Finding struct {
	// Check, Subject and Severity are set by [Run]. A check may set a lower
	// Severity itself where the context makes the problem smaller.
	Check    *Check
	Subject  Ref
	Severity Severity

	// Line and EndLine are 1-based and inclusive; 0 where there are no lines.
	Line, EndLine int

	// Key tells this finding from others of the same check on the same
	// subject, and survives moved lines: a variable name, a port, a stage.
	// It is empty where there can be only one.
	Key string

	// Message is one sentence that names the culprit.
	Message Message

	// Evidence is what the finding was concluded from.
	Evidence []Evidence

	// Fixes are alternatives, the safest first; none if a person has to decide.
	Fixes []Fix
}

// An ID identifies a finding across reports of its subject.
type FindingID struct {
	Check   string
	Subject Ref
	Key     string
}

// ID returns what identifies f across reports.
func (f *Finding) ID() FindingID { return FindingID{f.Check.ID, f.Subject, f.Key} }

// Fixable reports whether f offers a fix.
func (f *Finding) Fixable() bool { return len(f.Fixes) > 0 }

// A Message is a sentence whose format is the key of its translation.
// Its arguments come from outside: they are sanitised and masked by [Run]. One
// that is a message itself is translated too.
type Message struct {
	Format string // English, with fmt verbs: "%s runs as root"
	Args   []any
}

// Msg returns a message. Formats must be constant strings, so that a test can
// find each of them and require its translation.
func Msg(format string, args ...any) Message { return Message{format, args} }

// IsZero reports whether m says nothing.
func (m Message) IsZero() bool { return m.Format == "" }

// String returns m in English.
func (m Message) String() string { return m.In(nil) }

// In returns m in the language of translate, which maps an English format to
// its translation; nil means English.
func (m Message) In(translate func(format string) string) string {
	format := m.Format
	if translate != nil {
		format = translate(format)
	}
	if len(m.Args) == 0 {
		return format
	}
	args := make([]any, len(m.Args))
	for i, a := range m.Args {
		if part, ok := a.(Message); ok {
			a = part.In(translate)
		}
		args[i] = a
	}
	return fmt.Sprintf(format, args...)
}

// Evidence is one observation that a finding rests on, so that a reader can
// check it.
type Evidence struct {
	Source string // where: "line 12", "HostConfig.Memory", "image config", "docker info"
	Detail string // what was seen there
}

// Clean masks secrets in e and makes it safe to show.
func (e Evidence) Clean() Evidence {
	return Evidence{terminal.Line(e.Source), terminal.Line(secret.Redact(e.Detail))}
}

// String returns "source: detail".
func (e Evidence) String() string {
	if e.Detail == "" {
		return e.Source
	}
	return strings.Join([]string{e.Source, e.Detail}, ": ")
}
