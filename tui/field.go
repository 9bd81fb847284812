package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks/terminal"
)

// A field is one line of text that is being typed.
type field struct {
	runes  []rune
	cursor int
}

func newField(text string) *field {
	f := &field{}
	f.set(text)
	return f
}

func (f *field) text() string { return string(f.runes) }

func (f *field) set(text string) {
	f.runes = []rune(text)
	f.cursor = len(f.runes)
}

// insert adds text at the cursor; line breaks end it.
func (f *field) insert(text string) {
	text, _, _ = strings.Cut(text, "\n")
	r := []rune(terminal.Line(strings.TrimSuffix(text, "\r")))
	f.runes = append(f.runes[:f.cursor:f.cursor], append(r, f.runes[f.cursor:]...)...)
	f.cursor += len(r)
}

// key edits the text and reports whether it changed.
func (f *field) key(k tea.KeyPressMsg) (changed bool) {
	before := f.text()
	switch k.String() {
	case "left", "ctrl+b":
		f.cursor = max(0, f.cursor-1)
	case "right", "ctrl+f":
		f.cursor = min(len(f.runes), f.cursor+1)
	case "home", "ctrl+a":
		f.cursor = 0
	case "end", "ctrl+e":
		f.cursor = len(f.runes)
	case "backspace", "ctrl+h":
		f.cut(f.cursor-1, f.cursor)
	case "delete", "ctrl+d":
		f.cut(f.cursor, f.cursor+1)
	case "ctrl+u":
		f.cut(0, f.cursor)
	case "ctrl+k":
		f.cut(f.cursor, len(f.runes))
	case "ctrl+w", "alt+backspace":
		start := f.cursor
		for start > 0 && f.runes[start-1] == ' ' {
			start--
		}
		for start > 0 && f.runes[start-1] != ' ' {
			start--
		}
		f.cut(start, f.cursor)
	default:
		if k.Text != "" {
			f.insert(k.Text)
		}
	}
	return f.text() != before
}

func (f *field) cut(start, end int) {
	start, end = max(0, start), min(len(f.runes), end)
	if start >= end {
		return
	}
	f.runes = append(f.runes[:start:start], f.runes[end:]...)
	f.cursor = start
}

// show returns the part of the text around the cursor that fits into width, and
// where in it the cursor is.
func (f *field) show(width int) (text string, cursor int) {
	before := ansi.StringWidth(string(f.runes[:f.cursor]))
	text = f.text()
	if over := before - (width - 1); over > 0 {
		text = ansi.TruncateLeft(text, over, "")
		before = ansi.StringWidth(string(f.runes[:f.cursor])) - (ansi.StringWidth(f.text()) - ansi.StringWidth(text))
	}
	return ansi.Truncate(text, width, ""), before
}

// tail returns the last width cells of s.
func tail(s string, width int) string {
	if over := cells(s) - max(0, width); over > 0 {
		return ansi.TruncateLeft(s, over, "")
	}
	return s
}
