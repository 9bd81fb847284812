package dockerfile

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// BuildKit's parser knows lines but not bytes, and gives up on the first
// mistake. So the file is divided here, by the same rules, which a test holds
// against BuildKit's own result; what BuildKit thinks of it is [Refusal].

// An Instruction is one instruction with everything that belongs to it.
type Instruction struct {
	Keyword       string // upper case: "RUN"
	Line, EndLine int    // 1-based, inclusive
	Start, End    int    // bytes of the source, from the keyword to the last character, heredocs included
	Stage         *Stage // nil before the first FROM
	Flags         []Flag
	Exec          []string // arguments in exec form; nil in shell form
	IsExec        bool
	Heredocs      []Heredoc

	Args Text // everything after the flags, continued lines joined

	open    bool         // the file ends within a continuation or a heredoc
	pairs   []Pair       // of ENV and ARG
	user    *Instruction // the USER in force here; nil when it is the base image's
	trigger bool         // what an ONBUILD leaves to others, see child
	posix   bool         // shell forms are run by sh or one of its family

	known atomic.Pointer[memo] // nil: nothing yet
}

// A Flag is an option of an instruction, such as --mount=type=cache.
type Flag struct {
	Name, Value string
	Start, End  int
}

// A Heredoc is the text of one heredoc of an instruction.
type Heredoc struct {
	Name       string
	Expand     bool
	Chomp      bool
	Start, End int // bytes of the source, without the line of the terminator
}

// Flag returns the values of every flag called name.
func (in *Instruction) Flag(name string) []string {
	var out []string
	for _, f := range in.Flags {
		if f.Name == name {
			out = append(out, f.Value)
		}
	}
	return out
}

// A Text is text with continued lines joined, which knows where in the source
// each of its bytes comes from.
type Text struct {
	String string
	pieces []piece
}

// A piece says that the bytes of a text from at on are those of the source
// from source on, until the next piece.
type piece struct{ at, source int }

// Offset returns where in the source byte i of t is.
func (t Text) Offset(i int) int {
	lo, hi := 0, len(t.pieces)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; t.pieces[mid].at <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	return t.pieces[lo].source + i - t.pieces[lo].at
}

// Range returns the bytes of the source that t[start:end] spans.
func (t Text) Range(start, end int) (int, int) {
	if end <= start {
		at := t.Offset(start)
		return at, at
	}
	return t.Offset(start), t.Offset(end-1) + 1
}

// Slice returns t[start:end].
func (t Text) Slice(start, end int) Text {
	out := Text{String: t.String[start:end], pieces: []piece{{0, t.Offset(start)}}}
	for _, p := range t.pieces {
		if p.at > start && p.at < end {
			out.pieces = append(out.pieces, piece{p.at - start, p.source})
		}
	}
	return out
}

// scanner walks over the lines of a file.
type scanner struct {
	src  []byte
	next int // where the next line starts
	line int // number of the line last read
}

// read returns the next line without its end.
func (s *scanner) read() (line []byte, start int, ok bool) {
	if s.next >= len(s.src) {
		return nil, s.next, false
	}
	start = s.next
	rest := s.src[start:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
		s.next = start + i + 1
	} else {
		s.next = len(s.src)
	}
	s.line++
	if s.line == 1 && bytes.HasPrefix(rest, []byte("\xef\xbb\xbf")) {
		rest, start = rest[3:], start+3
	}
	return bytes.TrimRight(rest, "\r"), start, true
}

func (f *File) scan() {
	s := &scanner{src: f.Source}
	var directives parser.DirectiveParser
	head := true // parser directives may still come
	for {
		line, start, ok := s.read()
		if !ok {
			return
		}
		trimmed := bytes.TrimLeftFunc(line, unicode.IsSpace)
		start += len(line) - len(trimmed)
		if head {
			d, err := directives.ParseLine(trimmed)
			if head = d != nil && err == nil; head && d.Name == "escape" && (d.Value == "`" || d.Value == `\`) {
				f.Escape = d.Value[0]
			}
		}
		if len(trimmed) == 0 || trimmed[0] == '#' {
			continue
		}
		if in := f.instruction(s, trimmed, start); in != nil {
			f.Instructions = append(f.Instructions, in)
		}
	}
}

// instruction reads the instruction that begins with the line first.
func (f *File) instruction(s *scanner, first []byte, start int) *Instruction {
	in := &Instruction{Line: s.line, Start: start}
	content, continued := cutContinuation(first, f.Escape)
	in.End = start + len(first)
	text := content
	pieces := []piece{{0, start}}
	if continued {
		text = bytes.Clone(content)
	}
	for continued {
		line, at, ok := s.read()
		if !ok {
			in.open = true
			break
		}
		trimmed := bytes.TrimLeftFunc(line, unicode.IsSpace)
		if len(trimmed) == 0 || trimmed[0] == '#' {
			continue
		}
		content, continued = cutContinuation(line, f.Escape)
		if len(content) > 0 {
			pieces = append(pieces, piece{len(text), at})
			text = append(text, content...)
		}
		in.End = at + len(line)
	}
	in.EndLine = s.line
	whole := Text{String: string(text), pieces: pieces}
	if !in.split(whole, f.Escape) {
		return nil
	}
	f.heredocs(s, in, whole)
	if in.Keyword == "ENV" || in.Keyword == "ARG" {
		in.pairs = in.parsePairs(f.Escape)
	}
	return in
}

// cutContinuation returns line without the escape character that continues it.
func cutContinuation(line []byte, escape byte) (content []byte, continued bool) {
	t := bytes.TrimRight(line, " \t")
	n := len(t)
	if n == 0 || t[n-1] != escape {
		return line, false
	}
	if n == 1 && len(t) == 1 || n > 1 && t[n-2] != escape {
		return t[:n-1], true
	}
	return line, false
}

// split finds keyword, flags and arguments. It reports whether there is one.
func (in *Instruction) split(t Text, escape byte) bool {
	s := t.String
	i := len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
	end := len(strings.TrimRightFunc(s, unicode.IsSpace))
	if i >= end {
		return false
	}
	in.Start = t.Offset(i)
	k := strings.IndexAny(s[i:end], "\t\v\f\r ")
	if k < 0 {
		in.Keyword = keyword(s[i:end])
		in.Args = t.Slice(end, end)
		return true
	}
	in.Keyword = keyword(s[i : i+k])
	in.Args = t.Slice(in.flags(t, i+k, end, escape), end)
	if strings.HasPrefix(in.Args.String, "[") && takesExec(in.Keyword) {
		in.IsExec = json.Unmarshal([]byte(in.Args.String), &in.Exec) == nil
	}
	return true
}

// keyword returns the upper case of what BuildKit, which looks for the lower
// case, takes for an instruction: there are letters beyond ASCII of which only
// one of the two is a letter of it.
func keyword(word string) string {
	lower := strings.ToLower(word)
	for i := range len(lower) {
		if lower[i] >= utf8.RuneSelf {
			return lower
		}
	}
	return strings.ToUpper(lower)
}

func takesExec(keyword string) bool {
	switch keyword {
	case "RUN", "CMD", "ENTRYPOINT", "SHELL", "ADD", "COPY", "VOLUME":
		return true
	}
	return false
}

// flags reads the flags of t[i:end] and returns where the arguments start.
func (in *Instruction) flags(t Text, i, end int, escape byte) int {
	s := t.String
	for {
		i += len(s[i:end]) - len(strings.TrimLeftFunc(s[i:end], unicode.IsSpace))
		if !strings.HasPrefix(s[i:end], "--") {
			return i
		}
		start := i
		var word []byte
		var quote byte
		for ; i < end && (quote != 0 || !unicode.IsSpace(rune(s[i]))); i++ {
			switch c := s[i]; {
			case quote != 0 && c == quote:
				quote = 0
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case c == escape && i+1 < end:
				i++
				word = append(word, s[i])
			case c != escape:
				word = append(word, c)
			}
		}
		if string(word) == "--" {
			return i + len(s[i:end]) - len(strings.TrimLeftFunc(s[i:end], unicode.IsSpace))
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(string(word), "--"), "=")
		from, to := t.Range(start, i)
		in.Flags = append(in.Flags, Flag{name, value, from, to})
	}
}

// heredocs reads the heredocs that whole, the text of in, announces.
func (f *File) heredocs(s *scanner, in *Instruction, whole Text) {
	if !strings.Contains(whole.String, "<<") || in.IsExec {
		return
	}
	keyword := in.Keyword
	if keyword == "ONBUILD" {
		keyword, _, _ = strings.Cut(strings.ToUpper(in.Args.String), " ")
	}
	if keyword != "RUN" && keyword != "COPY" && keyword != "ADD" {
		return
	}
	lex := shell.NewLex('\\')
	lex.RawQuotes, lex.RawEscapes, lex.SkipUnsetEnv = true, true, true
	words, _ := lex.ProcessWords(whole.String, noVariables{})
	for _, w := range words {
		doc, err := parser.ParseHeredoc(w)
		if err != nil || doc == nil {
			continue
		}
		h := Heredoc{Name: doc.Name, Expand: doc.Expand, Chomp: doc.Chomp, Start: s.next, End: s.next}
		for {
			line, start, ok := s.read()
			if !ok {
				in.open = true
				break
			}
			in.End, in.EndLine = start+len(line), s.line
			if doc.Chomp {
				line = bytes.TrimLeft(line, "\t")
			}
			if string(line) == doc.Name {
				break
			}
			h.End = s.next
		}
		in.Heredocs = append(in.Heredocs, h)
	}
}

type noVariables struct{}

func (noVariables) Get(string) (string, bool) { return "", false }
func (noVariables) Keys() []string            { return nil }
