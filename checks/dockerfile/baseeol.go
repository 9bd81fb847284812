package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/lifecycle"
)

var baseImageEOL = check(checks.Check{
	ID:       "base-image-eol",
	Title:    "Base image past its end of life",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CWE-1104"},
}, func(f *File, report func(checks.Finding)) {
	f.eachBase(func(s *Stage, r reference) {
		for _, e := range endedIn(r, f.today()) {
			finding := f.finding(s.From, s.label()+"/"+e.Product, checks.Msg("base image %s: %s %s has had no security fixes since %s", s.Image, e.Product, e.Cycle, e.End))
			if !f.Shipped(s) {
				finding.Severity = checks.Medium
			}
			finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "end of life", Detail: e.Product + " " + e.Cycle + " " + e.End})
			finding.Fixes = f.supportedFix(s, r)
			report(finding)
		}
	})
})

// today returns the day on which f is judged, as in 2006-01-02.
func (f *File) today() string { return lifecycle.Day(f.Now) }

// mirrored returns the name of r without the registries that carry the
// official images of Docker Hub unchanged.
func (r reference) mirrored() string {
	for _, prefix := range []string{"docker.io/library/", "index.docker.io/library/", "public.ecr.aws/docker/library/", "mirror.gcr.io/library/", "docker.io/", "library/"} {
		if name, ok := strings.CutPrefix(r.name, prefix); ok {
			return name
		}
	}
	return r.name
}

// endedIn returns what in the image r was past its end on day.
func endedIn(r reference, day string) []lifecycle.Release {
	image := r.mirrored()
	if strings.HasPrefix(image, "bitnami/minideb") {
		image = "debian"
	}
	tag := r.tag
	if tag == "" && r.digest == "" {
		tag = "latest"
	}
	var out []lifecycle.Release
	add := func(l lifecycle.Release, ok bool) {
		if ok && l.Ended(day) {
			out = append(out, l)
		}
	}
	words := strings.Split(tag, "-")
	if len(lifecycle.Of(image)) > 0 {
		add(lifecycle.Find(image, words[0]))
	}
	if image == "debian" || image == "ubuntu" || image == "alpine" || strings.Contains(image, "/") {
		return out
	}
	// The tags of languages and services name the distribution they are made of.
	for _, w := range words {
		if version, ok := strings.CutPrefix(w, "alpine"); ok && version != "" {
			add(lifecycle.Find("alpine", version))
		} else if isLetters(w) {
			if l, ok := lifecycle.Find("debian", w); ok {
				add(l, true)
			} else {
				add(lifecycle.Find("ubuntu", w))
			}
		}
	}
	return out
}

// moves reports whether a check wants another release in place of r, so that
// other changes of the same words have to wait.
func (f *File) moves(s *Stage, r reference) bool {
	b, _ := f.base(s)
	return len(b.Fixable) > 0 && s.Parent == nil || len(endedIn(r, f.today())) > 0
}

func isLetters(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// supportedFix writes a tag of a release that is supported, the oldest first.
func (f *File) supportedFix(s *Stage, r reference) []checks.Fix {
	if s.variable() || r.digest != "" || r.tag == "" {
		return nil
	}
	tags := supportedTags(r, f.today())
	if len(tags) == 0 {
		return nil
	}
	if f.Shipped(s) {
		// Whoever moves anyway need not move twice.
		if small := smallerVariants(reference{name: r.name, tag: tags[0]}); len(small) > 0 {
			tags = append([]string{small[0]}, tags...)
		}
	}
	start := s.Base.Start + len(r.name)
	return []checks.Fix{{
		ID: "supported-release", Title: checks.Msg("move to a release that is supported"),
		Caution: checks.Msg("a new release behaves differently: rebuild and test"),
		Choices: []checks.Choice{{
			Key: s.choice("release"), Label: checks.Msg("tag of the base image"),
			Default: tags[0], Options: tags,
			Why: checks.Msg("the nearest release that still gets security fixes"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			return []checks.Edit{{
				Start: start, End: s.Base.End, New: ":" + v[s.choice("release")],
				Reason: checks.Msg("a release that still gets security fixes"),
			}}, nil
		},
	}}
}

// supportedTags returns the tags that say what r's says of releases that are
// supported on day; none where it says something that is not understood.
func supportedTags(r reference, day string) []string {
	image := r.mirrored()
	words := strings.Split(r.tag, "-")
	own, known := lifecycle.Find(image, words[0])
	if !known {
		return nil
	}
	var rest []string
	for _, w := range words[1:] {
		if _, ok := lifecycle.Find("debian", w); ok && isLetters(w) && image != "debian" {
			if l, _ := lifecycle.Find("debian", w); l.Ended(day) {
				w = "bookworm"
			}
		} else if strings.HasPrefix(w, "alpine") {
			w = "alpine"
		} else if w != "slim" && w != "fpm" && w != "apache" && w != "cli" && w != "jre" && w != "jdk" {
			return nil
		}
		rest = append(rest, w)
	}
	var out []string
	after := false
	for _, l := range lifecycle.Of(image) {
		after = after || l.Cycle == own.Cycle
		if !after || l.Ended(day) {
			continue
		}
		name := l.Cycle
		if isLetters(words[0]) && len(l.Names) > 1 {
			name = l.Names[1]
		}
		if image == "ubuntu" && !strings.HasSuffix(l.Cycle, ".04") {
			continue
		}
		out = append(out, strings.Join(append([]string{name}, rest...), "-"))
	}
	return slices.Compact(out)
}
