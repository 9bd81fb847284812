package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A findingRow is a row of the middle pane.
type findingRow struct {
	finding *checks.Finding
	subject *subject
	ignored *checks.Suppression // why it does not count; nil where it does
}

// A findingKey identifies a finding across updates, also on a container that
// was recreated: by the name of its subject.
type findingKey struct {
	check, key, name string
	kind             checks.Kind
}

func (r findingRow) key() findingKey {
	return findingKey{r.finding.Check.ID, r.finding.Key, r.finding.Subject.Name, r.finding.Subject.Kind}
}

// refreshFindings rebuilds the middle pane for the selected row of the left.
func (m *Model) refreshFindings() {
	selected, _ := m.subjects.current()
	filter := m.sieve.text[findingsPane]
	rows := m.spare[:0]
	for _, r := range m.subjects.rows {
		switch {
		case r.subject == nil,
			selected.kind != "" && r.kind != selected.kind,
			selected.subject != nil && r.subject != selected.subject:
			continue
		}
		if m.sieve.ignored {
			for i := range r.subject.Report.Suppressed {
				x := &r.subject.Report.Suppressed[i]
				if m.sieve.wants(&x.Finding) && (filter == "" || m.matches(&x.Finding, filter)) {
					rows = append(rows, findingRow{&x.Finding, r.subject, &x.Suppression})
				}
			}
			continue
		}
		for i := range r.subject.Report.Findings {
			f := &r.subject.Report.Findings[i]
			if m.wants(r.subject, i) && (filter == "" || m.matches(f, filter)) {
				rows = append(rows, findingRow{finding: f, subject: r.subject})
			}
		}
	}
	rows, m.spare = m.sortFindings(rows, m.findings.rows)
	clear(m.spare) // what it held may be gone
	m.findings.set(rows, m.findFinding(rows))
	m.refreshDetail()
}

func (m *Model) matches(f *checks.Finding, filter string) bool {
	return strings.Contains(f.Check.ID, filter) ||
		strings.Contains(strings.ToLower(m.format(f.Check.Title)), filter) ||
		strings.Contains(strings.ToLower(f.Key), filter) ||
		strings.Contains(strings.ToLower(f.Message.In(m.format)), filter)
}

// sortFindings returns rows in the order that was chosen, and what is left of
// the two buffers.
func (m *Model) sortFindings(rows, spare []findingRow) (sorted, left []findingRow) {
	if m.order == bySeverity {
		return worstFirst(rows, spare), rows
	}
	var perCheck map[*checks.Check]int
	if m.order == byCount {
		perCheck = map[*checks.Check]int{}
		for _, r := range rows {
			perCheck[r.finding.Check]++
		}
	}
	slices.SortStableFunc(rows, func(a, b findingRow) int {
		x, y := a.finding, b.finding
		severity := cmp.Compare(y.Severity, x.Severity)
		switch m.order {
		case byName:
			return cmp.Or(cmp.Compare(a.subject.name, b.subject.name), cmp.Compare(x.Line, y.Line), severity)
		case byChapter:
			return cmp.Or(cmp.Compare(chapterRank(x), chapterRank(y)), severity)
		case byCount:
			return cmp.Or(cmp.Compare(perCheck[y.Check], perCheck[x.Check]), cmp.Compare(x.Check.ID, y.Check.ID))
		}
		return severity
	})
	return rows, spare
}

// worstFirst is a stable sort by severity into another buffer that looks at
// each row twice: a key may put all findings of a thousand containers in order.
func worstFirst(rows, into []findingRow) []findingRow {
	var next [checks.Critical + 1]int // where the next row of each severity goes
	for _, r := range rows {
		next[r.finding.Severity]++
	}
	at := 0
	for _, s := range checks.Severities {
		next[s], at = at, at+next[s]
	}
	sorted := slices.Grow(into[:0], len(rows))[:len(rows)]
	for _, r := range rows {
		s := r.finding.Severity
		sorted[next[s]] = r
		next[s]++
	}
	return sorted
}

// chapterRank puts hygiene last.
func chapterRank(f *checks.Finding) int {
	if f.Check.Chapter == checks.Hygiene {
		return int(checks.Updates) + 1
	}
	return int(f.Check.Chapter)
}

// findFinding returns the row of the finding selected last, else the one that
// took its place. Of several alike it is the nearest.
func (m *Model) findFinding(rows []findingRow) int {
	if m.wantedFinding == (findingKey{}) {
		return 0
	}
	best := -1
	for i, r := range rows {
		if r.key() == m.wantedFinding && (best < 0 || abs(i-m.findings.cursor) < abs(best-m.findings.cursor)) {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	return max(0, min(m.findings.cursor, len(rows)-1))
}

func abs(n int) int { return max(n, -n) }

// drawFinding draws one row of the middle pane.
func (m *Model) drawFinding(r findingRow, selected bool) string {
	t, f := &m.theme, r.finding
	l := newLine(m.findings.w, m.rowBase(selected, findingsPane))
	m.cursorMark(l, selected, findingsPane)
	m.severityMark(l, f.Severity, nil)
	l.add("", " ")

	right := ""
	if at, ok := m.subjects.current(); ok && at.subject == nil {
		right = shorten(r.subject.name, max(8, m.findings.w/3), r.subject.Ref.Kind)
	} else if f.Line > 0 {
		right = fmt.Sprintf(":%d", f.Line)
	}
	fixable := "   "
	switch {
	case m.marks[r.key()]:
		fixable = "[f]"
	case f.Fixable():
		fixable = " f "
	}
	title, detail := plain(m.format(f.Check.Title)), telling(f.Check.Kind, f.Key)
	room := l.room - cells(right) - len(fixable) - 1
	l.add("", fit(title, min(room, cells(title))))
	if left := room - cells(title) - 1; detail != "" && left > 4 {
		l.add(t.dim, " "+fit(detail, min(cells(detail), left)))
	}
	l.gap(cells(right) + len(fixable))
	l.add(t.dim, right)
	l.add(t.good, fixable)
	return l.end()
}

// telling returns the key of a finding where it tells a reader something: the
// number of a stage, which begins those of a Dockerfile, or of a twin does not.
func telling(kind checks.Kind, key string) string {
	if stage, rest, ok := strings.Cut(key, "/"); ok && kind == checks.Dockerfile && strings.Trim(stage, "0123456789") == "" {
		key = rest
	}
	if strings.Trim(key, "0123456789#") == "" {
		return ""
	}
	return plain(key)
}
