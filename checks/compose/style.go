package compose

import (
	"bytes"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// kinds are what services use by a name that the file declares.
var kinds = []string{"networks", "volumes", "secrets", "configs"}

// uses returns the names that services use, by kind.
func uses(project *types.Project) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, kind := range kinds {
		all[kind] = map[string]bool{}
	}
	for _, s := range project.Services {
		for name := range s.Networks {
			all["networks"][name] = true
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeVolume && v.Source != "" {
				all["volumes"][v.Source] = true
			}
		}
		for _, x := range s.Secrets {
			all["secrets"][x.Source] = true
		}
		for _, x := range s.Configs {
			all["configs"][x.Source] = true
		}
		if s.Build != nil {
			for _, x := range s.Build.Secrets {
				all["secrets"][x.Source] = true
			}
		}
	}
	return all
}

var schemaOrStyle = rule(checks.Check{
	ID:       "compose-schema-or-style",
	Title:    "Something in the file that does nothing, or stops it",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"dclint no-version-field", "dclint no-duplicate-exported-ports"},
}, func(f *File, report func(checks.Finding)) {
	say := func(key string, line int, seen string, message checks.Message) {
		report(checks.Finding{Key: key, Line: line, EndLine: line, Message: message, Evidence: []checks.Evidence{{Source: key, Detail: seen}}})
	}
	var root yaml.Node
	if yaml.NewDecoder(bytes.NewReader(f.Source)).Decode(&root) != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return
	}
	top := entries(root.Content[0])
	if n, ok := top["version"]; ok {
		say("version", n.Line, n.Value, checks.Msg("version has had no effect since Compose 2, and docker compose warns about it"))
	}
	_, includes := top["include"]
	for _, kind := range kinds {
		declared := map[string]*yaml.Node{}
		if n := top[kind]; n != nil && n.Kind == yaml.MappingNode {
			declared = entries(n)
		}
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			if !f.Uses[kind][name] && !includes && name != "default" && name != "<<" {
				say(kind+"."+name, declared[name].Line, "not used", checks.Msg("no service uses %s of %s", name, kind))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(f.Uses[kind])) {
			if _, ok := declared[name]; !ok && !includes && name != "default" && declared["<<"] == nil {
				say(kind+"."+name, 1, "not declared", checks.Msg("a service uses %s, which %s of the file does not declare: docker compose refuses to start", name, kind))
			}
		}
	}
	services := entries(top["services"])
	for _, name := range slices.Sorted(maps.Keys(services)) {
		settings := entries(services[name])
		for _, key := range slices.Sorted(maps.Keys(settings)) {
			list := settings[key]
			if list.Kind != yaml.SequenceNode || key == "command" || key == "entrypoint" {
				continue
			}
			seen := map[string]bool{}
			for _, item := range list.Content {
				if item.Kind != yaml.ScalarNode {
					continue
				}
				if seen[item.Value] {
					report(checks.Finding{
						Key: name + "." + key, Line: item.Line, EndLine: item.Line,
						Message: checks.Msg("%s names an entry twice", key), Evidence: []checks.Evidence{{Source: key, Detail: item.Value}},
					})
					break
				}
				seen[item.Value] = true
			}
		}
	}
})

// entries returns the values of a mapping by key; none for anything else.
func entries(n *yaml.Node) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if n == nil || n.Kind != yaml.MappingNode {
		return all
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if value.Line == 0 || value.Kind == yaml.ScalarNode && value.Value == "" {
			value.Line = n.Content[i].Line // nothing stands there
		}
		all[n.Content[i].Value] = value
	}
	return all
}
