package dockerfile

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll/checks"
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
			finding := f.finding(s.From, s.label()+"/"+e.product, checks.Msg("base image %s: %s %s has had no security fixes since %s", s.Image, e.product, e.cycle, e.end))
			if !f.Shipped(s) {
				finding.Severity = checks.Medium
			}
			finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "end of life", Detail: e.product + " " + e.cycle + " " + e.end})
			finding.Fixes = f.supportedFix(s, r)
			report(finding)
		}
	})
})

// today returns the day on which f is judged, as in 2006-01-02.
func (f *File) today() string {
	if f.Now.IsZero() {
		return lifecyclesChecked
	}
	return f.Now.UTC().Format(time.DateOnly)
}

// lifecyclesChecked is the day of which the table of lifecycles is.
const lifecyclesChecked = "2026-11-01"

//go:embed eol.tsv
var lifecycleTable string

// A lifecycle is one release of something that images are made of.
type lifecycle struct {
	product string
	cycle   string   // "3.7"
	names   []string // all names of the cycle: "10", "buster"
	end     string   // the last day with security fixes, 2006-01-02
}

// lifecycles returns the table by image: "debian", "mcr.microsoft.com/dotnet/sdk".
var lifecycles = sync.OnceValue(func() map[string][]lifecycle {
	out := map[string][]lifecycle{}
	for line := range strings.Lines(lifecycleTable) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || len(fields) != 4 {
			continue
		}
		names := strings.Split(fields[2], ",")
		for _, image := range strings.Split(fields[0], ",") {
			out[image] = append(out[image], lifecycle{fields[1], names[0], names, fields[3]})
		}
	}
	return out
})

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

// cycleOf returns the lifecycle of image that version belongs to.
func cycleOf(image, version string) (lifecycle, bool) {
	for _, l := range lifecycles()[image] {
		for _, name := range l.names {
			if version == name || strings.HasPrefix(version, name+".") {
				return l, true
			}
		}
	}
	return lifecycle{}, false
}

// endedIn returns what in the image r was past its end on day.
func endedIn(r reference, day string) []lifecycle {
	image := r.mirrored()
	if strings.HasPrefix(image, "bitnami/minideb") {
		image = "debian"
	}
	tag := r.tag
	if tag == "" && r.digest == "" {
		tag = "latest"
	}
	var out []lifecycle
	add := func(l lifecycle, ok bool) {
		if ok && l.end < day {
			out = append(out, l)
		}
	}
	words := strings.Split(tag, "-")
	if _, known := lifecycles()[image]; known {
		add(cycleOf(image, words[0]))
	}
	if image == "debian" || image == "ubuntu" || image == "alpine" || strings.Contains(image, "/") {
		return out
	}
	// The tags of languages and services name the distribution they are made of.
	for _, w := range words {
		if version, ok := strings.CutPrefix(w, "alpine"); ok && version != "" {
			add(cycleOf("alpine", version))
		} else if isLetters(w) {
			if l, ok := cycleOf("debian", w); ok {
				add(l, true)
			} else {
				add(cycleOf("ubuntu", w))
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
	own, known := cycleOf(image, words[0])
	if !known {
		return nil
	}
	var rest []string
	for _, w := range words[1:] {
		if _, ok := cycleOf("debian", w); ok && isLetters(w) && image != "debian" {
			if l, _ := cycleOf("debian", w); l.end < day {
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
	for _, l := range lifecycles()[image] {
		after = after || l.cycle == own.cycle
		if !after || l.end < day {
			continue
		}
		name := l.cycle
		if isLetters(words[0]) && len(l.names) > 1 {
			name = l.names[1]
		}
		if image == "ubuntu" && !strings.HasSuffix(l.cycle, ".04") {
			continue
		}
		out = append(out, strings.Join(append([]string{name}, rest...), "-"))
	}
	return slices.Compact(out)
}
