package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

var instructionUnknown = check(checks.Check{
	ID:       "instruction-unknown",
	Title:    "Not an instruction",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit unknown instruction"},
}, func(f *File, report func(checks.Finding)) {
	// Every other reason of a refusal is an error of the report, as this one
	// is too: see [File.Incomplete].
	if r := f.Refusal; r != nil && r.Instruction != "" {
		report(checks.Finding{
			Line: r.Line, EndLine: r.Line, Key: strings.ToUpper(r.Instruction),
			Message:  checks.Msg("%s is not an instruction, so nothing can be built from this file", r.Instruction),
			Evidence: []checks.Evidence{{Source: "BuildKit", Detail: r.Reason}},
		})
	}
})
