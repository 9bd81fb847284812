package image

import "plimsoll/checks"

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return []*checks.Check{
		// minimal base images
		historyCacheLeft, junkFiles, wastedSpace, duplicateFiles, largeOrManyLayers,
		packageManagerPresent, shellPresent, attackTools, compilerPresent, sshServer,
		// least privilege
		userRoot, historySudo, volumeSensitivePath, setIDFiles, fileCapabilities, worldWritable,
		emptyPassword, extraRoot, duplicateID, sudoPresent,
		// secrets
		secretInEnv, secretInHistory, secretInLabelOrCmd, privateKey, credentialFile, secretInFile, secretInHiddenLayer,
		// scanning and signing
		vulnerableExploited, vulnerableLikely, vulnerableCritical, vulnerableFromBase, neverScanned, scanStale,
		historyAdd, historyVerification, packagesUnverified, unownedBinaries, licenseDenied, untrustedRegistry, legacyTrust, signatureInvalid, signatureMissing, provenanceMissing, sbomMissing, noProvenanceLabels,
		// network isolation
		exposesAdminPort, exposesPrivilegedPort,
		// runtime monitoring
		healthcheckMissing,
		// updates
		eolOS, eolRuntime, oldBuild, outdated, updateTooFresh, newerVersion, baseOutdated, latestOnly, historyUpdateAlone, historyUpgrade, dangling, unused,
		// hygiene
		shellForm, architectureMismatch, noDockerfile,
	}
}
