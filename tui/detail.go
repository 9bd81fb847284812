package tui

import (
	"strings"

	"plimsoll/assets"
)

// A detail is the right pane: text with its own scroll position.
type detail struct {
	shown detailKey
	text  []string
	top   int
	w, h  int
}

// A detailKey is everything that the text depends on.
type detailKey struct {
	finding  findingKey
	item     *subject // replaced by every update of it
	ignored  bool     // the finding does not count
	trail    string   // where a finding comes from and leads to
	kind     string
	width    int
	dark     bool
	language assets.Language
	version  int // of the world, for texts about many subjects
}

func (d *detail) forget() { d.shown = detailKey{} }

func (d *detail) resize(w, h int) {
	d.w, d.h = max(0, w), max(0, h)
	d.scroll(0)
}

func (d *detail) scroll(delta int) {
	d.top = max(0, min(d.top+delta, len(d.text)-d.h))
}

func (d *detail) overflows() bool { return len(d.text) > d.h }

func (d *detail) percent() int {
	if !d.overflows() {
		return 100
	}
	return 100 * min(d.top+d.h, len(d.text)) / len(d.text)
}

func (d *detail) lines() []string {
	end := min(d.top+d.h, len(d.text))
	return d.text[min(d.top, end):end]
}

// refreshDetail writes the right pane anew if what it shows has changed.
// It goes back to the top when it is about something else.
func (m *Model) refreshDetail() {
	key := detailKey{width: m.detail.w, dark: m.dark, language: m.language}
	row, finding := m.findings.current()
	at, _ := m.subjects.current()
	if finding {
		key.finding, key.item, key.ignored, key.trail = row.key(), row.subject, row.ignored != nil, m.trailOf(row).String()
	} else {
		key.item, key.kind, key.version = at.subject, string(at.kind), m.version
	}
	if key == m.detail.shown || m.detail.w == 0 {
		return
	}
	same := key.finding == m.detail.shown.finding && key.kind == m.detail.shown.kind
	p := newPrinter(&m.ui, m.detail.w)
	if finding {
		m.printFinding(p, row)
	} else {
		m.printAbout(p, at)
	}
	m.detail.shown, m.detail.text = key, p.lines
	if !same {
		m.detail.top = 0
	}
	m.detail.scroll(0)
}

// A printer writes wrapped, styled text line by line, each as wide as the pane.
type printer struct {
	*ui
	width int
	lines []string
}

func newPrinter(u *ui, width int) *printer { return &printer{ui: u, width: width} }

// room is the width of text: the pane without its margins.
func (p *printer) room() int { return max(8, p.width-2) }

// raw adds a line that carries its own styles and is w cells wide.
func (p *printer) raw(s string, w int) {
	l := newLine(p.width, "")
	l.add("", " ")
	l.addStyled(s, w)
	p.lines = append(p.lines, l.end())
}

func (p *printer) blank() {
	if n := len(p.lines); n > 0 && strings.TrimSpace(p.lines[n-1]) != "" {
		p.lines = append(p.lines, strings.Repeat(" ", p.width))
	}
}

// text adds s, wrapped.
func (p *printer) text(look ink, s string) { p.hanging(look, "", "", s) }

// hanging adds s, wrapped; the first line begins with mark in ink markLook and
// the others are indented as far.
func (p *printer) hanging(look, markLook ink, mark, s string) {
	indent := cells(mark)
	for i, part := range wrap(s, max(4, p.room()-indent)) {
		l := newLine(p.width, "")
		l.add("", " ")
		if i == 0 {
			l.add(markLook, mark)
		} else {
			l.add("", strings.Repeat(" ", indent))
		}
		l.add(look, part)
		p.lines = append(p.lines, l.end())
	}
}

// heading adds a heading with a blank line above it.
func (p *printer) heading(s string) {
	p.blank()
	p.text(p.theme.title, s)
}
