package dockerfile

import (
	"slices"
	"strings"
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
		if !upgradesAll(k) {
			return
		}
		finding := f.findingAt(in, k.name.start, k.verb.end, in.Stage.label()+"/"+k.tool+" "+k.verb.text,
			checks.Msg("%s %s exchanges whatever has a newer version: a newer base image says what is in it", k.tool, k.verb.text))
		if edit, ok := f.withoutUpgrade(in, k, checks.Msg("what the image is made of comes with the base image")); ok {
			finding.Fixes = []checks.Fix{{
				ID: "no-upgrade", Title: checks.Msg("leave the upgrade to the base image"),
				Caution: checks.Msg("fixes that the base image does not have yet are missing then: use one that is rebuilt often"),
				Edit:    fixed(edit),
			}}
		}
		report(finding)
	}, "apt-get", "apt", "aptitude", "zypper", "apk", "yum", "dnf", "microdnf", "tdnf")
})

// upgradesAll reports whether k may exchange any package of the image, new
// dependencies and removals included: apt-get upgrade may not.
func upgradesAll(k *call) bool {
	if len(k.operands) > 0 || k.has("--security", "--advisory", "--cve", "--bugfix", "--download-only", "--help") {
		return false
	}
	switch k.tool {
	case "apt-get", "apt", "aptitude":
		return k.is("dist-upgrade", "full-upgrade")
	case "zypper":
		return k.is("dup", "dist-upgrade", "update", "up")
	case "apk":
		return k.is("upgrade")
	}
	return k.is("update", "upgrade", "distro-sync", "distribution-synchronization", "system-upgrade")
}

// withoutUpgrade returns the edit that takes k out of a list of commands joined
// by && that installs something, too.
func (f *File) withoutUpgrade(in *Instruction, k *call, reason checks.Message) (checks.Edit, bool) {
	s := f.script(in)
	own := ownCommands(s)
	i := slices.Index(own, k.command)
	p, _ := packageCallOf(k.command)
	if !f.indexOf(in)[p.manager].installs || !k.exact || !s.chain || i < 0 || len(own) < 2 || len(s.pipes) > 0 || len(in.Heredocs) > 0 || len(k.stmt.Redirs) > 0 {
		return checks.Edit{}, false
	}
	startOf := func(c *command) int {
		start, _ := c.text.Range(int(c.stmt.Pos().Offset()), int(c.stmt.Pos().Offset()))
		return start
	}
	// From here to the next command, or from the end of the last one to here.
	// Options that other fixes add have to go with it.
	start, end := startOf(k.command), k.words[len(k.words)-1].end
	switch {
	case i+1 < len(own):
		end = startOf(own[i+1])
	case len(own[i-1].stmt.Redirs) > 0 || k.insertion() >= end:
		return checks.Edit{}, false
	default:
		start = own[i-1].words[len(own[i-1].words)-1].end
	}
	if start >= end || strings.Contains(string(f.Source[start:end]), "#") {
		return checks.Edit{}, false
	}
	return checks.Edit{Start: start, End: end, Reason: reason}, true
}

// firstImages is the year of Docker: images that claim to be older are built
// with a date of nobody's, so that they come out the same every time.
const firstImages = 2013

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
	if !known || b.Created.Year() < firstImages || b.Seen.Sub(b.Created) < oldBase || f.upgrades(s) {
		return
	}
	days := int(b.Seen.Sub(b.Created).Hours() / 24)
	finding := f.finding(root.From, root.label(),
		checks.Msg("base image %s is %d days old, and no step installs the updates since then", root.Image, days))
	finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + root.Image, Detail: "created " + b.Created.UTC().Format(time.DateOnly)})
	if edits, ok := f.upgradeEdits(s); ok {
		finding.Fixes = []checks.Fix{{
			ID: "install-updates", Title: checks.Msg("install the updates while the image is built"),
			Caution: checks.Msg("a newer base image is the better cure: this layer holds the replaced files a second time, and the cache of the build keeps it as it is"),
			Edit:    fixed(edits...),
		}}
	}
	report(finding)
})

// upgradeEdits installs updates of Debian in the first step of s that fetches
// the lists of packages.
func (f *File) upgradeEdits(s *Stage) ([]checks.Edit, bool) {
	if !debianFamily(s.Root().Image) {
		return nil, false
	}
	for _, in := range s.Instructions {
		if in.Keyword != "RUN" {
			continue
		}
		update := f.indexOf(in)["apt"].update
		if update == nil {
			continue
		}
		if u := f.userAt(in); !update.exact || update.nested || !f.script(in).chain || u.known && !u.isRoot() {
			return nil, false
		}
		at := update.words[len(update.words)-1].end
		return []checks.Edit{{
			Start: at, End: at, New: " && apt-get upgrade -y",
			Reason: checks.Msg("fixes since the base image was made"),
		}}, true
	}
	return nil, false
}

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
