package image

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// historyRule declares a rule that reports all steps of which wrong is true, as
// one finding.
func historyRule(c checks.Check, wrong func(step) bool, message func(name string) checks.Message) *checks.Check {
	return check(c, func(i *Image, report func(checks.Finding)) {
		var evidence []checks.Evidence
		for _, s := range i.steps() {
			if wrong(s) {
				evidence = append(evidence, s.evidence())
			}
		}
		if len(evidence) > 0 {
			report(checks.Finding{Message: message(i.Ref().Name), Evidence: evidence})
		}
	})
}

var historyAdd = historyRule(checks.Check{
	ID:       "image-history-add",
	Title:    "Image was built with ADD",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.9 (v1.6.0)", "dockle CIS-DI-0009"},
}, func(s step) bool {
	// What comes first is the root file system of a distribution.
	return s.instruction == "ADD" && !s.first && !unpacks(s.text)
}, func(name string) checks.Message {
	return checks.Msg("%s was built with ADD where COPY does, and ADD also unpacks and downloads", name)
})

// unpacks reports whether ADD was wanted for what COPY cannot do.
func unpacks(text string) bool {
	for source := range strings.FieldsSeq(text) {
		if strings.Contains(source, "://") || strings.HasPrefix(source, "git@") {
			return true
		}
		for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tar.zst"} {
			if strings.HasSuffix(source, ending) {
				return true
			}
		}
	}
	return false
}

// Package managers by how their commands are called.
var (
	aptTools = []string{"apt-get", "apt", "aptitude"}
	rpmTools = []string{"yum", "dnf", "microdnf", "tdnf"}
)

var historyUpdateAlone = historyRule(checks.Check{
	ID:       "image-history-update-alone",
	Title:    "Package index was refreshed in a layer of its own",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.7 (v1.6.0)", "dockle CIS-DI-0007"},
}, func(s step) bool {
	if s.instruction != "RUN" || !mentions(s.text, "update", "makecache", "ref") {
		return false
	}
	all := commands(s.text)
	refreshes := runsAny(all, aptTools, []string{"update"}) ||
		runsAny(all, []string{"apk"}, []string{"update"}) ||
		runsAny(all, rpmTools, []string{"makecache", "check-update"}) ||
		runsAny(all, []string{"zypper"}, []string{"refresh", "ref"})
	return refreshes && !runsAny(all, slices.Concat(aptTools, rpmTools, []string{"apk", "zypper"}),
		[]string{"install", "add", "in", "upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade", "up", "build-dep", "update-minimal"})
}, func(name string) checks.Message {
	return checks.Msg("%s has a layer that refreshes the package index and installs nothing: the build cache may keep an old index", name)
})

var historySudo = historyRule(checks.Check{
	ID:       "image-history-sudo",
	Title:    "Image was built with sudo",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-DI-0001", "hadolint DL3004"},
}, func(s step) bool {
	return s.instruction == "RUN" && mentions(s.text, "sudo") && slices.ContainsFunc(commands(s.text), func(words []string) bool { return runs(words, "sudo") })
}, func(name string) checks.Message {
	return checks.Msg("a layer of %s was made with sudo, so sudo and its rules are in the image", name)
})

var historyUpgrade = historyRule(checks.Check{
	ID:       "image-history-distro-upgrade",
	Title:    "Image was upgraded to another state of its distribution",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"dockle DKL-DI-0003"},
}, func(s step) bool {
	if s.instruction != "RUN" || !mentions(s.text, "upgrade", "sync", "dup") {
		return false
	}
	all := commands(s.text)
	return runsAny(all, aptTools, []string{"dist-upgrade", "full-upgrade"}) ||
		runsAny(all, rpmTools, []string{"distro-sync", "distrosync", "system-upgrade"}) ||
		runsAny(all, []string{"zypper"}, []string{"dup", "dist-upgrade"}) ||
		slices.ContainsFunc(all, func(words []string) bool { return runs(words, "do-release-upgrade") })
}, func(name string) checks.Message {
	return checks.Msg("a layer of %s upgrades the whole distribution: no tag says which state that is", name)
})
