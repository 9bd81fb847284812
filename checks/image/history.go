package image

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// historyRule declares a rule that reports all steps of which wrong is true, as
// one finding.
func historyRule(c checks.Check, wrong func(step) bool, message func(name string, steps int) checks.Message) *checks.Check {
	return check(c, func(i *Image, report func(checks.Finding)) {
		var evidence []checks.Evidence
		for _, s := range i.steps() {
			if wrong(s) {
				evidence = append(evidence, s.evidence())
			}
		}
		if len(evidence) > 0 {
			report(checks.Finding{Message: message(i.Ref().Name, len(evidence)), Evidence: evidence})
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
	return s.instruction == "ADD" && s.number > 1 && !strings.HasSuffix(s.text, " in /") && !unpacks(s.text)
}, func(name string, steps int) checks.Message {
	return checks.Msg("%d instructions of %s copy with ADD, which also unpacks and downloads", steps, name)
})

// unpacks reports whether ADD was wanted for what COPY cannot do.
func unpacks(text string) bool {
	for source := range strings.FieldsSeq(text) {
		if strings.Contains(source, "://") {
			return true
		}
		for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"} {
			if strings.HasSuffix(source, ending) {
				return true
			}
		}
	}
	return false
}

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
	if s.instruction != "RUN" {
		return false
	}
	all := commands(s.text)
	refreshes := runsAny(all, aptTools, []string{"update"}) || runsAny(all, []string{"apk"}, []string{"update"}) || runsAny(all, rpmTools, []string{"makecache", "check-update"})
	return refreshes && !runsAny(all, slices.Concat(aptTools, rpmTools, []string{"apk"}), []string{"install", "add", "upgrade", "dist-upgrade", "full-upgrade", "build-dep", "update-minimal"})
}, func(name string, steps int) checks.Message {
	return checks.Msg("%d steps of %s refresh the package index and install nothing: the cache may keep an old index", steps, name)
})

var historySudo = historyRule(checks.Check{
	ID:       "image-history-sudo",
	Title:    "Image was built with sudo",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-DI-0001", "hadolint DL3004"},
}, func(s step) bool {
	return s.instruction == "RUN" && slices.ContainsFunc(commands(s.text), func(words []string) bool { return runs(words, "sudo") })
}, func(name string, steps int) checks.Message {
	return checks.Msg("%d steps of %s ran sudo, which the image then has to hold", steps, name)
})

var historyUpgrade = historyRule(checks.Check{
	ID:       "image-history-distro-upgrade",
	Title:    "Image was upgraded to another state of its distribution",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"dockle DKL-DI-0003"},
}, func(s step) bool {
	all := commands(s.text)
	return s.instruction == "RUN" && (runsAny(all, aptTools, []string{"dist-upgrade", "full-upgrade"}) ||
		runsAny(all, rpmTools, []string{"distro-sync", "distrosync", "system-upgrade"}) ||
		slices.ContainsFunc(all, func(words []string) bool { return runs(words, "do-release-upgrade") }))
}, func(name string, steps int) checks.Message {
	return checks.Msg("%d steps of %s upgrade the whole distribution: a newer base image says what it is", steps, name)
})

var historyCacheLeft = historyRule(checks.Check{
	ID:       "image-history-cache-left",
	Title:    "A layer keeps the cache of a package manager",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"dockle DKL-DI-0004", "dockle DKL-DI-0005"},
}, func(s step) bool {
	if s.instruction != "RUN" || strings.Contains(s.shown, "type=cache") {
		return false
	}
	all := commands(s.text)
	removes := func(dir string) bool {
		return slices.ContainsFunc(all, func(words []string) bool {
			return runs(words, "rm") && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, dir) }) || runs(words, "find", dir)
		})
	}
	switch {
	case runsAny(all, aptTools, []string{"update"}) && runsAny(all, aptTools, []string{"install"}):
		return !removes("/var/lib/apt/lists")
	case runsAny(all, []string{"apk"}, []string{"add"}):
		return !runsAny(all, []string{"apk"}, []string{"--no-cache"}) && !removes("/var/cache/apk")
	case runsAny(all, rpmTools, []string{"install"}):
		return !runsAny(all, rpmTools, []string{"clean"}) && !removes("/var/cache")
	}
	return false
}, func(name string, steps int) checks.Message {
	return checks.Msg("%d steps of %s leave the cache of a package manager in their layer", steps, name)
})
