package suppress

import (
	"bytes"
	"strings"
)

// A Span is the lines of one instruction, inclusive, and of the heredocs in it,
// in which a # begins no comment of the Dockerfile.
type Span struct {
	First, Last int
	Heredocs    [][2]int
}

// Dockerfile returns the rules in the comments of source, whose instructions
// are on the lines of spans, in order. A rule speaks of the instruction that
// its comment stands above or in; above the first instruction, plimsoll's own
// and BuildKit's directives speak of the whole file.
func Dockerfile(source []byte, spans []Span, names *Names) []Rule {
	if !bytes.Contains(source, []byte("ignore")) && !bytes.Contains(source, []byte("skip")) {
		return nil
	}
	var rules []Rule
	line, head, at := 0, true, 0
	for text := range bytes.Lines(source) {
		line++
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		text = bytes.TrimSpace(text)
		for at < len(spans) && spans[at].Last < line {
			at++
		}
		if len(text) == 0 || text[0] != '#' {
			head = false
			continue
		}
		body := string(text[1:])
		directive := head && isDirective(body)
		head = directive
		if at < len(spans) && spans[at].inHeredoc(line) {
			continue
		}
		rule, where, ok := names.comment(body)
		if !ok {
			continue
		}
		rule.Line = line
		top := len(spans) == 0 || line < spans[0].First
		global := where == whole ||
			top && rule.Source == "plimsoll" ||
			directive && rule.Source == "BuildKit"
		if !global {
			if at == len(spans) {
				rule.First, rule.Last = line, line // nothing follows it
			} else {
				rule.First, rule.Last = spans[at].First, spans[at].Last
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

func (s Span) inHeredoc(line int) bool {
	for _, h := range s.Heredocs {
		if h[0] <= line && line <= h[1] {
			return true
		}
	}
	return false
}

// isDirective reports whether the text after a # is a parser directive.
func isDirective(text string) bool {
	name, _, ok := strings.Cut(strings.TrimSpace(text), "=")
	if !ok {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "syntax", "escape", "check":
		return true
	}
	return false
}
