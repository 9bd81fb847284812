package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
)

// Checks returns the checks of this package in the order of the course.
func Checks() []*checks.Check {
	return slices.Concat([]*checks.Check{
		runsAsRoot, daemonTCPWithoutTLS, usernsOff, newPrivilegesAllowed, seccompCustomOrOff, lsmMissing,
		authorizationMissing, defaultRuntimeUnknown, groupMembers, fileOwnership, filePermissions,
		clientContextInsecure, clientInsecureBuilder,
		clientCredentials, clientConfigPermissions, buildCacheSprawl,
		ulimitsDefault, cgroupParentCustom, cgroupV1, noLimitSupport, logRotationMissing, partitionMissing,
		insecureRegistries, legacyRegistry, contentTrustSet, scannerUntrusted, pluginUntrusted,
		trafficOpen, iptablesDisabled, userlandProxyOn, bindAllInterfaces, directRoutingAllowed, firewallBypassed,
		monitorMissing, logLevelNotInfo, debugOn, loggingLocalOnly, auditMissingDaemon, auditMissingPaths,
		engineOutdated, runcEscape, containerdVulnerable, desktopEscape, buildkitVulnerable, kernelEscape, authzBypassable,
		liveRestoreOff, legacyStorageDriver, experimentalOn, notHardened, imageSprawl, containerSprawl,
		enterpriseRetired,
	}, networkChecks, volumeChecks, swarmChecks)
}

var runsAsRoot = check(checks.Check{
	ID:       "daemon-runs-as-root",
	Title:    "Engine runs as root",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 2.1 (v1.6.0)", "OWASP Docker rule 11"},
}, func(h *Host, report func(checks.Finding)) {
	if h.windows() || slices.ContainsFunc(h.Info.SecurityOptions, isRootless) {
		return
	}
	f := checks.Finding{
		Message:  checks.Msg("whoever escapes from a container on %s is root", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, SecurityOptions", Detail: strings.Join(h.Info.SecurityOptions, " ")}},
	}
	if strings.Contains(h.Info.OperatingSystem, "Docker Desktop") {
		f.Severity = checks.Info
		f.Message = checks.Msg("whoever escapes from a container is root in the virtual machine of %s", h.Ref().Name)
	}
	report(f)
})

// isRootless reads one of SecurityOptions: "name=rootless" or "rootless".
func isRootless(option string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(option, "name="), ",")
	return name == "rootless"
}

const enableICC = "com.docker.network.bridge.enable_icc"

var trafficOpen = check(checks.Check{
	ID:       "daemon-inter-container-traffic-open",
	Title:    "Containers on the default bridge reach each other",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 2.2 (v1.6.0)", "OWASP Docker rule 5"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Bridge == nil {
		return
	}
	option := h.Bridge.Options[enableICC]
	if open, err := strconv.ParseBool(option); err != nil || !open {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("every container on the default bridge of %s can attack all others there", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "network bridge, " + enableICC, Detail: option}},
	})
})

var liveRestoreOff = check(checks.Check{
	ID:       "daemon-live-restore-off",
	Title:    "Containers stop with the engine",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 2.15 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	inSwarm := h.Info.Swarm.LocalNodeState != "" && h.Info.Swarm.LocalNodeState != swarm.LocalNodeStateInactive
	if h.Info.LiveRestoreEnabled || inSwarm || h.windows() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("updating the engine of %s stops all its containers", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, LiveRestoreEnabled", Detail: "false"}},
	})
})

func (h *Host) windows() bool { return h.Info.OSType == "windows" }
