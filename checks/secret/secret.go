// Package secret recognises credentials by name and by form, and masks them.
package secret

// Mask is what is shown in place of a secret value. Its length says nothing.
const Mask = "••••••••"

// A Match is a secret found in a text.
type Match struct {
	Rule       string // what it looks like: "github-token", "private-key", "password-in-url"
	Start, End int    // byte range of the secret value itself
}

// Redact returns text with every secret value in it masked.
func Redact(text string) string {
	matches := Find(text)
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
