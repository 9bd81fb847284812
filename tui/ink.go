package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// An ink is a style as the escape sequence that starts it. Styles are resolved
// once per theme, so that drawing is joining strings.
type ink string

const reset = "\x1b[m"

// newInk returns the ink that starts style.
func newInk(style ansi.Style) ink { return ink(style.String()) }

// on returns s in ink i.
func (i ink) on(s string) string {
	if s == "" || i == "" {
		return s
	}
	return string(i) + s + reset
}

// A line is one line of the screen that is never wider than its room. Text
// given to it must be sanitised.
type line struct {
	b    strings.Builder
	base ink // under everything: the background of a selected row
	room int // cells left
}

func newLine(width int, base ink) *line {
	l := &line{base: base, room: max(0, width)}
	l.b.Grow(width + 64)
	return l
}

// add appends s in ink i, shortened to the room that is left.
func (l *line) add(i ink, s string) {
	if s == "" || l.room == 0 {
		return
	}
	w := cells(s)
	if w > l.room {
		s = ansi.Truncate(s, l.room, "…")
		w = cells(s)
	}
	l.room -= w
	if l.base == "" && i == "" {
		l.b.WriteString(s)
		return
	}
	l.b.WriteString(string(l.base))
	l.b.WriteString(string(i))
	l.b.WriteString(s)
	l.b.WriteString(reset)
}

// addStyled appends s, which carries its own styles and is w cells wide.
func (l *line) addStyled(s string, w int) {
	if w > l.room {
		s = ansi.Truncate(s, l.room, "…")
		w = cells(s)
	}
	l.room -= w
	l.b.WriteString(s)
}

// gap leaves blanks until n cells are left.
func (l *line) gap(n int) {
	if l.room > n {
		l.add("", strings.Repeat(" ", l.room-n))
	}
}

// end returns the line, filled with blanks to its width.
func (l *line) end() string {
	l.gap(0)
	return l.b.String()
}

// cells returns the width of s on the screen.
func cells(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// fit returns s as exactly width cells, shortened or padded.
func fit(s string, width int) string {
	w := cells(s)
	if w > width {
		s = ansi.Truncate(s, width, "…")
		w = cells(s)
	}
	return s + strings.Repeat(" ", max(0, width-w))
}

// wrap breaks s into lines of at most width cells.
func wrap(s string, width int) []string {
	if width <= 0 {
		return nil
	}
	return strings.Split(ansi.Wrap(s, width, " /,:"), "\n")
}
