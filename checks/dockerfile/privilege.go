package dockerfile

import "plimsoll/checks"

// baseChecks are the checks of FROM that go beyond the tag.
func baseChecks() []*checks.Check {
	return []*checks.Check{
		baseImageEOL, baseImageUntrustedRegistry, baseImageStaleDigest, baseImageKnownVulnerable, frontendSyntaxUnpinned,
		baseImageFixedPlatform, baseImageRedundantPlatform, baseImagePlatformMismatch, fromArgUndeclared, fromArgDefaultInvalid,
	}
}
