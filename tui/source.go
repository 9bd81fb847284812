package tui

import (
	"fmt"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// around is how many lines are shown before and after those of a finding, and
// longest how many of its own.
const (
	around  = 2
	longest = 12
)

// printSource shows the lines of a file that a finding is about.
func (m *Model) printSource(p *printer, r findingRow) {
	f := r.finding
	source := sourceOf(r.subject.Subject)
	if f.Line <= 0 || source == nil {
		return
	}
	t := &m.theme
	p.heading(m.T("Where"))
	p.text(t.dim, fmt.Sprintf("%s:%d", r.subject.name, f.Line))
	lines := maskedLines(source)
	last := max(f.Line, f.EndLine)
	shownLast := min(last, f.Line+longest-1)
	for n := max(1, f.Line-around); n <= min(len(lines), shownLast+around); n++ {
		l := newLine(p.room(), "")
		hit := n >= f.Line && n <= last
		if hit {
			l.add(t.severity[f.Severity], "▶")
			l.add(t.dim, fmt.Sprintf("%4d │ ", n))
			l.add(t.strong, lines[n-1])
		} else {
			l.add(t.dim, fmt.Sprintf(" %4d │ ", n))
			l.add(t.dim, lines[n-1])
		}
		p.raw(l.end(), p.room())
		if n == shownLast && shownLast < last {
			p.text(t.dim, m.N(checks.Msg("… %d more line"), checks.Msg("… %d more lines"), last-shownLast))
			return
		}
	}
}

// sourceOf returns the text of a subject that is a file.
func sourceOf(s checks.Subject) []byte {
	switch s := s.(type) {
	case *dockerfile.File:
		return s.Source
	case *compose.File:
		return s.Source
	}
	return nil
}

// maskedLines returns source by lines, safe to show. A secret of several lines
// is masked on each of them, so that line numbers stay true.
func maskedLines(source []byte) []string {
	text := string(source)
	var b strings.Builder
	at := 0
	for _, match := range secret.Find(text) {
		b.WriteString(text[at:match.Start])
		hidden := text[match.Start:match.End]
		for i := range strings.Count(hidden, "\n") + 1 {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(secret.Mask)
		}
		at = match.End
	}
	b.WriteString(text[at:])
	return strings.Split(terminal.Text(strings.TrimPrefix(b.String(), "\ufeff")), "\n")
}
