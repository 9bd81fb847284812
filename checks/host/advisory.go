package host

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"plimsoll/checks"
)

//go:embed advisories.tsv
var advisoryTable string

// advisoriesDate is the day of the table, as its head says.
const advisoriesDate = "2026-11-25"

// An advisory is a published mistake in a part of the engine.
type advisory struct {
	part, cve string
	severity  checks.Severity
	since     version
	fixed     []version
	fixedText string
	effect    string
}

// advisories parses the table when it is first asked for; a test reads it whole.
var advisories = sync.OnceValues(func() ([]advisory, error) {
	var all []advisory
	for line := range strings.Lines(advisoryTable) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		field := strings.Split(line, "\t")
		if len(field) != 6 {
			return nil, fmt.Errorf("advisories: %q has %d fields, want 6", line, len(field))
		}
		a := advisory{part: field[0], cve: field[1], fixedText: strings.Join(strings.Fields(field[4]), ", "), effect: field[5]}
		var err error
		if a.severity, err = checks.ParseSeverity(field[2]); err != nil {
			return nil, fmt.Errorf("advisories: %s: %w", a.cve, err)
		}
		if field[3] != "0" {
			if a.since, err = must(field[3]); err != nil {
				return nil, err
			}
		}
		for _, text := range strings.Fields(field[4]) {
			fix, err := must(text)
			if err != nil {
				return nil, err
			}
			a.fixed = append(a.fixed, fix)
		}
		all = append(all, a)
	}
	return all, nil
})

func must(text string) (version, error) {
	v, ok := parseVersion(text)
	if !ok {
		return v, fmt.Errorf("advisories: %q is no version", text)
	}
	return v, nil
}

// A Part is one of the programs that an engine consists of.
type Part struct {
	Version string // "1.1.5+ds1"
	Commit  string // "v1.2.5-0-g59923ef", or the revision of a distribution's package
}

// A build is the version of a part, and what is known of fixes that the version
// does not show.
type build struct {
	version string
	source  string   // where it was read
	key     string   // tells it from others of the same part: the name of a container
	vendor  bool     // a distribution's: it may have fixes that its version does not show
	pkg     *Package // that it came in; nil when unknown
}

// marks of versions that a distribution changed.
var vendorMarks = []string{"dfsg", "+ds", "~ds", "ubuntu", "+deb", "+rpi", ".el7", ".el8", ".el9", ".el10", ".fc", ".amzn", "azl", "-k3s"}

// builtByVendor reports whether text, a version or a commit, is of a
// distribution's package.
func builtByVendor(text string) bool {
	for _, mark := range vendorMarks {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}

// backporting are distributions that keep a version for years and add fixes.
var backporting = []string{"Debian", "Ubuntu", "Red Hat", "CentOS", "Rocky", "AlmaLinux", "Oracle Linux", "SUSE", "Raspbian", "Linux Mint"}

// part returns what is known of a part of the engine by its name.
func (h *Host) part(name string, packages ...string) (build, bool) {
	p, ok := h.Parts[name]
	source := "docker version, " + name
	if !ok {
		switch name {
		case "runc":
			p, source = Part{h.Info.RuncCommit.ID, h.Info.RuncCommit.ID}, "docker info, RuncCommit"
		case "containerd":
			p, source = Part{h.Info.ContainerdCommit.ID, h.Info.ContainerdCommit.ID}, "docker info, ContainerdCommit"
		}
	}
	return h.build(p, source, packages), p.Version != ""
}

// engine returns what is known of the engine itself.
func (h *Host) engine() build {
	return h.build(Part{Version: h.Info.ServerVersion}, "docker version, Engine", []string{"docker.io", "moby-engine"})
}

func (h *Host) build(p Part, source string, packages []string) build {
	b := build{version: p.Version, source: source, vendor: builtByVendor(p.Version) || builtByVendor(p.Commit)}
	if h.Platform == "" {
		// Nobody signs as the builder: then it is the distribution's.
		for _, name := range backporting {
			b.vendor = b.vendor || strings.Contains(h.Info.OperatingSystem, name)
		}
	}
	if h.Machine == nil || !b.vendor {
		return b
	}
	for _, name := range packages {
		if pkg, ok := h.Machine.Packages[name]; ok {
			b.pkg = &pkg
			break
		}
	}
	return b
}

// open returns the advisories of part that b lacks the fix of. Those that the
// changelog of a distribution's package names are taken for fixed.
func (b build) open(part string) []advisory {
	v, ok := parseVersion(b.version)
	if !ok {
		return nil
	}
	all, _ := advisories()
	var open []advisory
	for _, a := range all {
		if a.part != part || v.compare(a.since) < 0 || v.hasFix(a.fixed) {
			continue
		}
		if b.pkg != nil && b.pkg.Fixed[a.cve] {
			continue
		}
		open = append(open, a)
	}
	return open
}

// certain reports whether b's version, or its package's changelog, decides.
func (b build) certain() bool { return !b.vendor || b.pkg != nil && b.pkg.Fixed != nil }

// weigh is the severity of open advisories: that of the worst, one less when it
// rests on the silence of a changelog, information when a distribution may have
// fixed all of them unseen.
func (b build) weigh(open []advisory) checks.Severity {
	worst := checks.Info
	for _, a := range open {
		worst = max(worst, a.severity)
	}
	switch {
	case !b.certain():
		return checks.Info
	case b.vendor && worst > checks.Info:
		return worst - 1
	}
	return worst
}

// evidence is the version and each open advisory.
func (b build) evidence(open []advisory) []checks.Evidence {
	seen := []checks.Evidence{{Source: b.source, Detail: b.version}}
	switch {
	case b.pkg != nil && b.pkg.Fixed != nil:
		seen = append(seen, checks.Evidence{Source: "changelog of package " + b.pkg.Name + " " + b.pkg.Version, Detail: "names none of these as fixed"})
	case b.pkg != nil:
		seen = append(seen, checks.Evidence{Source: "package " + b.pkg.Name, Detail: b.pkg.Version + ", its changelog is not installed"})
	case b.vendor:
		seen = append(seen, checks.Evidence{Source: "built by a distribution", Detail: "it may have fixes that the version does not show"})
	}
	for _, a := range open {
		seen = append(seen, checks.Evidence{Source: a.cve, Detail: a.effect + "; fixed in " + a.fixedText})
	}
	return append(seen, checks.Evidence{Source: "advisories", Detail: "as known on " + advisoriesDate})
}

func cves(open []advisory) string {
	var ids []string
	for _, a := range open {
		ids = append(ids, a.cve)
	}
	return strings.Join(ids, ", ")
}

// A branch is a line of engine releases.
type branch struct {
	number [2]int    // {25, 0}; {29, -1} is all of 29
	until  time.Time // its maintainers' last day; zero: not yet said
}

// maintained are the branches of the engine that still get fixes, as of
// advisoriesDate; older ones do not, younger ones are not known here yet.
var maintained = []branch{
	{[2]int{25, 0}, time.Date(2026, 12, 4, 0, 0, 0, 0, time.UTC)}, // Amazon and Mirantis
	{[2]int{28, -1}, time.Time{}},                                 // Microsoft
	{[2]int{29, -1}, time.Time{}},
}

// abandoned reports whether nobody upstream fixes v's branch any more.
func abandoned(v version, now time.Time) bool {
	for _, b := range maintained {
		if v.numbers[0] == b.number[0] && (b.number[1] < 0 || v.numbers[1] == b.number[1]) {
			return !b.until.IsZero() && now.After(b.until)
		}
	}
	return v.numbers[0] < maintained[len(maintained)-1].number[0]
}
