package yamledit

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// scalarEnd returns where the scalar n ends, whose text begins at start.
func (f *File) scalarEnd(n *yaml.Node, start int) (int, error) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return f.quoted(start, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return f.quoted(start, '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return f.blockEnd(start)
	}
	return f.plainEnd(n.Value, start)
}

func (f *File) quoted(start int, quote byte) (int, error) {
	if start >= len(f.Source) || f.Source[start] != quote {
		return 0, errPosition
	}
	for i := start + 1; i < len(f.Source); i++ {
		switch {
		case quote == '"' && f.Source[i] == '\\':
			i++
		case f.Source[i] != quote:
		case quote == '\'' && i+1 < len(f.Source) && f.Source[i+1] == quote:
			i++
		default:
			return i + 1, nil
		}
	}
	return 0, errPosition
}

// plainEnd follows value through the text: where it has a blank or a break, the
// text may have blanks and breaks as many as it likes.
func (f *File) plainEnd(value string, start int) (int, error) {
	at := start
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRuneInString(value[i:])
		if r != ' ' && r != '\t' && r != '\n' {
			if !bytes.HasPrefix(f.Source[at:], []byte(value[i:i+size])) {
				return 0, errPosition
			}
			at, i = at+size, i+size
			continue
		}
		rest := strings.TrimLeft(value[i:], " \t\n")
		i = len(value) - len(rest)
		before := at
		for at < len(f.Source) && strings.ContainsRune(" \t\r\n", rune(f.Source[at])) {
			at++
		}
		if at == before {
			return 0, errPosition
		}
	}
	return at, nil
}

// blockEnd returns the end of the last line of the block scalar whose indicator is
// at start: the last that is not empty, unless empty ones belong to the value.
func (f *File) blockEnd(start int) (int, error) {
	header := f.lineEnd(start)
	parent := f.parentIndent(start)
	// What it is indented by is more than its parent, which the first line tells,
	// or the indicator where that begins with blanks.
	end, indent, kept := header, -1, false
	for _, c := range f.Source[start+1 : header] {
		switch {
		case '1' <= c && c <= '9':
			indent = parent + int(c-'0')
			continue
		case c == '+':
			kept = true
			continue
		case c == '-':
			continue
		}
		break
	}
	for next := f.nextLine(header); next < len(f.Source); next = f.nextLine(f.lineEnd(next)) {
		line := f.Source[next:f.lineEnd(next)]
		text := bytes.TrimLeft(line, " ")
		width := len(line) - len(text)
		if len(bytes.TrimSpace(text)) == 0 && (indent < 0 || len(line) <= indent) {
			if kept && next+len(line) < len(f.Source) {
				end = next + len(line)
			}
			continue
		}
		if indent < 0 {
			indent = width
			if width <= parent {
				break // an empty one
			}
		}
		if width < indent {
			break
		}
		end = next + len(line)
	}
	return end, nil
}

// parentIndent returns the column, from 0, of the key, or of the dash, that the
// block scalar at offset is the value of, which has to be indented more than that.
func (f *File) parentIndent(offset int) int {
	start := f.lineStart(offset)
	i := start
	for i < offset && f.Source[i] == ' ' {
		i++
	}
	// A key may stand behind dashes: - name: |
	for i+1 < offset && strings.IndexByte("-?:", f.Source[i]) >= 0 && f.Source[i+1] == ' ' {
		next := i + 1
		for next < offset && f.Source[next] == ' ' {
			next++
		}
		if f.properties(next) == offset {
			break
		}
		i = next
	}
	return i - start
}

// breakBefore returns the length of the line break that ends at offset.
func (f *File) breakBefore(offset int) int {
	for _, n := range []int{3, 2, 1} {
		if offset >= n && breakLen(f.Source[offset-n:]) == n {
			return n
		}
	}
	return 0
}

func (f *File) lineStart(offset int) int {
	for offset > 0 && f.Source[offset-1] != '\n' && f.Source[offset-1] != '\r' {
		offset--
	}
	if offset == 0 {
		return f.lines[0]
	}
	return offset
}

// lineEnd returns the offset of the break that ends the line of offset.
func (f *File) lineEnd(offset int) int {
	for offset < len(f.Source) && breakLen(f.Source[offset:]) == 0 {
		offset++
	}
	return offset
}

// nextLine returns where the line begins after the break at offset.
func (f *File) nextLine(offset int) int {
	return offset + breakLen(f.Source[min(offset, len(f.Source)):])
}

// Quote returns s as a scalar that every reader of YAML takes for a string.
func Quote(s string) string {
	if s != "" && plain(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plain reports whether s may be written without quotes: a word of letters that
// no version of YAML reads as anything else, also with digits and inner marks.
func plain(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan":
		return false
	}
	if c := s[0]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '/' || c == '_') {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_-./=@+", c) >= 0:
		case c == ':' && i+1 < len(s) && s[i+1] != ' ':
		default:
			return false
		}
	}
	return true
}
