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
	host, rest := splitRegistry(parseReference(image).name)
	for _, rule := range r.Registries {
		wanted, folder := splitRule(rule)
		if !matchHost(wanted, host) {
			continue
		}
		if folder == "" || rest == folder || strings.HasPrefix(rest, folder+"/") {
			return true
		}
	}
	return false
}

// splitRegistry returns the registry and the full name in it of an image.
func splitRegistry(name string) (host, rest string) {
	host, rest, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, rest = "docker.io", name
	}
	if host == "index.docker.io" {
		host = "docker.io"
	}
	if host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return host, rest
}

// splitRule reads "registry", "registry/folder" or "folder" of Docker Hub.
func splitRule(rule string) (host, folder string) {
	rule = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(rule), "/*"), "/")
	host, folder, _ = strings.Cut(rule, "/")
	if !strings.ContainsAny(host, ".:*") && host != "localhost" {
		return "docker.io", rule
	}
	return host, folder
}

func matchHost(rule, host string) bool {
	if end, ok := strings.CutPrefix(rule, "*"); ok {
		return strings.HasSuffix(host, end)
	}
	return rule == host
}
