package container

import (
	"slices"

	"plimsoll/checks"
)

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return slices.Concat(ServiceChecks(), []*checks.Check{
		runtimeDowngraded, memoryNoReservation, limitTooTight, portUnneeded, legacyLinks,
		mountWritableNeedlessly, dataInWritableLayer, autoRemoveWithData, secretFileReadable,
		crashLooping, unhealthy, oomKilled,
		sshdRunning, execRoot, execPrivileged, processUserMismatch, unexpectedProcess, fileDrift,
		shellOpened, packageManagerRun, unexpectedListener, cpuSustained,
		outboundSuspicious, sensitiveFileRead, escapeAttempt, filelessExec, falcoAlert,
		imageNotCurrent, imageOutdated, imageMutableRef, tooOld, stoppedLeftover, attributesUnsupported,
	})
}

// ServiceChecks returns the checks that settings alone decide. They judge
// services of compose files as well; their Kind is [checks.Container] here.
func ServiceChecks() []*checks.Check {
	return []*checks.Check{
		runsAsRoot, privileged, capEscapeClass, capabilitiesAdded, capabilitiesNotDropped, newPrivilegesAllowed,
		seccompUnconfined, apparmorMissing, selinuxMissing, systemPathsUnmasked, rootfsWritable,
		usernsHost, pidHost, ipcHost, utsHost, joinsOtherNamespace, devicesExposed, sysctlsRisky,
		dockerSocketMounted, sensitiveHostPath, mountPropagationShared, volumesFrom,
		secretInEnv, secretInArgs, userSecretsMounted,
		memoryUnlimited, swapUnlimited, cpuUnlimited, pidsUnlimited, ulimitsDefault, blkioUnlimited,
		logUnbounded, restartUnbounded, cgroupParentCustom, oomProtectionAbused, shmOversized, initMissing,
		networkHost, portOnAllInterfaces, datastorePortPublic, privilegedPort, defaultBridge,
		hostsOrDNSOverride, staticMACOrIP, volumeShared, networkFlat, bridgesZones, egressOpen,
		healthcheckMissing,
	}
}
