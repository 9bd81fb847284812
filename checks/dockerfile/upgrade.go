package dockerfile

import (
	"time"

	"plimsoll/checks"
)

var distroUpgrade = check(checks.Check{
	ID:       "distro-upgrade-in-build",
	Title:    "Distribution upgraded in the build",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"hadolint DL3035", "trivy DS-0024", "dockle DKL-DI-0003"},
}, func(f *File, report func(checks.Finding)) {
	f.eachCall(func(in *Instruction, k *call) {
		switch k.tool {
		case "apt-get", "apt", "aptitude":
			if !k.is("dist-upgrade", "full-upgrade") {
				return
			}
		case "zypper":
			if !k.is("dup", "dist-upgrade") {
				return
			}
		case "apk":
			if !k.is("upgrade") || !k.has("-a", "--available") {
				return
			}
		default:
			if !k.is("distro-sync", "distribution-synchronization", "system-upgrade") {
				return
			}
		}
		report(f.findingAt(in, k.name.start, k.verb.end, in.Stage.label()+"/"+k.tool+" "+k.verb.text,
			checks.Msg("%s %s exchanges the distribution under the image: a newer base image says what it is", k.tool, k.verb.text)))
	}, "apt-get", "apt", "aptitude", "zypper", "apk", "yum", "dnf")
})

// oldBase is the age at which a base image lacks fixes for certain.
const oldBase = 90 * 24 * time.Hour

var securityUpdatesNeverApplied = check(checks.Check{
	ID:       "security-updates-never-applied",
	Title:    "Old base image without updates",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	root := s.Root()
	b, known := f.base(s)
	if !known || b.Created.IsZero() || b.Seen.Sub(b.Created) < oldBase || f.upgrades(s) {
		return
	}
	days := int(b.Seen.Sub(b.Created).Hours() / 24)
	finding := f.finding(root.From, root.label(),
		checks.Msg("base image %s is %d days old, and no step installs the updates since then", root.Image, days))
	finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + root.Image, Detail: "created " + b.Created.UTC().Format(time.DateOnly)})
	report(finding)
})

// upgrades reports whether any step of s, or of what it is built on, installs
// updates.
func (f *File) upgrades(s *Stage) bool {
	found := false
	f.eachCall(func(in *Instruction, k *call) {
		for _, t := range s.Chain() {
			if in.Stage == t && k.is("upgrade", "dist-upgrade", "full-upgrade", "update", "up", "dup", "patch", "safe-upgrade", "distro-sync", "upgrade-minimal", "update-minimal") {
				found = found || k.verb.text != "update" || k.tool != "apt-get" && k.tool != "apt" && k.tool != "apk"
			}
		}
	}, "apt-get", "apt", "aptitude", "zypper", "apk", "yum", "dnf", "microdnf", "tdnf")
	return found
}

var aptFrontendUsed = check(checks.Check{
	ID:       "apt-frontend-used",
	Title:    "apt in a script",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3027", "checkov CKV_DOCKER_9"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		var edits []checks.Edit
		var first *call
		translated := true
		for _, k := range f.script(in).calls {
			if k.tool != "apt" || k.verb.text == "" {
				continue
			}
			if first == nil {
				first = k
			}
			same := k.is("install", "update", "upgrade", "remove", "purge", "autoremove", "clean", "autoclean", "source", "build-dep", "download", "changelog")
			if translated = translated && same && k.exact && string(f.Source[k.name.start:k.name.end]) == "apt"; translated {
				edits = append(edits, checks.Edit{Start: k.name.end, End: k.name.end, New: "-get", Reason: checks.Msg("apt-get keeps its command line stable")})
			}
		}
		if first == nil {
			return
		}
		finding := f.findingAt(in, first.name.start, first.verb.end, in.Stage.label()+"/"+first.verb.text+" "+first.about(),
			checks.Msg("apt %s is made for people and may change: scripts use apt-get", first.verb.text))
		if translated {
			finding.Fixes = []checks.Fix{{
				ID: "apt-get", Title: checks.Msg("use apt-get"), Safe: true, Edit: fixed(edits...),
			}}
		}
		report(finding)
	})
})
