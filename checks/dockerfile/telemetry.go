package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// telemetrySwitch returns the variable that stops the tool name from sending
// data about its use, and the value for it.
func telemetrySwitch(name string) (variable, value string) {
	switch name {
	case "dotnet":
		return "DOTNET_CLI_TELEMETRY_OPTOUT", "1"
	case "next":
		return "NEXT_TELEMETRY_DISABLED", "1"
	case "nuxt", "nuxi":
		return "NUXT_TELEMETRY_DISABLED", "1"
	case "astro":
		return "ASTRO_TELEMETRY_DISABLED", "1"
	case "gatsby":
		return "GATSBY_TELEMETRY_DISABLED", "1"
	case "turbo":
		return "TURBO_TELEMETRY_DISABLED", "1"
	case "ng":
		return "NG_CLI_ANALYTICS", "false"
	case "storybook":
		return "STORYBOOK_DISABLE_TELEMETRY", "1"
	case "wrangler":
		return "WRANGLER_SEND_METRICS", "false"
	case "pwsh":
		return "POWERSHELL_TELEMETRY_OPTOUT", "1"
	case "az":
		return "AZURE_CORE_COLLECT_TELEMETRY", "false"
	case "gcloud":
		return "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true"
	case "sam":
		return "SAM_CLI_TELEMETRY", "0"
	case "brew":
		return "HOMEBREW_NO_ANALYTICS", "1"
	case "vcpkg":
		return "VCPKG_DISABLE_METRICS", "1"
	}
	return "", ""
}

var telemetryNotOptedOut = check(checks.Check{
	ID:       "telemetry-not-opted-out",
	Title:    "A tool of the build sends telemetry",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally prefer-telemetry-opt-out"},
}, func(f *File, report func(checks.Finding)) {
	type seen struct {
		s        *Stage
		variable string
	}
	done := map[seen]bool{}
	f.eachRun(func(in *Instruction) {
		if in.Stage.windows {
			return
		}
		for _, c := range f.script(in).commands {
			tool := runs(c)
			variable, value := telemetrySwitch(tool)
			if variable == "" || done[seen{in.Stage, variable}] || f.optedOut(in, variable) {
				continue
			}
			done[seen{in.Stage, variable}] = true
			finding := f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label()+"/"+tool,
				checks.Msg("%s tells its maker about this build, unless %s is set", tool, variable))
			finding.Fixes = []checks.Fix{{
				ID: "opt-out", Title: checks.Msg("switch the telemetry of %s off", tool), Safe: true,
				Edit: fixed(f.insertBefore(in, "ENV "+variable+"="+value, checks.Msg("what is built is nobody else's business"))),
			}}
			report(finding)
		}
	})
})

// runs returns the tool that c runs, also by npx and its like.
func runs(c *command) string {
	switch name := c.program(); name {
	case "npx", "bunx", "pnpx":
		for _, a := range c.args() {
			if a.literal && !strings.HasPrefix(a.text, "-") {
				tool, _, _ := strings.Cut(a.text, "@")
				return tool
			}
		}
		return ""
	default:
		return name
	}
}

// optedOut reports whether variable is set for in, by whatever.
func (f *File) optedOut(in *Instruction, variable string) bool {
	if _, ok := f.variablesAt(in)[variable]; ok {
		return true
	}
	for _, name := range []string{"DO_NOT_TRACK"} {
		if f.variablesAt(in)[name] != "" {
			return true
		}
	}
	return f.mentions(in, variable)
}
