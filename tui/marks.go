package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// Marks are findings that were chosen for one plan, across subjects. They are
// known by what findings are known by, so that they survive updates.

// markable returns the findings that a row of the left pane stands for, as far
// as they are shown and can be fixed.
func (m *Model) markable(r subjectRow) []findingRow {
	var rows []findingRow
	for _, other := range m.subjects.rows {
		if other.subject == nil || r.kind != "" && other.kind != r.kind || r.subject != nil && other.subject != r.subject {
			continue
		}
		for i := range other.subject.Report.Findings {
			if f := &other.subject.Report.Findings[i]; f.Fixable() && m.wants(other.subject, i) {
				rows = append(rows, findingRow{finding: f, subject: other.subject})
			}
		}
	}
	return rows
}

// mark marks the finding under the cursor, or all of what is under it on the
// left; or takes the marks away where all are.
func (m *Model) mark() tea.Cmd {
	var rows []findingRow
	switch m.focus {
	case detailPane:
		m.move(m.page())
		return nil
	case findingsPane:
		r, ok := m.findings.current()
		if !ok || r.ignored != nil || !r.finding.Fixable() {
			m.status = status{m.T("this finding has no automatic fix; its explanation says what to do"), true}
			return nil
		}
		rows = []findingRow{r}
	default:
		r, _ := m.subjects.current()
		if rows = m.markable(r); len(rows) == 0 {
			m.status = status{m.T("none of its findings has an automatic fix"), true}
			return nil
		}
	}
	all := !slices.ContainsFunc(rows, func(r findingRow) bool { return !m.marks[r.key()] })
	for _, r := range rows {
		if all {
			delete(m.marks, r.key())
		} else {
			m.marks[r.key()] = true
		}
	}
	m.countMarks()
	m.redraw()
	if m.focus == findingsPane {
		m.move(1)
	}
	return nil
}

// countMarks counts the marked findings that there are, whatever is filtered.
func (m *Model) countMarks() {
	m.marked = 0
	if len(m.marks) == 0 {
		return
	}
	for _, s := range m.world.subjects {
		m.marked += m.marksOf(s)
	}
}

// marksOf returns how many findings of s are marked.
func (m *Model) marksOf(s *subject) int {
	n := 0
	if len(m.marks) == 0 {
		return 0
	}
	for i := range s.Report.Findings {
		r := findingRow{finding: &s.Report.Findings[i], subject: s}
		if m.marks[r.key()] && r.finding.Fixable() {
			n++
		}
	}
	return n
}

func (m *Model) clearMarks() {
	clear(m.marks)
	m.marked = 0
	m.redraw()
}

// asksFor returns one ask for each subject with findings that are wanted, in the
// order of kinds and names.
func (m *Model) asksFor(wanted func(s *subject, i int) bool) []fixes.Ask {
	var asks []fixes.Ask
	everything := func(*subject) bool { return true }
	for _, kind := range checks.Kinds {
		for _, s := range m.world.ofKind(kind, everything, func(a, b *subject) int { return 0 }) {
			var found []checks.Finding
			for i := range s.Report.Findings {
				if s.Report.Findings[i].Fixable() && wanted(s, i) {
					found = append(found, s.Report.Findings[i])
				}
			}
			if len(found) > 0 && s.judged() {
				asks = append(asks, fixes.Ask{Subject: s.Subject, Request: fixes.Request{Findings: found}})
			}
		}
	}
	return asks
}

// planMarked makes one plan of everything that is marked.
func (m *Model) planMarked() tea.Cmd {
	return m.planBatch(m.asksFor(func(s *subject, i int) bool {
		return m.marks[findingRow{finding: &s.Report.Findings[i], subject: s}.key()]
	}))
}

func (m *Model) planBatch(asks []fixes.Ask) tea.Cmd {
	d, cmd := newBatchDialog(m, asks)
	m.show(d)
	return cmd
}

// isSafe reports whether a finding has a fix that needs no decision.
func isSafe(f *checks.Finding) bool { return f.Fixable() && f.Fixes[0].Safe }

// findSafe remembers whether anything that is shown can be fixed without a
// decision.
func (m *Model) findSafe() {
	m.safe = false
	for _, r := range m.subjects.rows {
		if r.subject == nil {
			continue
		}
		for i := range r.subject.Report.Findings {
			if isSafe(&r.subject.Report.Findings[i]) && m.wants(r.subject, i) {
				m.safe = true
				return
			}
		}
	}
}

func (m *Model) whyNothingSafe() checks.Message {
	if why := m.whyNoChange(); !why.IsZero() || m.safe {
		return why
	}
	return checks.Msg("every fix of what is shown changes how something behaves: mark those that you want, with the space bar")
}

// planSafe makes one plan of everything shown that can be fixed without a
// decision.
func (m *Model) planSafe() tea.Cmd {
	shown := map[*subject]bool{}
	for _, r := range m.subjects.rows {
		shown[r.subject] = true
	}
	return m.planBatch(m.asksFor(func(s *subject, i int) bool {
		return shown[s] && isSafe(&s.Report.Findings[i]) && m.wants(s, i)
	}))
}
