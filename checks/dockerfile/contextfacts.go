package dockerfile

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"plimsoll/checks"
)

// ignored returns what the .dockerignore keeps out of the build; nil when that
// is not known, or it cannot be read.
func (f *File) ignored() *patternmatcher.PatternMatcher {
	if !f.Context.Known || f.hasOwnIgnore() || f.Context.Ignore == nil {
		return nil
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(f.Context.Ignore))
	if err != nil {
		return nil
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil
	}
	return m
}

var contextCopiesVCSOrEnv = check(checks.Check{
	ID:       "context-copies-vcs-or-env",
	Title:    "COPY takes the repository or secrets along",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"mint 10001", "CWE-538"},
}, func(f *File, report func(checks.Finding)) {
	// Without any ignore file another check says so.
	if !f.Context.Known || !ignores(f.Context.Ignore) {
		return
	}
	var leaks []string
	matcher := f.ignored()
	if matcher == nil {
		return
	}
	for _, name := range f.sensitiveNames() {
		plain := strings.TrimSuffix(name, "/")
		if out, err := matcher.MatchesOrParentMatches(plain); err == nil && !out && !f.stepsName(plain) {
			leaks = append(leaks, name)
		}
	}
	if len(leaks) == 0 {
		return
	}
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || !f.Shipped(in.Stage) || len(in.Flag("from")) > 0 || !slices.ContainsFunc(in.sources(), wholeContext) {
			continue
		}
		if len(in.Flag("exclude")) > 0 {
			continue
		}
		finding := f.finding(in, "", checks.Msg("%s takes %s into the image, the .dockerignore lets it through", in.Keyword, strings.Join(leaks, ", ")))
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "build context", Detail: strings.Join(leaks, " ")})
		var edits []checks.Edit
		for _, name := range leaks {
			edits = append(edits, f.ignore(strings.TrimSuffix(name, "/"))...)
		}
		if len(edits) > 0 {
			finding.Fixes = []checks.Fix{{
				ID: "ignore", Title: checks.Msg("add %s to the .dockerignore", strings.Join(leaks, ", ")), Safe: true,
				Edit: fixed(edits...),
			}}
		}
		report(finding)
		return
	}
})

// stepsName reports whether a step may need the file name of the context, by
// the same signs by which a .dockerignore is written.
func (f *File) stepsName(name string) bool {
	for _, in := range f.Instructions {
		if in.Keyword != "RUN" && in.Keyword != "COPY" && in.Keyword != "ADD" {
			continue
		}
		text := string(f.Source[in.Start:in.End])
		if hasWord(text, name) || name == ".git" && hasWord(text, "git") {
			return true
		}
	}
	return false
}

var copySourceIsIgnored = check(checks.Check{
	ID:       "copy-source-is-ignored",
	Title:    "COPY of what .dockerignore leaves out",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit CopyIgnoredFile"},
}, func(f *File, report func(checks.Finding)) {
	if !f.Context.Known || f.Context.Ignore == nil {
		return
	}
	matcher := f.ignored()
	if matcher == nil {
		return
	}
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || in.Stage == nil || len(in.Flag("from")) > 0 {
			continue
		}
		for _, source := range in.sources() {
			name := strings.TrimPrefix(path.Clean("/"+strings.Trim(source, `"'`)), "/")
			if name == "" || strings.ContainsAny(source, "$*?[\\") || isRemote(source) {
				continue
			}
			if out, err := matcher.MatchesOrParentMatches(name); err != nil || !out || f.excepted(name) {
				continue
			}
			finding := f.finding(in, source, checks.Msg("%s takes %s, which the .dockerignore keeps out of the build", in.Keyword, source))
			if _, _, sensitive := secretFile(name); !sensitive && !strings.HasPrefix(name, ".git") {
				finding.Fixes = []checks.Fix{{
					ID: "exception", Title: checks.Msg("make an exception for %s in the .dockerignore", source),
					Caution: checks.Msg("right if the image needs it; else take it out of %s", in.Keyword),
					Edit: fixed(checks.Edit{
						Path: ".dockerignore", Start: -1, End: -1, New: "!" + name + "\n",
						Reason: checks.Msg("COPY asks for it"),
					}),
				}}
			}
			report(finding)
		}
	}
})

// excepted reports whether the ignore file lets something below name through.
func (f *File) excepted(name string) bool {
	for line := range strings.Lines(string(f.Context.Ignore)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok && strings.HasPrefix(strings.TrimPrefix(path.Clean("/"+rest), "/"), name+"/") {
			return true
		}
	}
	return false
}

var copyWholeFilesystem = check(checks.Check{
	ID:       "copy-whole-filesystem",
	Title:    "Whole file system of a stage copied",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL3067"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		from := in.Flag("from")
		if in.Keyword != "COPY" || len(from) != 1 || !f.Shipped(in.Stage) {
			continue
		}
		words := in.operands()
		if len(words) != 2 || path.Clean(words[0]) != "/" && words[0] != "/*" || len(in.Flag("exclude")) > 0 {
			continue
		}
		// A stage put together from nothing holds only what was wanted, and one
		// that is an image under another name may.
		source := f.stage(from[0])
		if source == nil || source.Root().Image == "scratch" || source == source.Root() && len(source.Instructions) == 0 {
			continue
		}
		finding := f.finding(in, in.Stage.label()+"/"+from[0], checks.Msg("COPY takes everything of %s along, with its tools and its caches", from[0]))
		if flattens(in, source) {
			finding.Severity = checks.Low
			finding.Message = checks.Msg("the image is all of %s in one layer, which shares nothing with other images", from[0])
		}
		finding.Fixes = f.narrowFix(in)
		report(finding)
	}
})

// flattens reports whether in, a COPY of all of source, is there to make one
// layer of it: what it copies to begins as source did, so that the image keeps
// the settings of their base and holds what source would ship itself.
func flattens(in *Instruction, source *Stage) bool {
	s := in.Stage
	if s.Root() != s || s.Image != source.Root().Image || s.Image == "scratch" {
		return false
	}
	for _, other := range s.Instructions {
		if other == in {
			return true
		}
		if other.Keyword == "RUN" || other.Keyword == "COPY" || other.Keyword == "ADD" {
			return false
		}
	}
	return false
}
