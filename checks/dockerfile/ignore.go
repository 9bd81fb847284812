package dockerfile

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"plimsoll/checks"
)

var dockerignoreMissing = check(checks.Check{
	ID:       "dockerignore-missing-or-empty",
	Title:    "Whole directory copied without a .dockerignore",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"mint 10001", "mint 10002"},
}, func(f *File, report func(checks.Finding)) {
	if !f.Context.Known || f.hasOwnIgnore() || ignores(f.Context.Ignore) {
		return
	}
	// One is enough to say it, best one that the image has.
	var found *Instruction
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || in.Stage == nil || len(in.Flag("from")) > 0 || !slices.ContainsFunc(in.sources(), wholeContext) {
			continue
		}
		if found == nil || f.Shipped(in.Stage) && !f.Shipped(found.Stage) {
			found = in
		}
	}
	if in := found; in != nil {
		finding := f.finding(in, "", checks.Msg("%s takes the whole directory, and no .dockerignore keeps anything out of the image", in.Keyword))
		if !f.Shipped(in.Stage) {
			// What is sent to the builder stays in its cache, not in the image.
			finding.Severity = checks.Low
			finding.Message = checks.Msg("%s takes the whole directory, and no .dockerignore keeps anything out of the build", in.Keyword)
		}
		if f.Context.Ignore != nil {
			finding.Message = checks.Msg("%s takes the whole directory, and the .dockerignore is empty", in.Keyword)
		}
		if names := f.sensitiveNames(); len(names) > 0 {
			finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "build context", Detail: strings.Join(names, " ")})
		}
		var edits []checks.Edit
		for _, pattern := range f.patterns() {
			edits = append(edits, f.ignore(pattern)...)
		}
		if len(edits) > 0 {
			finding.Fixes = []checks.Fix{{
				ID: "dockerignore", Title: checks.Msg("write a .dockerignore"), Safe: true,
				Edit: fixed(edits...),
			}}
		}
		report(finding)
	}
})

func wholeContext(source string) bool {
	switch path.Clean("/" + source) {
	case "/", "/*":
		return true
	}
	return false
}

// hasOwnIgnore reports whether the Dockerfile has an ignore file of its own,
// which is read instead of .dockerignore.
func (f *File) hasOwnIgnore() bool {
	return slices.Contains(f.Context.Names, path.Base(f.Path)+".dockerignore")
}

// ignores reports whether an ignore file has any pattern.
func ignores(file []byte) bool {
	for line := range bytes.Lines(file) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return true
		}
	}
	return false
}

// sensitiveNames returns what in the context should not get into an image.
func (f *File) sensitiveNames() []string {
	var out []string
	for _, name := range f.Context.Names {
		plain := strings.TrimSuffix(name, "/")
		if _, _, ok := secretFile(plain); ok || plain == ".git" {
			out = append(out, name)
		}
	}
	return out
}

// ignore returns the edit that adds pattern to the .dockerignore, nothing where
// that cannot be done or is done.
func (f *File) ignore(pattern string) []checks.Edit {
	if !f.Context.Known || f.hasOwnIgnore() {
		return nil
	}
	pattern = strings.TrimPrefix(path.Clean("/"+pattern), "/")
	edit := checks.Edit{Path: ".dockerignore", New: pattern + "\n", Reason: checks.Msg("what is not sent to the build cannot get into an image")}
	ignored := f.Context.Ignore
	switch {
	case ignored == nil:
	case slices.Contains(strings.Fields(string(ignored)), pattern):
		return nil
	default:
		edit.Start, edit.End = -1, -1
	}
	return []checks.Edit{edit}
}

// patterns returns what an image of this project does not need: secrets, the
// repository, and what the build makes anew. A pattern is left out where the
// file seems to want what it matches.
func (f *File) patterns() []string {
	var text strings.Builder
	for _, in := range f.Instructions {
		if in.Keyword == "RUN" || (in.Keyword == "COPY" || in.Keyword == "ADD") && len(in.Flag("from")) == 0 {
			text.WriteString(string(f.Source[in.Start:in.End]))
			text.WriteByte('\n')
		}
	}
	wants := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return hasWord(text.String(), w) })
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(f.Context.Names, n) })
	}
	var out []string
	add := func(when bool, patterns ...string) {
		for _, p := range patterns {
			if when && !wants(p) {
				out = append(out, p)
			}
		}
	}
	add(!wants("git"), ".git")
	add(true, ".env", ".env.local", ".env.*.local", ".aws", ".ssh", "id_rsa", "id_ed25519", "*.p12", "*.pfx")
	for _, name := range f.sensitiveNames() {
		add(name != ".git/" && name != ".git", strings.TrimSuffix(name, "/"))
	}
	add(has("package.json") && wants("npm", "yarn", "pnpm", "bun"), "node_modules", "npm-debug.log")
	add(has("requirements.txt", "pyproject.toml", "setup.py", "Pipfile"), "__pycache__", "*.pyc", ".venv", "venv")
	add(has("Cargo.toml") && wants("cargo"), "target")
	add(has("composer.json") && wants("composer"), "vendor")
	add(has("pom.xml") && wants("mvn", "mvnw"), "target")
	add(has("build.gradle", "build.gradle.kts") && wants("gradle", "gradlew"), ".gradle")
	slices.Sort(out)
	return slices.Compact(out)
}
