package dockerfile

import "plimsoll/checks"

// repeated makes the check that an instruction, of which only the last in a
// stage counts, stands there once.
func repeated(id, keyword string, title string, refs ...string) *checks.Check {
	return check(checks.Check{
		ID: id, Title: title, Severity: checks.Low, Chapter: checks.Hygiene, Refs: refs,
	}, func(f *File, report func(checks.Finding)) {
		for _, s := range f.Stages {
			var last *Instruction
			for _, in := range s.Instructions {
				if in.Keyword != keyword {
					continue
				}
				if last != nil {
					f.overridden(last, in, report)
				}
				last = in
			}
		}
	})
}

// overridden reports that in has no effect because of later.
func (f *File) overridden(in, later *Instruction, report func(checks.Finding)) {
	finding := f.finding(in, in.Stage.label(), checks.Msg("this %s has no effect: the one in line %d replaces it", in.Keyword, later.Line))
	finding.Evidence = append(finding.Evidence, f.lineEvidence(later, later.Line))
	finding.Fixes = []checks.Fix{{
		ID: "keep-last", Title: checks.Msg("delete what has no effect"), Safe: true,
		Edit: fixed(f.remove(in, checks.Msg("a later line replaces it"))),
	}}
	report(finding)
}

var (
	cmdMultiple = repeated("cmd-multiple", "CMD", "Several CMDs, one counts",
		"hadolint DL4003", "BuildKit MultipleInstructionsDisallowed", "trivy DS-0016")
	entrypointMultiple = repeated("entrypoint-multiple", "ENTRYPOINT", "Several ENTRYPOINTs, one counts",
		"hadolint DL4004", "BuildKit MultipleInstructionsDisallowed", "trivy DS-0007")
	healthcheckMultiple = repeated("healthcheck-multiple", "HEALTHCHECK", "Several HEALTHCHECKs, one counts",
		"hadolint DL3012", "BuildKit MultipleInstructionsDisallowed", "trivy DS-0023")
)
