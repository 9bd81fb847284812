package dockerfile

import "plimsoll/checks"

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return []*checks.Check{
		baseImageUntagged, baseImageLatestTag, baseImageNotMinimal,
		aptRecommendsInstalled, aptListsLeft,
		finalUserRoot, userMissing, sudoUsed,
		secretInEnvOrArg, secretLiteral, secretFileCopied, dockerignoreMissing,
		baseImageNotDigestPinned, remoteScriptPiped, addInsteadOfCopy,
		exposeSSH,
		healthcheckMissing,
		packageIndexUpdateAlone,
		cmdShellForm, workdirRelative, instructionUnknown,
	}
}

// check makes a check of a File out of c. On a file that BuildKit refuses
// nothing is fixable: a change could not be proved by parsing the result.
func check(c checks.Check, run func(*File, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Dockerfile
	c.Run = func(s checks.Subject, report func(checks.Finding)) {
		f := s.(*File)
		seen := map[string]int{}
		run(f, func(finding checks.Finding) {
			if f.Refusal != nil || !f.ordinary() {
				finding.Fixes = nil
			}
			finding.Key = unique(seen, finding.Key)
			report(finding)
		})
	}
	return &c
}
