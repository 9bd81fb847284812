package dockerfile

import (
	"bytes"
	"strings"
	"time"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/util/suggest"

	"plimsoll/checks"
)

// A comment is a line of comment between instructions.
type comment struct {
	line       int
	start, end int    // bytes of the source, from the # on
	text       string // after the #, without space around it
	directive  bool   // a parser directive that takes effect
	next       *Instruction
	adjacent   bool // next follows on the line below, or after more comments
}

// comments returns the comments between the instructions of f. Those inside of
// an instruction are about a part of it and not returned.
func (f *File) comments() []comment {
	var out []comment
	at, line := 0, 1
	if bytes.HasPrefix(f.Source, []byte("\xef\xbb\xbf")) {
		at = 3
	}
	var directives parser.DirectiveParser
	head := true
	for i := 0; i <= len(f.Instructions); i++ {
		end := len(f.Source)
		var next *Instruction
		if i < len(f.Instructions) {
			next = f.Instructions[i]
			end = next.Start
		}
		first := len(out)
		for at < end {
			stop := end
			if n := bytes.IndexByte(f.Source[at:end], '\n'); n >= 0 {
				stop = at + n
			}
			text := bytes.TrimSpace(f.Source[at:stop])
			switch {
			case len(text) > 0 && text[0] == '#':
				d, err := directives.ParseLine(text)
				head = head && d != nil && err == nil
				start := at + bytes.IndexByte(f.Source[at:stop], '#')
				out = append(out, comment{
					line: line, start: start, end: start + len(text), next: next, directive: head,
					text: string(bytes.TrimSpace(text[1:])),
				})
			case len(text) == 0 && stop < end:
				head = false
				first = len(out)
			}
			at = min(stop+1, end)
			if stop < end {
				line++
			}
		}
		for j := first; j < len(out); j++ {
			out[j].adjacent = next != nil
		}
		head = false
		if next != nil {
			at, line = next.End, next.EndLine
			if n := bytes.IndexByte(f.Source[at:], '\n'); n >= 0 {
				at, line = at+n+1, line+1
			} else {
				at = len(f.Source)
			}
		}
	}
	return out
}

// commentFinding begins a finding about c.
func (f *File) commentFinding(c comment, key string, message checks.Message) checks.Finding {
	source := checks.Evidence{Source: "comment", Detail: string(f.Source[c.start:c.end])}
	return checks.Finding{Line: c.line, EndLine: c.line, Key: key, Message: message, Evidence: []checks.Evidence{source}}
}

var syntaxDirectiveTypo = check(checks.Check{
	ID:       "syntax-directive-typo",
	Title:    "Parser directive without effect",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally syntax-directive-typo"},
}, func(f *File, report func(checks.Finding)) {
	if !bytes.Contains(f.Source, []byte("#")) {
		return
	}
	for _, c := range f.comments() {
		name, value, ok := strings.Cut(c.text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok {
			name, value, ok = strings.Cut(c.text, " ")
			name, value = strings.TrimRight(name, ": "), strings.TrimSpace(value)
		}
		if !ok || strings.ContainsAny(name+value, " \t") {
			continue
		}
		right, ok := suggest.Search(strings.ToLower(name), []string{"syntax", "escape"}, true)
		if strings.EqualFold(name, "syntax") || strings.EqualFold(name, "escape") {
			right, ok = strings.ToLower(name), true
		}
		if !ok || !directiveValue(right, value) {
			continue
		}
		switch {
		case c.directive && strings.EqualFold(name, right):
		case !strings.EqualFold(name, right) || !strings.Contains(c.text, "="):
			report(f.commentFinding(c, right, checks.Msg("%s is taken for a comment: the directive is written %s=", c.text, right)))
		default:
			report(f.commentFinding(c, right, checks.Msg("the directive %s comes too late: after a comment, an empty line or an instruction it is a comment", right)))
		}
	}
})

// directiveValue reports whether value can be meant for the directive name.
func directiveValue(name, value string) bool {
	if name == "escape" {
		return value == `\` || value == "`"
	}
	return strings.Contains(value, "docker/dockerfile") || strings.Contains(value, "/") && strings.Contains(value, ":")
}

var descriptionCommentMisplaced = check(checks.Check{
	ID:       "description-comment-misplaced",
	Title:    "Comment that is no description",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit InvalidDefinitionDescription"},
}, func(f *File, report func(checks.Finding)) {
	if !bytes.Contains(f.Source, []byte("#")) {
		return
	}
	all := f.comments()
	for i, c := range all {
		if c.directive || !c.adjacent || c.text == "" || i+1 < len(all) && all[i+1].next == c.next {
			continue // of several, the last counts
		}
		if !strings.ContainsFunc(c.text, unicode.IsLetter) {
			continue // a line drawn
		}
		in := c.next
		var subjects []string
		switch in.Keyword {
		case "FROM":
			if in.Stage.Name != "" {
				subjects = []string{in.Stage.Name}
			}
		case "ARG":
			for _, p := range f.Pairs(in) {
				subjects = append(subjects, p.Name)
			}
		}
		first, _, _ := strings.Cut(c.text, " ")
		described := len(subjects) == 0
		for _, s := range subjects {
			// The builder compares with the name of a stage in small letters.
			described = described || first == s || in.Keyword == "FROM" && first == strings.ToLower(s)
		}
		if described || isSuppression(c.text) {
			continue
		}
		finding := f.commentFinding(c, subjects[0], checks.Msg("the comment above %s %s is taken for its description, which would begin with %s", in.Keyword, subjects[0], subjects[0]))
		finding.EndLine = in.EndLine
		finding.Line = in.Line
		finding.Fixes = []checks.Fix{{
			ID: "blank-line", Title: checks.Msg("set the comment apart"), Safe: true,
			Edit: fixed(checks.Edit{Start: c.end, End: c.end, New: f.eol(), Reason: checks.Msg("a comment followed by a blank line describes nothing")}),
		}}
		report(finding)
	}
})

// A suppression is a comment that hides findings, in the words of plimsoll, of
// hadolint or of BuildKit.
type suppression struct {
	tool   string
	ids    string
	reason string
	until  string
}

func isSuppression(text string) bool {
	_, ok := parseSuppression(text)
	return ok
}

// parseSuppression reads the text of a comment.
func parseSuppression(text string) (suppression, bool) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, "plimsoll:"):
		rest := strings.TrimSpace(text[len("plimsoll:"):])
		if !strings.HasPrefix(rest, "ignore=") {
			return suppression{}, false
		}
		return suppression{tool: "plimsoll", ids: attribute(rest, "ignore"), reason: attribute(rest, "reason"), until: attribute(rest, "until")}, true
	case strings.HasPrefix(lower, "hadolint"):
		rest := strings.TrimSpace(text[len("hadolint"):])
		rest = strings.TrimSpace(strings.TrimPrefix(rest, "global"))
		if rest, ok := strings.CutPrefix(rest, "ignore="); ok {
			ids, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
			return suppression{tool: "hadolint", ids: ids, reason: strings.Trim(reason, "#-; ")}, true
		}
	case strings.HasPrefix(lower, "check="):
		for part := range strings.SplitSeq(text[len("check="):], ";") {
			if ids, ok := strings.CutPrefix(strings.TrimSpace(part), "skip="); ok && ids != "" {
				ids, reason, _ := strings.Cut(ids, " ")
				return suppression{tool: "BuildKit", ids: ids, reason: strings.Trim(reason, "#-; ")}, true
			}
		}
	}
	return suppression{}, false
}

// attribute returns the value of name="…" or name=… in text.
func attribute(text, name string) string {
	for _, w := range quotedWords(text, 0) {
		if value, ok := strings.CutPrefix(text[w[0]:w[1]], name+"="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

var suppressionUsed = check(checks.Check{
	ID:       "suppression-used",
	Title:    "Findings hidden by a comment",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL1001"},
}, func(f *File, report func(checks.Finding)) {
	f.eachSuppression(func(c comment, s suppression, _ string) {
		report(f.commentFinding(c, s.tool+" "+s.ids, checks.Msg("a comment for %s hides %s", s.tool, s.ids)))
	})
})

var suppressionWithoutReason = check(checks.Check{
	ID:       "suppression-without-reason",
	Title:    "Findings hidden without a reason",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally --require-reason"},
}, func(f *File, report func(checks.Finding)) {
	f.eachSuppression(func(c comment, s suppression, above string) {
		switch {
		case s.reason == "" && above == "":
			finding := f.commentFinding(c, s.tool+" "+s.ids, checks.Msg("nothing says why %s is hidden", s.ids))
			finding.Fixes = f.reasonFix(c, s)
			report(finding)
		case s.until != "" && !validDate(s.until):
			report(f.commentFinding(c, s.tool+" "+s.ids, checks.Msg("%s is no date: the form is 2027-01-31", s.until)))
		}
	})
})

func validDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// eachSuppression calls visit for the suppressions of f, with the comment right
// above each, which may give the reason.
func (f *File) eachSuppression(visit func(c comment, s suppression, above string)) {
	if !bytes.Contains(f.Source, []byte("ignore=")) && !bytes.Contains(f.Source, []byte("skip=")) {
		return
	}
	var last comment
	for _, c := range f.comments() {
		if s, ok := parseSuppression(c.text); ok {
			above := ""
			if last.line == c.line-1 && !last.directive && !isSuppression(last.text) {
				above = last.text
			}
			visit(c, s, above)
		}
		last = c
	}
}
