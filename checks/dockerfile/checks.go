package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return slices.Concat([]*checks.Check{
		baseImageUntagged, baseImageLatestTag, baseImageNotMinimal,
		aptRecommendsInstalled, aptListsLeft,
		finalUserRoot, userMissing, sudoUsed,
		secretInEnvOrArg, secretLiteral, secretFileCopied, dockerignoreMissing,
		baseImageNotDigestPinned, remoteScriptPiped, addInsteadOfCopy,
		exposeSSH,
		healthcheckMissing,
		packageIndexUpdateAlone,
		cmdShellForm, workdirRelative, instructionUnknown,
	},
		baseChecks(), privilegeChecks(), moreSecretChecks(),
		packageChecks(),
		instructionChecks(),
	)
}

// check makes a check of a File out of c. On a file that BuildKit refuses
// nothing is fixable: a change could not be proved by parsing the result.
func check(c checks.Check, run func(*File, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Dockerfile
	c.Run = func(s checks.Subject, report func(checks.Finding)) {
		f := s.(*File)
		seen := map[string]int{}
		reported := func(finding checks.Finding) {
			if f.Refusal != nil || !f.ordinary() {
				finding.Fixes = nil
			}
			for i := range finding.Fixes {
				finding.Fixes[i].Edit = f.tidy(finding.Fixes[i].Edit)
			}
			finding.Key = unique(seen, finding.Key)
			report(finding)
		}
		run(f, reported)
		f.runOnTriggers(run, reported)
	}
	return &c
}

// tidy returns change with its edits in order, without repetition or overlap,
// and with what is appended to a file in one piece.
func (f *File) tidy(change func(checks.Values) ([]checks.Edit, error)) func(checks.Values) ([]checks.Edit, error) {
	return func(values checks.Values) ([]checks.Edit, error) {
		edits, err := change(values)
		if err != nil {
			return nil, err
		}
		var own, beside, appended []checks.Edit
		for _, e := range edits {
			switch {
			case e.Path == "":
				own = append(own, e)
			case e.Start == -1:
				appended = append(appended, e)
			default:
				beside = append(beside, e)
			}
		}
		if own, err = Resolve(len(f.Source), own); err != nil {
			return nil, err
		}
		if beside, err = Resolve(0, beside); err != nil {
			return nil, err
		}
		if len(appended) > 0 {
			var lines []string
			for _, e := range appended {
				lines = append(lines, e.New)
			}
			slices.Sort(lines)
			one := appended[0]
			one.New = strings.Join(slices.Compact(lines), "")
			beside = append(beside, one)
		}
		return append(own, beside...), nil
	}
}
