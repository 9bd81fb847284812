package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

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
			finding := f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label()+"/"+what,
				checks.Msg("%s builds in the stage that is shipped: its compiler, sources and caches are shipped too", what))
			finding.Fixes = f.twoStageFix(in, c)
			report(finding)
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
