package tui

import (
	"image"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// A dialog is in front of everything and gets every key.
type dialog interface {
	// key handles a key and returns what its owner should do, or nil.
	key(u *ui, k tea.KeyPressMsg) action
	// draw returns the contents for lines of width cells.
	draw(u *ui, width int) sheet
}

// What a dialog may do beyond that.
type (
	listener interface { // waits for messages
		hear(u *ui, msg tea.Msg) (a action, mine bool)
	}
	busy     interface{ busy() bool }    // has something that spins
	worker   interface{ working() bool } // is changing the world
	scroller interface{ scrollBy(delta int) }
	paster   interface {
		paste(u *ui, text string) action
	}
)

// An action is what a dialog asks its owner to do: a tea.Cmd, or one of these.
type action any

type (
	closeDialog struct{}
	openDialog  struct{ dialog }
	replaceWith struct{ dialog }
	pressKey    struct{ b *binding } // of the main screen
	say         status
	actions     []action
)

// perform does what a dialog asked for.
func (m *Model) perform(a action) tea.Cmd {
	switch a := a.(type) {
	case nil:
	case tea.Cmd:
		return a
	case closeDialog:
		m.dialogs = m.dialogs[:max(0, len(m.dialogs)-1)]
	case openDialog:
		m.show(a.dialog)
	case replaceWith:
		m.dialogs[len(m.dialogs)-1] = a.dialog
	case pressKey:
		return m.press(a.b)
	case say:
		m.status = status(a)
	case actions:
		cmds := make([]tea.Cmd, len(a))
		for i, each := range a {
			cmds[i] = m.perform(each)
		}
		return tea.Batch(cmds...)
	}
	return nil
}

// show opens a dialog in front of the others.
func (m *Model) show(d dialog) {
	m.filter = nil
	m.dialogs = append(m.dialogs, d)
}

// A sheet is what a dialog looks like.
type sheet struct {
	title   string
	lines   []string // each as wide as asked for
	window  *window  // scroll position, owned by the dialog
	buttons []button
	cursor  *image.Point // of typed text, in lines
}

// A button is a key of a dialog, which can be clicked too.
type button struct {
	key, label string
	off        bool // does nothing now
}

// A window is which of many lines are on the screen.
type window struct{ top, h, n int }

func (w *window) scrollBy(delta int) { w.top = max(0, min(w.top+delta, w.n-w.h)) }

// scrollKey handles keys that scroll.
func (w *window) scrollKey(key string) bool {
	switch key {
	case "up", "k":
		w.scrollBy(-1)
	case "down", "j":
		w.scrollBy(1)
	case "pgup":
		w.scrollBy(-max(1, w.h-1))
	case "pgdown", "space":
		w.scrollBy(max(1, w.h-1))
	case "home", "g":
		w.scrollBy(-w.n)
	case "end", "G":
		w.scrollBy(w.n)
	default:
		return false
	}
	return true
}

// reveal scrolls so that line is on the screen.
func (w *window) reveal(line int) {
	if line < w.top {
		w.top = line
	}
	if w.h > 0 && line >= w.top+w.h {
		w.top = line - w.h + 1
	}
}

// A guard keeps keys from acting on what has just appeared by itself.
type guard struct{ until time.Time }

const guardFor = 400 * time.Millisecond

func (g *guard) start(now time.Time) { g.until = now.Add(guardFor) }
func (g *guard) holds(now time.Time) bool {
	return now.Before(g.until)
}

// widestDialog is as wide as a dialog gets.
const widestDialog = 104

// A placement is where a dialog and its buttons are.
type placement struct {
	sheet   sheet
	frame   image.Rectangle
	body    image.Rectangle
	buttons []image.Rectangle
	rows    int // lines of buttons
}

// place draws a dialog and finds room for it.
func (m *Model) place(d dialog) placement {
	w := min(m.size.X, widestDialog)
	if m.size.X > widestDialog/2*3 {
		w = min(m.size.X*3/4, widestDialog)
	}
	inner := max(1, w-4)
	s := d.draw(&m.ui, inner)
	p := placement{sheet: s}
	x, y := 0, 0
	for _, b := range s.buttons {
		bw := cells(b.text())
		if x > 0 && x+bw > inner {
			x, y = 0, y+1
		}
		p.buttons = append(p.buttons, image.Rect(x, y, min(x+bw, inner), y+1))
		x += bw + 2
	}
	if len(s.buttons) > 0 {
		p.rows = y + 1
	}
	chrome := 2 + p.rows
	if p.rows > 0 && m.size.Y > 12 {
		chrome++ // a blank line above the buttons
	}
	room := m.size.Y - 1 // the footer stays: it says why keys do nothing
	body := max(1, min(len(s.lines), room-chrome))
	h := min(room, body+chrome)
	x, y = (m.size.X-w)/2, max(0, (room-h)/2)
	p.frame = image.Rect(x, y, x+w, y+h)
	p.body = image.Rect(x+2, y+1, x+2+inner, y+1+body)
	for i := range p.buttons {
		p.buttons[i] = p.buttons[i].Add(image.Pt(x+2, y+h-1-p.rows))
	}
	if s.window != nil {
		s.window.h, s.window.n = body, len(s.lines)
		s.window.scrollBy(0)
	}
	return p
}

func (b button) text() string { return " " + b.key + " " + b.label + " " }

// buttonAt returns the key of the button at a point.
func (m *Model) buttonAt(d dialog, at image.Point) (key string, ok bool) {
	p := m.place(d)
	for i, r := range p.buttons {
		if at.In(r) {
			return p.sheet.buttons[i].key, true
		}
	}
	return "", false
}

// overlay draws a dialog over lines, which fade.
func (m *Model) overlay(lines []string, d dialog, v *tea.View) []string {
	p := m.place(d)
	box := m.box(&p)
	out := make([]string, len(lines))
	for y, under := range lines {
		if y == len(lines)-1 && m.status.text != "" {
			out[y] = under
			continue
		}
		plainUnder := ansi.Strip(under)
		if y < p.frame.Min.Y || y >= p.frame.Max.Y {
			out[y] = m.theme.faint.on(plainUnder)
			continue
		}
		left := fit(ansi.Truncate(plainUnder, p.frame.Min.X, ""), p.frame.Min.X)
		rest := m.size.X - p.frame.Max.X
		right := fit(tail(plainUnder, rest), rest)
		out[y] = m.theme.faint.on(left) + box[y-p.frame.Min.Y] + m.theme.faint.on(right)
	}
	if c := p.sheet.cursor; c != nil {
		top := 0
		if p.sheet.window != nil {
			top = p.sheet.window.top
		}
		if y := c.Y - top; y >= 0 && y < p.body.Dy() {
			v.Cursor = tea.NewCursor(p.body.Min.X+c.X, p.body.Min.Y+y)
		}
	}
	return out
}

// box draws the frame of a dialog with what is in it.
func (m *Model) box(p *placement) []string {
	t, w := &m.theme, p.frame.Dx()
	inner := p.body.Dx()
	top := 0
	if p.sheet.window != nil {
		top = p.sheet.window.top
	}
	l := newLine(w, "")
	l.add(t.borderFocus, "╭─")
	l.add(t.title, ansi.Truncate(" "+p.sheet.title+" ", max(0, w-4), "…"))
	l.add(t.borderFocus, strings.Repeat("─", max(0, l.room-1))+"╮")
	out := []string{l.end()}
	side := t.borderFocus.on("│")
	blank := strings.Repeat(" ", inner)
	row := func(s string) { out = append(out, side+" "+s+" "+side) }
	for y := range p.body.Dy() {
		row(rowOr(p.sheet.lines, top+y, blank))
	}
	for len(out) < p.frame.Dy()-1-p.rows {
		row(blank)
	}
	for y := range p.rows {
		l := newLine(inner, "")
		for i, r := range p.buttons {
			if r.Min.Y-p.frame.Min.Y != p.frame.Dy()-1-p.rows+y {
				continue
			}
			l.gap(inner - (r.Min.X - p.body.Min.X))
			look := t.buttonOther
			switch {
			case p.sheet.buttons[i].off:
				look = t.buttonOff
			case i == 0:
				look = t.button
			}
			l.add(look, p.sheet.buttons[i].text())
		}
		row(l.end())
	}
	l = newLine(w, "")
	more := ""
	if p.sheet.window != nil && len(p.sheet.lines) > p.body.Dy() {
		more = " " + m.T("%d of %d lines", min(top+p.body.Dy(), len(p.sheet.lines)), len(p.sheet.lines)) + " "
	}
	l.add(t.borderFocus, "╰"+strings.Repeat("─", max(0, w-3-cells(more))))
	l.add(t.dim, more)
	l.add(t.borderFocus, "─╯")
	return append(out, l.end())
}
