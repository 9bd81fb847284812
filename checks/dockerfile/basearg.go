package dockerfile

import (
	"slices"
	"strings"

	imageref "github.com/distribution/reference"

	"plimsoll/checks"
)

var fromArgUndeclared = check(checks.Check{
	ID:       "from-arg-undeclared",
	Title:    "FROM uses a variable that nothing declares",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit UndefinedArgInFrom"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		for _, name := range f.undeclaredIn(s) {
			finding := f.finding(s.From, s.label()+"/"+name, checks.Msg("%s never has a value in FROM: no ARG before the first FROM declares it", "$"+name))
			finding.Fixes = f.declareFromFix(s, name)
			report(finding)
		}
	}
})

// undeclaredIn returns the variables in the FROM of s that are always empty.
func (f *File) undeclaredIn(s *Stage) []string {
	flag, _ := platformFlag(s.From)
	words := s.Base.Text + " " + flag.Value
	if !strings.Contains(words, "$") {
		return nil
	}
	var out []string
	for _, word := range []string{s.Base.Text, flag.Value} {
		result, err := f.process(word, f.global())
		if err != nil {
			continue
		}
		for name := range result.Unmatched {
			if !predefined(name) && !f.declaredGlobally(name) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// predefined reports whether BuildKit gives FROM a value for name.
func predefined(name string) bool {
	switch name {
	case "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "TARGETOSVERSION", "TARGETSTAGE",
		"BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT", "BUILDOSVERSION":
		return true
	}
	return false
}

// declareFromFix corrects a name that was mistyped, takes an ARG from where FROM
// does not see it, or declares the variable as it is now, without a value.
func (f *File) declareFromFix(s *Stage, name string) []checks.Fix {
	flag, _ := platformFlag(s.From)
	if similar := f.similarArg(name); similar != "" && (similar != "TARGETPLATFORM" || !strings.Contains(flag.Value, name)) {
		var edits []checks.Edit
		end := s.Base.End
		for at := s.From.Start; at < end; {
			i := strings.Index(string(f.Source[at:end]), name)
			if i < 0 {
				break
			}
			at += i
			if before := strings.TrimSuffix(string(f.Source[s.From.Start:at]), "{"); strings.HasSuffix(before, "$") {
				edits = append(edits, checks.Edit{Start: at, End: at + len(name), New: similar, Reason: checks.Msg("the name that is declared")})
			}
			at += len(name)
		}
		// A name whose value makes no image of it was not the one that was meant.
		if base, err := Apply(f.Source[:end], edits); err == nil {
			image, unset := f.defaultOf(string(base[s.Base.Start:]))
			if len(unset) == 0 && !validImage(image) {
				return nil
			}
		}
		return []checks.Fix{{ID: "rename", Title: checks.Msg("write %s, which is declared", similar), Caution: checks.Msg("right if %s was mistyped", name), Brings: aboutBases, Edit: fixed(edits...)}}
	}
	first := f.Stages[0].From
	declare := func(value string) []checks.Edit {
		return []checks.Edit{f.insertBefore(first, "ARG "+name+value, checks.Msg("FROM sees only what is declared before the first one"))}
	}
	for _, in := range f.Instructions {
		if in.Keyword != "ARG" || in.Stage == nil {
			continue
		}
		for _, p := range f.Pairs(in) {
			if p.Name == name && p.HasValue && p.Value != "" && !strings.Contains(p.Value, "$") {
				return []checks.Fix{{
					ID: "declare", Title: checks.Msg("declare %s before the first FROM", name),
					Caution: checks.Msg("FROM gets the value of line %d, which it does not see now", in.Line),
					Edit:    fixed(declare("=" + p.Value)...),
				}}
			}
		}
	}
	for _, other := range f.Stages { // that would see the variable, too
		if (other == s || slices.Contains(f.undeclaredIn(other), name)) && (other.Image == "" || !validImage(other.Image)) {
			return nil
		}
	}
	return []checks.Fix{{
		ID: "declare", Title: checks.Msg("declare %s before the first FROM", name), Safe: true,
		Edit: fixed(declare("")...),
	}}
}

// aboutBases are the checks that may have something to say once a base image is
// known at all.
var aboutBases = []string{
	"base-image-untagged", "base-image-latest-tag", "base-image-not-digest-pinned", "base-image-not-minimal", "base-image-eol",
	"base-image-stale-digest", "base-image-known-vulnerable", "base-image-platform-mismatch", "base-image-untrusted-registry",
}

// similarArg returns a name with a value that FROM may use and that name is a
// typing error of, "" without one.
func (f *File) similarArg(name string) string {
	names := []string{"TARGETPLATFORM", "TARGETARCH", "TARGETOS", "BUILDPLATFORM", "BUILDARCH", "BUILDOS"}
	for _, in := range f.Instructions {
		if in.Keyword == "FROM" {
			break
		}
		if f.valueAsName(in) {
			names = append(names, in.Words()[0].Text) // it gets its value by another fix
		} else if in.Keyword == "ARG" {
			for _, p := range f.Pairs(in) {
				if p.HasValue && p.Value != "" {
					names = append(names, p.Name)
				}
			}
		}
	}
	for _, other := range names {
		if len(name) > 4 && mistyped(name, other) {
			return other
		}
	}
	return ""
}

// mistyped reports whether a and b differ by one letter more, less or other, by
// two neighbours exchanged, or by underscores and case.
func mistyped(a, b string) bool {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	a, b = plain(a), plain(b)
	if a == b {
		return true
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch len(b) - len(a) {
	case 0:
		return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	case 1:
		return a[i:] == b[i+1:]
	}
	return false
}

var fromArgDefaultInvalid = check(checks.Check{
	ID:       "from-arg-default-invalid",
	Title:    "FROM is invalid unless the build sets a variable",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit InvalidDefaultArgInFrom"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		if !s.variable() || s.Parent != nil {
			continue
		}
		image, unset := f.defaultImage(s)
		if validImage(image) || slices.ContainsFunc(unset, func(name string) bool { return predefined(name) }) || len(f.undeclaredIn(s)) > 0 {
			continue
		}
		finding := f.finding(s.From, s.label(), checks.Msg("without --build-arg FROM is %q, which names no image", image))
		if len(unset) > 0 {
			finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "ARG " + strings.Join(unset, " "), Detail: "has no default"})
		}
		finding.Fixes = f.defaultsFix(s, unset)
		report(finding)
	}
})

// defaultImage returns what FROM of s is when the build sets nothing, and the
// variables in it without a default.
func (f *File) defaultImage(s *Stage) (image string, unset []string) {
	return f.defaultOf(s.Base.Text)
}

// defaultOf is [File.defaultImage] of a base as it is written.
func (f *File) defaultOf(base string) (image string, unset []string) {
	result, err := f.process(base, f.global())
	if err != nil {
		return "scratch", nil // said by the refusal
	}
	for name := range result.Unmatched {
		unset = append(unset, name)
	}
	slices.Sort(unset)
	return result.Result, unset
}

// validImage reports whether image can be an image.
func validImage(image string) bool {
	_, err := imageref.ParseNormalizedNamed(image)
	return err == nil
}
