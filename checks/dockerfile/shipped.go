package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// unneededPackages are packages that nobody needs in an image that serves:
// doors, and what an intruder would bring.
func unneededKind(name string) (kind string, removable bool) {
	switch name {
	case "openssh-server", "dropbear", "telnetd", "vsftpd", "xinetd":
		return "lets people log in", true
	case "telnet", "netcat", "netcat-openbsd", "netcat-traditional", "nc", "nmap", "nmap-ncat", "ncat", "tcpdump", "socat", "inetutils-telnet", "busybox-extras", "masscan", "hping3":
		return "is a tool for moving on through a network", true
	case "gdb", "gdbserver", "strace", "ltrace", "valgrind":
		return "is a debugger", true
	case "gcc", "g++", "clang", "build-essential", "build-base", "gcc-c++", "llvm":
		return "is for compiling", false
	case "sudo":
		return "is for becoming root", false
	}
	return "", false
}

var unneededToolInFinal = check(checks.Check{
	ID:       "unneeded-tool-in-final",
	Title:    "Tool in the image that it does not need",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)", "dockle CIS-DI-0003"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) {
			return
		}
		s := f.script(in)
		compilers := false
		for _, c := range s.commands {
			p, ok := packageCallOf(c)
			if !ok || !p.installs() || removesAgain(s, c, p) {
				continue
			}
			for i, w := range p.packages {
				name, _, _ := strings.Cut(w.text, "=")
				kind, removable := unneededKind(name)
				if kind == "" || !w.literal || strings.HasPrefix(w.text, "-") {
					continue
				}
				if kind == "is for compiling" && (compilers || !f.serves()) {
					continue // once a step, and not where compiling is the purpose
				}
				compilers = compilers || kind == "is for compiling"
				finding := f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+name, unneededMessage(name, kind))
				if !removable && kind == "is for compiling" {
					finding.Severity = checks.Low
				}
				if removable && c.exact && (i > 0 || len(p.packages) > 1) && onlyOne(p) && !f.mentionedElsewhere(w) {
					finding.Fixes = f.dropPackage(c, w)
				}
				report(finding)
			}
		}
	})
})

func unneededMessage(name, kind string) checks.Message {
	switch kind {
	case "lets people log in":
		return checks.Msg("%s opens a way into the container that docker exec makes needless", name)
	case "is a debugger":
		return checks.Msg("%s stays in the shipped image, and lets an intruder look into other processes", name)
	case "is for compiling":
		return checks.Msg("%s stays in the shipped image: a compiler serves whoever breaks in, not the program", name)
	case "is for becoming root":
		return checks.Msg("%s in the shipped image is a way to become root", name)
	}
	return checks.Msg("%s stays in the shipped image, where an intruder would have to bring it", name)
}

// serves reports whether the image starts a program of its own, so that it is
// not one to build others with.
func (f *File) serves() bool {
	for _, s := range f.Final().Chain() {
		for _, in := range s.Instructions {
			if in.Keyword != "CMD" && in.Keyword != "ENTRYPOINT" {
				continue
			}
			words := in.Exec
			if !in.IsExec {
				words = strings.Fields(in.Args.String)
			}
			if len(words) > 0 && !isShell(pathBase(words[0])) && words[0] != "make" || len(words) > 1 && words[1] != "-l" && words[1] != "--login" {
				return true
			}
		}
	}
	return false
}

// onlyOne reports whether p installs one unneeded package besides others, so
// that something is left to install.
func onlyOne(p packageCall) bool {
	n := 0
	for _, w := range p.packages {
		name, _, _ := strings.Cut(w.text, "=")
		if kind, removable := unneededKind(name); kind != "" && removable {
			n++
		}
	}
	return n < len(p.packages)
}

// removesAgain reports whether the same step removes what p installs.
func removesAgain(s *script, c *command, p packageCall) bool {
	after := false
	for _, other := range s.commands {
		if other == c {
			after = true
			continue
		}
		q, ok := packageCallOf(other)
		if !after || !ok || q.manager != p.manager {
			continue
		}
		switch q.verb.text {
		case "del", "remove", "purge", "autoremove", "erase", "rm":
			return true
		}
	}
	return false
}

// mentionedElsewhere reports whether anything else in the file mentions the
// program of the package w.
func (f *File) mentionedElsewhere(w shellWord) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(w.text, "-server"), "-openbsd")
	switch name {
	case "openssh-server":
		name = "ssh"
	case "netcat", "netcat-traditional", "ncat", "nmap-ncat":
		name = "nc"
	}
	before := string(f.Source[:w.start])
	after := string(f.Source[w.end:])
	return containsWord(before, name) || containsWord(after, name)
}

func containsWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(word)
		if (start == 0 || !isLetterOrDigit(text[start-1])) && (end == len(text) || !isLetterOrDigit(text[end])) {
			return true
		}
		at = end
	}
}

// dropPackage takes the word w of c away.
func (f *File) dropPackage(c *command, w shellWord) []checks.Fix {
	for i, x := range c.words {
		if x.start != w.start || i == 0 {
			continue
		}
		prev := c.words[i-1].end
		if strings.Contains(string(f.Source[prev:w.start]), "#") {
			return nil
		}
		return []checks.Fix{{
			ID: "drop-package", Title: checks.Msg("do not install %s", w.text),
			Caution: checks.Msg("nothing else in this file mentions it, but a script that is copied may: rebuild and test"),
			Edit:    fixed(checks.Edit{Start: prev, End: w.end, Reason: checks.Msg("the image does its work without it")}),
		}}
	}
	return nil
}

var devDependenciesInFinal = check(checks.Check{
	ID:       "dev-dependencies-in-final",
	Title:    "Development dependencies in the image",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"tally php/composer-no-dev-in-production", "tally ruby/missing-bundle-without-development"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) {
			return
		}
		s := f.script(in)
		for _, k := range s.calls {
			what, option := f.development(in, k)
			if what == "" {
				continue
			}
			finding := f.findingAt(in, k.name.start, k.insertion(), in.Stage.label()+"/"+strings.TrimSpace(k.tool+" "+k.verb.text+" "+k.about()),
				checks.Msg("%s installs %s into the shipped image", strings.TrimSpace(k.tool+" "+k.verb.text), what))
			if option != "" && k.exact {
				at := k.insertion()
				finding.Fixes = []checks.Fix{{
					ID: "production", Title: checks.Msg("install what the program needs to run only"),
					Caution: checks.Msg("if the program itself is built or tested in this stage, that needs a stage of its own"),
					Edit:    fixed(checks.Edit{Start: at, End: at, New: " " + option, Reason: checks.Msg("tools of developers stay with the developers")}),
				}}
			}
			report(finding)
		}
		for _, c := range s.commands {
			if w, ok := debugger(c); ok {
				report(f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+w.text,
					checks.Msg("%s is a debugger: in the shipped image it is slow, and a way in", w.text)))
			}
		}
	})
})

// development returns what k installs that only developers need, and the option
// that leaves it out.
func (f *File) development(in *Instruction, k *call) (what, option string) {
	v := f.variablesAt(in)
	switch k.tool {
	case "composer":
		if k.is("install", "i", "update", "upgrade", "u") && !k.has("--no-dev") && v["COMPOSER_NO_DEV"] == "" {
			return "the development packages of composer.json", "--no-dev"
		}
	case "npm":
		if k.is("ci", "install", "i") && len(k.operands) == 0 && !k.has("-g", "--global", "--omit", "--production", "--only", "--prod") &&
			v["NODE_ENV"] != "production" && v["npm_config_omit"] == "" && v["NPM_CONFIG_OMIT"] == "" && v["NPM_CONFIG_PRODUCTION"] == "" && !f.buildsNode(in) {
			return "devDependencies", "--omit=dev"
		}
	case "yarn":
		if (k.is("install") || k.verb.text == "") && !k.has("--production", "--prod", "--version", "-v", "--immutable") && v["NODE_ENV"] != "production" && !f.buildsNode(in) && !f.usesModernYarn(in) {
			return "devDependencies", "--production"
		}
	case "pnpm":
		if k.is("install", "i") && len(k.operands) == 0 && !k.has("--prod", "-P", "--production", "-g", "--global") && v["NODE_ENV"] != "production" && !f.buildsNode(in) {
			return "devDependencies", "--prod"
		}
	case "bundle":
		if k.is("install") && !k.has("--without", "--deployment") && v["BUNDLE_WITHOUT"] == "" && v["BUNDLE_ONLY"] == "" && !f.bundleWithout(in) {
			return "the groups development and test of the Gemfile", ""
		}
	case "poetry":
		if k.is("install") && !k.has("--no-dev", "--only", "--without", "--only-root") {
			return "the development group of pyproject.toml", "--only main"
		}
	case "pipenv":
		if k.is("install", "sync") && k.has("-d", "--dev") {
			return "the development packages of the Pipfile", ""
		}
	case "uv":
		if k.is("sync") && !k.has("--no-dev", "--no-default-groups", "--only-group", "--no-group") && v["UV_NO_DEV"] == "" {
			return "the development group of pyproject.toml", "--no-dev"
		}
	case "pip":
		if o, ok := k.option("-r", "--requirement"); ok && k.is("install") && developers(o.value.text) {
			return o.value.text, ""
		}
	}
	return "", ""
}

// developers reports whether file is by its name a list for developers.
func developers(file string) bool {
	name := strings.TrimSuffix(file[strings.LastIndexByte(file, '/')+1:], ".txt")
	for _, part := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		if part == "dev" || part == "develop" || part == "development" || part == "test" || part == "tests" || part == "testing" {
			return true
		}
	}
	return false
}

func (f *File) bundleWithout(in *Instruction) bool {
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line <= in.Line && f.mentions(other, "without", "BUNDLE_WITHOUT", "BUNDLE_ONLY") {
				return true
			}
		}
	}
	return false
}

// buildsNode reports whether the stage of in runs scripts of package.json, for
// which the development dependencies may be needed, or prunes them later.
func (f *File) buildsNode(in *Instruction) bool {
	for _, other := range in.Stage.Instructions {
		if other.Keyword != "RUN" || !f.mentions(other, "npm", "yarn", "pnpm", "npx", "node_modules", "webpack", "grunt", "gulp", "tsc", "ng ") {
			continue
		}
		if f.mentions(other, "npx", "webpack", "grunt", "gulp", "tsc", "node_modules", "ng build") {
			return true
		}
		for _, k := range f.script(other).calls {
			switch k.tool {
			case "npm", "pnpm":
				if k.is("run", "run-script", "prune", "build", "test", "t", "exec") {
					return true
				}
			case "yarn":
				if k.verb.text != "" && !k.is("install", "add", "cache", "config", "global", "set") {
					return true
				}
			}
		}
	}
	for _, other := range in.Stage.Instructions {
		if other.Keyword == "CMD" || other.Keyword == "ENTRYPOINT" {
			if f.mentions(other, "dev", "test", "nodemon", "ts-node", "watch", "storybook") {
				return true // an image for developers
			}
		}
	}
	return false
}

// debugger returns the word by which c installs xdebug.
func debugger(c *command) (shellWord, bool) {
	switch c.program() {
	case "pecl", "docker-php-ext-install", "docker-php-ext-enable", "install-php-extensions", "apt-get", "apt", "apk", "pickle", "pie", "phpenmod":
		for _, a := range c.args() {
			name, _, _ := strings.Cut(a.text, "=")
			if bare := strings.TrimRight(name, "0123456789.-"); a.literal && (bare == "xdebug" || strings.HasPrefix(name, "php") && strings.HasSuffix(name, "xdebug")) {
				return a, true
			}
		}
	}
	return shellWord{}, false
}

var buildToolsInSingleStage = check(checks.Check{
	ID:       "build-tools-in-single-stage",
	Title:    "Built and shipped from one stage",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"tally prefer-multi-stage-build"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) {
			return
		}
		for _, c := range f.script(in).commands {
			what := compiles(c)
			if what == "" {
				continue
			}
			report(f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label()+"/"+what,
				checks.Msg("%s builds in the stage that is shipped: its compiler, sources and caches are shipped too", what)))
			return
		}
	})
})

// compiles returns the command by which c makes a program, "" if it does not.
func compiles(c *command) string {
	args := c.args()
	verb := ""
	for _, a := range args {
		if a.literal && !strings.HasPrefix(a.text, "-") {
			verb = a.text
			break
		}
	}
	switch name := c.program(); name {
	case "go":
		if verb == "build" || verb == "install" && !slices.ContainsFunc(args, func(a shellWord) bool { return strings.Contains(a.text, "@") }) {
			return "go " + verb
		}
	case "cargo":
		if verb == "build" {
			return "cargo build"
		}
	case "mvn", "mvnw":
		for _, a := range args {
			switch a.text {
			case "package", "install", "verify", "compile":
				return name + " " + a.text
			}
		}
	case "gradle", "gradlew":
		for _, a := range args {
			switch a.text[strings.LastIndexByte(a.text, ':')+1:] {
			case "build", "assemble", "jar", "bootJar", "shadowJar", "installDist":
				return name + " " + a.text
			}
		}
	case "dotnet":
		if verb == "build" || verb == "publish" {
			return "dotnet " + verb
		}
	case "npm", "yarn", "pnpm":
		var words []string
		for _, a := range args {
			if !strings.HasPrefix(a.text, "-") {
				words = append(words, a.text)
			}
		}
		if len(words) > 1 && words[0] == "run" && (words[1] == "build" || strings.HasPrefix(words[1], "build:")) || len(words) > 0 && words[0] == "build" && name != "npm" {
			return name + " " + strings.Join(words, " ")
		}
	}
	return ""
}
