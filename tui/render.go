package tui

import (
	"strings"
	"time"

	"plimsoll/assets"
)

// Markdown renders text of our explanations for a terminal, at most width
// cells wide.
func Markdown(language assets.Language, text string, width int, dark bool) string {
	p := newPrinter(&ui{tongue: newTongue(language), theme: newTheme(dark), dark: dark, now: time.Now}, width)
	p.markdown(text)
	return strings.Join(p.lines, "\n")
}
