package dockerfile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// unique returns key, with a number where it was seen before.
func unique(seen map[string]int, key string) string {
	seen[key]++
	if n := seen[key]; n > 1 {
		return key + "#" + strconv.Itoa(n)
	}
	return key
}

// finding begins a finding about in, whose first line is the evidence.
func (f *File) finding(in *Instruction, key string, message checks.Message) checks.Finding {
	return checks.Finding{
		Line: in.Line, EndLine: in.EndLine,
		Key: key, Message: message,
		Evidence: []checks.Evidence{f.lineEvidence(in, in.Line)},
	}
}

// findingAt begins a finding about the bytes from start to end of in.
func (f *File) findingAt(in *Instruction, start, end int, key string, message checks.Message) checks.Finding {
	if start < 0 {
		return f.finding(in, key, message)
	}
	first, last := f.lineOf(in, start), f.lineOf(in, max(start, end-1))
	return checks.Finding{
		Line: first, EndLine: last,
		Key: key, Message: message,
		Evidence: []checks.Evidence{f.lineEvidence(in, first)},
	}
}

// lineOf returns the number of the line of in that holds byte at.
func (f *File) lineOf(in *Instruction, at int) int {
	return in.Line + bytes.Count(f.Source[in.Start:at], []byte("\n"))
}

// longestEvidence is how much of a line a finding repeats.
const longestEvidence = 240

// lineEvidence quotes one line of in, without the values of secrets.
func (f *File) lineEvidence(in *Instruction, line int) checks.Evidence {
	start := in.Start
	for n := in.Line; n < line; n++ {
		start += bytes.IndexByte(f.Source[start:], '\n') + 1
	}
	end := in.End
	if i := bytes.IndexByte(f.Source[start:end], '\n'); i >= 0 {
		end = start + i
	}
	text := strings.TrimSpace(f.masked(in, start, end))
	if len(text) > longestEvidence {
		text = strings.ToValidUTF8(text[:longestEvidence], "") + "…"
	}
	return checks.Evidence{Source: fmt.Sprintf("line %d", line), Detail: text}
}

// masked returns bytes of in with the values of its sensitive pairs masked.
func (f *File) masked(in *Instruction, start, end int) string {
	if in.Keyword != "ENV" && in.Keyword != "ARG" && in.Keyword != "LABEL" {
		return string(f.Source[start:end])
	}
	var b strings.Builder
	at := start
	for _, p := range f.Pairs(in) {
		if !secret.SensitiveName(p.Name) || !secret.Literal(p.Value) || p.ValueEnd <= at || p.ValueStart >= end {
			continue
		}
		b.Write(f.Source[at:max(at, p.ValueStart)])
		b.WriteString(secret.Mask)
		at = min(p.ValueEnd, end)
	}
	b.Write(f.Source[at:end])
	return b.String()
}

// eol returns how the lines of the file end.
func (f *File) eol() string {
	if i := bytes.IndexByte(f.Source, '\n'); i > 0 && f.Source[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// respelled returns a new line with its keyword in the case of the others.
func (f *File) respelled(line string) string {
	keyword, rest, ok := strings.Cut(line, " ")
	if !ok || !isKeyword(keyword) {
		return line
	}
	return f.keyword(keyword) + " " + rest
}

// insertBefore returns the edit that puts a line above in.
func (f *File) insertBefore(in *Instruction, line string, reason checks.Message) checks.Edit {
	at := f.lineStart(in)
	line = f.respelled(line) + f.eol()
	if strings.EqualFold(line[:min(3, len(line))], "ARG") && f.commentAbove(at) {
		line = f.eol() + line // the comment would be taken for its description
	}
	return checks.Edit{Start: at, End: at, New: line, Reason: reason}
}

// insertAfter returns the edit that puts a line below in, also where in ends
// the file without an end of line. It fails when in goes on for ever.
func (f *File) insertAfter(in *Instruction, line string, reason checks.Message) (checks.Edit, bool) {
	if in.open {
		return checks.Edit{}, false
	}
	line = f.respelled(line)
	i := bytes.IndexByte(f.Source[in.End:], '\n')
	if i < 0 {
		n := len(f.Source)
		return checks.Edit{Start: n, End: n, New: f.eol() + line, Reason: reason}, true
	}
	at := in.End + i + 1
	return checks.Edit{Start: at, End: at, New: line + f.eol(), Reason: reason}, true
}

// remove returns the edit that takes in out, with its lines. A comment above it
// must not become the description of an ARG or a stage below.
func (f *File) remove(in *Instruction, reason checks.Message) checks.Edit {
	start, end := f.lineStart(in), len(f.Source)
	if i := bytes.IndexByte(f.Source[in.End:], '\n'); i >= 0 {
		end = in.End + i + 1
		if f.commentAbove(start) && f.describable(end) {
			end = in.End
		}
	}
	return checks.Edit{Start: start, End: end, Reason: reason}
}

// commentAbove reports whether the line above the one that starts at byte at is
// a comment.
func (f *File) commentAbove(at int) bool {
	if at < 1 {
		return false
	}
	line := f.Source[bytes.LastIndexByte(f.Source[:at-1], '\n')+1 : at-1]
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
	return len(line) > 0 && line[0] == '#'
}

// describable reports whether an ARG or FROM starts on the line at byte at, or
// below more comments.
func (f *File) describable(at int) bool {
	for line := range bytes.Lines(f.Source[at:]) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] != '#' {
			return len(line) > 4 && (strings.EqualFold(string(line[:4]), "ARG ") || strings.EqualFold(string(line[:4]), "FROM"))
		}
	}
	return false
}

// lineStart returns where the line begins on which in starts.
func (f *File) lineStart(in *Instruction) int {
	start := bytes.LastIndexByte(f.Source[:in.Start], '\n') + 1
	if start == 0 && bytes.HasPrefix(f.Source, []byte("\xef\xbb\xbf")) {
		return 3
	}
	return start
}

// fixed returns the function of a fix whose edits need no choice.
func fixed(edits ...checks.Edit) func(checks.Values) ([]checks.Edit, error) {
	return func(checks.Values) ([]checks.Edit, error) { return edits, nil }
}

// tail returns the last instruction of s before its final CMD and ENTRYPOINT:
// what follows it cannot change what the build does.
func (s *Stage) tail() *Instruction {
	for i := len(s.Instructions) - 1; i >= 0; i-- {
		if in := s.Instructions[i]; in.Keyword != "CMD" && in.Keyword != "ENTRYPOINT" {
			return in
		}
	}
	return s.From
}
