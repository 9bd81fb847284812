package dockerfile

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A shellWord is a word after removal of quotes. Where it holds expansions it
// is as written and not literal.
type shellWord struct {
	text       string
	literal    bool
	start, end int // bytes of the source, -1 when unknown
}

func shellWordOf(w *syntax.Word, t Text) shellWord {
	start, end := int(w.Pos().Offset()), endOf(w, t)
	out := shellWord{literal: true}
	out.start, out.end = t.Range(start, end)
	var b strings.Builder
	for _, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			unescape(&b, part.Value, false)
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
			out.literal = out.literal && !part.Dollar
		case *syntax.DblQuoted:
			for _, inner := range part.Parts {
				if lit, ok := inner.(*syntax.Lit); ok {
					unescape(&b, lit.Value, true)
				} else {
					out.literal = false
				}
			}
		default:
			out.literal = false
		}
	}
	out.text = b.String()
	if !out.literal {
		out.text = t.String[start:end]
	}
	return out
}

// endOf returns where n ends in t: the shell's parser reads over the \r of an
// end of line and counts it to what stands before.
func endOf(n syntax.Node, t Text) int {
	end := int(n.End().Offset())
	if end > 0 && end < len(t.String) && t.String[end] == '\n' && t.String[end-1] == '\r' {
		end--
	}
	return end
}

// unescape writes s without its backslashes.
func unescape(b *strings.Builder, s string, quoted bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\\n", s[i+1]) >= 0) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
}

// quotedText returns what is between the quotes of a word that is one quoted
// string in which nothing is escaped.
func quotedText(word *syntax.Word, s string) (start, end int, ok bool) {
	if len(word.Parts) != 1 {
		return 0, 0, false
	}
	switch q := word.Parts[0].(type) {
	case *syntax.SglQuoted:
		ok = !q.Dollar
	case *syntax.DblQuoted:
		ok = !q.Dollar && !strings.ContainsAny(s[q.Pos().Offset():q.End().Offset()], "\\`")
	}
	return int(word.Pos().Offset()) + 1, int(word.End().Offset()) - 1, ok && word.End().Offset()-word.Pos().Offset() > 2
}
