package tui

import (
	"fmt"
	"math"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
)

// header draws who we are, what we talk to, and how things stand.
func (m *Model) header() []string {
	t, w := &m.theme, m.size.X
	score := m.T("posture %d", points(m.world.scores.all)) + "/100 "
	if m.world.scores.judged == 0 {
		score = ""
	}
	l := newLine(w, "")
	l.add(t.title, " ⦵ plimsoll ")
	if m.o.Demo {
		l.add(t.badge, m.T(" DEMO "))
		l.add("", " ")
	}
	if m.o.ReadOnly {
		l.add(t.badgeWarn, m.T(" READ-ONLY "))
		l.add("", " ")
	}
	one := m.area.header.Dy() == 1
	room := l.room - cells(score) - 1
	if one {
		room -= 24 // the counts share the line
	}
	text, look := m.engineText()
	if room > 6 {
		text = fit(text, min(room, cells(text)))
		l.add(look, text)
	}
	if one {
		l.gap(cells(score) + 24)
		m.addCounts(l, true, l.room-cells(score))
	}
	l.gap(cells(score))
	l.add(m.scoreInk(m.world.scores.all), score)
	lines := []string{l.end()}
	if one {
		return lines
	}
	l = newLine(w, "")
	l.add("", " ")
	filters := m.filters()
	m.addCounts(l, w < 72, l.room-cells(filters)-1)
	l.gap(cells(filters) + 1)
	l.add(t.warn, filters)
	return append(lines, l.end())
}

func (m *Model) scoreInk(score float64) ink {
	switch {
	case score >= 80:
		return m.theme.good
	case score >= 50:
		return m.theme.warn
	}
	return m.theme.bad
}

// addCounts draws the numbers of findings, each with its shape, letter and,
// unless short, its word.
func (m *Model) addCounts(l *line, short bool, room int) {
	c := m.subjectCounts()
	for _, s := range checks.Severities {
		text := fmt.Sprintf("%s%s %d %s  ", symbols[s], m.letter(s), c[s], m.severity(s))
		if short {
			text = fmt.Sprintf("%s%d ", m.letter(s), c[s])
		}
		if room < cells(text) {
			return
		}
		room -= cells(text)
		look := m.theme.severity[s]
		if c[s] == 0 {
			look = m.theme.dim
		}
		l.add(look, text)
	}
}

// subjectCounts are the findings of everything that passes the filters.
func (m *Model) subjectCounts() counts {
	if len(m.subjects.rows) == 0 {
		return counts{}
	}
	return m.subjects.rows[0].counts
}

// engineText says what we are connected to, or why not.
func (m *Model) engineText() (string, ink) {
	e := m.world.engine
	switch e.Phase {
	case inventory.Connected:
		parts := []string{plain(e.Name)}
		if e.Context != "" && e.Context != "default" {
			parts[0] = m.T("context %s", plain(e.Context))
			if e.Name != "" {
				parts[0] += " · " + plain(e.Name)
			}
		}
		if e.Version != "" {
			parts = append(parts, m.product(e.Podman, e.Version))
		}
		if e.Remote {
			parts = append(parts, m.T("remote"))
		}
		if m.crew.lock.holds(checks.Container) != "" && !m.o.ReadOnly {
			parts = append(parts, m.T("changes locked"))
		}
		text := strings.TrimPrefix(strings.Join(parts, " · "), " · ")
		if !m.world.complete {
			text += " · " + m.T("reading …")
		}
		return text, m.theme.dim
	case inventory.Lost:
		return m.T("connection lost") + m.retry() + m.meant(), m.theme.bad
	case inventory.Absent:
		return m.T("no Docker Engine") + m.retry() + m.meant(), m.theme.warn
	}
	return m.T("connecting …") + m.meant(), m.theme.dim
}

// meant names the engine that does not answer.
func (m *Model) meant() string {
	e := m.world.engine
	if title := engineTitle(e.Context, e.Endpoint); title != "" {
		return " · " + plain(title)
	}
	return ""
}

// retry says when the next attempt is made.
func (m *Model) retry() string {
	left := m.world.engine.Retry.Sub(m.now())
	if m.world.engine.Retry.IsZero() || left <= 0 {
		return " · " + m.T("retrying …")
	}
	return " · " + m.T("retry in %d s", int(math.Ceil(left.Seconds())))
}

// filters says what is hidden or chosen beyond the default.
func (m *Model) filters() string {
	var on []string
	if m.marked > 0 {
		on = append(on, m.N(checks.Msg("%d marked"), checks.Msg("%d marked"), m.marked))
	}
	if m.profile != checks.Security {
		on = append(on, m.profileName(m.profile))
	}
	if s := m.sieve.worse; s == checks.Critical {
		on = append(on, m.T("only %s", m.severity(s)))
	} else if s > checks.Info {
		on = append(on, m.T("%s and worse", m.severity(s)))
	}
	if m.sieve.fresh {
		on = append(on, m.T("new since yesterday"))
	}
	if m.sieve.ignored {
		on = append(on, m.T("ignored"))
	}
	if c := m.sieve.chapter; c >= 0 {
		on = append(on, m.chapterName(checks.Chapter(c)))
	}
	if m.order != bySeverity {
		on = append(on, m.T("by %s", m.orderName(m.order)))
	}
	return strings.Join(on, " · ")
}

func (m *Model) profileName(p checks.Profile) string {
	switch p {
	case checks.Practice:
		return m.T("profile hygiene")
	case checks.All:
		return m.T("profile all")
	}
	return m.T("profile security")
}

func (u *ui) chapterName(c checks.Chapter) string {
	if c == checks.Hygiene {
		return u.format(c.Title())
	}
	return fmt.Sprintf("%d %s", int(c), u.format(c.Title()))
}

// paneTitle is what a pane shows, as a path in one column.
func (m *Model) paneTitle(p pane) string {
	name := m.T("Subjects")
	switch p {
	case findingsPane:
		name = m.T("Findings")
		if !m.area.wide {
			name = m.selectedName()
		}
	case detailPane:
		name = m.T("Explanation")
		if _, ok := m.findings.current(); !ok {
			name = m.T("About")
		}
		if !m.area.wide {
			name = m.selectedName() + " › " + name
		}
	}
	if p < detailPane && m.sieve.text[p] != "" {
		name += fmt.Sprintf(" /%s", m.sieve.text[p])
	}
	return name
}

func (m *Model) selectedName() string {
	r, _ := m.subjects.current()
	switch {
	case r.subject != nil:
		return r.subject.name
	case r.kind != "":
		return m.kind(r.kind)
	}
	return m.T("Everything")
}

// position is where in a pane the reader is.
func (m *Model) position(p pane) string {
	switch p {
	case subjectsPane:
		return place(m.subjects.cursor, len(m.subjects.rows), m.subjects.h)
	case findingsPane:
		return place(m.findings.cursor, len(m.findings.rows), m.findings.h)
	}
	if m.detail.overflows() {
		return fmt.Sprintf(" %d%% ", m.detail.percent())
	}
	return ""
}

func place(cursor, n, h int) string {
	if n <= h || n == 0 {
		return ""
	}
	return fmt.Sprintf(" %d/%d ", cursor+1, n)
}

// footer draws the filter, the status, or what the keys do.
func (m *Model) footer(v *tea.View) string {
	t := &m.theme
	l := newLine(m.size.X, "")
	l.add("", " ")
	switch {
	case m.filter != nil:
		l.add(t.key, "/ ")
		at := m.size.X - l.room
		hint := m.T("enter keep · esc clear")
		text, cursor := m.filter.show(max(8, l.room-cells(hint)-2))
		l.add("", text)
		if len(m.dialogs) == 0 {
			v.Cursor = tea.NewCursor(at+cursor, m.size.Y-1)
		}
		l.gap(cells(hint) + 1)
		l.add(t.dim, hint)
	case m.status.text != "":
		look := t.good
		if m.status.bad {
			look = t.warn
		}
		l.add(look, m.status.text)
	default:
		m.addHints(l)
	}
	return l.end()
}
