// Package secret recognises credentials by name and by form, and masks them.
package secret

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Mask is what is shown in place of a secret value. Its length says nothing.
const Mask = "••••••••"

// A Match is a secret found in a text.
type Match struct {
	Rule       string // what it looks like: "github-token", "private-key", "password-in-url"
	Start, End int    // byte range of the secret value itself
}

// Redact returns text with every secret value in it masked. Colours and other
// commands to a terminal may stand between a name and its value, as in the logs
// of programs that think they write to one: where more secrets are found without
// them, they are left out.
func Redact(text string) string {
	matches := Find(text)
	if strings.ContainsAny(text, "\x1b\u009b\u009d") {
		bare := ansi.Strip(strings.NewReplacer("\u009b", "\x1b[", "\u009d", "\x1b]").Replace(text))
		if more := Find(bare); len(more) > len(matches) {
			text, matches = bare, more
		}
	}
	if len(matches) == 0 {
		return text
	}
	var b []byte
	at := 0
	for _, m := range matches {
		b = append(b, text[at:m.Start]...)
		b = append(b, Mask...)
		at = m.End
	}
	return string(append(b, text[at:]...))
}
