package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// takeOut returns the edit that takes a command out of the list of commands
// that in runs: bytes from start to end of the source, a whole pipe if it is
// one. It fails where something hangs on how the command ends.
func (f *File) takeOut(in *Instruction, start, end int, reason checks.Message) (checks.Edit, bool) {
	if in.IsExec || in.open || len(in.Heredocs) > 0 || start < 0 {
		return checks.Edit{}, false
	}
	s := in.Args.String
	from, to := in.Args.index(start), in.Args.index(end-1)+1
	if from < 0 || to <= from || to > len(s) || strings.Contains(s, "||") || strings.ContainsAny(s, "\n`") {
		return checks.Edit{}, false
	}
	before, after := strings.TrimRight(s[:from], " \t"), strings.TrimLeft(s[to:], " \t")
	operator := func(t string) int {
		switch {
		case strings.HasPrefix(t, "&&"):
			return 2
		case strings.HasPrefix(t, ";") && !strings.HasPrefix(t, ";;"):
			return 1
		}
		return 0
	}
	n := operator(after)
	switch {
	case before == "" && (after == "" || n > 0 && strings.TrimSpace(after[n:]) == ""):
		return f.remove(in, reason), true
	case n > 0 && strings.TrimSpace(after[n:]) != "" && (before == "" || strings.HasSuffix(before, "&&") || strings.HasSuffix(before, ";")):
		next := len(s) - len(strings.TrimLeft(after[n:], " \t"))
		return checks.Edit{Start: start, End: in.Args.Offset(next), Reason: reason}, true
	case after == "" || strings.TrimSpace(after[n:]) == "":
		if rest, ok := strings.CutSuffix(before, "&&"); ok || strings.HasSuffix(before, ";") {
			if !ok {
				rest = strings.TrimSuffix(before, ";")
			}
			_, last := in.Args.Range(0, len(strings.TrimRight(rest, " \t")))
			return checks.Edit{Start: last, End: end, Reason: reason}, true
		}
	}
	return checks.Edit{}, false
}

// index is the inverse of [Text.Offset]: it returns -1 for a byte that is not
// part of t.
func (t Text) index(source int) int {
	for i, p := range t.pieces {
		end := len(t.String)
		if i+1 < len(t.pieces) {
			end = t.pieces[i+1].at
		}
		if d := source - p.source; d >= 0 && p.at+d < end {
			return p.at + d
		}
	}
	return -1
}

// extent returns the bytes of the statement that c is, its redirections
// included, or of the pipe that it is part of. It is not known for commands in
// strings, substitutions and conditions.
func (s *script) extent(c *command) (start, end int, ok bool) {
	if c.nested || !c.exact || c.stmt == nil || s.lines {
		return 0, 0, false
	}
	for _, p := range s.pipes {
		for _, part := range p.parts {
			if part == c {
				return p.start, p.end, p.list
			}
		}
	}
	last := endOf(c.stmt, c.text)
	if c.stmt.Semicolon.IsValid() {
		last = int(c.stmt.Semicolon.Offset())
	}
	start, end = c.text.Range(int(c.stmt.Pos().Offset()), last)
	return start, end, !c.stmt.Negated && !c.stmt.Background
}
