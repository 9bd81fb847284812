package tui

import (
	"image"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
)

// A lock keeps a remote engine from being changed by a key that was meant for
// another one. It opens for as long as the program runs when its name is typed.
type lock struct {
	title  string          // what has to be typed; "" when nothing is locked
	opened map[string]bool // by title
}

// lock follows which engine is shown.
func (m *Model) lock() {
	e := m.world.engine
	title := ""
	if e.Remote {
		title = engineTitle(e.Context, e.Endpoint)
	}
	m.crew.lock.title = title
}

func engineTitle(context, endpoint string) string {
	if context != "" {
		return context
	}
	return endpoint
}

// holds returns what has to be typed before a subject of that kind is changed,
// "" when nothing has to.
func (l *lock) holds(kind checks.Kind) string {
	if l.opened[l.title] || kind == checks.Dockerfile || kind == checks.Compose {
		return ""
	}
	return l.title
}

// An unlockQuestion asks for the name of a remote engine.
type unlockQuestion struct {
	window
	crew  *crew
	title string
	field *field
	then  func(u *ui) action
}

// unlocked does then at once, or after the name of the engine was typed.
func (c *crew) unlocked(u *ui, kind checks.Kind, then func(u *ui) action) action {
	if title := c.lock.holds(kind); title != "" {
		return openDialog{&unlockQuestion{crew: c, title: title, field: newField(""), then: then}}
	}
	return then(u)
}

// key implements dialog.
func (d *unlockQuestion) key(u *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc":
		return closeDialog{}
	case "enter":
		if strings.TrimSpace(d.field.text()) != plain(d.title) {
			return say{u.T("that is not its name; nothing was changed"), true}
		}
		if d.crew.lock.opened == nil {
			d.crew.lock.opened = map[string]bool{}
		}
		d.crew.lock.opened[d.title] = true
		return actions{closeDialog{}, d.then(u)}
	default:
		d.field.key(k)
	}
	return nil
}

// paste implements paster.
func (d *unlockQuestion) paste(_ *ui, text string) action {
	d.field.insert(text)
	return nil
}

// draw implements dialog.
func (d *unlockQuestion) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	p.hanging(u.theme.strong, u.theme.warn, "! ", u.T("This changes an engine on another machine."))
	p.blank()
	p.text("", u.T("Type its name, %s, to allow changes there until plimsoll ends:", plain(d.title)))
	p.blank()
	text, cursor := d.field.show(max(4, width-4))
	l := newLine(width, "")
	l.add(u.theme.key, " › ")
	l.add("", text)
	p.lines = append(p.lines, l.end())
	return sheet{title: u.T("Another machine"), lines: p.lines, window: &d.window, cursor: &image.Point{X: 3 + cursor, Y: len(p.lines) - 1},
		buttons: []button{{key: "enter", label: u.T("allow")}, {key: "esc", label: u.T("cancel")}}}
}
