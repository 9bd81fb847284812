package assets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/runtime"
	"plimsoll/checks/runtime/falco"
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
		return composeOf(source)
	case x.syntax == "json" && want(checks.Container):
		return inspected(source)
	case x.syntax == "json" && want(checks.Image):
		return imageOf(source)
	case x.syntax == "layers" && want(checks.Image):
		return imageWith(x.source)
	case x.syntax == "packages" && want(checks.Image):
		return packagesOf(x.source)
	case x.syntax == "json" && want(checks.Host):
		return hostOf(source)
	case x.syntax == "files" && want(checks.Host):
		return siteOf(x.source)
	}
	return nil, fmt.Errorf("no %s example for a check of %v", x.syntax, kinds)
}

// composeOf returns a compose file with what runs of it: a line of dashes
// stands between the two.
func composeOf(source []byte) (checks.Subject, error) {
	const path = "/example/compose.yaml"
	file, running, runs := bytes.Cut(source, []byte("\n---\n"))
	f, err := compose.Parse(path, "compose.yaml", file)
	if err != nil || !runs {
		return f, err
	}
	other, err := compose.Parse(path, "compose.yaml", running)
	if err != nil {
		return nil, err
	}
	for _, s := range other.Services {
		c := container.New(dockercontainer.InspectResponse{Name: "example-" + s.Compose.Service + "-1", Config: s.Settings.Config, HostConfig: s.Settings.Host}, nil, "", clock)
		c.Settings.Config.Labels = map[string]string{
			"com.docker.compose.service": s.Compose.Service, "com.docker.compose.project.config_files": path,
		}
		f.Running = append(f.Running, c)
	}
	return f, nil
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
		if strings.HasSuffix(ref, "/base:old") {
			base.Created, base.Seen = clock.AddDate(0, 0, -200), clock
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
// stats, the answer to docker top or docker diff, what stands behind its
// mounts, or the inspection of the image that its tag names now.
func seen(c *container.Container, part json.RawMessage) error {
	if bytes.HasPrefix(part, []byte("[")) {
		return strict(part, &c.Changed)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(part, &keys); err != nil {
		return err
	}
	switch {
	case keys["ProcessConfig"] != nil:
		var started dockercontainer.ExecInspectResponse
		err := strict(part, &started)
		facts := runtime.FactsOf(*c.Inspect)
		c.Alerts = append(c.Alerts, runtime.JudgeExec(&facts, runtime.ExecOf(started), clock)...)
		return err
	case keys["Normal"] != nil:
		return watched(c, part)
	case keys["rule"] != nil:
		alert, err := falco.Parse(part)
		c.Alerts = append(c.Alerts, alert.Alert(clock, func(string, string) *runtime.Facts { f := runtime.FactsOf(*c.Inspect); return &f }))
		return err
	case keys["Titles"] != nil:
		var top dockercontainer.TopResponse
		err := strict(part, &top)
		if c.Processes = container.Processes(top); c.Processes == nil {
			return fmt.Errorf("%s is not what docker top answers", part)
		}
		return err
	case keys["Places"] != nil:
		return strict(keys["Places"], &c.Places)
	case keys["memory_stats"] != nil:
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
	c.TagID, c.Served = tagged.ID, "sha256:"+strings.Repeat("2", 64)
	if c.Inspect.Image == "" || c.Inspect.Image == tagged.ID {
		c.Image = &tagged
	}
	return nil
}

// watched judges what a container was seen to do for a quarter of an hour,
// beside what is normal for it.
func watched(c *container.Container, part json.RawMessage) error {
	var example struct {
		Normal    runtime.Normal
		Listening []runtime.Listener
		CPU       float64
	}
	if err := strict(part, &example); err != nil {
		return err
	}
	example.Normal.Declared = true
	facts := runtime.FactsOf(*c.Inspect)
	m := runtime.NewMonitor(runtime.Options{Normals: &runtime.Normals{Declared: func(*runtime.Facts) *runtime.Normal { return &example.Normal }}})
	for _, at := range []time.Time{clock.Add(-15 * time.Minute), clock} {
		c.Alerts = append(c.Alerts, m.Seen(&facts, runtime.Look{At: at, Listening: example.Listening, CPU: example.CPU})...)
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
