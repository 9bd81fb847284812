package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// Rules are what the project has decided, from its settings.
type Rules struct {
	Registries []string // that images may come from: "ghcr.io/acme", "*.example.com"; empty means any
	Labels     LabelSchema
}

var baseImageUntrustedRegistry = check(checks.Check{
	ID:       "base-image-untrusted-registry",
	Title:    "Image from a registry that is not allowed",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.2 (v1.6.0)", "dockle CIS-DI-0002", "hadolint DL3026"},
}, func(f *File, report func(checks.Finding)) {
	if len(f.Rules.Registries) == 0 {
		return
	}
	judge := func(in *Instruction, image string) {
		if f.Rules.allow(image) {
			return
		}
		finding := f.finding(in, image, checks.Msg("%s comes from a registry that the project does not allow", image))
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "allowed registries", Detail: strings.Join(f.Rules.Registries, " ")})
		report(finding)
	}
	for _, s := range f.Stages {
		if s.External() && s.Certain {
			judge(s.From, s.Image)
		}
		for _, in := range s.Instructions {
			for _, image := range f.otherImages(in) {
				judge(in, image)
			}
		}
	}
})

// otherImages returns the images that in takes files from, besides the stages.
func (f *File) otherImages(in *Instruction) []string {
	var from []string
	switch in.Keyword {
	case "COPY":
		from = in.Flag("from")
	case "RUN":
		for _, m := range in.mounts() {
			if m.from != "" {
				from = append(from, m.from)
			}
		}
	}
	var out []string
	for _, image := range from {
		if image != "scratch" && image != "" && f.stage(image) == nil && !strings.Contains(image, "$") && strings.Trim(image, "0123456789") != "" {
			out = append(out, image)
		}
	}
	return out
}

// stage returns the stage that --from=name means, nil when that is an image.
func (f *File) stage(name string) *Stage {
	for _, s := range f.Stages {
		if s.Name != "" && strings.EqualFold(s.Name, name) || s.label() == name {
			return s
		}
	}
	return nil
}

// allow reports whether image is in one of the allowed places.
func (r Rules) allow(image string) bool {
	return checks.FromRegistry(r.Registries, parseReference(image).name)
}
