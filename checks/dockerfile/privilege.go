package dockerfile

import "plimsoll/checks"

// baseChecks are the checks of FROM that go beyond the tag.
func baseChecks() []*checks.Check {
	return []*checks.Check{
		baseImageEOL, baseImageUntrustedRegistry, baseImageStaleDigest, baseImageKnownVulnerable, frontendSyntaxUnpinned,
		baseImageFixedPlatform, baseImageRedundantPlatform, baseImagePlatformMismatch, fromArgUndeclared, fromArgDefaultInvalid,
	}
}

// privilegeChecks are the checks of users and rights that go beyond the user
// that the image ends with.
func privilegeChecks() []*checks.Check {
	return []*checks.Check{
		userCreatedNotUsed, userNotNumeric, userUnknownInStage, userDropsGroups,
		copyRootOwnedAfterUser, copyCodeOwnedByRuntimeUser, worldWritablePath, setuidBitAdded,
		statefulServiceAsRoot, passwordSetInBuild, useraddHugeSparseLog, workdirSystemDir,
		runSecurityInsecure, runNetworkHost, runBindSensitiveSource, dockerSocketInImage, volumeSensitivePath,
	}
}

// moreSecretChecks are the checks of secrets that get into a build by commands,
// addresses and the build context.
func moreSecretChecks() []*checks.Check {
	return []*checks.Check{
		credentialCommand, sshKeyUsedInBuild, credentialInURL, contextCopiesVCSOrEnv, buildStepDummySecret,
		copyWholeFilesystem, copySourceIsIgnored,
	}
}
