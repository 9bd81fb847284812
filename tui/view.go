package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks"
)

// View implements tea.Model.
func (m *Model) View() tea.View {
	v := tea.View{AltScreen: true, MouseMode: tea.MouseModeCellMotion, WindowTitle: m.windowTitle()}
	if m.size.X <= 0 || m.size.Y <= 0 {
		return v // the first View comes before the size
	}
	if m.area.tiny {
		v.SetContent(strings.Join(m.tooSmall(), "\n"))
		return v
	}
	lines := make([]string, 0, m.size.Y)
	lines = append(lines, m.header()...)
	lines = append(lines, m.columns()...)
	lines = append(lines, m.footer(&v))
	for i, d := range m.dialogs {
		front := i == len(m.dialogs)-1
		if front {
			lines = m.overlay(lines, d, &v)
		}
	}
	v.SetContent(strings.Join(lines, "\n"))
	return v
}

func (m *Model) windowTitle() string {
	if n := m.world.scores.counts[checks.Critical]; n > 0 {
		return m.T("plimsoll – %d critical", n)
	}
	return "plimsoll"
}

func (m *Model) tooSmall() []string {
	lines := wrap(m.T("plimsoll needs %d × %d cells", leastWidth, leastHeight), m.size.X)
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, m.size.X, "")
	}
	return lines[:min(len(lines), m.size.Y)]
}

// columns draws the panes beside each other.
func (m *Model) columns() []string {
	var drawn [panes][]string
	for p := range panes {
		if !m.area.frame[p].Empty() {
			drawn[p] = m.framed(p, m.rows(p))
		}
	}
	if !m.area.wide {
		return drawn[m.focus]
	}
	lines := make([]string, m.area.frame[0].Dy())
	for i := range lines {
		lines[i] = drawn[0][i] + drawn[1][i] + drawn[2][i]
	}
	return lines
}

// rows draws what is in a pane.
func (m *Model) rows(p pane) []string {
	switch p {
	case subjectsPane:
		return m.subjects.lines(m.drawSubject)
	case findingsPane:
		if len(m.findings.rows) == 0 {
			return m.noFindings()
		}
		return m.findings.lines(m.drawFinding)
	}
	return m.detail.lines()
}

// framed draws a pane's border and title, or its title alone in one column.
func (m *Model) framed(p pane, rows []string) []string {
	t, w, h := &m.theme, m.area.inner[p].Dx(), m.area.inner[p].Dy()
	border, title := t.border, t.dim
	name := " " + m.paneTitle(p) + " "
	if m.focus == p {
		border, title = t.borderFocus, t.title
		name = " ▸" + name[1:]
	}
	blank := strings.Repeat(" ", max(0, w))
	lines := make([]string, 0, h+2)
	position := m.position(p)
	if !m.area.wide {
		l := newLine(w, "")
		l.add(title, ansi.Truncate(name, max(0, w-cells(position)-1), "…"))
		l.add(border, strings.Repeat("─", max(0, l.room-cells(position))))
		l.add(t.dim, position)
		lines = append(lines, l.end())
		for i := range h {
			lines = append(lines, rowOr(rows, i, blank))
		}
		return lines
	}
	l := newLine(w+2, "")
	l.add(border, "╭─")
	l.add(title, ansi.Truncate(name, max(0, w-2), "…"))
	l.add(border, strings.Repeat("─", max(0, l.room-1))+"╮")
	lines = append(lines, l.end())
	side := border.on("│")
	for i := range h {
		lines = append(lines, side+rowOr(rows, i, blank)+side)
	}
	l = newLine(w+2, "")
	l.add(border, "╰"+strings.Repeat("─", max(0, w-1-cells(position))))
	l.add(t.dim, position)
	l.add(border, "─╯")
	return append(lines, l.end())
}

func rowOr(rows []string, i int, blank string) string {
	if i < len(rows) {
		return rows[i]
	}
	return blank
}

// rowBase is the background of a row.
func (m *Model) rowBase(selected bool, p pane) ink {
	switch {
	case !selected:
		return ""
	case m.focus == p:
		return m.theme.selected
	}
	return m.theme.selectedBlur
}

// cursorMark shows the selection to those who see no background colours.
func (m *Model) cursorMark(l *line, selected bool, p pane) {
	switch {
	case !selected:
		l.add("", " ")
	case m.focus == p:
		l.add(m.theme.accent, "▌")
	default:
		l.add(m.theme.dim, "▏")
	}
}
