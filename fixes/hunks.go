package fixes

import (
	"bytes"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A Hunk is a run of changed lines with the unchanged ones around them, ready
// to be shown.
type Hunk struct {
	OldLine, NewLine int // 1-based number of the first line, before and after
	Lines            []Line
}

// A Line is one line of a hunk. Its text is safe to show: secrets are masked,
// control characters replaced, tabs expanded.
type Line struct {
	Kind     byte // ' ' unchanged, '-' taken out, '+' put in
	Old, New int  // 1-based numbers before and after; 0 where the line is not
	Text     string
	Reasons  []checks.Message // why a changed line changed
}

// context is how many unchanged lines are shown around changed ones.
const context = 3

// Hunks returns what c changes, as in a unified diff.
func (c *FileChange) Hunks() []Hunk {
	before, after := c.shown(c.Before), c.shown(c.After)
	diff := c.Diff(c.Name, c.Name)
	out, in := c.reasons()
	var hunks []Hunk
	for _, h := range diff.Hunks {
		hunk := Hunk{OldLine: h.FromLine, NewLine: h.ToLine}
		old, new := h.FromLine, h.ToLine
		for _, l := range h.Lines {
			switch l.Kind {
			case udiff.Equal:
				hunk.Lines = append(hunk.Lines, Line{Kind: ' ', Old: old, New: new, Text: before[old-1]})
				old, new = old+1, new+1
			case udiff.Delete:
				hunk.Lines = append(hunk.Lines, Line{Kind: '-', Old: old, Text: before[old-1], Reasons: out[old]})
				old++
			case udiff.Insert:
				hunk.Lines = append(hunk.Lines, Line{Kind: '+', New: new, Text: after[new-1], Reasons: in[new]})
				new++
			}
		}
		hunks = append(hunks, hunk)
	}
	return hunks
}

// Diff returns c as a unified diff, with the text as it is in the files.
func (c *FileChange) Diff(from, to string) *udiff.UnifiedDiff {
	diff, err := udiff.ToUnifiedDiff(from, to, string(c.Before), udiff.Lines(string(c.Before), string(c.After)), context)
	if err != nil {
		// Line edits of a diff are in bounds and disjoint.
		panic("fixes: diff: " + err.Error())
	}
	// The library forgets the lines between two changes of one hunk when it
	// says where the next hunk begins.
	shift := 0
	for _, h := range diff.Hunks {
		h.ToLine = h.FromLine + shift
		for _, l := range h.Lines {
			switch l.Kind {
			case udiff.Insert:
				shift++
			case udiff.Delete:
				shift--
			}
		}
	}
	return &diff
}

// shown returns the lines of text as they may be seen. Secrets are looked for
// in the whole text, because a private key has many lines, and in each line.
func (c *FileChange) shown(text []byte) []string {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	masked := c.masked(string(text))
	lines := strings.Split(terminal.Text(masked), "\n")
	for i, l := range lines {
		lines[i] = secret.Redact(l)
	}
	return lines
}

// masked returns text with its secrets masked, line breaks kept.
func (c *FileChange) masked(text string) string {
	var b strings.Builder
	at := 0
	for _, s := range c.secrets(text) {
		if s.end <= at {
			continue
		}
		if s.start >= at {
			b.WriteString(text[at:s.start])
			b.WriteString(secret.Mask)
		}
		// One mask for each line that the secret reaches into.
		for range strings.Count(text[max(at, s.start):s.end], "\n") {
			b.WriteString("\n" + secret.Mask)
		}
		at = s.end
	}
	b.WriteString(text[at:])
	return b.String()
}

// HoldsSecret reports whether bytes [start, end) of Before hold a secret or a
// part of one.
func (c *FileChange) HoldsSecret(start, end int) bool {
	for _, s := range c.secrets(string(c.Before)) {
		if s.start < end && start < s.end {
			return true
		}
	}
	return len(secret.Find(string(c.Before[start:end]))) > 0
}

type span struct{ start, end int }

// secrets returns where secrets are in text, which is Before or After, by
// start: those of a known form and those that an edit moves.
func (c *FileChange) secrets(text string) []span {
	var spans []span
	for _, m := range secret.Find(text) {
		spans = append(spans, span{m.Start, m.End})
	}
	for _, e := range c.Edits {
		for _, moved := range e.Moved {
			value := moved.Value.Reveal()
			for at := 0; value != ""; {
				i := strings.Index(text[at:], value)
				if i < 0 {
					break
				}
				spans = append(spans, span{at + i, at + i + len(value)})
				at += i + len(value)
			}
			// Written with quotes or escapes, so that it cannot be told where
			// in the removed text it is.
			if text == string(c.Before) && !strings.Contains(text, value) {
				spans = append(spans, span{e.Start, e.End})
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	return spans
}

// reasons returns why lines were taken out and put in, by line number.
func (c *FileChange) reasons() (out, in map[int][]checks.Message) {
	out, in = map[int][]checks.Message{}, map[int][]checks.Message{}
	shift := 0
	for _, e := range c.Edits {
		if e.Reason.IsZero() {
			shift += len(e.New) - (e.End - e.Start)
			continue
		}
		mark(out, c.Before, e.Start, e.End, strings.HasSuffix(e.New, "\n"), e.Reason)
		start := e.Start + shift
		mark(in, c.After, start, start+len(e.New), e.End > e.Start && c.Before[e.End-1] == '\n', e.Reason)
		shift += len(e.New) - (e.End - e.Start)
	}
	return out, in
}

// mark adds reason to the lines of text that bytes [start, end) are in. An
// empty range is in no line when the other side of the edit is whole lines.
func mark(lines map[int][]checks.Message, text []byte, start, end int, whole bool, reason checks.Message) {
	if start < 0 || end > len(text) || start > end {
		return
	}
	if start == end && whole && (start == 0 || text[start-1] == '\n') {
		return
	}
	first := 1 + bytes.Count(text[:start], []byte("\n"))
	last := first
	if end > start {
		last = first + bytes.Count(text[start:end-1], []byte("\n"))
	}
	for n := first; n <= last; n++ {
		if !slices.ContainsFunc(lines[n], func(m checks.Message) bool { return m.String() == reason.String() }) {
			lines[n] = append(lines[n], reason)
		}
	}
}
