package suppress

import (
	"strings"
	"time"
	"unicode/utf8"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A scope is what a comment speaks of.
type scope int

const (
	next  scope = iota // what follows it
	whole              // the file
)

// comment returns the rule that the text after a # states, and false when it
// states none. The rule has no lines yet.
func (n *Names) comment(text string) (Rule, scope, bool) {
	text = strings.TrimSpace(text)
	if rest, ok := cutWord(text, "plimsoll:"); ok {
		return n.own(rest), next, true
	}
	if rest, ok := cutWord(text, "hadolint"); ok {
		where := next
		if r, ok := cutWord(rest, "global"); ok {
			rest, where = r, whole
		}
		list, ok := cutKey(rest, "ignore")
		if !ok {
			return Rule{}, next, false
		}
		return n.foreignRule("hadolint", strings.FieldsFunc(list, separates)), where, true
	}
	if rest, ok := cutKey(text, "check"); ok {
		for part := range strings.SplitSeq(rest, ";") {
			if list, ok := cutKey(strings.TrimSpace(part), "skip"); ok {
				return n.foreignRule("BuildKit", strings.FieldsFunc(list, separates)), next, true
			}
		}
	}
	return Rule{}, next, false
}

func separates(r rune) bool { return r == ',' || r == ' ' || r == '\t' }

func (n *Names) foreignRule(tool string, names []string) Rule {
	r := Rule{Foreign: true, Checks: n.of(tool, names)}
	r.Source = tool
	if tool == "BuildKit" && len(names) == 1 && strings.EqualFold(names[0], "all") {
		r.Checks = n.all(tool)
	}
	return r
}

// own reads the fields of a comment of plimsoll's own.
func (n *Names) own(text string) Rule {
	var r Rule
	r.Source = "plimsoll"
	wrong := func(why checks.Message) {
		if r.Wrong.IsZero() {
			r.Wrong = why.Clean()
		}
	}
	seen := map[string]bool{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsAny(key, " \t\"'") {
			wrong(checks.Msg("the ignore comment cannot be read from %s on: write ignore=ID reason=\"…\" until=YYYY-MM-DD", quote(text)))
			break
		}
		value, after, closed := fieldValue(rest)
		if !closed {
			wrong(checks.Msg("the ignore comment has a quote that does not end"))
		}
		if seen[key] {
			wrong(checks.Msg("the ignore comment says %s twice", quote(key)))
		}
		seen[key] = true
		text = after
		switch key {
		case "ignore":
			// A list may go on after a blank: "A, B".
			for strings.HasSuffix(value, ",") && text != "" && !strings.Contains(firstWord(text), "=") {
				word := firstWord(strings.TrimLeft(text, " \t"))
				value += word
				text = strings.TrimLeft(text, " \t")[len(word):]
			}
			r.Checks = strings.FieldsFunc(value, separates)
		case "reason":
			r.Reason = Reason(value)
		case "until":
			day, err := time.Parse(time.DateOnly, value)
			if err != nil {
				wrong(checks.Msg("the ignore comment has no date in until=%s: write YYYY-MM-DD", quote(value)))
			}
			r.Until = day
		default:
			wrong(checks.Msg("the ignore comment says %s, which means nothing: it knows ignore, reason and until", quote(key)))
		}
	}
	n.validate(&r)
	return r
}

// validate finds what keeps r from counting.
func (n *Names) validate(r *Rule) {
	if !r.Wrong.IsZero() {
		return
	}
	if len(r.Checks) == 0 {
		r.Wrong = checks.Msg("the ignore comment names no check: write ignore=ID")
	}
	for _, id := range r.Checks {
		if !n.index().ids[id] {
			r.Wrong = checks.Msg("the ignore comment names %s, which is no check", quote(id)).Clean()
		}
	}
	if r.Wrong.IsZero() && r.Reason == "" {
		r.Wrong = checks.Msg("the ignore comment for %s does not count, because it gives no reason: add reason=\"…\"", strings.Join(r.Checks, ", ")).Clean()
	}
}

// fieldValue returns the value that text begins with, quoted or up to a blank.
func fieldValue(text string) (value, rest string, closed bool) {
	if text == "" || text[0] != '"' && text[0] != '\'' {
		i := strings.IndexAny(text, " \t")
		if i < 0 {
			i = len(text)
		}
		return text[:i], text[i:], true
	}
	mark := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && mark == '"' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case c == mark:
			return b.String(), text[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", false
}

func firstWord(text string) string {
	text = strings.TrimLeft(text, " \t")
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i]
	}
	return text
}

// cutWord removes word, which stands alone, from the beginning of text.
func cutWord(text, word string) (rest string, ok bool) {
	if len(text) <= len(word) || !strings.EqualFold(text[:len(word)], word) {
		return "", false
	}
	rest = text[len(word):]
	if rest[0] != ' ' && rest[0] != '\t' && !strings.HasSuffix(word, ":") {
		return "", false
	}
	return strings.TrimSpace(rest), true
}

// cutKey removes key and an equals sign, with blanks around it, from the
// beginning of text.
func cutKey(text, key string) (rest string, ok bool) {
	name, rest, ok := strings.Cut(text, "=")
	return strings.TrimSpace(rest), ok && strings.EqualFold(strings.TrimSpace(name), key)
}

// quote returns an excerpt of text fit for a message.
func quote(text string) string {
	if utf8.RuneCountInString(text) > 40 {
		text = string([]rune(text)[:40]) + "…"
	}
	return "“" + text + "”"
}

// Reason returns text as a reason is read and shown: in one line, without
// secrets and what a terminal would obey.
func Reason(text string) string {
	return terminal.Line(secret.Redact(strings.Join(strings.Fields(terminal.Line(text)), " ")))
}

// Write returns the comment that accepts findings of ids, without a line end.
func Write(ids []string, reason string, until time.Time) string {
	reason = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Reason(reason))
	s := "# plimsoll: ignore=" + strings.Join(ids, ",") + ` reason="` + reason + `"`
	if !until.IsZero() {
		s += " until=" + until.Format(time.DateOnly)
	}
	return s
}
