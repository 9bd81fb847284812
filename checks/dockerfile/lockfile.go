package dockerfile

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"plimsoll/checks"
)

var installScriptsEnabled = check(checks.Check{
	ID:       "install-scripts-enabled",
	Title:    "Packages run scripts while they are installed",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CWE-829"},
}, func(f *File, report func(checks.Finding)) {
	f.eachCall(func(in *Instruction, k *call) {
		if !installsNode(k) || k.has("--ignore-scripts") || f.scriptsOff(in) || f.usesModernYarn(in) && k.tool == "yarn" || k.tool == "pnpm" && !f.usesOldPnpm() {
			return
		}
		finding := f.findingAt(in, k.name.start, k.insertion(), in.Stage.label()+"/"+strings.TrimSpace(k.tool+" "+k.verb.text+" "+k.about()),
			checks.Msg("%s runs the install scripts of every package, with all that this step can reach", strings.TrimSpace(k.tool+" "+k.verb.text)))
		if k.exact {
			at := k.insertion()
			finding.Fixes = []checks.Fix{{
				ID: "ignore-scripts", Title: checks.Msg("install without running scripts"),
				Caution: checks.Msg("packages that compile or download something while they are installed need it done by name: npm rebuild PACKAGE"),
				Edit:    fixed(checks.Edit{Start: at, End: at, New: " --ignore-scripts", Reason: checks.Msg("a package is only unpacked, not executed")}),
			}}
		}
		report(finding)
	}, "npm", "yarn", "pnpm")
})

// usesOldPnpm reports whether the file names a pnpm before 10, which is the
// first that runs no scripts of packages unless told to.
func (f *File) usesOldPnpm() bool {
	return oldPnpm().Match(f.Source)
}

var oldPnpm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)pnpm(@|_version[= ]"?v?)[1-9](\.|"|\s|$)`)
})

// installsNode reports whether k installs packages of Node.js that may have
// scripts; the package managers themselves have none.
func installsNode(k *call) bool {
	switch k.tool {
	case "npm", "pnpm":
		if !k.is("install", "i", "ci", "add", "clean-install", "in", "ins", "isntall", "update", "up") || k.has("--help", "--version", "-v") {
			return false
		}
		return len(k.operands) == 0 || slices.ContainsFunc(k.operands, func(w shellWord) bool {
			name, _, _ := strings.Cut(w.text, "@")
			return name != "npm" && name != "yarn" && name != "pnpm" && name != "corepack"
		})
	case "yarn":
		return k.is("install", "add") || k.verb.text == "" && !k.has("--version", "-v", "--help")
	}
	return false
}

// scriptsOff reports whether npm and its like were told before in not to run
// scripts.
func (f *File) scriptsOff(in *Instruction) bool {
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line <= in.Line && (f.mentions(other, "ignore-scripts", "ignore_scripts", "IGNORE_SCRIPTS", "enableScripts")) {
				return true
			}
		}
	}
	return false
}

var lockfileNotEnforced = check(checks.Check{
	ID:       "lockfile-not-enforced",
	Title:    "Lock file is not binding",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CWE-1357"},
}, func(f *File, report func(checks.Finding)) {
	f.eachCall(func(in *Instruction, k *call) {
		what, edit, needs := f.lockOf(in, k)
		if what == "" {
			return
		}
		finding := f.findingAt(in, k.name.start, k.insertion(), in.Stage.label()+"/"+strings.TrimSpace(k.tool+" "+k.verb.text),
			checks.Msg("%s may install other versions than the lock file says: %s does not", strings.TrimSpace(k.tool+" "+k.verb.text), what))
		if k.tool == "pip" {
			list, _ := k.option("-r", "--requirement")
			finding.Severity = checks.Info
			finding.Message = checks.Msg("pip takes every package of %s that has the right version, whoever made it: --require-hashes takes the one that is meant", list.value.text)
		}
		if k.exact && edit.End > 0 && f.copiesBefore(in, needs...) {
			edit.Reason = checks.Msg("the versions that were tested, or none")
			finding.Fixes = []checks.Fix{{
				ID: "frozen", Title: checks.Msg("install exactly what the lock file says"),
				Caution: checks.Msg("the build stops when the lock file is missing or does not fit"),
				Edit:    fixed(edit),
			}}
		}
		report(finding)
	}, "npm", "yarn", "pnpm", "bundle", "composer", "cargo", "pipenv", "poetry", "uv", "pip")
})

// lockOf returns the command that k should be to keep to the lock file, the
// edit that makes it so, and the files which that needs. It is "" when k does.
func (f *File) lockOf(in *Instruction, k *call) (what string, edit checks.Edit, needs []string) {
	option := func(text string) checks.Edit {
		return checks.Edit{Start: k.insertion(), End: k.insertion(), New: " " + text}
	}
	verb := func(text string) checks.Edit {
		return checks.Edit{Start: k.verb.start, End: k.verb.end, New: text}
	}
	switch k.tool {
	case "pip":
		list, ok := k.option("-r", "--requirement")
		if ok && k.is("install") && list.value.literal && list.value.text != "" && !k.has("--require-hashes", "--no-index", "-c", "--constraint") && f.variablesAt(in)["PIP_REQUIRE_HASHES"] == "" && f.variablesAt(in)["PIP_CONSTRAINT"] == "" {
			return "pip install --require-hashes", checks.Edit{}, nil // the list has to get its hashes first
		}
	case "npm":
		if k.is("install", "i") && len(k.operands) == 0 && !k.has("-g", "--global", "--version", "-v", "--help", "--package-lock-only") {
			if k.has("--no-package-lock", "--legacy-peer-deps", "--force", "-f", "--no-save") {
				return "npm ci", checks.Edit{}, nil // an option that says the lock is not there, or does not fit
			}
			return "npm ci", verb("ci"), []string{"package-lock", "package*", "npm-shrinkwrap"}
		}
	case "yarn":
		if (k.is("install") || k.verb.text == "" && !k.has("--version", "-v", "--help")) && !k.has("--frozen-lockfile", "--immutable", "--pure-lockfile") && !f.usesModernYarn(in) && !f.switchedOn(in, "YARN_FROZEN_LOCKFILE") {
			return "yarn install --frozen-lockfile", option("--frozen-lockfile"), []string{"yarn.lock", "yarn*"}
		}
	case "pnpm":
		if k.is("install", "i") && len(k.operands) == 0 && !k.has("--frozen-lockfile", "-g", "--global") && !f.switchedOn(in, "CI") {
			return "pnpm install --frozen-lockfile", option("--frozen-lockfile"), []string{"pnpm-lock"}
		}
	case "bundle":
		if (k.is("install") || k.verb.text == "" && len(k.options) == 0) && !k.has("--deployment", "--frozen") && !f.bundleFrozen(in) {
			if k.at != 0 {
				return "BUNDLE_FROZEN=true", checks.Edit{}, nil
			}
			return "BUNDLE_FROZEN=true", checks.Edit{Start: k.name.start, End: k.name.start, New: "BUNDLE_FROZEN=true "}, []string{"Gemfile.lock", "Gemfile*"}
		}
	case "composer":
		if k.is("update", "upgrade", "u") && len(k.operands) == 0 {
			return "composer install", verb("install"), []string{"composer.lock", "composer.*", "composer*"}
		}
	case "cargo":
		if k.is("install") && len(k.operands) > 0 && !k.has("--locked", "--frozen", "--path") {
			return "cargo install --locked", option("--locked"), []string{""}
		}
		if k.is("build", "b") && k.has("--release", "-r") && !k.has("--locked", "--frozen", "--offline") {
			return "cargo build --locked", option("--locked"), []string{"Cargo.lock", "Cargo.*", "Cargo*"}
		}
	case "pipenv":
		if k.is("install") && len(k.operands) == 0 && !k.has("--deploy", "--ignore-pipfile") {
			return "pipenv install --deploy", option("--deploy"), []string{"Pipfile.lock", "Pipfile*"}
		}
	case "poetry":
		if k.is("update") {
			return "poetry install", verb("install"), []string{"poetry.lock", "poetry*"}
		}
	case "uv":
		if k.is("sync") && !k.has("--locked", "--frozen") && !f.switchedOn(in, "UV_LOCKED") && !f.switchedOn(in, "UV_FROZEN") {
			return "uv sync --locked", option("--locked"), []string{"uv.lock"}
		}
	}
	return "", checks.Edit{}, nil
}

// bundleFrozen reports whether bundler was told before in to keep to the lock.
func (f *File) bundleFrozen(in *Instruction) bool {
	v := f.variablesAt(in)
	if v["BUNDLE_FROZEN"] != "" || v["BUNDLE_DEPLOYMENT"] != "" {
		return true
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line <= in.Line && f.mentions(other, "BUNDLE_FROZEN", "BUNDLE_DEPLOYMENT", "frozen", "deployment") {
				return true
			}
		}
	}
	return false
}
