package dockerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"plimsoll/checks"
)

var baseImageUntagged = check(checks.Check{
	ID:       "base-image-untagged",
	Title:    "Base image without a tag",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL3006", "trivy DS-0001", "checkov CKV_DOCKER_7"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		if r.tag != "" || r.digest != "" {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("base image %s has no tag, so it is whatever latest means on the day of the build", s.Image))
		finding.Fixes = f.tagFix(s, r)
		f.addBaseEvidence(&finding, s)
		report(finding)
	})
	for _, s := range f.Stages {
		image, unset := f.defaultImage(s)
		r := parseReference(image)
		if !s.External() || s.Certain || !s.variable() || r.tag != "" || r.digest != "" || image == "scratch" || !validImage(image) ||
			len(f.undeclaredIn(s)) > 0 || slices.ContainsFunc(unset, predefined) {
			continue
		}
		finding := f.finding(s.From, s.label(), checks.Msg("base image %s has no tag unless the build sets %s", s.Base.Text, strings.Join(unset, ", ")))
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "ARG " + strings.Join(unset, " "), Detail: "has no default, so the image is " + image})
		report(finding)
	}
})

var baseImageLatestTag = check(checks.Check{
	ID:       "base-image-latest-tag",
	Title:    "Base image follows latest",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL3007", "trivy DS-0001", "checkov CKV_DOCKER_7"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		if r.tag != "latest" || r.digest != "" {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("base image %s follows a tag that moves to every new release", s.Image))
		finding.Fixes = f.tagFix(s, r)
		f.addBaseEvidence(&finding, s)
		report(finding)
	})
})

var baseImageNotDigestPinned = check(checks.Check{
	ID:       "base-image-not-digest-pinned",
	Title:    "Base image not pinned by digest",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"semgrep dockerfile-source-not-pinned", "OWASP Docker rule 13"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		if r.tag == "" || r.digest != "" {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("base image %s can be replaced under the same tag without the build noticing", s.Image))
		f.addBaseEvidence(&finding, s)
		b, ok := f.base(s)
		switch {
		case s.variable() || f.moves(s, r):
		case !ok || !strings.HasPrefix(b.Digest, "sha256:"):
			finding.Fixes = []checks.Fix{askedDigest(s.choice("digest"), s.Image, s.Base.End)}
		default:
			finding.Fixes = []checks.Fix{{
				ID: "digest", Title: checks.Msg("pin the digest"), Safe: true,
				Edit: fixed(checks.Edit{
					Start: s.Base.End, End: s.Base.End, New: "@" + b.Digest,
					Reason: checks.Msg("the digest names exactly the image that is here now"),
				}),
			}}
		}
		report(finding)
	})
})

var baseImageNotMinimal = check(checks.Check{
	ID:       "base-image-not-minimal",
	Title:    "Full base image where a slim one exists",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)", "dockle CIS-DI-0003", "OWASP Docker rule 2"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		if !f.Shipped(s) {
			return
		}
		variants := smallerVariants(r)
		if len(variants) == 0 {
			return
		}
		finding := f.finding(s.From, s.label(), checks.Msg("base image %s is the full variant, %s has less in it that can be attacked", s.Image, r.name+":"+variants[0]))
		if r.digest == "" && r.tag != "" && r.tag != "latest" && !s.variable() && !f.moves(s, r) {
			isAlpine := func(tag string) bool { return strings.Contains(tag, "alpine") }
			caution := checks.Msg("packages that only the full image has must now be installed: rebuild and test")
			var packages []checks.Edit
			if slices.ContainsFunc(variants, isAlpine) {
				var left []string
				if packages, left = f.toAlpine(s); len(left) > 0 {
					caution = checks.Msg("packages that only the full image has must now be installed: rebuild and test; what has to be translated by hand for Alpine: %s", strings.Join(left, ", "))
				}
			}
			finding.Fixes = []checks.Fix{{
				ID: "smaller-variant", Title: checks.Msg("use a smaller variant"),
				Caution: caution, Brings: []string{"apk-version-unpinned", "package-cache-mount-missing"},
				Choices: []checks.Choice{{
					Key: s.choice("variant"), Label: checks.Msg("tag of the base image"),
					Default: variants[0], Options: variants,
					Why: checks.Msg("same version and same distribution, without compilers and tools"),
				}},
				Edit: func(v checks.Values) ([]checks.Edit, error) {
					tag := v[s.choice("variant")]
					edits := []checks.Edit{{
						Start: s.Base.Start, End: s.Base.End, New: r.name + ":" + tag,
						Reason: checks.Msg("same version, without compilers and tools"),
					}}
					if isAlpine(tag) {
						edits = append(edits, packages...)
					}
					return edits, nil
				},
			}}
		}
		report(finding)
	})
})

// eachBase calls visit for every stage that builds on an image whose name is
// certain, whatever the build sets.
func (f *File) eachBase(visit func(*Stage, reference)) {
	for _, s := range f.Stages {
		// A registry or folder may be a variable without taking anything away
		// from what is known of the tag.
		last := s.Base.Text[strings.LastIndexByte(s.Base.Text, '/')+1:]
		if s.External() && (s.Certain || !strings.Contains(last, "$")) {
			visit(s, parseReference(s.Image))
		}
	}
}

// variable reports whether the reference is put together from ARGs, so that an
// edit of FROM would take effect away from them.
func (s *Stage) variable() bool { return strings.Contains(s.Base.Text, "$") }

// choice returns a key of a choice that belongs to s alone.
func (s *Stage) choice(name string) string {
	if s.Index == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, s.Index+1)
}

func (f *File) addBaseEvidence(finding *checks.Finding, s *Stage) {
	b, ok := f.base(s)
	detail := "not on this engine, so its digest and other tags are not known"
	if ok {
		detail = strings.TrimSpace(b.Digest + " " + strings.Join(b.Tags, " "))
	}
	finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + s.Image, Detail: detail})
}

// tagFix replaces a moving tag by one that names the same image now.
func (f *File) tagFix(s *Stage, r reference) []checks.Fix {
	b, ok := f.base(s)
	if !ok || s.variable() {
		return nil
	}
	tags := concreteTags(b.Tags, r.name)
	if len(tags) == 0 {
		return nil
	}
	start := s.Base.Start + len(r.name)
	return []checks.Fix{{
		ID: "concrete-tag", Title: checks.Msg("write the tag that this image has now"),
		Choices: []checks.Choice{{
			Key: s.choice("tag"), Label: checks.Msg("tag of the base image"),
			Default: tags[0], Options: tags,
			Why: checks.Msg("names the very image that is here now"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			return []checks.Edit{{
				Start: start, End: s.Base.End, New: ":" + v[s.choice("tag")],
				Reason: checks.Msg("a version instead of a moving name"),
			}}, nil
		},
	}}
}

// concreteTags returns the tags of the image name among tags that say a
// version, the most exact first.
func concreteTags(tags []string, name string) []string {
	var out []string
	for _, t := range tags {
		if r := parseReference(t); r.name == name && strings.ContainsAny(r.tag, "0123456789") {
			out = append(out, r.tag)
		}
	}
	exactness := func(tag string) int { return strings.Count(tag, ".")*100 + strings.Count(tag, "-")*10 + len(tag) }
	slices.SortFunc(out, func(a, b string) int {
		if d := exactness(b) - exactness(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}

// A reference is an image reference in parts.
type reference struct{ name, tag, digest string }

func parseReference(s string) reference {
	var r reference
	s, r.digest, _ = strings.Cut(s, "@")
	r.name = s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		r.name, r.tag = s[:i], s[i+1:]
	}
	return r
}

// official returns the short name of an image of the official library.
func (r reference) official() string {
	name := strings.TrimPrefix(r.name, "docker.io/")
	name = strings.TrimPrefix(name, "library/")
	if strings.Contains(name, "/") {
		return ""
	}
	return name
}

// A family says how the smaller variants of an official image are called:
// %v is the version, %d the distribution with its hyphen.
type family struct{ slim, alpine string }

var families = map[string]family{
	"debian":          {slim: "%v-slim"},
	"node":            {slim: "%v%d-slim", alpine: "%v-alpine"},
	"python":          {slim: "%v-slim%d", alpine: "%v-alpine"},
	"ruby":            {slim: "%v-slim%d", alpine: "%v-alpine"},
	"rust":            {slim: "%v-slim%d", alpine: "%v-alpine"},
	"perl":            {slim: "%v-slim%d"},
	"openjdk":         {slim: "%v-slim%d"},
	"golang":          {alpine: "%v-alpine"},
	"eclipse-temurin": {alpine: "%v-alpine"},
}

// smallerVariants returns the tags of r's image with the same version but less
// in it, the most compatible first; none when r is small already.
func smallerVariants(r reference) []string {
	name := r.official()
	fam, ok := families[name]
	if !ok {
		return nil
	}
	tag := r.tag
	if tag == "" || tag == "latest" {
		tag = ""
	}
	for _, small := range []string{"slim", "alpine", "windows", "nanoserver", "onbuild", "busybox", "scratch"} {
		if strings.Contains(tag, small) {
			return nil
		}
	}
	version, distribution := tag, ""
	if name != "debian" {
		for _, d := range []string{"trixie", "bookworm", "bullseye", "buster", "stretch", "jessie"} {
			if rest, ok := strings.CutSuffix(tag, d); ok {
				version, distribution = strings.TrimSuffix(rest, "-"), "-"+d
			}
		}
	}
	if name != "debian" && version != "" && !versionTag().MatchString(version) {
		return nil // a variant that is not known here, such as -windowsservercore or -fpm
	}
	fill := func(format string) string {
		out := strings.NewReplacer("%v", version, "%d", distribution).Replace(format)
		return strings.TrimPrefix(out, "-")
	}
	var out []string
	if fam.slim != "" {
		out = append(out, fill(fam.slim))
	}
	if fam.alpine != "" {
		out = append(out, fill(fam.alpine))
	}
	return out
}

// versionTag matches what comes before the distribution in a tag.
var versionTag = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(v?[0-9][0-9A-Za-z._]*(-(rc|alpha|beta|jdk|jre|ea)[0-9.-]*)?|lts|current|stable|[a-z]+)$`)
})
