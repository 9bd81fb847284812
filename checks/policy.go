package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Profile selects checks by what they are for.
type Profile string

const (
	Security Profile = "security" // the eight chapters
	Practice Profile = "hygiene"  // good practice outside of them
	All      Profile = "all"
)

// Profiles lists all profiles, the default first.
var Profiles = []Profile{Security, Practice, All}

// ParseProfile returns the profile called name.
func ParseProfile(name string) (Profile, error) {
	p := Profile(strings.ToLower(name))
	if !slices.Contains(Profiles, p) {
		return "", fmt.Errorf("unknown profile %q: use security, hygiene or all", name)
	}
	return p, nil
}

// A Policy is what the user decided about checks. Nil means the defaults.
type Policy struct {
	Profile    Profile
	Severities map[string]Severity // by check id; overrides the check's own
	Disabled   map[string]bool     // by check id

	Exceptions []Exception      // what is accepted where
	Registries []string         // images may come from these only; empty: from anywhere
	Labels     map[string]Label // what labels of images must be, by key
	OnlyLabels bool             // labels that are not among Labels are superfluous
	Licenses   []string         // that packages in images may not be under: "AGPL-*"
	CoolDown   time.Duration    // for which an update has to have been out
}

// Wants reports whether c is run at all.
func (p *Policy) Wants(c *Check) bool {
	profile := Security
	if p != nil {
		if p.Disabled[c.ID] {
			return false
		}
		if p.Profile != "" {
			profile = p.Profile
		}
	}
	switch profile {
	case Security:
		return c.Chapter != Hygiene
	case Practice:
		return c.Chapter == Hygiene
	}
	return true
}

// SeverityOf returns what a finding of c counts as: the user's word, else what
// the check found for this occurrence, else its default.
func (p *Policy) SeverityOf(c *Check, found Severity) Severity {
	if p != nil {
		if s, ok := p.Severities[c.ID]; ok {
			return s
		}
	}
	if found != 0 {
		return found
	}
	return c.Severity
}
