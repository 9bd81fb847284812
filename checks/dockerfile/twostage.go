package dockerfile

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"plimsoll/checks"
)

// twoStageFix makes the shipped stage of in a build stage, and adds a stage that
// holds only what c built there. It does so where the program that the image
// starts is, for certain, what c writes.
func (f *File) twoStageFix(in *Instruction, c *command) []checks.Fix {
	s := in.Stage
	if s != f.Final() || s.Parent != nil || !s.Certain || s.From.open || in.trigger || f.inherited(s) {
		return nil
	}
	built, ok := f.startedFile(s)
	if !ok || !f.writes(in, c, built) {
		return nil
	}
	images := runtimeImages(c, s)
	if len(images) == 0 {
		return nil
	}
	split, kept, ok := f.runtimeLines(s)
	if !ok {
		return nil
	}
	dir, ok := f.workdirBefore(split)
	if !ok && !f.defaultsToRoot(s) {
		return nil
	}
	name := f.freeStageName("build")
	from := f.keyword("FROM") + " %s"
	words := s.From.Words()
	_, end := s.From.Args.Range(0, len(s.From.Args.String))
	reason := checks.Msg("compilers, sources and caches stay in a stage that is not shipped")
	edits := []checks.Edit{{Start: end, End: end, New: " " + f.keyword("AS") + " " + name, Reason: reason}}
	if s.Name != "" {
		from += " " + f.keyword("AS") + " " + s.Name
		edits[0] = checks.Edit{Start: words[2].Start, End: words[2].End, New: name, Reason: reason}
	}
	lines := append([]string{from}, kept...) // sorted before what else is put here
	if dir != "" && dir != "/" {
		lines = append(lines, "WORKDIR "+dir)
	}
	lines = append(lines, "COPY --from="+name+" "+built+" "+built)
	for _, other := range s.Instructions {
		if other.Keyword == "RUN" {
			edits = append(edits, f.cacheMounts(other)...)
		}
	}
	at := f.lineStart(split)
	key := s.choice("runtime-image")
	return []checks.Fix{{
		ID: "two-stages", Title: checks.Msg("build in one stage, ship another"),
		Caution: checks.Msg("only %s is shipped: files that the program reads when it runs, such as templates or certificates, need a COPY of their own", built),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("image to run on"), Default: images[0], Options: images,
			Why: checks.Msg("has what the program needs to run, and nothing to build it with"),
		}},
		Brings: []string{
			"base-image-not-digest-pinned", "base-image-stale-digest", "user-missing", "healthcheck-missing", "package-cache-mount-missing",
			"stateful-service-as-root", "base-image-untrusted-registry", "user-not-numeric", "copy-from-unknown-stage",
		},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			var text strings.Builder
			for _, line := range lines {
				text.WriteString(f.respelled(strings.Replace(line, "%s", v[key], 1)) + f.eol())
			}
			block := checks.Edit{Start: at, End: at, New: text.String(), Reason: checks.Msg("the image is made of this stage alone")}
			return append(slices.Clone(edits), block), nil
		},
	}}
}

// startedFile returns the absolute path of the program that s starts, or of the
// folder of one that consists of many files.
func (f *File) startedFile(s *Stage) (string, bool) {
	in := lastOf(s, "ENTRYPOINT")
	if in == nil {
		in = lastOf(s, "CMD")
	}
	if in == nil || in.Stage != s {
		return "", false
	}
	words := in.Exec
	if !in.IsExec && !strings.ContainsAny(in.Args.String, "$&|;<>()`*?\"'\\[#") {
		words = strings.Fields(strings.TrimPrefix(in.Args.String, "exec "))
	}
	if len(words) == 0 {
		return "", false
	}
	name := words[0]
	switch path.Base(words[0]) {
	case "java":
		i := slices.Index(words, "-jar")
		if i < 0 || i+1 >= len(words) {
			return "", false
		}
		name = words[i+1]
	case "dotnet":
		if len(words) < 2 || !strings.HasSuffix(words[1], ".dll") {
			return "", false
		}
		name = path.Dir(words[1])
	default:
		if !strings.Contains(name, "/") || path.Ext(name) == ".sh" || path.Ext(name) == ".py" {
			return "", false
		}
	}
	if strings.ContainsAny(name, "$*? \"'\\%") {
		return "", false
	}
	if isAbsolute(name) {
		return path.Clean(name), true
	}
	dir, known := f.workdirBefore(in)
	return path.Join(dir, name), known
}

// writes reports whether c, a compiler called in in, writes built.
func (f *File) writes(in *Instruction, c *command, built string) bool {
	dir, known := f.workdirBefore(in)
	s := f.script(in)
	for i, other := range s.commands {
		switch other.program() {
		case "mv", "cp", "pushd":
			return false // it may be elsewhere
		case "cd":
			if i > 0 || len(other.args()) != 1 || !other.args()[0].literal || !isAbsolute(other.args()[0].text) {
				return false
			}
			dir, known = other.args()[0].text, true
		}
	}
	args := c.args()
	output := ""
	for i, a := range args {
		switch {
		case (a.text == "-o" || a.text == "--output") && i+1 < len(args):
			output = args[i+1].text
		case strings.HasPrefix(a.text, "-o="), strings.HasPrefix(a.text, "--output="):
			_, output, _ = strings.Cut(a.text, "=")
		}
	}
	if strings.Contains(output, "$") {
		return false
	}
	if output != "" && !isAbsolute(output) {
		if !known {
			return false
		}
		output = path.Join(dir, output)
	}
	output = path.Clean(output)
	switch c.program() {
	case "go":
		return output == built || path.Dir(built) == "/go/bin" && args[0].text == "install"
	case "dotnet":
		return output == built && args[0].text == "publish"
	case "cargo":
		return strings.HasPrefix(built, path.Join(dir, "target")+"/") && strings.Contains(built, "/release/")
	case "mvn", "mvnw":
		return strings.HasPrefix(built, path.Join(dir, "target")+"/")
	case "gradle", "gradlew":
		return strings.HasPrefix(built, path.Join(dir, "build/libs")+"/")
	}
	return false
}

// runtimeImages returns the images that what c builds on the image of s can run
// on, the one that fits best first.
func runtimeImages(c *command, s *Stage) []string {
	r := parseReference(s.Image)
	alpine := strings.Contains(r.tag, "alpine")
	switch c.program() {
	case "go", "cargo":
		if alpine {
			return []string{"alpine:3.22"}
		}
		return []string{"debian:13-slim", "gcr.io/distroless/base-debian13"}
	case "dotnet":
		if strings.HasSuffix(r.name, "dotnet/sdk") && r.tag != "" {
			name := strings.TrimSuffix(r.name, "sdk")
			return []string{name + "aspnet:" + r.tag, name + "runtime:" + r.tag}
		}
	case "mvn", "mvnw", "gradle", "gradlew":
		if m := javaVersion().FindStringSubmatch(r.tag); m != nil {
			return []string{"eclipse-temurin:" + m[1] + "-jre-alpine", "eclipse-temurin:" + m[1] + "-jre"}
		}
	}
	return nil
}

// javaVersion matches the version of Java in tags such as 3.9-eclipse-temurin-21,
// 8-jdk17 and 17-jdk.
var javaVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:temurin-|jdk-?|corretto-|openjdk-|^)(8|11|17|21|25)(?:-|$)`)
})

// runtimeLines returns the first of the instructions at the end of s that speak
// of the container only, and those above it that do so, too. It fails where
// they need what is in s.
func (f *File) runtimeLines(s *Stage) (split *Instruction, kept []string, ok bool) {
	first := len(s.Instructions)
	for first > 0 && ofContainer(s.Instructions[first-1]) {
		first--
	}
	if first == len(s.Instructions) {
		return nil, nil, false
	}
	for i, in := range s.Instructions {
		if !ofContainer(in) {
			continue
		}
		text := string(f.Source[in.Start:in.End])
		switch {
		case strings.Contains(text, "$") || in.open || f.written(in) == "":
			return nil, nil, false
		case in.Keyword == "HEALTHCHECK" && !strings.EqualFold(in.Args.String, "none"):
			return nil, nil, false // its program may be missing
		case in.Keyword == "USER" && strings.Trim(in.Args.String, "0123456789:") != "":
			return nil, nil, false // who is not there
		case i < first && in.Keyword != "WORKDIR":
			if strings.ContainsAny(text, "\n%") {
				return nil, nil, false
			}
			kept = append(kept, in.Keyword+" "+in.Args.String)
		}
	}
	return s.Instructions[first], kept, true
}

// ofContainer reports whether in says how containers run rather than what is
// in the image.
func ofContainer(in *Instruction) bool {
	switch in.Keyword {
	case "CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL", "VOLUME", "ENV", "WORKDIR", "USER":
		return true
	}
	return false
}

// defaultsToRoot reports whether s works in / because nothing says otherwise.
func (f *File) defaultsToRoot(s *Stage) bool {
	return !hasWorkdir(s) && workdirOf(s) == "/"
}
