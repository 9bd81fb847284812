package assets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/host"
)

// An example is a fenced block of an explanation that claims to be bad or good.
type example struct {
	line           int // of the fence
	syntax, source string
	bad            bool
}

// clock is the time in examples.
var clock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// examples returns the examples in markdown.
func examples(t *testing.T, markdown string) []example {
	t.Helper()
	var out []example
	var current *example
	for i, line := range strings.Split(markdown, "\n") {
		fence, ok := strings.CutPrefix(line, "```")
		switch {
		case ok && current != nil:
			if current.syntax != "" {
				out = append(out, *current)
			}
			current = nil
		case ok:
			current = &example{line: i + 1}
			if words := strings.Fields(fence); len(words) == 2 {
				current.syntax, current.bad = words[0], words[1] == "bad"
				if words[1] != "bad" && words[1] != "good" {
					t.Errorf("line %d: an example is bad or good, not %s", i+1, words[1])
				}
			}
		case current != nil:
			current.source += line + "\n"
		}
	}
	if current != nil {
		t.Errorf("line %d: this block does not end", current.line)
	}
	return out
}

// subject returns what the example shows, for a check of one of kinds.
func (x example) subject(kinds []checks.Kind) (checks.Subject, error) {
	want := func(kind checks.Kind) bool { return slices.Contains(kinds, kind) }
	source := []byte(x.source)
	switch {
	case x.syntax == "dockerfile" && want(checks.Dockerfile):
		return inContext(source, nil), nil
	case x.syntax == "dockerignore" && want(checks.Dockerfile):
		return inContext([]byte("FROM scratch\nCOPY . /app\nCOPY dist /dist\n"), source), nil
	case x.syntax == "yaml" && want(checks.Compose):
		return compose.Parse("/example/compose.yaml", "compose.yaml", source)
	case x.syntax == "json" && want(checks.Container):
		return inspected(source)
	case x.syntax == "json" && want(checks.Image):
		return imageOf(source)
	case x.syntax == "layers" && want(checks.Image):
		return imageWith(x.source)
	case x.syntax == "json" && want(checks.Host):
		return hostOf(source)
	}
	return nil, fmt.Errorf("no %s example for a check of %v", x.syntax, kinds)
}

// inContext returns a Dockerfile in a context of its own, on images that the
// engine of the examples has.
func inContext(source, ignore []byte) *dockerfile.File {
	f := dockerfile.Parse("/example/Dockerfile", "Dockerfile", source)
	f.Context = dockerfile.Context{Known: true, Ignore: ignore, Names: []string{"Dockerfile"}}
	if ignore != nil {
		f.Context.Names = []string{".env", ".git/", "Dockerfile", "dist/"}
	}
	f.Now = clock
	f.Rules.Registries = []string{"docker.io", "registry.example.com"}
	f.Rules.Labels = dockerfile.LabelSchema{Required: []string{"org.opencontainers.image.source"}, Strict: true}
	f.Bases = map[string]dockerfile.Base{}
	for _, ref := range f.BaseImages() {
		base := dockerfile.Base{ID: "sha256:" + strings.Repeat("b", 64), Tags: []string{ref}}
		base.Served = "sha256:" + strings.Repeat("2", 64)
		base.Platforms = []string{"linux/amd64", "linux/arm64"}
		if strings.HasSuffix(ref, "/base:1.0") {
			base.Fixable = []string{"CVE-2021-44228"}
		}
		f.Bases[ref] = base
	}
	return f
}

// engineOfExamples is what the engine of the examples says of itself.
var engineOfExamples = container.Engine{DefaultRuntime: "runc", CgroupVersion: "2", Memory: 8 << 30}

// inspected returns a container from an excerpt of its inspection, alone or
// with more that was seen of it: see [seen].
func inspected(source []byte) (checks.Subject, error) {
	parts, err := elements(source)
	if err != nil {
		return nil, err
	}
	i := dockercontainer.InspectResponse{
		ID: "c0ffee", Name: "/example", Config: &dockercontainer.Config{Image: "example:1"}, HostConfig: &dockercontainer.HostConfig{},
	}
	if err := strict(parts[0], &i); err != nil {
		return nil, err
	}
	if i.State == nil {
		i.State = &dockercontainer.State{Status: dockercontainer.StateRunning, Running: true, StartedAt: clock.Add(-time.Hour).Format(time.RFC3339Nano)}
	}
	if i.HostConfig.NetworkMode == "" {
		i.HostConfig.NetworkMode = "bridge"
	}
	if i.HostConfig.RestartPolicy.Name == "" {
		i.HostConfig.RestartPolicy.Name = dockercontainer.RestartPolicyDisabled
	}
	if i.NetworkSettings == nil {
		name := string(i.HostConfig.NetworkMode)
		i.NetworkSettings = &dockercontainer.NetworkSettings{Networks: map[string]*network.EndpointSettings{name: {}}}
	}
	c := container.New(i, nil, i.Image, clock)
	c.Engine = &engineOfExamples
	for _, part := range parts[1:] {
		if err := seen(c, part); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// seen adds to c what part shows, which is told by its keys: a sample of its
// stats, or the inspection of the image that its tag names now.
func seen(c *container.Container, part json.RawMessage) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(part, &keys); err != nil {
		return err
	}
	if keys["memory_stats"] != nil {
		var sample dockercontainer.StatsResponse
		c.Observed = new(container.Observed)
		err := strict(part, &sample)
		c.Observed.Add(&sample)
		return err
	}
	var tagged dockerimage.InspectResponse
	if err := strict(part, &tagged); err != nil {
		return err
	}
	c.TagID = tagged.ID
	if c.Inspect.Image == "" || c.Inspect.Image == tagged.ID {
		c.Image = &tagged
	}
	return nil
}

// hostOf returns an engine from an excerpt of docker info, of its default
// bridge, of the list of running containers, or of anything that docker inspect
// tells of what the host has; several of these in an array.
func hostOf(source []byte) (checks.Subject, error) {
	h := &host.Host{Now: clock, Endpoint: "unix:///var/run/docker.sock"}
	parts := []json.RawMessage{source}
	if bytes.HasPrefix(bytes.TrimSpace(source), []byte("[")) {
		if err := json.Unmarshal(source, &parts); err != nil {
			return nil, err
		}
	}
	var images []dockerimage.InspectResponse
	var containers []dockercontainer.InspectResponse
	for _, part := range parts {
		if err := addToHost(h, part, &containers, &images); err != nil {
			return nil, err
		}
	}
	if h.Networks != nil || h.Volumes != nil {
		h.Attached = []host.Attached{}
	}
	for _, c := range containers {
		a := host.Inspected(c)
		for _, i := range images {
			a.Outdated = a.Outdated || i.ID != c.Image && slices.Contains(i.RepoTags, a.Image)
		}
		h.Attached = append(h.Attached, a)
	}
	return h, nil
}

// addToHost adds one excerpt to h. What it is of can be told by its fields.
func addToHost(h *host.Host, part json.RawMessage, containers *[]dockercontainer.InspectResponse, images *[]dockerimage.InspectResponse) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(part, &keys); err != nil {
		return err
	}
	has := func(all ...string) bool {
		return !slices.ContainsFunc(all, func(key string) bool { return keys[key] == nil })
	}
	managed := func() *host.Swarm {
		if h.Swarm == nil {
			h.Swarm = &host.Swarm{Services: []swarm.Service{}, Secrets: []swarm.Secret{}, Configs: []swarm.Config{}}
			h.Info.Swarm.LocalNodeState, h.Info.Swarm.ControlAvailable = swarm.LocalNodeStateActive, true
		}
		return h.Swarm
	}
	switch {
	case has("Names"):
		var running struct{ Names, Image string }
		if err := strict(part, &running); err != nil {
			return err
		}
		h.Containers = append(h.Containers, host.Running{Name: running.Names, Image: running.Image})
		return nil
	case has("Mountpoint"):
		h.Volumes = append(h.Volumes, host.Volume{})
		return strict(part, &h.Volumes[len(h.Volumes)-1].Volume)
	case has("NetworkSettings"), has("Mounts"):
		*containers = append(*containers, dockercontainer.InspectResponse{State: &dockercontainer.State{Running: true}})
		return strict(part, &(*containers)[len(*containers)-1])
	case has("RepoTags"):
		*images = append(*images, dockerimage.InspectResponse{})
		return strict(part, &(*images)[len(*images)-1])
	case has("Driver", "Name"):
		h.Networks = append(h.Networks, network.Network{})
		return strict(part, &h.Networks[len(h.Networks)-1])
	case has("Driver", "Options"):
		h.Bridge = new(network.Inspect)
		return strict(part, h.Bridge)
	case has("dst", "dev"):
		var route struct{ Dst, Dev string }
		if err := strict(part, &route); err != nil {
			return err
		}
		to, err := netip.ParsePrefix(route.Dst)
		h.Routes = append(h.Routes, host.Route{To: to, Interface: route.Dev})
		return err
	case has("ListenAddr"):
		managed().Local = &host.Node{Source: "docker-state.json"}
		return strict(part, h.Swarm.Local)
	case has("worker-token"), has("manager-token"), has("unlock-key"):
		managed().Keys = &host.Keys{}
		return strict(part, h.Swarm.Keys)
	case has("Spec") && bytes.Contains(keys["Spec"], []byte("TaskTemplate")):
		managed().Services = append(managed().Services, swarm.Service{})
		return strict(part, &h.Swarm.Services[len(h.Swarm.Services)-1])
	case has("Spec"):
		managed().Secrets = append(managed().Secrets, swarm.Secret{})
		return strict(part, &h.Swarm.Secrets[len(h.Swarm.Secrets)-1])
	}
	if err := strict(part, &h.Info); err != nil {
		return err
	}
	if h.Info.Swarm.ControlAvailable {
		managed()
	}
	return nil
}

// elements returns the elements of a JSON array, or source itself.
func elements(source []byte) ([]json.RawMessage, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(source), []byte("[")) {
		return []json.RawMessage{source}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(source, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("an array of nothing, want a container and what was seen of it")
	}
	return list, nil
}

// strict decodes source and refuses fields that the engine does not have, so
// that an example cannot be good because of a typing mistake.
func strict(source []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(source))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
