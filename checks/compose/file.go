package compose

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/secret"
)

// rule declares a check of a whole compose file.
func rule(c checks.Check, run func(*File, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Compose
	c.Run = func(s checks.Subject, report func(checks.Finding)) { run(s.(*File), report) }
	return &c
}

var imageMutable = rule(checks.Check{
	ID:       "compose-image-mutable",
	Title:    "Image with a tag that moves",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"dclint service-image-require-explicit-tag", "CWE-1357"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Services {
		_, built := s.Compose.Keys["build"]
		if built || !container.MutableReference(s.Settings.Image) {
			continue // the tag of what is built here says nothing
		}
		line := s.Compose.Line
		if at, ok := s.Compose.Keys["image"]; ok {
			line = at
		}
		report(checks.Finding{
			Key: s.Compose.Service, Line: line, EndLine: line,
			Message:  checks.Msg("%s runs %s, which names another image with every release", s.Settings.Name, s.Settings.Image),
			Evidence: []checks.Evidence{{Source: "image", Detail: s.Settings.Image}},
			Fixes:    f.fixes(s, s.Pinned()),
		})
	}
})

var inlineSecret = rule(checks.Check{
	ID:       "compose-inline-secret",
	Title:    "Secret written in the compose file",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"OWASP Docker rule 12", "CWE-312"},
}, func(f *File, report func(checks.Finding)) {
	seen := map[string]bool{}
	decoder := yaml.NewDecoder(bytes.NewReader(f.Source))
	for {
		var root yaml.Node
		if err := decoder.Decode(&root); err != nil {
			return // the end: what cannot be read was refused when it was parsed
		}
		w := walker{lines: f.judgedLines(), found: func(path, name string, line int) {
			if seen[path] {
				return
			}
			seen[path] = true
			report(checks.Finding{
				Key: path, Line: line, EndLine: line,
				Message:  checks.Msg("whoever reads the file, or its history, reads the secret %s", name),
				Evidence: []checks.Evidence{{Source: path, Detail: "written in the file"}},
			})
		}}
		for _, top := range root.Content {
			w.walk(nil, top)
		}
	}
})

// judgedLines are the lines whose secrets are found by the checks of services.
func (f *File) judgedLines() map[int]bool {
	lines := map[int]bool{}
	for _, s := range f.Services {
		for key, line := range s.Compose.Keys {
			for _, judged := range []string{"environment.", "labels.", "command", "entrypoint", "healthcheck"} {
				if strings.HasPrefix(key, judged) {
					lines[line] = true
				}
			}
		}
	}
	return lines
}

// A walker looks for secrets in what is written in a file, each place once:
// aliases are not followed, because what they stand for is written elsewhere.
type walker struct {
	lines map[int]bool // to leave alone
	found func(path, name string, line int)
}

func (w walker) walk(path []string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			w.value(append(path, n.Content[i].Value), n.Content[i].Value, n.Content[i+1])
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			name, value, ok := strings.Cut(item.Value, "=")
			if item.Kind == yaml.ScalarNode && ok {
				w.scalar(append(path, name), name, value, item.Line)
				continue
			}
			w.value(path, "", item)
		}
	}
}

func (w walker) value(path []string, name string, n *yaml.Node) {
	switch {
	case n.Kind != yaml.ScalarNode:
		if !judgedElsewhere(path) {
			w.walk(path, n)
		}
	case strings.Contains(n.Value, "\n"):
		if len(secret.Find(n.Value)) > 0 {
			w.scalar(path, name, n.Value, n.Line)
		}
	default:
		w.scalar(path, name, n.Value, n.Line)
	}
}

func (w walker) scalar(path []string, name, value string, line int) {
	if w.lines[line] || judgedElsewhere(path) || declares(path) {
		return
	}
	if text := strings.Contains(value, "\n"); text || secret.Variable(name, value) {
		w.found(strings.Join(path, "."), name, line)
	}
}

// judgedElsewhere reports whether path is, or lies in, a part of a service
// that the checks of containers look into.
func judgedElsewhere(path []string) bool {
	if len(path) < 3 || path[0] != "services" {
		return false
	}
	switch path[2] {
	case "environment", "labels", "command", "entrypoint", "healthcheck", "secrets":
		return true
	}
	return false
}

// declares reports whether path says where a secret is, not what it is.
func declares(path []string) bool {
	return path[0] == "secrets" || len(path) == 4 && path[0] == "services" && path[2] == "build" && path[3] == "secrets"
}
