package dockerfile

import "plimsoll/checks"

// packageChecks returns the checks of what a build fetches, verifies and leaves.
func packageChecks() []*checks.Check {
	out := verificationChecks()
	out = append(out, remoteAddWithoutChecksum, downloadNotVerified, downloadOverPlainHTTP, installScriptsEnabled, lockfileNotEnforced)
	out = append(out, pinningChecks()...)
	out = append(out, promptingChecks()...)
	out = append(out, cachingChecks()...)
	return append(out,
		cacheMountMissing, distroUpgrade, securityUpdatesNeverApplied, aptFrontendUsed,
		unneededToolInFinal, devDependenciesInFinal, buildToolsInSingleStage,
		removeInLaterLayer, chmodInExtraLayer, nonsenseCommand, wgetAndCurlBoth, wgetNoisyProgress,
		cdInsteadOfWorkdir, pipefailMissing, shellChangedByLink, consecutiveRuns, tooManyLayers,
		shellScriptLint, telemetryNotOptedOut,
	)
}
