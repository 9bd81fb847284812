package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// The checks here judge what a registry or a scanner said of a base image, and
// say nothing about an image that nobody asked for.

var baseImageStaleDigest = check(checks.Check{
	ID:       "base-image-stale-digest",
	Title:    "Base image behind its tag",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CWE-1104"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		b, _ := f.base(s)
		if !strings.HasPrefix(b.Served, "sha256:") || s.Parent != nil {
			return
		}
		have := r.digest
		if have == "" {
			have = b.Digest
		}
		if have == "" || have == b.Served {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("the registry serves a newer image under the tag of %s", s.Image))
		finding.Evidence = append(finding.Evidence,
			checks.Evidence{Source: "here", Detail: have}, checks.Evidence{Source: "registry", Detail: b.Served})
		if r.digest != "" && !s.variable() {
			finding.Message = checks.Msg("the digest of %s is behind what the registry serves under the tag", s.Image)
			finding.Fixes = []checks.Fix{{
				ID: "digest", Title: checks.Msg("pin the current digest"),
				Caution: checks.Msg("the next build uses a newer image: rebuild and test"),
				Edit: fixed(checks.Edit{
					Start: s.Base.End - len(r.digest), End: s.Base.End, New: b.Served,
					Reason: checks.Msg("what the tag means now, with the fixes since then"),
				}),
			}}
		}
		report(finding)
	})
})

var baseImageKnownVulnerable = check(checks.Check{
	ID:       "base-image-known-vulnerable",
	Title:    "Base image with known vulnerabilities",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CWE-1104"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		b, _ := f.base(s)
		if f.repairs(s, b.Repaired) {
			b.Fixable = b.Beyond
		}
		if len(b.Fixable) == 0 || s.Parent != nil {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("base image %s has %d known vulnerabilities for which fixes exist, %s among them", s.Image, len(b.Fixable), b.Fixable[0]))
		if len(b.Fixable) == 1 {
			finding.Message = checks.Msg("base image %s has a known vulnerability for which a fix exists: %s", s.Image, b.Fixable[0])
		}
		if !f.Shipped(s) || b.Unrated {
			finding.Severity = checks.Medium
		}
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "found in the image", Detail: strings.Join(b.Fixable[:min(10, len(b.Fixable))], " ")})
		tags := slices.DeleteFunc(slices.Clone(b.Better), func(tag string) bool { return tag == r.tag || !plainTag(tag) })
		stale := r.digest != "" && b.Served != "" && b.Served != r.digest
		if len(tags) > 0 && !s.variable() && !stale && len(endedIn(r, f.today())) == 0 {
			finding.Fixes = []checks.Fix{{
				ID: "better-tag", Title: checks.Msg("move to a tag with fewer known vulnerabilities"),
				Caution: checks.Msg("a new release behaves differently: rebuild and test"),
				Choices: []checks.Choice{{
					Key: s.choice("better-tag"), Label: checks.Msg("tag of the base image"),
					Default: tags[0], Options: tags, Why: checks.Msg("the scanner found the fewest there"),
				}},
				Edit: func(v checks.Values) ([]checks.Edit, error) {
					return []checks.Edit{{
						Start: s.Base.Start + len(r.name), End: s.Base.End, New: ":" + v[s.choice("better-tag")],
						Reason: checks.Msg("fewer known vulnerabilities to begin with"),
					}}, nil
				},
			}}
		}
		if f.New { // it was written for the sake of this very image
			finding.Fixes = append(f.repairFix(s, b), finding.Fixes...)
		} else {
			finding.Fixes = append(finding.Fixes, f.repairFix(s, b)...)
		}
		report(finding)
	})
})

func plainTag(tag string) bool {
	return tag != "" && len(tag) <= 128 && strings.Trim(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}

var baseImagePlatformMismatch = check(checks.Check{
	ID:       "base-image-platform-mismatch",
	Title:    "Base image not made for the platform",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit InvalidBaseImagePlatform"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, _ reference) {
		b, _ := f.base(s)
		wanted := s.From.Flag("platform")
		if len(b.Platforms) == 0 || len(wanted) != 1 || s.Parent != nil || strings.Contains(wanted[0], "$") {
			return
		}
		platform := normalPlatform(wanted[0])
		if !strings.Contains(platform, "/") || slices.ContainsFunc(b.Platforms, func(p string) bool { return normalPlatform(p) == platform }) {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("%s is not made for %s, only for %s", s.Image, wanted[0], strings.Join(b.Platforms, ", ")))
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "registry", Detail: strings.Join(b.Platforms, " ")})
		report(finding)
	})
})

// normalPlatform writes os/arch in the spelling of registries.
func normalPlatform(p string) string {
	p = strings.ToLower(p)
	for _, pair := range [][2]string{{"/x86_64", "/amd64"}, {"/x86-64", "/amd64"}, {"/aarch64", "/arm64"}, {"/arm64/v8", "/arm64"}, {"/armhf", "/arm/v7"}, {"/armel", "/arm/v6"}, {"/i386", "/386"}} {
		if rest, ok := strings.CutSuffix(p, pair[0]); ok {
			return rest + pair[1]
		}
	}
	if strings.HasSuffix(p, "/arm") {
		return p + "/v7"
	}
	return p
}
