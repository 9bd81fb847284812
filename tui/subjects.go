package tui

import (
	"cmp"
	"fmt"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
)

// A subjectRow is a row of the left pane: everything, a kind, or one subject.
type subjectRow struct {
	kind    checks.Kind // "" for everything
	subject *subject    // nil for everything and for kinds
	counts  counts
	number  int // of subjects below
}

// ref returns what the row is, across updates.
func (r subjectRow) ref() checks.Ref {
	if r.subject != nil {
		return r.subject.Ref
	}
	return checks.Ref{Kind: r.kind}
}

// An order sorts subjects and findings.
type order int

const (
	bySeverity order = iota
	byName
	byChapter
	byCount
	orders
)

func (m *Model) orderName(o order) string {
	switch o {
	case byName:
		return m.T("name")
	case byChapter:
		return m.T("chapter")
	case byCount:
		return m.T("count")
	}
	return m.T("severity")
}

// A sieve is what the user wants to see.
type sieve struct {
	text    [panes]string   // lower case, by pane
	worse   checks.Severity // at least this bad; 0 for all
	chapter int             // -1 for all
	fresh   bool            // new since yesterday; see [Model.wants]
	ignored bool            // what does not count, instead of what does
}

func (s *sieve) wants(f *checks.Finding) bool {
	return f.Severity >= s.worse && (s.chapter < 0 || int(f.Check.Chapter) == s.chapter)
}

// active reports whether anything is hidden.
func (s *sieve) active() bool { return s.worse > checks.Info || s.chapter >= 0 || s.fresh || s.ignored }

// wants reports whether finding i of s passes the filters.
func (m *Model) wants(s *subject, i int) bool {
	return m.sieve.wants(&s.Report.Findings[i]) && (!m.sieve.fresh || m.fresh(s, i))
}

// count returns the findings of s that pass.
func (m *Model) count(s *subject) counts {
	if !m.sieve.active() {
		return s.counts
	}
	var c counts
	if m.sieve.ignored {
		for i := range s.Report.Suppressed {
			if f := &s.Report.Suppressed[i].Finding; m.sieve.wants(f) {
				c[f.Severity]++
			}
		}
		return c
	}
	for i := range s.Report.Findings {
		if m.wants(s, i) {
			c[s.Report.Findings[i].Severity]++
		}
	}
	return c
}

// refreshSubjects rebuilds the rows of the left pane and keeps the selection.
func (m *Model) refreshSubjects() {
	filter := m.sieve.text[subjectsPane]
	shown := map[*subject]counts{}
	keep := func(s *subject) bool {
		if filter != "" && !strings.Contains(s.lower, filter) {
			return false
		}
		shown[s] = m.count(s)
		return true
	}
	compare := func(a, b *subject) int {
		ca, cb := shown[a], shown[b]
		switch m.order {
		case byName:
			return 0
		case byCount:
			return cmp.Compare(cb.total(), ca.total())
		case byChapter:
			return cmp.Compare(firstChapter(a), firstChapter(b))
		}
		for _, s := range checks.Severities {
			if ca[s] != cb[s] {
				return cmp.Compare(cb[s], ca[s])
			}
		}
		return 0
	}
	rows := []subjectRow{{}}
	for _, kind := range checks.Kinds {
		subjects := m.world.ofKind(kind, keep, compare)
		head := subjectRow{kind: kind, number: len(subjects)}
		at := len(rows)
		rows = append(rows, head)
		for _, s := range subjects {
			c := shown[s]
			rows[at].counts.add(c)
			rows = append(rows, subjectRow{kind: kind, subject: s, counts: c})
		}
		rows[0].counts.add(rows[at].counts)
		rows[0].number += len(subjects)
		if len(subjects) == 0 && (filter != "" || kind == checks.Compose || kind == checks.Dockerfile) {
			rows = rows[:at] // nothing of this kind: no heading either
		}
	}
	m.subjects.set(rows, m.findSubject(rows))
	m.findSafe()
	m.countMarks()
	m.refreshFindings()
}

func firstChapter(s *subject) checks.Chapter {
	first := checks.Updates + 1
	for i := range s.Report.Findings {
		if c := s.Report.Findings[i].Check.Chapter; c != checks.Hygiene {
			first = min(first, c)
		}
	}
	return first
}

// findSubject returns the row that the user selected last: the very same, else
// one of the same name (a container that was recreated), else the same id (one
// that was renamed), else what is now in its place.
func (m *Model) findSubject(rows []subjectRow) int {
	byName, byID := -1, -1
	for i, r := range rows {
		ref := r.ref()
		switch {
		case ref == m.wanted:
			return i
		case ref.Kind != m.wanted.Kind:
		case ref.Name == m.wanted.Name && ref.Name != "":
			byName = i
		case ref.ID == m.wanted.ID && ref.ID != "":
			byID = i
		}
	}
	if byName >= 0 {
		return byName
	}
	if byID >= 0 {
		return byID
	}
	return min(m.subjects.cursor, len(rows)-1)
}

// Where there is room, rows show more than a name and a number.
const (
	roomForTallies = 56 // findings by severity
	roomForImages  = 72 // the image of a container
)

// drawSubject draws one row of the left pane.
func (m *Model) drawSubject(r subjectRow, selected bool) string {
	t := &m.theme
	l := newLine(m.subjects.w, m.rowBase(selected, subjectsPane))
	m.cursorMark(l, selected, subjectsPane)
	tally := m.tally(r)
	right, wide := cells(tally), l.room >= roomForTallies
	if wide {
		room := 5
		if m.marked > 0 {
			room = 9
		}
		tally = strings.Repeat(" ", max(0, room-right)) + tally
		right = cells(tally) + talliesWidth
	}
	if r.subject == nil {
		m.drawHeading(l, r)
	} else {
		m.drawName(l, r, right)
	}
	l.gap(right)
	if wide {
		m.addTallies(l, r.counts)
	}
	l.add(t.dim, tally)
	return l.end()
}

// drawHeading draws what the row of a kind, or of everything, is called.
func (m *Model) drawHeading(l *line, r subjectRow) {
	t := &m.theme
	name, ink := m.T("Everything"), t.strong
	if r.kind != "" {
		name, ink = m.kind(r.kind), t.title
	}
	l.add(ink, name)
	switch {
	case r.number > 0:
		l.add(t.dim, fmt.Sprintf(" %d", r.number))
	case r.kind != "":
		l.add(t.dim, " "+m.emptyKind(r.kind))
	case m.sieve.text[subjectsPane] != "":
		l.add(t.dim, " "+m.T("nothing matches"))
	}
}

// drawName draws the name of a subject and, as far as there is room, its state
// and what it was made from.
func (m *Model) drawName(l *line, r subjectRow, right int) {
	t := &m.theme
	l.add("", " ")
	m.severityMark(l, r.counts.worst(), r.subject)
	l.add("", " ")
	room := max(4, l.room-right-1)
	state, stateInk := m.state(r.subject)
	switch short := shortState(&r.subject.Status); {
	case state == "", room < 12:
		state = ""
	case room-cells(state)-1 < min(12, cells(r.subject.name)):
		state = short
	}
	if state != "" {
		room -= cells(state) + 1
	}
	name := shorten(r.subject.name, room, r.kind)
	l.add("", name)
	if state != "" {
		l.add("", " ")
		l.add(stateInk, state)
	}
	if from := terminal.Line(r.subject.Status.Image); from != "" && m.subjects.w >= roomForImages {
		if left := room - cells(name) - 2; left > 8 {
			l.add(t.dim, "  "+fit(from, min(left, cells(from))))
		}
	}
}

// talliesWidth is the width of the findings by severity: five columns.
const talliesWidth = 5 * 6

// addTallies draws the findings by severity in columns.
func (m *Model) addTallies(l *line, c counts) {
	for _, s := range checks.Severities {
		text := "      "
		if c[s] > 0 {
			text = fit(fmt.Sprintf("%s%s %d", symbols[s], m.letter(s), c[s]), len(text))
		}
		l.add(m.theme.severity[s], text)
	}
}

// tally is the number of findings at the right of a row.
func (m *Model) tally(r subjectRow) string {
	n := r.counts.total()
	switch {
	case n > 0 && r.subject != nil && m.marksOf(r.subject) > 0:
		return fmt.Sprintf("[%d] %d ", m.marksOf(r.subject), n)
	case n > 0:
		return fmt.Sprintf("%d ", n)
	case r.subject != nil && len(r.subject.Report.Errors) > 0:
		return "! "
	case r.subject != nil && r.subject.judged() && !m.sieve.active():
		return "✓ "
	}
	return " "
}

// severityMark draws the shape and the letter of a severity.
func (m *Model) severityMark(l *line, s checks.Severity, of *subject) {
	switch {
	case s > 0:
		l.add(m.theme.severity[s], symbols[s]+m.letter(s))
	case of != nil && !of.judged():
		l.add(m.theme.dim, " …")
	default:
		l.add("", "  ")
	}
}

// state returns what a row says beside the name, or "".
func (m *Model) state(s *subject) (string, ink) {
	if s.Status.Health == "unhealthy" {
		return m.T("unhealthy"), m.theme.bad
	}
	if s.Status.Kept {
		return m.T("kept"), m.theme.dim
	}
	if s.Status.Past {
		return m.T("past task"), m.theme.dim
	}
	if l := s.Status.Layers; l.State == inventory.LayersReading {
		return m.T("layers %d %%", l.Percent), m.theme.dim
	}
	switch s.Status.State {
	case "", "running":
		return "", ""
	case "exited":
		return m.T("exited"), m.theme.dim
	case "created":
		return m.T("created"), m.theme.dim
	case "paused":
		return m.T("paused"), m.theme.warn
	case "restarting":
		return m.T("restarting"), m.theme.bad
	case "dead":
		return m.T("dead"), m.theme.bad
	}
	return plain(s.Status.State), m.theme.dim
}

// shortState is the sign for a state where there is no room for the word.
func shortState(s *inventory.Status) string {
	if s.Layers.State == inventory.LayersReading {
		return fmt.Sprintf("%d%%", s.Layers.Percent)
	}
	switch s.State {
	case "exited", "dead":
		return "■"
	case "created":
		return "□"
	case "paused":
		return "‖"
	}
	return "!"
}

// emptyKind says why there is nothing of a kind.
func (m *Model) emptyKind(kind checks.Kind) string {
	switch e := m.world.engine; {
	case e.Phase == inventory.Connecting:
		return m.T("connecting …")
	case m.world.disconnected():
		return m.T("no engine")
	case !m.world.complete:
		return m.T("reading …")
	}
	return m.T("none")
}

// shorten keeps the end of paths, which tells files apart, and the beginning of
// everything else.
func shorten(name string, room int, kind checks.Kind) string {
	if cells(name) <= room {
		return name
	}
	if kind == checks.Dockerfile || kind == checks.Compose {
		return "…" + tail(name, room-1)
	}
	return fit(name, room)
}
