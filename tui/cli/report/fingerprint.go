package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// Fingerprint identifies a finding across runs, machines and moved lines: by
// its check, the place of its subject below root, and what tells it from others
// there.
func Fingerprint(root string, f *checks.Finding) string {
	return digest(f.Check.ID, string(f.Subject.Kind), place(root, f.Subject), f.Key)
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// A text is a source that knows where its lines begin.
type text struct {
	source []byte
	starts []int
}

func newText(source []byte) *text {
	t := &text{source: source}
	if source == nil {
		return t
	}
	t.starts = []int{0}
	for i, c := range source {
		if c == '\n' && i+1 < len(source) {
			t.starts = append(t.starts, i+1)
		}
	}
	return t
}

// line returns line n, which counts from 1, without blanks around it; nil when
// there is none.
func (t *text) line(n int) []byte {
	if n < 1 || n > len(t.starts) {
		return nil
	}
	end := len(t.source)
	if n < len(t.starts) {
		end = t.starts[n]
	}
	return bytes.TrimSpace(bytes.TrimPrefix(t.source[t.starts[n-1]:end], []byte("\ufeff")))
}

// hash returns what identifies the content of line n, "" when there is none.
// Secrets are masked first: a hash of a short one could be reversed.
func (t *text) hash(n int) string {
	line := t.line(n)
	if line == nil {
		return ""
	}
	return digest(strings.Join(strings.Fields(secret.Redact(string(line))), " "))
}

// position returns line and column of a byte, both from 1, the column in
// characters. A byte order mark has no column.
func (t *text) position(offset int) (line, column int) {
	lo, hi := 0, len(t.starts)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; t.starts[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	if lo >= len(t.starts) {
		return 1, 1
	}
	if offset == len(t.source) && offset > 0 && t.source[offset-1] == '\n' {
		return len(t.starts) + 1, 1
	}
	before := bytes.TrimPrefix(t.source[t.starts[lo]:offset], []byte("\ufeff"))
	return lo + 1, utf8.RuneCount(before) + 1
}
