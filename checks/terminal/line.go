// Package terminal makes text from outside safe to show on a terminal.
package terminal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s with everything that a terminal could obey, or a reader could
// mistake, made visible: control characters as their pictures (␛, ␊), invisible
// and direction-changing ones as �. Use it on every name, label, path, variable
// and log line that did not come from this program.
func Line(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteRune(utf8.RuneError) // a byte that is not UTF-8
		case r < 0x20:
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case r > 0x7f && (r < 0xa0 || invisible(r)):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Text is Line for each line of s; tabs become spaces up to columns of four.
func Text(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = Line(expandTabs(l))
	}
	return strings.Join(lines, "\n")
}

func expandTabs(s string) string {
	if !strings.Contains(s, "\t") {
		return s
	}
	var b strings.Builder
	column := 0
	for _, r := range s {
		if r == '\t' {
			n := 4 - column%4
			b.WriteString(strings.Repeat(" ", n))
			column += n
			continue
		}
		b.WriteRune(r)
		column++
	}
	return b.String()
}

// invisible reports whether r changes what a reader sees without being seen:
// format characters (bidirectional overrides, zero width), line and paragraph
// separators, variation selectors and blank fillers.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
