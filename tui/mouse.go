package tui

import (
	"image"

	tea "charm.land/bubbletea/v2"
)

// wheelRows is how far one notch of the wheel scrolls.
const wheelRows = 3

// click selects what is under the pointer, or presses a button of a dialog.
func (m *Model) click(msg tea.MouseClickMsg) tea.Cmd {
	if msg.Button != tea.MouseLeft {
		return nil
	}
	at := image.Pt(msg.X, msg.Y)
	if n := len(m.dialogs); n > 0 {
		d := m.dialogs[n-1]
		if key, ok := m.buttonAt(d, at); ok {
			return m.perform(d.key(&m.ui, keyPress(key)))
		}
		return nil
	}
	for p := range panes {
		if !at.In(m.area.frame[p]) {
			continue
		}
		if m.focus != p {
			m.setFocus(p)
		}
		y := at.Y - m.area.inner[p].Min.Y
		switch p {
		case subjectsPane:
			if row, ok := m.subjects.at(y); ok {
				m.subjects.to(row)
				m.chooseSubject()
			}
		case findingsPane:
			if row, ok := m.findings.at(y); ok {
				m.findings.to(row)
				m.chooseFinding()
			}
		}
	}
	return nil
}

// wheel scrolls the pane under the pointer, whichever has the focus.
func (m *Model) wheel(msg tea.MouseWheelMsg) {
	delta := wheelRows
	switch msg.Button {
	case tea.MouseWheelUp:
		delta = -wheelRows
	case tea.MouseWheelDown:
	default:
		return
	}
	if n := len(m.dialogs); n > 0 {
		if s, ok := m.dialogs[n-1].(scroller); ok {
			s.scrollBy(delta)
		}
		return
	}
	at := image.Pt(msg.X, msg.Y)
	for p := range panes {
		if !at.In(m.area.frame[p]) {
			continue
		}
		switch p {
		case subjectsPane:
			m.subjects.scroll(delta)
			m.chooseSubject()
		case findingsPane:
			m.findings.scroll(delta)
			m.chooseFinding()
		case detailPane:
			m.detail.scroll(delta)
		}
	}
}

// keyPress is the press of a named key, for buttons that were clicked.
func keyPress(name string) tea.KeyPressMsg {
	switch name {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "space":
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	r := []rune(name)
	return tea.KeyPressMsg{Code: r[0], Text: name}
}
