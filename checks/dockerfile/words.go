package dockerfile

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Word is one word of an instruction. Start and End are bytes of the source.
type Word struct {
	Text       string
	Start, End int
}

// Words returns the arguments of in separated by white space, which is all that
// FROM, COPY, ADD and EXPOSE know of words. It is empty in exec form.
func (in *Instruction) Words() []Word {
	if in.IsExec {
		return nil
	}
	var out []Word
	s := in.Args.String
	for i := 0; i < len(s); {
		if isSpace(s[i]) {
			i++
			continue
		}
		start := i
		for i < len(s) && !isSpace(s[i]) {
			i++
		}
		from, to := in.Args.Range(start, i)
		out = append(out, Word{s[start:i], from, to})
	}
	return out
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' }

// A Pair is one NAME=value of ENV, ARG or LABEL; without "=", of ARG only,
// HasValue is false. Value is as written, quotes included.
type Pair struct {
	Name, Value          string
	HasValue             bool
	Start, End           int // of all of it
	ValueStart, ValueEnd int
}

// Pairs returns the pairs of an ENV, ARG or LABEL.
func (f *File) Pairs(in *Instruction) []Pair {
	if in.Keyword == "LABEL" {
		return in.parsePairs(f.Escape)
	}
	return in.pairs
}

func (in *Instruction) parsePairs(escape byte) []Pair {
	s := in.Args.String
	words := quotedWords(s, escape)
	if len(words) == 0 {
		return nil
	}
	first := s[words[0][0]:words[0][1]]
	if in.Keyword != "ARG" && !strings.Contains(first, "=") {
		// The old form: ENV NAME the rest is the value.
		i := strings.IndexAny(s, "\t\v\f\r ")
		if i < 0 {
			return nil
		}
		v := i + len(s[i:]) - len(strings.TrimLeft(s[i:], "\t\v\f\r "))
		return []Pair{in.pair(s[:i], 0, v, len(s), true)}
	}
	out := make([]Pair, 0, len(words))
	for _, w := range words {
		name, _, ok := strings.Cut(s[w[0]:w[1]], "=")
		if ok {
			out = append(out, in.pair(name, w[0], w[0]+len(name)+1, w[1], true))
		} else if in.Keyword == "ARG" {
			out = append(out, in.pair(name, w[0], w[1], w[1], false))
		}
	}
	return out
}

func (in *Instruction) pair(name string, start, value, end int, has bool) Pair {
	p := Pair{Name: strings.Trim(name, `"'`), Value: in.Args.String[value:end], HasValue: has}
	p.Start, p.End = in.Args.Range(start, end)
	if end > value {
		p.ValueStart, p.ValueEnd = in.Args.Range(value, end)
	} else {
		p.ValueStart, p.ValueEnd = p.End, p.End
	}
	return p
}

// quotedWords returns where in s the words are, quotes and escapes respected.
func quotedWords(s string, escape byte) [][2]int {
	var out [][2]int
	for i := 0; i < len(s); {
		if r, n := utf8.DecodeRuneInString(s[i:]); unicode.IsSpace(r) {
			i += n
			continue
		}
		start := i
		var quote byte
		for i < len(s) {
			c := s[i]
			if quote == 0 {
				if r, _ := utf8.DecodeRuneInString(s[i:]); unicode.IsSpace(r) {
					break
				}
				if c == '"' || c == '\'' {
					quote = c
				}
			} else if c == quote {
				quote = 0
			}
			if c == escape && quote != '\'' && i+1 < len(s) {
				i++
			}
			i++
		}
		i = min(i, len(s))
		out = append(out, [2]int{start, i})
	}
	return out
}
