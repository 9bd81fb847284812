package image

import (
	"cmp"
	"path"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/lifecycle"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// Repairs are the vulnerabilities of an image that newer packages repair: those of
// high or critical severity and those that are being exploited, or, where there
// are none, those that nobody has rated.
type Repairs struct {
	IDs     []string // the worst first
	Unrated bool
	Blind   []string // parts of the image of which nothing is known, sorted
	Ended   bool     // its distribution repairs nothing any more

	Beyond   []string // those of IDs that no package of the distribution repairs
	Packages []string // packages of the distribution whose newer versions repair the others, sorted
	Manager  string   // the program in the image that installs them: "apt-get"; "" when there is none
}

// Compare orders by how bad it is.
func (r Repairs) Compare(other Repairs) int {
	return cmp.Or(cmp.Compare(r.rated(), other.rated()), cmp.Compare(len(r.IDs), len(other.IDs)))
}

// rated returns how many are rated.
func (r Repairs) rated() int {
	if r.Unrated {
		return 0
	}
	return len(r.IDs)
}

// Equal reports whether r and other say the same.
func (r Repairs) Equal(other Repairs) bool {
	return slices.Equal(r.IDs, other.IDs) && slices.Equal(r.Blind, other.Blind) && r.Ended == other.Ended && r.Unrated == other.Unrated &&
		slices.Equal(r.Beyond, other.Beyond) && slices.Equal(r.Packages, other.Packages) && r.Manager == other.Manager
}

// SeesAsMuchAs reports whether r is blind for nothing that other was not blind
// for as well.
func (r Repairs) SeesAsMuchAs(other Repairs) bool {
	return !slices.ContainsFunc(r.Blind, func(part string) bool { return !slices.Contains(other.Blind, part) })
}

// Repairs returns what newer packages would repair in i; false when nobody looked,
// or not everything could be read.
func (i *Image) Repairs() (r Repairs, known bool) {
	if i.LookedUp() == nil && !i.scanned() || i.FilesErr != nil || i.KnownErr != nil {
		return r, false
	}
	found := pick(i, func(v *vulnerability.Vulnerability) bool {
		return v.Fixed != "" && (v.Severity >= checks.High || !v.Exploited.IsZero())
	})
	if len(found) == 0 {
		found = pick(i, func(v *vulnerability.Vulnerability) bool { return v.Fixed != "" && v.Severity == 0 })
		r.Unrated = len(found) > 0
	}
	for _, v := range found {
		if !slices.Contains(r.IDs, v.ID) {
			r.IDs = append(r.IDs, v.ID)
		}
		switch name := v.Package.Name; {
		case !v.Package.Type.Distribution():
			r.Beyond = append(r.Beyond, v.ID)
		case !slices.Contains(r.Packages, name):
			r.Packages, r.Manager = append(r.Packages, name), i.manager(v.Package.Type)
		}
	}
	slices.Sort(r.Packages)
	slices.Sort(r.Beyond)
	r.Beyond = slices.Compact(r.Beyond)
	if known := i.LookedUp(); known != nil {
		for _, n := range known.NoData {
			r.Blind = append(r.Blind, n.What)
		}
	}
	if i.Quickly() {
		r.Blind = append(r.Blind, "everything but packages of the distribution")
	}
	slices.Sort(r.Blind)
	if i.Files != nil && i.Files.Installed != nil && i.Files.Installed.Release != nil {
		release := i.Files.Installed.Release
		found, there := lifecycle.Find(distributions[release.ID], release.Version)
		r.Ended = there && found.Ended(lifecycle.Day(i.Now))
	}
	return r, true
}

// managers are the programs that install packages of a kind, the best first.
var managers = map[packages.Type][]string{
	packages.Deb: {"apt-get"},
	packages.APK: {"apk"},
	packages.RPM: {"dnf", "microdnf", "tdnf", "yum", "zypper"},
}

// manager returns the program in i that installs packages of type t, "" when there
// is none or it is not known which.
func (i *Image) manager(t packages.Type) string {
	if i.Files == nil {
		if all := managers[t]; len(all) == 1 {
			return all[0]
		}
		return ""
	}
	for _, program := range managers[t] {
		if slices.ContainsFunc(i.Files.Tools, func(f layers.Found) bool {
			return f.Rule == layers.PackageManager && path.Base(f.Path) == program
		}) {
			return program
		}
	}
	return ""
}
