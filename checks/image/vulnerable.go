package image

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/vulnerability"
)

// fewEvidence is how many vulnerabilities a finding names; the page of the image
// lists all.
const fewEvidence = 12

// likely is the probability of EPSS from which a vulnerability counts as likely
// to be exploited: about 4 of 100 published ones are above it.
const likely = 0.1

// staleAfter is the age of advisories from which "nothing known" says little.
const staleAfter = 7 * day

var vulnerableCritical = known(checks.Check{
	ID:       "image-vulnerable-critical",
	Title:    "Image has known vulnerabilities that a newer package repairs",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CIS-DI-0004", "OWASP Docker rule 9", "CWE-1395"},
}, func(i *Image, report func(checks.Finding)) {
	worst, unrated := pick(i, func(v *vulnerability.Vulnerability) bool { return v.Fixed != "" && v.Severity >= checks.High }),
		pick(i, func(v *vulnerability.Vulnerability) bool { return v.Fixed != "" && v.Severity == 0 })
	switch {
	case len(worst) > 0:
		report(checks.Finding{
			Message:  checks.Msg("%d known vulnerabilities of high or critical severity in %s are repaired in newer packages", len(worst), i.Ref().Name),
			Evidence: evidence(i, worst),
		})
	case len(unrated) > 0:
		report(checks.Finding{
			Severity: checks.Medium,
			Message:  checks.Msg("%d known vulnerabilities in %s, which nobody has rated, are repaired in newer packages", len(unrated), i.Ref().Name),
			Evidence: evidence(i, unrated),
		})
	}
})

var vulnerableExploited = known(checks.Check{
	ID:       "image-vulnerable-known-exploited",
	Title:    "Image has a vulnerability that is being exploited",
	Severity: checks.Critical,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CISA KEV", "CWE-1395"},
}, func(i *Image, report func(checks.Finding)) {
	found := pick(i, func(v *vulnerability.Vulnerability) bool { return !v.Exploited.IsZero() })
	if len(found) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("%s in %s is known to be exploited", ids(found), i.Ref().Name),
			Evidence: evidence(i, found),
		})
	}
})

var vulnerableLikely = known(checks.Check{
	ID:       "image-vulnerable-likely-exploited",
	Title:    "Image has a vulnerability that is likely to be exploited",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "FIRST EPSS", "CWE-1395"},
}, func(i *Image, report func(checks.Finding)) {
	found := pick(i, func(v *vulnerability.Vulnerability) bool { return v.Exploited.IsZero() && v.Probability >= likely })
	if len(found) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("%s in %s is likely to be exploited within 30 days", ids(found), i.Ref().Name),
			Evidence: evidence(i, found),
		})
	}
})

var vulnerableFromBase = known(checks.Check{
	ID:       "image-vulnerable-from-base",
	Title:    "Vulnerabilities come from the base image",
	Severity: checks.High,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CWE-1395"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Base == nil || len(i.Base.Layers) == 0 {
		return
	}
	own := func(v *vulnerability.Vulnerability) bool {
		return v.Package.Layer < 0 || v.Package.Layer >= len(i.Base.Layers)
	}
	serious := func(v *vulnerability.Vulnerability) bool { return v.Severity >= checks.High || !v.Exploited.IsZero() }
	base := pick(i, func(v *vulnerability.Vulnerability) bool { return serious(v) && !own(v) })
	if len(base) == 0 {
		return
	}
	all := pick(i, serious)
	report(checks.Finding{
		Message:  checks.Msg("%d of %d serious vulnerabilities of %s come from its base image %s", len(base), len(all), i.Ref().Name, i.Base.Name),
		Evidence: append([]checks.Evidence{{Source: "base image", Detail: i.Base.Name + ", " + i.Base.Source}}, evidence(i, base)...),
	})
})

var neverScanned = check(checks.Check{
	ID:       "image-never-scanned",
	Layers:   true,
	Title:    "Nobody has looked whether the image is vulnerable",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.4 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	known := i.LookedUp()
	switch {
	case i.Quickly():
		report(checks.Finding{
			Message:  checks.Msg("only the packages of the distribution in %s were compared with advisories, in a quick look", i.Ref().Name),
			Evidence: []checks.Evidence{{Source: "layers", Detail: "not read"}, onlyDistribution},
		})
	case known == nil && (i.Files != nil || i.scanned()):
		return // read, but there is no place to keep advisories
	case known == nil:
		report(checks.Finding{
			Message:  checks.Msg("the packages of %s were not compared with advisories yet", i.Ref().Name),
			Evidence: []checks.Evidence{{Source: "layers", Detail: "not read"}},
		})
		return
	}
	for _, n := range known.NoData {
		f := checks.Finding{Key: n.What, Evidence: []checks.Evidence{{Source: "packages", Detail: fmt.Sprintf("%d of %s", n.Packages, n.What)}}}
		switch n.Reason {
		case vulnerability.NotDownloaded:
			f.Message = checks.Msg("the advisories for %s were not downloaded: nothing is known of %d packages in %s", n.What, n.Packages, i.Ref().Name)
		case vulnerability.UnknownSystem:
			f.Message = checks.Msg("%s does not say which distribution its %d packages come from: nothing is known of them", i.Ref().Name, n.Packages)
		default:
			f.Severity = checks.Info
			f.Message = checks.Msg("there are no advisories for %s: nothing is known of %d packages in %s", n.What, n.Packages, i.Ref().Name)
		}
		report(f)
	}
})

var scanStale = known(checks.Check{
	ID:       "image-scan-stale",
	Title:    "The advisories are old",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.4 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	if i.LookedUp() == nil {
		return
	}
	for _, s := range i.LookedUp().Sources {
		age := i.Now.Sub(s.Published)
		if s.Published.IsZero() || age < staleAfter {
			continue
		}
		report(checks.Finding{
			Key:      s.Name,
			Message:  checks.Msg("the advisories for %s are %d days old: what was found since is not known of %s", s.Name, int(age/day), i.Ref().Name),
			Evidence: []checks.Evidence{{Source: "advisories", Detail: fmt.Sprintf("%s, as of %s", s.Name, s.Published.Format(time.DateOnly))}},
		})
	}
})

// known makes a check of images whose packages were looked up, by us or by
// others. What rests on a quick look says so.
func known(c checks.Check, run func(*Image, func(checks.Finding))) *checks.Check {
	c.Layers = true
	return check(c, func(i *Image, report func(checks.Finding)) {
		switch {
		case i.Quickly():
			run(i, func(f checks.Finding) {
				f.Message = checks.Msg("%s (quick: packages of the distribution only)", f.Message)
				f.Evidence = append(f.Evidence, onlyDistribution)
				report(f)
			})
		case i.Known != nil || i.scanned():
			run(i, report)
		}
	})
}

// onlyDistribution says what a quick look has seen.
var onlyDistribution = checks.Evidence{Source: "quick look", Detail: "packages of the distribution only"}

// scanned reports whether another scanner has looked.
func (i *Image) scanned() bool {
	return slices.ContainsFunc(i.Scans, func(s vulnerability.Scan) bool { return s.Problem == nil })
}

// pick returns the vulnerabilities that the distribution takes for some, and
// that want does.
func pick(i *Image, want func(*vulnerability.Vulnerability) bool) []*vulnerability.Vulnerability {
	var out []*vulnerability.Vulnerability
	all := i.Vulnerabilities()
	for n := range all {
		if v := &all[n]; !v.Minor && want(v) {
			out = append(out, v)
		}
	}
	return out
}

// ids names what was found, shortly.
func ids(found []*vulnerability.Vulnerability) string {
	const few = 3
	var names []string
	seen := map[string]bool{}
	for _, v := range found {
		if !seen[v.ID] {
			seen[v.ID] = true
			names = append(names, v.ID)
		}
	}
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" (+%d)", len(names)-few)
	}
	return strings.Join(names, ", ")
}

// evidence says of the worst vulnerabilities in what they are, how bad, and
// what repairs them.
func evidence(i *Image, found []*vulnerability.Vulnerability) []checks.Evidence {
	var out []checks.Evidence
	for n, v := range found {
		if n == fewEvidence {
			out = append(out, checks.Evidence{Source: "more", Detail: fmt.Sprintf("+%d", len(found)-n)})
			break
		}
		detail := v.Package.Name + " " + v.Package.Version
		if v.Fixed != "" {
			detail += " → " + v.Fixed
		}
		if v.Severity > 0 {
			detail += ", " + v.Severity.String()
		}
		if v.Score > 0 {
			detail += fmt.Sprintf(" %.1f", v.Score)
		}
		if !v.Exploited.IsZero() {
			detail += ", KEV " + v.Exploited.Format(time.DateOnly)
		}
		if v.Probability > 0 {
			detail += fmt.Sprintf(", EPSS %.0f %%", 100*v.Probability)
		}
		if v.Package.Path != "" {
			detail += ", /" + v.Package.Path
		}
		if len(v.Found) > 0 {
			detail += ", found by " + strings.Join(v.Found, ", ")
		}
		out = append(out, checks.Evidence{Source: v.ID, Detail: detail})
	}
	if known := i.LookedUp(); known != nil && !known.Oldest().IsZero() {
		out = append(out, checks.Evidence{Source: "advisories", Detail: "as of " + known.Oldest().Format(time.DateOnly)})
	}
	for _, s := range i.Scans {
		if s.Problem == nil {
			e := checks.Evidence{Source: s.Scanner, Detail: s.Version}
			if !s.Data.IsZero() {
				e.Detail += ", advisories as of " + s.Data.Format(time.DateOnly)
			}
			out = append(out, e)
		}
	}
	return out
}
