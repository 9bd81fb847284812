package assets_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/host"
)

// concludedElsewhere are rules that follow findings of other checks, which
// have examples of their own.
var concludedElsewhere = []string{"path-docker-group", "path-runtime-escape"}

// TestExamplesOfRules looks for a path by the rule in every bad example, and in
// no good one.
func TestExamplesOfRules(t *testing.T) {
	for _, lang := range assets.Languages {
		for _, r := range attack.Rules() {
			e, _ := assets.Explain(lang, r.ID)
			t.Run(string(lang)+"/"+r.ID, func(t *testing.T) {
				seen := map[bool]bool{}
				for _, x := range examples(t, e.Markdown) {
					if x.syntax == "sh" {
						continue
					}
					seen[x.bad] = true
					m, err := world(x)
					if err != nil {
						t.Errorf("line %d: %v", x.line, err)
						continue
					}
					if followed := follows(m, r); followed != x.bad {
						t.Errorf("line %d: this %s is said to be bad: %v; but a path follows the rule: %v", x.line, x.syntax, x.bad, followed)
					}
				}
				if want := !slices.Contains(concludedElsewhere, r.ID); seen[true] != want || seen[false] != want {
					t.Errorf("bad and good examples: %v, want both: %v", seen, want)
				}
			})
		}
	}
}

func follows(m *attack.Map, r *attack.Rule) bool {
	return slices.ContainsFunc(m.Paths(), func(p attack.Path) bool {
		return slices.ContainsFunc(append(p.Steps(), p.Also()...), func(s attack.Step) bool { return s.Rule == r })
	})
}

// world returns what an example shows: a compose file, or an array of excerpts
// of inspections of containers, each followed by that of its image, if any, and
// of docker info.
func world(x example) (*attack.Map, error) {
	m := &attack.Map{}
	put := func(s checks.Subject) { m.Put(s, &checks.Report{Subject: s.Ref()}) }
	if x.syntax == "yaml" {
		f, err := compose.Parse("/example/compose.yaml", "compose.yaml", []byte(x.source))
		if err == nil {
			put(f)
		}
		return m, err
	}
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(x.source), &parts); err != nil {
		return nil, err
	}
	for i, part := range parts {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(part, &keys); err != nil {
			return nil, err
		}
		switch {
		case keys["RepoDigests"] != nil:
			continue // belongs to the container before it
		case keys["KernelVersion"] != nil:
			h := &host.Host{Now: clock}
			if err := strict(part, &h.Info); err != nil {
				return nil, err
			}
			put(h)
			continue
		}
		c := dockercontainer.InspectResponse{ID: fmt.Sprint(i), Name: fmt.Sprintf("/example%d", i), State: &dockercontainer.State{Running: true}, HostConfig: &dockercontainer.HostConfig{}}
		if err := strict(part, &c); err != nil {
			return nil, err
		}
		c.NetworkSettings = &dockercontainer.NetworkSettings{Networks: map[string]*network.EndpointSettings{"example": {}}}
		var image *dockerimage.InspectResponse
		if i+1 < len(parts) {
			next := &dockerimage.InspectResponse{}
			if strict(parts[i+1], next) == nil {
				image = next
			}
		}
		put(container.New(c, image, "", clock))
	}
	return m, nil
}
