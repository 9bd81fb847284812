package tui

import (
	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
)

// A page is a dialog to be read.
type page struct {
	window
	title checks.Message
	print func(p *printer)
}

func (d *page) key(_ *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc", "q", "enter", "?", "S", "N":
		return closeDialog{}
	}
	d.scrollKey(k.String())
	return nil
}

func (d *page) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	d.print(p)
	return sheet{title: u.told(d.title), lines: p.lines, window: &d.window, buttons: []button{{key: "esc", label: u.T("close")}}}
}

// newHelpPage lists every key with what it does, or why it does nothing now.
func newHelpPage(m *Model) *page {
	return &page{title: checks.Msg("Keys"), print: func(p *printer) {
		group := ""
		for i := range m.keys {
			b := &m.keys[i]
			if name := m.told(b.group); name != group {
				group = name
				p.heading(group)
			}
			reason := ""
			if b.why != nil {
				reason = m.told(b.why(m))
			}
			mark := fit(b.show, 9) + " "
			if reason == "" {
				p.hanging("", m.theme.key, mark, m.told(b.does))
			} else {
				p.hanging(m.theme.dim, m.theme.faint, mark, m.told(b.does)+" – "+m.T("not now: %s", reason))
			}
		}
		p.heading(m.T("Mouse"))
		p.text("", m.T("Click selects, the wheel scrolls what is under the pointer, buttons can be clicked."))
		p.heading(m.T("Signs"))
		for _, s := range checks.Severities {
			p.hanging("", m.theme.severity[s], symbols[s]+m.letter(s)+" ", m.severity(s))
		}
		p.hanging("", m.theme.good, "f ", m.T("plimsoll can fix this finding"))
		p.hanging("", m.theme.dim, "✓ ", m.T("judged, nothing found"))
		p.hanging("", m.theme.dim, "! ", m.T("could not be read; the reason is in the middle"))
	}}
}

// A quitQuestion asks before work is left alone.
type quitQuestion struct{}

func (*quitQuestion) key(_ *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "y", "ctrl+c":
		return tea.Cmd(tea.Quit)
	case "n", "esc", "enter", "q":
		return closeDialog{}
	}
	return nil
}

func (*quitQuestion) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	p.text("", u.T("A change is being applied. Quitting cancels it and puts back first what is under way."))
	return sheet{title: u.T("Quit?"), lines: p.lines, buttons: []button{
		{key: "y", label: u.T("put back and quit")}, {key: "esc", label: u.T("stay")},
	}}
}
