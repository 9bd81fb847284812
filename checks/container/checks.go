package container

import (
	"slices"

	"plimsoll/checks"
)

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return slices.Concat(ServiceChecks(), []*checks.Check{crashLooping, imageNotCurrent})
}

// ServiceChecks returns the checks that settings alone decide. They judge
// services of compose files as well; their Kind is [checks.Container] here.
func ServiceChecks() []*checks.Check {
	return []*checks.Check{
		runsAsRoot, privileged, capabilitiesNotDropped, newPrivilegesAllowed, rootfsWritable,
		dockerSocketMounted, sensitiveHostPath,
		secretInEnv,
		memoryUnlimited, cpuUnlimited, pidsUnlimited, restartUnbounded,
		networkHost, portOnAllInterfaces, defaultBridge,
		healthcheckMissing,
	}
}
