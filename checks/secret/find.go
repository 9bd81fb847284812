package secret

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// bearer matches the credentials of an HTTP Authorization header.
var bearer = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=-]{8,})`)
})

// Find returns the secrets in text in order and without overlap: tokens of a
// known form, and values assigned to sensitive names.
func Find(text string) []Match {
	found := Tokens(text)
	if !strings.ContainsAny(text, "=:-") {
		return found
	}
	found = assigned(text, found)
	found = userPasswords(text, found)
	if strings.Contains(text, "uthorization") || strings.Contains(text, "UTHORIZATION") {
		for _, m := range bearer().FindAllStringSubmatchIndex(text, -1) {
			found = append(found, Match{"authorization-header", m[2], m[3]})
		}
	}
	return disjoint(found)
}

// assigned adds the values in NAME=value, NAME: value and --name value, quoted
// or not, where the name is sensitive.
func assigned(text string, found []Match) []Match {
	values := valueReader{text: text}
	for at := 0; at < len(text); at++ {
		var name string
		value := at + 1
		switch c := text[at]; {
		case c == '=' || c == ':':
			name = nameBefore(text, at)
		case c == '-' && strings.HasPrefix(text[at:], "--") && at+2 < len(text) && isLetter(text[at+2]):
			value = at + 2
			for value < len(text) && value-at < longestName && isName(text[value]) {
				value++
			}
			if value < len(text) && (text[value] == ' ' || text[value] == '\t') {
				name = text[at+2 : value]
			}
		}
		if name == "" || !SensitiveName(name) {
			continue
		}
		start, end := values.at(value)
		if Literal(text[start:end]) {
			found = append(found, Match{"sensitive-name", start, end})
			at = end - 1
		}
	}
	return found
}

// userPasswords adds the passwords that curl is given with its user: -u me:pw.
// Of other programs -u is followed by ids of a user and a group.
func userPasswords(text string, found []Match) []Match {
	if !strings.Contains(text, "curl") {
		return found
	}
	for _, option := range []string{"-u", "--user", "-U", "--proxy-user"} {
		values := valueReader{text: text}
		for at := 0; ; {
			i := strings.Index(text[at:], option)
			if i < 0 {
				break
			}
			begin := at + i
			at = begin + len(option)
			if begin > 0 && isName(text[begin-1]) || at == len(text) {
				continue
			}
			value := at
			if c := text[at]; c == ' ' || c == '\t' || c == '=' {
				value++
			} else if len(option) > 2 {
				continue // another option
			}
			start, end := values.at(value)
			colon := strings.IndexByte(text[start:min(end, start+longestName)], ':')
			if colon <= 0 {
				continue
			}
			if password := text[start+colon+1 : end]; Literal(password) && strings.Trim(password, "0123456789") != "" {
				found = append(found, Match{"password-of-user", start + colon + 1, end})
				at = end
			}
		}
	}
	return found
}

// nameBefore returns the name that ends before at, which may be quoted.
func nameBefore(text string, at int) string {
	end := at
	for end > 0 && (text[end-1] == ' ' || text[end-1] == '\t') && at-end < 8 {
		end--
	}
	if end > 0 && (text[end-1] == '"' || text[end-1] == '\'') {
		end--
	}
	start := end
	for start > 0 && end-start < longestName && isName(text[start-1]) {
		start--
	}
	return strings.TrimLeft(text[start:end], "-.")
}

// longestName is how many bytes the name of a setting or a user has at most.
const longestName = 200

// A valueReader finds values in a text. Of text that somebody made for it, such
// as a thousand names without a blank between them, each value reaches to the
// end: what was read once is not read again.
type valueReader struct {
	text string
	end  int // of the last value without quotes
}

// at returns the range of the value that begins at or after at, which may not
// lie before that of the call before.
func (r *valueReader) at(at int) (start, end int) {
	text := r.text
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	if at < len(text) && (text[at] == '"' || text[at] == '\'') {
		quote := text[at]
		start = at + 1
		for end = start; end < len(text) && text[end] != quote && text[end] != '\n'; end++ {
			if text[end] == '\\' && quote == '"' && end+1 < len(text) {
				end++
			}
		}
		return start, min(end, len(text))
	}
	if at >= r.end {
		r.end = at
		for r.end < len(text) && !strings.ContainsRune(" \t\r\n\"',;&|", rune(text[r.end])) {
			r.end++
		}
	}
	return at, r.end
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isName(c byte) bool {
	return isLetter(c) || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
}

// Tokens returns the secrets in text that are recognised by their form alone.
func Tokens(text string) []Match {
	if len(text) < shortest {
		return nil
	}
	found := urlPasswords(text, privateKeys(text, nil))
	if mayHoldToken(text) {
		for i := range forms {
			found = forms[i].find(text, found)
		}
	}
	return disjoint(found)
}

// shortest is the length of the shortest text that Tokens finds something in:
// "://:p@".
const shortest = 6

// longestWord is longer than any word that is no secret, such as Mask.
const longestWord = 32

// Literal reports whether value can be a secret itself, rather than nothing, a
// reference to a variable, a switch, a path or a placeholder.
func Literal(value string) bool {
	v := strings.Trim(value, `"' `)
	switch strings.ToLower(v[:min(len(v), longestWord)]) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "none", "nil", "undefined", "0", "1", strings.ToLower(Mask):
		return false
	}
	return !strings.HasPrefix(v, "$") && !(strings.HasPrefix(v, "<") && strings.HasSuffix(v, ">")) && !isPath(v)
}

func disjoint(found []Match) []Match {
	slices.SortFunc(found, func(a, b Match) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	out := found[:0]
	end := -1
	for _, m := range found {
		if m.Start >= end {
			out = append(out, m)
			end = m.End
		}
	}
	return out
}
