package image

import "plimsoll/checks"

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return []*checks.Check{userRoot, secretInEnv, secretInHistory, healthcheckMissing, oldBuild, latestOnly}
}
