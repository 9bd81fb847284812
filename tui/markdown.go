package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks/terminal"
)

// markdown adds text written in the Markdown of our explanations: headings,
// paragraphs, lists, quotes, fenced code; emphasis, code and links inside.
//
// It is not glamour because that package initialises highlighters for 250
// languages in every process: 10 ms of start-up, 11 MB of binary and 5 MB of
// heap for the sake of six constructs, a quarter of what a start may take.
func (p *printer) markdown(text string) {
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			p.spans("", "", strings.Join(paragraph, " "))
			paragraph = nil
		}
	}
	fenced := ""
	for raw := range strings.Lines(terminal.Text(text)) {
		s := strings.TrimRight(raw, "\n")
		trimmed := strings.TrimSpace(s)
		if fenced != "" {
			if strings.HasPrefix(trimmed, fenced) {
				fenced = ""
				p.blank()
			} else {
				p.codeLine(s)
			}
			continue
		}
		mark, item := listItem(s)
		switch {
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			flush()
			p.blank()
			fenced = trimmed[:3]
		case trimmed == "":
			flush()
			p.blank()
		case strings.HasPrefix(s, "#"):
			flush()
			p.heading(strings.TrimSpace(strings.TrimLeft(s, "#")))
		case strings.HasPrefix(trimmed, ">"):
			flush()
			p.spans(p.theme.accent, "│ ", strings.TrimSpace(trimmed[1:]))
		case mark != "":
			flush()
			p.spans(p.theme.accent, mark, item)
		case len(paragraph) == 0 && strings.HasPrefix(s, "  ") && len(p.lines) > 0:
			p.spans("", "  ", trimmed) // goes on a list item
		default:
			paragraph = append(paragraph, trimmed)
		}
	}
	flush()
}

// listItem splits "- text" and "1. text" into the mark to draw and the text.
func listItem(s string) (mark, text string) {
	trimmed := strings.TrimLeft(s, " ")
	indent := strings.Repeat(" ", len(s)-len(trimmed))
	for _, m := range []string{"- ", "* ", "+ "} {
		if rest, ok := strings.CutPrefix(trimmed, m); ok {
			return indent + "• ", rest
		}
	}
	digits := strings.TrimLeft(trimmed, "0123456789")
	if n := len(trimmed) - len(digits); n > 0 && strings.HasPrefix(digits, ". ") {
		return indent + trimmed[:n] + ". ", digits[2:]
	}
	return "", ""
}

// codeLine adds one line of a code block. It is cut, not wrapped, and says so.
func (p *printer) codeLine(s string) {
	l := newLine(p.width, "")
	l.add("", "  ")
	l.add(p.theme.code, s)
	p.lines = append(p.lines, l.end())
}

// spans adds one paragraph with emphasis inside, behind a mark.
func (p *printer) spans(markLook ink, mark, text string) {
	indent := cells(mark)
	styled := p.inline(text)
	for i, part := range strings.Split(ansi.Wrap(styled, max(4, p.room()-indent), " /"), "\n") {
		l := newLine(p.width, "")
		l.add("", " ")
		if i == 0 {
			l.add(markLook, mark)
		} else {
			l.add("", strings.Repeat(" ", indent))
		}
		l.addStyled(part, ansi.StringWidth(part))
		p.lines = append(p.lines, l.end())
	}
}

// inline draws `code`, **strong**, *emphasis* and [links](target) of one
// paragraph. Each word is styled by itself, so that breaking lines between
// words cannot break a style.
func (p *printer) inline(s string) string {
	var b strings.Builder
	for s != "" {
		at := strings.IndexAny(s, "`*[")
		if at < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:at])
		s = s[at:]
		look, text, rest, ok := p.span(s)
		if !ok {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		for i, word := range strings.Split(text, " ") {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(look.on(word))
		}
		s = rest
	}
	return b.String()
}

// span returns the marked-up text that s begins with.
func (p *printer) span(s string) (look ink, text, rest string, ok bool) {
	for _, m := range []struct {
		mark string
		look ink
	}{{"`", p.theme.code}, {"**", p.theme.strong}, {"*", p.theme.accent}} {
		inner, found := strings.CutPrefix(s, m.mark)
		if !found {
			continue
		}
		text, rest, ok = strings.Cut(inner, m.mark)
		ok = ok && text != "" && !strings.HasPrefix(text, " ")
		return m.look, text, rest, ok
	}
	text, rest, ok = strings.Cut(s[1:], "](")
	if !ok || strings.Contains(text, "[") {
		return "", "", "", false
	}
	target, rest, ok := strings.Cut(rest, ")")
	if text != target {
		text += " <" + target + ">"
	}
	return p.theme.link, text, rest, ok
}
