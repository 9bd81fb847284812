package image

import (
	"fmt"
	"strings"
	"time"

	"plimsoll/checks"
)

// An Upstream is what registries say of an image.
type Upstream struct {
	Tags []Served
	Base *Served // what the name of its base stands for now; nil when not known
	Errs []error // what could not be asked

	Signed []Signed // of each repository that was asked for signatures
}

// Signed is what a registry has beside an image.
type Signed struct {
	Name       string // "ghcr.io/acme/shop@sha256:…"
	Demanded   bool   // the project demands a signature
	Signatures []Signature

	Provenance, SBOM bool        // somebody states it, signed or not, and is no stranger where it is known who is none
	Doubted          []Signature // statements by strangers; Kind is what they state
}

// A Signature is one of an image.
type Signature struct {
	Kind     string // "cosign", "Notation"
	Verified string // the key, certificate or identity that made it; "" unless the project trusts that
	Failed   bool   // the project trusts something, and this is not by it
	Why      string // why it was not verified
}

// Served is what a registry serves for one name.
type Served struct {
	Ref    string // "shop/web:1.4"
	Digest string // of what it stands for now

	// Newer says that this is another image, for the same platform, than the
	// one that is here; Created is then when it was built, zero when not said.
	Newer   bool
	Created time.Time

	// Same and Later are tags of later versions: the last of the same major
	// version, and the last of all. "" without any.
	Same, Later string

	Source string // of a base: how it is known
}

// Label returns what i says under key, "" when it says nothing.
func (i *Image) Label(key string) string {
	if i.Inspect.Config == nil {
		return ""
	}
	return i.Inspect.Config.Labels[key]
}

// Is reports whether i is what one of digests names: a manifest or index, or a
// configuration, by which most engines call an image.
func (i *Image) Is(digests ...string) bool {
	for _, d := range digests {
		if d == "" {
			continue
		}
		if d == i.Inspect.ID || i.Inspect.Descriptor != nil && i.Inspect.Descriptor.Digest.String() == d {
			return true
		}
		for _, repo := range i.Inspect.RepoDigests {
			if _, digest, _ := strings.Cut(repo, "@"); digest == d {
				return true
			}
		}
	}
	return false
}

// wait returns what is left of the time for which the project wants an update to
// have been out.
func (i *Image) wait(s Served) time.Duration {
	if i.Rules.CoolDown == 0 || s.Created.IsZero() {
		return 0
	}
	return i.Rules.CoolDown - i.Now.Sub(s.Created)
}

// upstream makes a check of what registries say of an image.
func upstream(c checks.Check, run func(*Image, *Upstream, func(checks.Finding))) *checks.Check {
	return check(c, func(i *Image, report func(checks.Finding)) {
		if i.Upstream != nil {
			run(i, i.Upstream, report)
		}
	})
}

var outdated = upstream(checks.Check{
	ID:       "image-outdated",
	Title:    "Registry has a newer image for the tag",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)", "CWE-1104"},
}, func(i *Image, u *Upstream, report func(checks.Finding)) {
	for _, s := range u.Tags {
		if !s.Newer || i.wait(s) > 0 {
			continue
		}
		f := checks.Finding{
			Key:      s.Ref,
			Message:  checks.Msg("the registry serves another image for %s than the one that is here", s.Ref),
			Evidence: i.servedEvidence(s),
		}
		if i.Use != nil && len(i.Use.Containers) > 0 {
			f.Fixes = []checks.Fix{{
				ID: "update-containers", Title: checks.Msg("fetch it, see what it changes, and move the containers to it"),
				Caution: checks.Msg("another version may behave differently or migrate its data"), Update: true,
			}}
		}
		report(f)
	}
})

var updateTooFresh = upstream(checks.Check{
	ID:       "image-update-too-fresh",
	Title:    "Update is younger than the project wants",
	Severity: checks.Info,
	Chapter:  checks.Updates,
}, func(i *Image, u *Upstream, report func(checks.Finding)) {
	for _, s := range u.Tags {
		wait := i.wait(s)
		if !s.Newer || wait <= 0 {
			continue
		}
		report(checks.Finding{
			Key:      s.Ref,
			Message:  checks.Msg("the update of %s was built on %s: wait until %s", s.Ref, s.Created.Format(time.DateOnly), i.Now.Add(wait).Format(time.DateOnly)),
			Evidence: append(i.servedEvidence(s), checks.Evidence{Source: "cool-down", Detail: fmt.Sprintf("%d days", int(i.Rules.CoolDown/day))}),
		})
	}
})

var newerVersion = upstream(checks.Check{
	ID:       "image-newer-version-tag",
	Title:    "Later version is published under another tag",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CWE-1104"},
}, func(i *Image, u *Upstream, report func(checks.Finding)) {
	for _, s := range u.Tags {
		f := checks.Finding{Key: s.Ref, Evidence: []checks.Evidence{{Source: "tags of the registry", Detail: s.Same + " " + s.Later}}}
		switch {
		case s.Same != "" && s.Later != "":
			f.Message = checks.Msg("%s has a later version of the same line, %s, and a new line, %s", s.Ref, s.Same, s.Later)
		case s.Same != "":
			f.Message = checks.Msg("%s has a later version of the same line, %s", s.Ref, s.Same)
		case s.Later != "":
			f.Severity = checks.Info
			f.Message = checks.Msg("%s has a new line, %s, which may be incompatible", s.Ref, s.Later)
		default:
			continue
		}
		report(f)
	}
})

// servedEvidence says what is here and what the registry has.
func (i *Image) servedEvidence(s Served) []checks.Evidence {
	evidence := []checks.Evidence{{Source: "registry, " + s.Ref, Detail: s.Digest}}
	for _, d := range i.Inspect.RepoDigests {
		evidence = append(evidence, checks.Evidence{Source: "RepoDigests", Detail: d})
	}
	if !s.Created.IsZero() {
		evidence = append(evidence, checks.Evidence{Source: "built", Detail: s.Created.Format(time.DateOnly)})
	}
	return evidence
}
