// Package ignore writes down that a finding is accepted: as a comment in the
// Dockerfile or compose file that it is in, or as an entry of the project's
// configuration.
//
// For a Dockerfile it is a check, whose only finding is that the comment is
// missing and whose fix writes it, so that it is planned, proved, entered in the
// ledger and undone like every other fix. Other files are changed by an edit.
package ignore

import (
	"bytes"
	"fmt"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suppress"
	"plimsoll/checks/terminal"
)

// An Acceptance is what the user wants to be written down.
type Acceptance struct {
	Check  string // id
	Reason string
	Until  time.Time // zero for ever
	Line   int       // of the finding; 0 for the whole file
}

// ID is the id of the check that [Acceptance.Comment] returns.
const ID = "suppression-missing"

// Comment returns the check that finds a missing comment in Dockerfiles. Suite
// holds the checks that may be ignored.
func (a Acceptance) Comment(suite []*checks.Check) *checks.Check {
	return &checks.Check{
		ID: ID, Title: checks.Msg("A finding is to be ignored").Format,
		Severity: checks.Info, Chapter: checks.Hygiene, Kind: checks.Dockerfile,
		Run: func(s checks.Subject, report func(checks.Finding)) {
			f := s.(*dockerfile.File)
			if f.Refusal != nil {
				return
			}
			// The comment moves the line that it was written for.
			for _, r := range inventory.Rules(f, suite) {
				if r.Wrong.IsZero() && !r.Foreign && r.Reason == a.reason() && r.Until.Equal(a.Until) && len(r.Checks) == 1 && r.Checks[0] == a.Check {
					if r.First == 0 || a.Line == 0 || r.First <= a.Line+1 && a.Line+1 <= r.Last {
						return
					}
				}
			}
			edit, ok := a.above(f)
			if !ok {
				return
			}
			report(checks.Finding{
				Line: a.Line, EndLine: a.Line, Message: checks.Msg("%s is to be ignored here", a.Check),
				Fixes: []checks.Fix{{
					ID: "comment", Title: checks.Msg("ignore %s in %s", a.Check, terminal.Line(f.Name)), Safe: true,
					Edit: func(checks.Values) ([]checks.Edit, error) { return []checks.Edit{edit}, nil },
				}},
			})
		},
	}
}

// reason returns the reason as it will be read back.
func (a Acceptance) reason() string { return suppress.Reason(a.Reason) }

// above returns the edit that puts the comment above the instruction at a.Line.
func (a Acceptance) above(f *dockerfile.File) (checks.Edit, bool) {
	for _, in := range f.Instructions {
		if a.Line <= in.EndLine {
			at := bytes.LastIndexByte(f.Source[:in.Start], '\n') + 1
			if at == 0 && bytes.HasPrefix(f.Source, byteOrderMark) {
				at = len(byteOrderMark)
			}
			return a.edit(f.Source, at, ""), true
		}
	}
	return checks.Edit{}, false
}

var byteOrderMark = []byte("\ufeff")

func (a Acceptance) edit(source []byte, at int, indent string) checks.Edit {
	return checks.Edit{
		Start: at, End: at,
		New:    indent + suppress.Write([]string{a.Check}, a.Reason, a.Until) + lineEnd(source),
		Reason: checks.Msg("accepted, with the reason for whoever reads it next"),
	}
}

// lineEnd returns how the lines of a file end.
func lineEnd(source []byte) string {
	if i := bytes.IndexByte(source, '\n'); i > 0 && source[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// YAML returns the edit of a compose file that puts the comment above line
// a.Line, or above everything when that is 0.
func (a Acceptance) YAML(source []byte, suite []*checks.Check) (checks.Edit, error) {
	at, indent, n := 0, "", 0
	for line := range bytes.Lines(source) {
		if n++; n == a.Line {
			indent = string(line[:len(line)-len(bytes.TrimLeft(line, " "))])
			break
		}
		if a.Line == 0 {
			break
		}
		at += len(line)
	}
	if a.Line > n {
		return checks.Edit{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("the file has no line %d", a.Line))
	}
	if at == 0 && bytes.HasPrefix(source, byteOrderMark) {
		at, indent = len(byteOrderMark), ""
	}
	edit := a.edit(source, at, indent)
	after := string(source[:at]) + edit.New + string(source[at:])
	for _, r := range suppress.YAML([]byte(after), suppress.NewNames(suite)) {
		if r.Line == max(1, a.Line) && r.Wrong.IsZero() && (r.First == 0 || r.First <= a.Line+1 && a.Line+1 <= r.Last) {
			return edit, nil
		}
	}
	return checks.Edit{}, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("a comment above line %d would not be one, or would not count", a.Line))
}
