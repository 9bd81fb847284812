package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

var baseImageFixedPlatform = check(checks.Check{
	ID:       "base-image-fixed-platform",
	Title:    "Platform written into FROM",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3029", "BuildKit FromPlatformFlagConstDisallowed"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		flag, ok := platformFlag(s.From)
		if !ok || strings.Contains(flag.Value, "$") || flag.Value == "" || s.windows || s.namesPlatform(flag.Value) {
			continue
		}
		finding := f.findingAt(s.From, flag.Start, flag.End, s.label(), checks.Msg("FROM asks for %s whatever the build is for", flag.Value))
		choice := s.choice("platform")
		finding.Fixes = []checks.Fix{{
			ID: "platform", Title: checks.Msg("leave the platform to the build"),
			Caution: checks.Msg("the base image must exist for every platform that is built"),
			Choices: []checks.Choice{{
				Key: choice, Label: checks.Msg("platform of the stage"), Default: "none", Options: []string{"none", "$BUILDPLATFORM"},
				Why: checks.Msg("without the option a stage gets the platform that the build is for"),
			}},
			Edit: func(v checks.Values) ([]checks.Edit, error) {
				if v[choice] != "none" {
					return []checks.Edit{{Start: flag.Start, End: flag.End, New: "--platform=" + v[choice], Reason: checks.Msg("the machine that builds, whichever it is")}}, nil
				}
				return []checks.Edit{s.From.dropFlag(flag, checks.Msg("the platform that the build is for"))}, nil
			},
		}}
		report(finding)
	}
})

var baseImageRedundantPlatform = check(checks.Check{
	ID:       "base-image-redundant-platform",
	Title:    "Platform that FROM has anyway",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3065", "BuildKit RedundantTargetPlatform"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		flag, ok := platformFlag(s.From)
		if !ok || flag.Value != "$TARGETPLATFORM" && flag.Value != "${TARGETPLATFORM}" {
			continue
		}
		if _, set := f.global()["TARGETPLATFORM"]; set {
			continue // a value of the file's own
		}
		finding := f.findingAt(s.From, flag.Start, flag.End, s.label(), checks.Msg("%s is what FROM uses anyway", flag.Value))
		finding.Fixes = []checks.Fix{{
			ID: "drop-platform", Title: checks.Msg("leave the option out"), Safe: true,
			Edit: fixed(s.From.dropFlag(flag, checks.Msg("this is the default"))),
		}}
		report(finding)
	}
})

func platformFlag(in *Instruction) (Flag, bool) {
	for _, flag := range in.Flags {
		if flag.Name == "platform" {
			return flag, true
		}
	}
	return Flag{}, false
}

// namesPlatform reports whether the name of s says that it is for platform, as
// in a family of stages of which ${TARGETARCH} chooses one.
func (s *Stage) namesPlatform(platform string) bool {
	name := strings.ToLower(s.Name)
	for _, part := range strings.Split(normalPlatform(platform), "/") {
		if part != "" && strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// dropFlag returns the edit that takes flag out of in.
func (in *Instruction) dropFlag(flag Flag, reason checks.Message) checks.Edit {
	end := in.Args.Offset(0)
	for _, other := range in.Flags {
		if other.Start > flag.Start {
			end = min(end, other.Start)
		}
	}
	return checks.Edit{Start: flag.Start, End: end, Reason: reason}
}
