package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

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
			list, option := f.development(in, k)
			if list == "" {
				continue
			}
			finding := f.findingAt(in, k.name.start, k.insertion(), in.Stage.label()+"/"+strings.TrimSpace(k.tool+" "+k.verb.text+" "+k.about()),
				checks.Msg("%s installs the development packages of %s into the shipped image", strings.TrimSpace(k.tool+" "+k.verb.text), list))
			if edit, ok := productionEdit(k, option); ok {
				finding.Fixes = []checks.Fix{{
					ID: "production", Title: checks.Msg("install what the program needs to run only"),
					Caution: checks.Msg("if the program itself is built or tested in this stage, that needs a stage of its own"),
					Edit:    fixed(edit),
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

// productionEdit makes k leave out what only developers need: by an option, by
// a variable before it, or without the option that asks for it.
func productionEdit(k *call, option string) (checks.Edit, bool) {
	reason := checks.Msg("tools of developers stay with the developers")
	switch {
	case !k.exact || option == "":
	case strings.HasSuffix(option, " "):
		if k.at == 0 {
			return checks.Edit{Start: k.name.start, End: k.name.start, New: option, Reason: reason}, true
		}
	case strings.HasPrefix(option, "without "):
		if o, ok := k.option("-d", "--dev"); ok && o.index == 0 && o.prev >= 0 {
			return checks.Edit{Start: o.prev, End: o.word.end, Reason: reason}, true
		}
	default:
		return checks.Edit{Start: k.insertion(), End: k.insertion(), New: " " + option, Reason: reason}, true
	}
	return checks.Edit{}, false
}

// development returns the list of which k installs what only developers need,
// too, and the option that leaves it out; "" for none.
func (f *File) development(in *Instruction, k *call) (list, option string) {
	v := f.variablesAt(in)
	switch k.tool {
	case "composer":
		if k.is("install", "i", "update", "upgrade", "u") && !k.has("--no-dev") && v["COMPOSER_NO_DEV"] == "" {
			return "composer.json", "--no-dev"
		}
	case "npm":
		if k.is("ci", "install", "i") && len(k.operands) == 0 && !k.has("-g", "--global", "--omit", "--production", "--only", "--prod") &&
			v["NODE_ENV"] != "production" && v["npm_config_omit"] == "" && v["NPM_CONFIG_OMIT"] == "" && v["NPM_CONFIG_PRODUCTION"] == "" && !f.buildsNode(in) {
			return "package.json", "--omit=dev"
		}
	case "yarn":
		if (k.is("install") || k.verb.text == "") && !k.has("--production", "--prod", "--version", "-v", "--immutable") && v["NODE_ENV"] != "production" && !f.buildsNode(in) && !f.usesModernYarn(in) {
			return "package.json", "--production"
		}
	case "pnpm":
		if k.is("install", "i") && len(k.operands) == 0 && !k.has("--prod", "-P", "--production", "-g", "--global") && v["NODE_ENV"] != "production" && !f.buildsNode(in) {
			return "package.json", "--prod"
		}
	case "bundle":
		if k.is("install") && !k.has("--without", "--deployment") && v["BUNDLE_WITHOUT"] == "" && v["BUNDLE_ONLY"] == "" && !f.bundleWithout(in) {
			return "Gemfile", "BUNDLE_WITHOUT=development:test "
		}
	case "poetry":
		if k.is("install") && !k.has("--no-dev", "--only", "--without", "--only-root") {
			return "pyproject.toml", "--only main"
		}
	case "pipenv":
		if k.is("install", "sync") && k.has("-d", "--dev") {
			return "Pipfile", "without --dev"
		}
	case "uv":
		if k.is("sync") && !k.has("--no-dev", "--no-default-groups", "--only-group", "--no-group") && v["UV_NO_DEV"] == "" {
			return "pyproject.toml", "--no-dev"
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
