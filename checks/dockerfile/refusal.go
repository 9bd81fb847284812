package dockerfile

import (
	"bytes"
	"errors"
	"fmt"

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
		refused.Line, refused.Instruction = unknown.Line, unknown.Instruction
	}
	return refused
}
