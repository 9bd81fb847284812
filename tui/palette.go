package tui

import (
	"image"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// A palette finds a command by its name.
type palette struct {
	window
	m      *Model
	field  *field
	cursor int
}

func (m *Model) openPalette() { m.show(&palette{m: m, field: newField("")}) }

// found returns the commands whose name holds every word typed.
func (d *palette) found() []*binding {
	words := strings.Fields(strings.ToLower(d.field.text()))
	var out []*binding
next:
	for i := range d.m.keys {
		b := &d.m.keys[i]
		name := strings.ToLower(d.m.told(b.does) + " " + b.show)
		for _, w := range words {
			if !strings.Contains(name, w) {
				continue next
			}
		}
		if b.do != nil {
			out = append(out, b)
		}
	}
	return out
}

func (d *palette) key(_ *ui, k tea.KeyPressMsg) action {
	found := d.found()
	switch k.String() {
	case "esc", "ctrl+p":
		return closeDialog{}
	case "up":
		d.cursor = max(0, d.cursor-1)
	case "down":
		d.cursor = max(0, min(d.cursor+1, len(found)-1))
	case "enter":
		if d.cursor < len(found) {
			return actions{closeDialog{}, pressKey{found[d.cursor]}}
		}
	default:
		if d.field.key(k) {
			d.cursor = 0
		}
	}
	d.reveal(d.cursor + 2)
	return nil
}

func (d *palette) paste(_ *ui, text string) action {
	d.field.insert(text)
	d.cursor = 0
	return nil
}

func (d *palette) draw(u *ui, width int) sheet {
	t := &u.theme
	p := newPrinter(u, width)
	l := newLine(width, "")
	text, cursor := d.field.show(max(4, width-4))
	l.add(t.key, " › ")
	l.add("", text)
	p.lines = append(p.lines, l.end(), strings.Repeat(" ", width))
	for i, b := range d.found() {
		base, mark := ink(""), " "
		if i == d.cursor {
			base, mark = t.selected, "▌"
		}
		l := newLine(width, base)
		l.add(t.accent, mark)
		look := ink("")
		if b.why != nil && !b.why(d.m).IsZero() {
			look = t.dim
		}
		l.add(look, fit(u.told(b.does), max(10, width-12)))
		l.add(t.dim, " "+b.show)
		p.lines = append(p.lines, l.end())
	}
	return sheet{title: u.T("Find a command"), lines: p.lines, window: &d.window, cursor: &image.Point{X: 3 + cursor},
		buttons: []button{{key: "enter", label: u.T("run")}, {key: "esc", label: u.T("cancel")}}}
}
