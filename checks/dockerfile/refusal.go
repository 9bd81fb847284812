package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
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
		if !in.certain() {
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

// certain reports whether BuildKit takes in for certain: the shell form of any
// text, and the copying of something to somewhere.
func (in *Instruction) certain() bool {
	text := in.Args.String
	if in.Stage == nil || in.open || len(in.Flags) > 0 || len(in.Heredocs) > 0 || text == "" || text[0] == '[' || strings.Contains(text, "<<") {
		return false
	}
	switch in.Keyword {
	case "RUN", "CMD", "ENTRYPOINT":
		return true
	case "COPY", "ADD":
		return len(strings.Fields(text)) > 1
	}
	return false
}
