package dockerfile

import (
	"slices"

	"plimsoll/checks"
)

// packageChecks are about what package managers fetch and leave behind.
func packageChecks() []*checks.Check {
	return slices.Concat(verificationChecks(), pinningChecks(), promptingChecks(), cachingChecks())
}
