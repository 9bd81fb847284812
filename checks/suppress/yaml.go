package suppress

import (
	"bytes"
	"regexp"
	"sync"
)

// blockScalar matches the end of a line that begins a text of several lines.
var blockScalar = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^|[:\-]\s+|^-?\s*)(![^\s]+\s+)?[|>][0-9+-]{0,2}\s*(\s#.*)?$`)
})

// A yamlLine is a line with something on it.
type yamlLine struct {
	number, last int // last differs where a text of several lines begins
	indent       int
	item         bool // begins an entry of a list
	content      bool // something other than a comment
	text         []byte
}

// YAML returns the rules in the comments of source. A rule speaks of the entry
// that its comment stands above, with all that is below it, or of the line that
// its comment ends; above the first line of all, of the whole file.
func YAML(source []byte, names *Names) []Rule {
	if !bytes.Contains(source, []byte("plimsoll:")) {
		return nil
	}
	lines := yamlLines(source)
	var rules []Rule
	started := false
	for i, l := range lines {
		comment, ok := yamlComment(l)
		started = started || l.content && !bytes.Equal(l.text, []byte("---")) && l.text[0] != '%'
		if !ok {
			continue
		}
		rule, _, ok := names.comment(comment)
		if !ok || rule.Foreign {
			continue
		}
		rule.Line = l.number
		switch {
		case l.content:
			rule.First, rule.Last = l.number, l.last
		case started:
			rule.First, rule.Last = extent(lines, i)
		}
		rules = append(rules, rule)
	}
	return rules
}

// yamlLines returns the lines of source that are not blank and not inside of a
// text of several lines.
func yamlLines(source []byte) []yamlLine {
	var lines []yamlLine
	number, text := 0, -1 // indentation of what the text belongs to
	for raw := range bytes.Lines(source) {
		number++
		if number == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
		}
		raw = bytes.TrimRight(raw, " \t\r\n")
		trimmed := bytes.TrimLeft(raw, " \t")
		if len(trimmed) == 0 {
			continue
		}
		indent := len(raw) - len(trimmed)
		if text >= 0 && indent > text {
			lines[len(lines)-1].last = number
			continue
		}
		text = -1
		l := yamlLine{number: number, last: number, indent: indent, text: trimmed, content: trimmed[0] != '#'}
		l.item = bytes.HasPrefix(trimmed, []byte("- ")) || bytes.Equal(trimmed, []byte("-"))
		if l.content && blockScalar().Match(trimmed) {
			text = indent
		}
		lines = append(lines, l)
	}
	return lines
}

// yamlComment returns what follows the # of a line.
func yamlComment(l yamlLine) (string, bool) {
	if !l.content {
		return string(l.text[1:]), true
	}
	i := bytes.LastIndex(l.text, []byte(" # plimsoll:"))
	if i < 0 || inQuotes(l.text[:i]) {
		return "", false
	}
	return string(l.text[i+3:]), true
}

// inQuotes reports whether a string that begins in text has not ended there.
func inQuotes(text []byte) bool {
	var open byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case open == 0 && (c == '"' || c == '\'') && (i == 0 || bytes.IndexByte([]byte(" \t[{,:-"), text[i-1]) >= 0):
			open = c
		case open == '"' && c == '\\':
			i++
		case open == c:
			open = 0
		}
	}
	return open != 0
}

// extent returns the first and last line of the entry that follows lines[i].
func extent(lines []yamlLine, i int) (first, last int) {
	for i++; i < len(lines) && !lines[i].content; i++ {
	}
	if i == len(lines) {
		return lines[len(lines)-1].number, lines[len(lines)-1].number
	}
	head := lines[i]
	first, last = head.number, head.last
	for _, l := range lines[i+1:] {
		if !l.content {
			continue
		}
		// The entries of a list may be as far left as the key they belong to.
		if l.indent < head.indent || l.indent == head.indent && (head.item || !l.item) {
			return first, last
		}
		last = l.last
	}
	return first, last
}
