package dockerfile

import (
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/util/suggest"

	"plimsoll/checks"
)

// names are the variables that are set somewhere. Whatever is set counts as
// something, so that ${X:-…} is not looked into and ${X:+…} is.
type names map[string]bool

// Get implements [shell.EnvGetter].
func (n names) Get(name string) (string, bool) { return "x", n[name] }

// Keys implements [shell.EnvGetter].
func (n names) Keys() []string { return slices.Collect(maps.Keys(n)) }

// anyName stands for a variable whose name is put together from others.
const anyName = "$"

var variableUndefined = check(checks.Check{
	ID:       "variable-undefined",
	Title:    "Variable used before it is set",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit UndefinedVar"},
}, func(f *File, report func(checks.Finding)) {
	if !f.ordinary() || !slices.ContainsFunc(f.Instructions, expands) {
		return
	}
	after := map[*Stage]names{} // what is set at the end of each stage
	for _, s := range f.Stages {
		set := names{}
		var images []string // environments that are not known by heart
		known := true
		if s.Parent != nil {
			set = maps.Clone(after[s.Parent])
		}
		images, known = f.baseNames(s, set)
		for _, in := range s.Instructions {
			if expands(in) && !s.windows {
				for _, name := range f.unset(in, set) {
					f.undefined(in, name, set, images, known, report)
				}
			}
			if in.Keyword == "ARG" || in.Keyword == "ENV" {
				pairs := f.Pairs(in)
				if f.valueAsName(in) {
					pairs = pairs[:1] // the other is meant as its value
				}
				for _, p := range pairs {
					set[p.Name] = true
					if strings.Contains(p.Name, "$") {
						set[anyName] = true
					}
				}
			}
		}
		after[s] = set
	}
})

// expands reports whether BuildKit fills variables into in, and finds any.
func expands(in *Instruction) bool {
	switch in.Keyword {
	case "ADD", "ARG", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR":
		return in.Stage != nil && (strings.Contains(in.Args.String, "$") || slices.ContainsFunc(in.Flags, func(f Flag) bool { return strings.Contains(f.Value, "$") }))
	}
	return false
}

// unset returns the variables that in uses and set has not.
func (f *File) unset(in *Instruction, set names) []string {
	var texts []string
	switch in.Keyword {
	case "ENV", "ARG", "LABEL":
		for _, p := range f.Pairs(in) {
			texts = append(texts, p.Value)
		}
	default:
		if in.IsExec {
			texts = in.Exec
		} else {
			for _, w := range in.Words() {
				texts = append(texts, w.Text)
			}
		}
		for _, flag := range in.Flags {
			if flag.Name == "chown" || flag.Name == "chmod" || flag.Name == "exclude" {
				texts = append(texts, flag.Value)
			}
		}
	}
	own := names{} // an ARG sees the ones before it
	missing := map[string]bool{}
	for i, text := range texts {
		if strings.Contains(text, "$") {
			for name := range f.unmatched(text, set) {
				if !own[name] && name != "BUILDKIT_SBOM_SCAN_CONTEXT" && name != "BUILDKIT_SBOM_SCAN_STAGE" {
					missing[name] = true
				}
			}
		}
		if in.Keyword == "ARG" {
			own[f.Pairs(in)[i].Name] = true
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// unmatched returns the variables of text that have no value and no default.
func (f *File) unmatched(text string, set names) map[string]struct{} {
	// A name with a default is not missing: found out by the same lexer, which
	// takes the default only where the name has no value.
	result, err := f.process(withoutDefaults(text, set), set)
	if err != nil {
		return nil
	}
	return result.Unmatched
}

// withoutDefaults cuts ${NAME-…}, ${NAME+…} and ${NAME?…} of unset names out
// of text: what they stand for is decided there.
func withoutDefaults(text string, set names) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		end := i + 2
		for end < len(text) && (isLetterOrDigit(text[end]) || text[end] == '_') {
			end++
		}
		if end < len(text) && strings.IndexByte(":-+?", text[end]) >= 0 && !set[text[i+2:end]] {
			depth := 1
			for end < len(text) && depth > 0 {
				switch text[end] {
				case '{':
					depth++
				case '}':
					depth--
				}
				end++
			}
			b.WriteString(text[:i])
		} else {
			b.WriteString(text[:end])
		}
		text = text[end:]
	}
	return b.String() + text
}

// undefined reports that in uses name, if that is certain enough.
func (f *File) undefined(in *Instruction, name string, set names, images []string, known bool, report func(checks.Finding)) {
	if set[anyName] || in.Keyword == "ENV" && f.declares(in, name) && f.crossReference(in, name) {
		return // the latter is what env-self-reference says
	}
	for _, prefix := range images {
		if name == prefix || strings.HasSuffix(prefix, "*") && strings.HasPrefix(name, strings.TrimSuffix(prefix, "*")) {
			return
		}
	}
	start, end := f.variableRange(in, name)
	declared := slices.DeleteFunc(set.Keys(), func(n string) bool { return n == "PATH" })
	slices.Sort(declared)
	near, similar := suggest.Search(name, declared, true)
	switch {
	case f.isGlobalArg(name) || platformArg(name):
		finding := f.findingAt(in, start, end, in.Stage.label()+"/"+name, checks.Msg("%s is empty here: an ARG before FROM reaches a stage only when the stage repeats it", name))
		if platformArg(name) && !f.isGlobalArg(name) {
			finding.Message = checks.Msg("%s is empty here: the builder sets it only in a stage that declares it with ARG", name)
		}
		finding.Fixes = f.declareInStage(in.Stage, name)
		report(finding)
	case similar && len(near) > 3 && !strings.Contains(in.Args.String, near):
		finding := f.findingAt(in, start, end, in.Stage.label()+"/"+name, checks.Msg("%s is not set anywhere before: %s is meant?", name, near))
		if start >= 0 && onceIn(in, name) {
			finding.Fixes = []checks.Fix{{
				ID: "similar-name", Title: checks.Msg("use %s", near), Caution: checks.Msg("so far the variable is empty here"),
				Edit: fixed(checks.Edit{Start: start, End: end, New: near, Reason: checks.Msg("the name that is set")}),
			}}
		}
		report(finding)
	case f.declaredLater(in, name):
		report(f.findingAt(in, start, end, in.Stage.label()+"/"+name, checks.Msg("%s is empty here: it is set further down", name)))
	case known:
		report(f.findingAt(in, start, end, in.Stage.label()+"/"+name, checks.Msg("%s is not set by the file or its base image, so it is empty here", name)))
	}
}

// variableRange returns the bytes of the first mention of a variable in in, -1
// when it is not plainly there.
func (f *File) variableRange(in *Instruction, name string) (start, end int) {
	s := in.Args.String
	for _, opening := range []string{"${" + name, "$" + name} {
		for at := 0; ; {
			i := strings.Index(s[at:], opening)
			if i < 0 {
				break
			}
			at += i + len(opening)
			if at == len(s) || !isLetterOrDigit(s[at]) && s[at] != '_' {
				return in.Args.Range(at-len(name), at)
			}
		}
	}
	return -1, -1
}

// onceIn reports whether in mentions name in one place only.
func onceIn(in *Instruction, name string) bool { return strings.Count(in.Args.String, name) == 1 }

func (f *File) isGlobalArg(name string) bool {
	for _, in := range f.Instructions {
		if in.Keyword == "FROM" {
			break
		}
		if in.Keyword == "ARG" && f.declares(in, name) {
			return true
		}
	}
	return false
}

// platformArg reports whether BuildKit sets an ARG of this name.
func platformArg(name string) bool {
	switch name {
	case "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT", "TARGETSTAGE":
		return true
	}
	return false
}

func (f *File) declaredLater(at *Instruction, name string) bool {
	later := false
	for _, in := range at.Stage.Instructions {
		if later && (in.Keyword == "ARG" || in.Keyword == "ENV") && f.declares(in, name) {
			return true
		}
		later = later || in == at
	}
	return false
}

// declareInStage repeats an ARG at the top of s.
func (f *File) declareInStage(s *Stage, name string) []checks.Fix {
	edit, ok := f.insertAfter(s.From, f.keyword("ARG")+" "+name, checks.Msg("the stage gets the value from outside"))
	if !ok {
		return nil
	}
	return []checks.Fix{{
		ID: "declare", Title: checks.Msg("declare it in the stage"), Caution: checks.Msg("so far the variable is empty here"),
		Edit: fixed(edit),
	}}
}

// baseNames adds to set what the image at the root of s sets, and returns the
// names, or beginnings of names, that it may set besides. It is known when
// there can be no others.
func (f *File) baseNames(s *Stage, set names) (may []string, known bool) {
	root := s.Root()
	set["PATH"] = true
	if root.Image == "scratch" {
		return nil, true
	}
	if b, ok := f.base(s); ok {
		for _, e := range b.Env {
			name, _, _ := strings.Cut(e, "=")
			set[name] = true
		}
		return nil, len(b.OnBuild) == 0
	}
	if !root.Certain || slices.ContainsFunc(s.Chain(), (*Stage).variable) {
		return nil, false
	}
	r := parseReference(root.Image)
	if strings.Contains(r.tag, "onbuild") {
		return nil, false
	}
	may, known = officialEnv[r.official()]
	return may, known
}

// officialEnv says which variables official images set besides PATH. A star
// stands for any ending.
var officialEnv = map[string][]string{
	"alpine": nil, "debian": nil, "ubuntu": nil, "busybox": nil, "rockylinux": nil, "almalinux": nil, "centos": nil,
	"amazonlinux": nil, "oraclelinux": nil, "archlinux": {"LANG"}, "fedora": {"DISTTAG", "FGC", "FBR", "container"},
	"buildpack-deps":  nil,
	"golang":          {"GO*"},
	"node":            {"NODE_*", "YARN_*"},
	"python":          {"PYTHON*", "LANG", "LC_ALL", "GPG_KEY"},
	"ruby":            {"RUBY*", "GEM_*", "BUNDLE_*", "LANG"},
	"rust":            {"RUST*", "CARGO_*"},
	"php":             {"PHP*", "GPG_KEYS", "APACHE_*"},
	"openjdk":         {"JAVA_*", "LANG", "LC_ALL", "JDK_*"},
	"eclipse-temurin": {"JAVA_*", "LANG", "LANGUAGE", "LC_ALL"},
	"nginx":           {"NGINX_*", "NJS_*", "PKG_RELEASE", "DYNPKG_RELEASE", "ACME_*"},
}

var envSelfReference = check(checks.Check{
	ID:       "env-self-reference",
	Title:    "ENV uses what it sets itself",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3044"},
}, func(f *File, report func(checks.Finding)) {
	if !f.ordinary() {
		return
	}
	for _, in := range f.Instructions {
		if in.Keyword != "ENV" || in.Stage == nil || in.Stage.windows || len(in.pairs) < 2 || !strings.Contains(in.Args.String, "$") {
			continue
		}
		before := f.setBefore(in)
		reported := map[string]bool{}
		for i, p := range in.pairs {
			for j, other := range in.pairs {
				if i == j || before[other.Name] || reported[other.Name] || !f.uses(p.Value, other.Name) {
					continue
				}
				reported[other.Name] = true
				finding := f.findingAt(in, p.Start, p.End, in.Stage.label()+"/"+other.Name,
					checks.Msg("%s is set in the same ENV, so %s does not see its new value", other.Name, p.Name))
				if edit, ok := f.splitBefore(in, i); ok && j < i && !f.usedLater(in, i) {
					finding.Fixes = []checks.Fix{{
						ID: "split-env", Title: checks.Msg("begin a new ENV"),
						Caution: checks.Msg("%s gets the value that is meant, and not the one so far", p.Name),
						Edit:    fixed(edit),
					}}
				}
				report(finding)
			}
		}
	}
})

// uses reports whether the value of a pair refers to name.
func (f *File) uses(value, name string) bool {
	if !strings.Contains(value, "$") {
		return false
	}
	_, ok := f.unmatched(value, names{})[name]
	return ok
}

// crossReference reports whether a pair of in uses name, which another one sets.
func (f *File) crossReference(in *Instruction, name string) bool {
	return slices.ContainsFunc(in.pairs, func(p Pair) bool { return p.Name != name && f.uses(p.Value, name) })
}

// setBefore returns what the chain of a stage sets above at, and PATH.
func (f *File) setBefore(at *Instruction) names {
	set := names{"PATH": true}
	if b, ok := f.base(at.Stage); ok {
		for _, e := range b.Env {
			name, _, _ := strings.Cut(e, "=")
			set[name] = true
		}
	}
	for _, s := range at.Stage.Chain() {
		for _, in := range s.Instructions {
			if in == at {
				break
			}
			if in.Keyword == "ARG" || in.Keyword == "ENV" {
				for _, p := range f.Pairs(in) {
					set[p.Name] = true
				}
			}
		}
	}
	return set
}

// usedLater reports whether a pair before the i-th of in needs one from it on:
// splitting there would not be enough.
func (f *File) usedLater(in *Instruction, i int) bool {
	for _, early := range in.pairs[:i] {
		for _, late := range in.pairs[i:] {
			if f.uses(early.Value, late.Name) {
				return true
			}
		}
	}
	return false
}

// splitBefore returns the edit that begins a new ENV with the i-th pair of in.
func (f *File) splitBefore(in *Instruction, i int) (checks.Edit, bool) {
	if i == 0 || in.open {
		return checks.Edit{}, false
	}
	start, end := in.pairs[i-1].End, in.pairs[i].Start
	if strings.Contains(string(f.Source[start:end]), "#") {
		return checks.Edit{}, false // a comment would be lost
	}
	return checks.Edit{
		Start: start, End: end, New: f.eol() + f.keyword("ENV") + " ",
		Reason: checks.Msg("a variable can be used from the next instruction on"),
	}, true
}
