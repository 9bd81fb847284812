package image

import (
	"cmp"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/lifecycle"
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
	return slices.Equal(r.IDs, other.IDs) && slices.Equal(r.Blind, other.Blind) && r.Ended == other.Ended && r.Unrated == other.Unrated
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
	}
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
