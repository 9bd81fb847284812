package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// refusal asks BuildKit's own parser whether it would take src.
func refusal(src []byte) (refused *Refusal) {
	defer func() {
		if r := recover(); r != nil {
			refused = &Refusal{Reason: fmt.Sprintf("the parser gave up: %v", r)}
		}
	}()
	result, err := parser.Parse(bytes.NewReader(src))
	if err == nil {
		// A linter, although it reports to nobody: without one, a comment
		// "# check=" above an instruction is a nil dereference.
		_, _, err = instructions.Parse(result.AST, linter.New(&linter.Config{}))
	}
	if err == nil {
		return nil
	}
	refused = &Refusal{Reason: err.Error()}
	var located *parser.LocationError
	if errors.As(err, &located) {
		refused.Reason = located.Unwrap().Error()
		if len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
			refused.Line = located.Locations[0][0].Start.Line
		}
	}
	var unknown *instructions.UnknownInstructionError
	if errors.As(err, &unknown) {
		// Without what BuildKit thinks was meant: of two equally near
		// instructions it names now one, now the other.
		refused.Line, refused.Instruction = unknown.Line, unknown.Instruction
		refused.Reason = "unknown instruction: " + unknown.Instruction
	}
	return refused
}

// longestLine is half of what BuildKit's parser takes for a line.
const longestLine = 1 << 15

// skeleton returns the source without the instructions that BuildKit takes
// whatever they say, on the same lines. BuildKit refuses it if and only if it
// refuses the source, and for the same reason. They are most of a file, and
// the parser runs regular expressions over each byte.
func (f *File) skeleton() []byte {
	out := make([]byte, 0, len(f.Source))
	done := 0
	for _, in := range f.Instructions {
		if !in.certain(f.Escape) {
			continue
		}
		out = append(out, f.Source[done:in.Start]...)
		for range bytes.Count(f.Source[in.Start:in.End], []byte("\n")) {
			out = append(out, '\n')
		}
		done = in.End
	}
	for rest := f.Source; len(rest) > longestLine; {
		i := bytes.LastIndexByte(rest[:longestLine], '\n')
		if i < 0 {
			return f.Source // perhaps too long a line, which is a reason of its own
		}
		rest = rest[i+1:]
	}
	return append(out, f.Source[done:]...)
}

// certain reports whether BuildKit takes in for certain.
func (in *Instruction) certain(escape byte) bool {
	text := in.Args.String
	if in.Stage == nil || in.open || len(in.Heredocs) > 0 || text == "" || strings.Contains(text, "<<") || !in.plainFlags() {
		return false
	}
	if takesExec(in.Keyword) && text[0] == '[' {
		// Its parser refuses what is not a string, ours reads null as "".
		return in.IsExec && len(in.Exec) > 0 && !slices.ContainsFunc(in.Exec, isBlank) && len(in.Flags) == 0 && in.Keyword != "COPY" && in.Keyword != "ADD"
	}
	switch in.Keyword {
	case "RUN", "CMD", "ENTRYPOINT", "WORKDIR", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL", "MAINTAINER":
		return len(in.Flags) == 0
	case "COPY", "ADD":
		return len(strings.Fields(text)) > 1
	case "ENV", "LABEL":
		return len(in.Flags) == 0 && areAssignments(text, escape)
	}
	return false
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// plainFlags reports whether in has no flags but those of a COPY that may have
// any value, each once.
func (in *Instruction) plainFlags() bool {
	for i, flag := range in.Flags {
		switch flag.Name {
		case "from", "chown", "chmod":
		default:
			return false
		}
		if in.Keyword != "COPY" || flag.End-flag.Start != len("--")+len(flag.Name)+len("=")+len(flag.Value) || flag.Value == "" {
			return false // quoted, escaped or continued
		}
		if slices.ContainsFunc(in.Flags[:i], func(f Flag) bool { return f.Name == flag.Name }) {
			return false
		}
	}
	return true
}

// areAssignments reports whether text is name=value, several times, in words
// that every reader divides in the same way; or the old form of a name and a
// value.
func areAssignments(text string, escape byte) bool {
	if strings.IndexByte(text, escape) >= 0 {
		return false
	}
	first, rest, _ := strings.Cut(text, " ")
	if !strings.ContainsAny(first, "=\"'\t") {
		return strings.TrimSpace(rest) != ""
	}
	start, quote := -1, byte(0)
	named := false // the word has a name and a "="
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) || quote == 0 && (text[i] == ' ' || text[i] == '\t'):
			if quote != 0 || start >= 0 && !named {
				return false
			}
			start, named = -1, false
			continue
		case text[i] >= 0x80 || text[i] < ' ' && text[i] != '\t':
			return false // there are more kinds of space
		case text[i] == quote:
			quote = 0
		case quote == 0 && (text[i] == '"' || text[i] == '\''):
			quote = text[i]
		case text[i] == '=' && start >= 0 && text[start] != '=':
			named = true
		}
		if start < 0 {
			start = i
		}
	}
	return true
}
