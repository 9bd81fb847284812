package dockerfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/util/suggest"

	"plimsoll/checks"
)

var copyFromUnknownStage = check(checks.Check{
	ID:       "copy-from-unknown-stage",
	Title:    "Files from a stage that does not exist",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3022"},
}, func(f *File, report func(checks.Finding)) {
	for _, u := range f.stageUses() {
		if n, ok := u.number(); ok {
			if n < 0 || n >= len(f.Stages) {
				report(f.findingAt(u.in, u.start, u.end, u.name, checks.Msg("there is no stage %d: the file has %d, counted from 0", n, len(f.Stages))))
			}
			continue
		}
		if f.stageOf(u) != nil || namesImage(u.name) {
			continue
		}
		finding := f.findingAt(u.in, u.start, u.end, u.name, checks.Msg("%s is no stage of this file, so the builder looks for an image of that name", u.name))
		if near, ok := suggest.Search(u.name, f.stageNames(), false); ok && len(u.name) > 3 {
			finding.Message = checks.Msg("%s is no stage of this file, so the builder looks for an image of that name: %s is meant?", u.name, near)
		}
		report(finding)
	}
})

func (f *File) stageNames() []string {
	var out []string
	for _, s := range f.Stages {
		if s.Name != "" {
			out = append(out, s.Name)
		}
	}
	return out
}

// namesImage reports whether name, which is no stage, can only be meant as an
// image, or is none for another reason.
func namesImage(name string) bool {
	if strings.ContainsAny(name, "/:@.$") || name == "" || strings.EqualFold(name, "scratch") {
		return true
	}
	if _, ok := families[name]; ok || debianBased[name] || startsAsRoot[name] {
		return true
	}
	switch name {
	case "alpine", "busybox", "composer", "docker", "maven", "gradle", "caddy", "haproxy", "memcached", "telegraf",
		"bash", "julia", "elixir", "erlang", "swift", "haskell", "hello-world", "oraclelinux", "archlinux", "sapmachine",
		"amazoncorretto", "jetty", "kong", "vault", "consul", "nats", "solr", "zookeeper", "crate", "groovy", "clojure":
		return true
	}
	return false
}

var copyFromSelf = check(checks.Check{
	ID:       "copy-from-self",
	Title:    "Stage copies from itself",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3023", "trivy DS-0006"},
}, func(f *File, report func(checks.Finding)) {
	for _, u := range f.stageUses() {
		own := u.in.Stage
		if f.stageOf(u) == own || own.Name != "" && strings.EqualFold(own.Name, u.name) {
			report(f.findingAt(u.in, u.start, u.end, own.label(), checks.Msg("--from=%s is the stage that this %s stands in, which is not built yet", u.name, u.in.Keyword)))
		}
	}
})

var copyFromNumberedStage = check(checks.Check{
	ID:       "copy-from-numbered-stage",
	Title:    "Stage called by its number",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"KICS using_unnamed_build_stages"},
}, func(f *File, report func(checks.Finding)) {
	for _, u := range f.stageUses() {
		s := f.stageOf(u)
		if _, ok := u.number(); !ok || s == nil || s == u.in.Stage {
			continue
		}
		finding := f.findingAt(u.in, u.start, u.end, s.label(), checks.Msg("--from=%s means another stage as soon as one is added or moved", u.name))
		finding.Evidence = append(finding.Evidence, f.lineEvidence(s.From, s.From.Line))
		if edits := f.nameStage(s, u); len(edits) > 0 {
			finding.Fixes = []checks.Fix{{ID: "name-stage", Title: checks.Msg("call the stage by a name"), Safe: true, Edit: fixed(edits...)}}
		}
		report(finding)
	}
})

// nameStage returns the edits that make u call s by its name, which it gets if
// it has none.
func (f *File) nameStage(s *Stage, u stageUse) []checks.Edit {
	reason := checks.Msg("a name stays the same when stages move")
	if u.start < 0 {
		return nil
	}
	if s.Name != "" {
		if f.stageNamed(s.Name) != s {
			return nil
		}
		return []checks.Edit{{Start: u.start, End: u.end, New: strings.ToLower(s.Name), Reason: reason}}
	}
	if len(s.From.Words()) != 1 || s.From.open {
		return nil
	}
	name := f.freeStageName(fmt.Sprintf("stage-%d", s.Index))
	_, end := s.From.Args.Range(0, len(s.From.Args.String))
	return []checks.Edit{
		{Start: end, End: end, New: " " + f.keyword("AS") + " " + name, Reason: reason},
		{Start: u.start, End: u.end, New: name, Reason: reason},
	}
}

var copyFromEmptyScratch = check(checks.Check{
	ID:       "copy-from-empty-scratch",
	Title:    "Files from an empty stage",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally copy-from-empty-scratch-stage"},
}, func(f *File, report func(checks.Finding)) {
	for _, u := range f.stageUses() {
		if u.mount {
			continue // an empty file system can be mounted, on purpose
		}
		s := f.stageOf(u)
		switch {
		case s == nil && strings.EqualFold(u.name, "scratch"):
		case s != nil && s != u.in.Stage && s.Root().Image == "scratch" && !slices.ContainsFunc(s.Chain(), (*Stage).variable) && !fills(s):
		default:
			continue
		}
		report(f.findingAt(u.in, u.start, u.end, u.name, checks.Msg("%s has no files that could be copied", u.name)))
	}
})

// fills reports whether anything in the chain of s makes files.
func fills(s *Stage) bool {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			switch in.Keyword {
			case "ADD", "COPY", "RUN", "WORKDIR":
				return true
			}
		}
	}
	return false
}

var stageUnreachable = check(checks.Check{
	ID:       "stage-unreachable",
	Title:    "Stage that the image does not need",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally no-unreachable-stages"},
}, func(f *File, report func(checks.Finding)) {
	if len(f.Stages) < 2 {
		return
	}
	needs := f.needs()
	needed := map[*Stage]bool{}
	var need func(*Stage)
	need = func(s *Stage) {
		if needed[s] {
			return
		}
		needed[s] = true
		for _, other := range needs[s] {
			need(other)
		}
	}
	need(f.Final())
	for _, s := range f.Stages {
		if s.Name != "" && isTarget(s.Name) {
			need(s)
		}
	}
	for _, s := range f.Stages {
		if needed[s] {
			continue
		}
		finding := f.finding(s.From, s.label(), checks.Msg("the final image needs nothing of the stage %s: it is built only when asked for with --target", s.label()))
		if edits, ok := f.removeStages(s, needs); ok {
			finding.Fixes = []checks.Fix{{
				ID: "delete-stage", Title: checks.Msg("delete the stage"),
				Caution: checks.Msg("right unless somebody builds it with --target %s", s.label()),
				Edit:    fixed(edits...),
			}}
		}
		report(finding)
	}
})

// removeStages returns the edits that take out s, which the image does not
// need, and all that is built from it.
func (f *File) removeStages(s *Stage, needs map[*Stage][]*Stage) ([]checks.Edit, bool) {
	doomed := map[*Stage]bool{s: true}
	for again := true; again; {
		again = false
		for _, other := range f.Stages {
			if !doomed[other] && slices.ContainsFunc(needs[other], func(n *Stage) bool { return doomed[n] }) {
				doomed[other], again = true, true
			}
		}
	}
	var edits []checks.Edit
	for _, other := range f.Stages {
		if !doomed[other] {
			continue
		}
		edit, ok := f.removeStage(other)
		if !ok {
			return nil, false
		}
		edits = append(edits, edit)
	}
	return edits, true
}

// isTarget reports whether a stage of this name is there to be asked for.
func isTarget(name string) bool {
	for part := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch part {
		case "test", "tests", "testing", "lint", "linter", "check", "checks", "validate", "vendor", "dev", "devel", "development", "devcontainer",
			"debug", "debugger", "ci", "docs", "doc", "e2e", "integration", "unit", "coverage", "bench", "benchmark", "shell", "export",
			"artifact", "artifacts", "binary", "binaries", "release", "prod", "production", "runtime", "slim", "full", "local", "update", "generate", "format", "fmt":
			return true
		}
	}
	return false
}

// removeStage returns the edit that takes s out. It fails where a number would
// mean another stage then, or where there is no line between it and the next.
func (f *File) removeStage(s *Stage) (checks.Edit, bool) {
	for _, u := range f.stageUses() {
		if _, number := u.number(); number {
			return checks.Edit{}, false
		}
	}
	last := s.From
	if n := len(s.Instructions); n > 0 {
		last = s.Instructions[n-1]
	}
	start, end := f.lineStart(s.From), last.End
	next := f.lineStart(f.Stages[s.Index+1].From)
	lines := 0
	for end < next {
		i := bytes.IndexByte(f.Source[end:next], '\n')
		if i < 0 || len(bytes.TrimSpace(f.Source[end:end+i])) > 0 {
			break
		}
		end += i + 1
		lines++
	}
	// The comments right above FROM are about the stage.
	for start > 0 {
		at := bytes.LastIndexByte(f.Source[:start-1], '\n') + 1
		if line := bytes.TrimSpace(f.Source[at : start-1]); len(line) == 0 || line[0] != '#' || s.Index == 0 {
			break
		}
		start = at
	}
	// What is inserted below the last instruction must go with it.
	return checks.Edit{Start: start, End: end, Reason: checks.Msg("nothing of it gets into the image")}, lines > 1 && !last.open
}

var stageCycle = check(checks.Check{
	ID:       "stage-cycle",
	Title:    "Stages need each other",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally circular-stage-deps"},
}, func(f *File, report func(checks.Finding)) {
	if len(f.Stages) < 2 {
		return
	}
	needs := f.needs()
	done := map[*Stage]bool{}
	var path []*Stage
	var visit func(*Stage)
	visit = func(s *Stage) {
		if i := slices.Index(path, s); i >= 0 {
			if cycle := path[i:]; len(cycle) > 1 {
				f.reportCycle(cycle, report)
			}
			return
		}
		if done[s] {
			return
		}
		done[s] = true
		path = append(path, s)
		for _, other := range needs[s] {
			visit(other)
		}
		path = path[:len(path)-1]
	}
	for _, s := range f.Stages {
		visit(s)
	}
})

func (f *File) reportCycle(cycle []*Stage, report func(checks.Finding)) {
	var names []string
	for _, s := range cycle {
		names = append(names, s.label())
	}
	first := cycle[0]
	finding := f.finding(first.From, first.label(), checks.Msg("none of these stages can be built, each waits for the next: %s", strings.Join(append(names, first.label()), " → ")))
	for _, s := range cycle[1:] {
		finding.Evidence = append(finding.Evidence, f.lineEvidence(s.From, s.From.Line))
	}
	report(finding)
}

var stageMissingOrEmpty = check(checks.Check{
	ID:       "stage-missing-or-empty",
	Title:    "Nothing to build",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally require-stages"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	switch {
	case len(f.Instructions) == 0:
		report(checks.Finding{
			Line: 1, EndLine: 1, Message: checks.Msg("the file holds no instruction"),
			Evidence: []checks.Evidence{{Source: "file", Detail: fmt.Sprintf("%d bytes", len(f.Source))}},
		})
	case s == nil:
		report(f.finding(f.Instructions[0], "", checks.Msg("no FROM says what the image is built on")))
	case s.Image == "scratch" && len(s.Instructions) == 0:
		report(f.finding(s.From, s.label(), checks.Msg("the final stage is empty: no file gets into the image")))
	}
	for _, s := range f.Stages {
		words := s.From.Words()
		switch {
		case len(words) == 0:
			report(f.finding(s.From, s.label(), checks.Msg("FROM names no image")))
		case len(words) == 2 || len(words) > 3 || len(words) == 3 && !strings.EqualFold(words[1].Text, "as"):
			report(f.finding(s.From, s.label(), checks.Msg("FROM takes an image, and AS with a name: %s is too much or too little", s.From.Args.String)))
		}
	}
})
