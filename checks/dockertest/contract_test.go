package dockertest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// An engine is what a scenario talks to: a real one or ours. What it observes
// is noted in words that mean the same on both.
type engine struct {
	*testing.T
	cli    *client.Client
	server *dockertest.Server // nil for a real engine
	alone  bool               // nobody else uses this engine
	prefix string

	notes []string
	ids   map[string]string // id → "<name>"

	mu      sync.Mutex
	arrived []events.Message
}

func ours(t *testing.T, version string) *engine {
	s := dockertest.Run(t, dockertest.API(version))
	e := &engine{T: t, cli: s.Client(t), server: s, alone: true, prefix: "plimsoll-test-ours-", ids: map[string]string{}}
	return e.listen()
}

func theirs(t *testing.T, cli *client.Client) *engine {
	e := &engine{T: t, cli: cli, alone: true, prefix: dockertest.Prefix(t, cli), ids: map[string]string{}}
	return e.listen()
}

func (e *engine) images(images ...dockertest.Image) {
	e.Helper()
	for _, i := range images {
		for n, tag := range i.Tags {
			i.Tags[n] = e.prefix + tag
		}
		name := strings.TrimPrefix(i.Tags[0], e.prefix)
		if e.server == nil {
			e.know(dockertest.Load(e.T, e.cli, e.prefix, i)[0], "image "+name)
			continue
		}
		i.Config.Labels = maps.Clone(i.Config.Labels)
		if i.Config.Labels == nil {
			i.Config.Labels = map[string]string{}
		}
		i.Config.Labels[dockertest.Label] = "1"
		i.Config.Labels[dockertest.Label+".prefix"] = e.prefix
		e.know(e.server.AddImage(i), "image "+name)
	}
}

func (e *engine) know(id, name string) string {
	e.ids[id] = "<" + name + ">"
	e.ids[strings.TrimPrefix(id, "sha256:")] = "<" + name + ">"
	e.ids[strings.TrimPrefix(id, "sha256:")[:12]] = "<" + name + ">"
	return id
}

// note records an observation with names and ids made comparable.
func (e *engine) note(what string, v any) {
	e.notes = append(e.notes, what+": "+e.plain(v))
}

func (e *engine) plain(v any) string {
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			e.Fatal(err)
		}
		text = string(b)
	}
	text = strings.ReplaceAll(text, e.prefix, "")
	for _, id := range slices.SortedFunc(maps.Keys(e.ids), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		text = strings.ReplaceAll(text, id, e.ids[id])
	}
	return text
}

// fails records what kind of error a call gives.
func (e *engine) fails(what string, err error) {
	e.notes = append(e.notes, what+": "+kind(err))
}

func kind(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errdefs.IsNotFound(err):
		return "not found"
	case errdefs.IsInvalidArgument(err):
		return "invalid"
	case errdefs.IsConflict(err):
		return "conflict"
	case errdefs.IsPermissionDenied(err):
		return "forbidden"
	case errdefs.IsNotModified(err):
		return "not modified"
	case errdefs.IsUnavailable(err):
		return "unavailable"
	case errdefs.IsInternal(err):
		return "internal"
	}
	return "other: " + err.Error()
}

func (e *engine) create(name string, config container.Config, host container.HostConfig) (string, error) {
	e.Helper()
	if !strings.HasPrefix(config.Image, "sha256:") {
		config.Image = e.prefix + config.Image
	}
	made, err := e.cli.ContainerCreate(e.Context(), client.ContainerCreateOptions{Name: e.prefix + name, Config: &config, HostConfig: &host})
	if err == nil {
		e.know(made.ID, "container "+name)
	}
	return made.ID, err
}

func (e *engine) mustCreate(name string, config container.Config, host container.HostConfig) string {
	e.Helper()
	id, err := e.create(name, config, host)
	if err != nil {
		e.Fatalf("creating %s: %v", name, err)
	}
	return id
}

func (e *engine) run(name string, config container.Config, host container.HostConfig) string {
	e.Helper()
	id := e.mustCreate(name, config, host)
	if _, err := e.cli.ContainerStart(e.Context(), id, client.ContainerStartOptions{}); err != nil {
		e.Fatalf("starting %s: %v", name, err)
	}
	e.ready(id)
	return id
}

// ready waits until the program of a started container can be stopped.
func (e *engine) ready(id string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), 30*time.Second)
	defer cancel()
	if err := dockertest.Ready(ctx, e.cli, id); err != nil && !errdefs.IsNotFound(err) {
		e.Fatal(err)
	}
}

func (e *engine) inspect(ref string) container.InspectResponse {
	e.Helper()
	got, err := e.cli.ContainerInspect(e.Context(), ref, client.ContainerInspectOptions{})
	if err != nil {
		e.Fatalf("inspect %s: %v", ref, err)
	}
	for _, m := range got.Container.Mounts {
		if len(m.Name) == 64 {
			e.ids[m.Name] = "<volume at " + m.Destination + ">"
		}
	}
	return got.Container
}

// until waits for a state that comes by itself.
func (e *engine) until(ref string, met func(container.InspectResponse) bool) {
	e.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if met(e.inspect(ref)) {
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("%s did not get there: %s", ref, e.plain(e.inspect(ref).State))
		}
	}
}

// eventsSoFar notes the events of what has the prefix, in order.
func (e *engine) eventsSoFar() {
	e.Helper()
	ctx := e.Context()
	arrived := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.arrived)
	}
	for before := -1; before != arrived(); time.Sleep(100 * time.Millisecond) {
		before = arrived() // they take a moment from the engine to us
	}
	e.mu.Lock()
	all := e.arrived
	e.arrived = nil
	e.mu.Unlock()
	for _, m := range all {
		if m.Type == events.ContainerEventType && strings.HasPrefix(m.Actor.Attributes["name"], e.prefix) && e.ids[m.Actor.ID] == "" {
			e.know(m.Actor.ID, "container "+strings.TrimPrefix(m.Actor.Attributes["name"], e.prefix))
		}
	}
	for _, name := range []string{"bridge", "host", "none"} {
		if got, err := e.cli.NetworkInspect(ctx, name, client.NetworkInspectOptions{}); err == nil {
			e.know(got.Network.ID, "network "+name)
		}
	}
	unordered := 0 // events of volumes and networks in a row come in any order
	for _, m := range all {
		mine := strings.HasPrefix(m.Actor.Attributes["name"], e.prefix) || strings.HasPrefix(m.Actor.ID, e.prefix) || e.ids[m.Actor.ID] != "" || e.ids[m.Actor.Attributes["container"]] != "" || e.ids[m.Actor.Attributes["name"]] != ""
		if c := m.Actor.Attributes["container"]; !mine || c != "" && e.ids[c] == "" {
			continue
		}
		if m.Action == "load" || strings.HasPrefix(string(m.Action), "exec_") {
			continue // how images came to be, and how often a check ran
		}
		if !e.alone && (m.Action == events.ActionTop || m.Action == events.ActionSave) {
			continue // others look at this engine too
		}
		attributes := maps.Clone(m.Actor.Attributes)
		for k := range attributes {
			if strings.HasPrefix(k, dockertest.Label) || k == "execDuration" {
				delete(attributes, k)
			}
		}
		last := len(e.notes)
		if m.Type == events.NodeEventType && (attributes["state.new"] == "" || slices.Contains(e.notes, "event: "+e.plain(eventOf(m, attributes)))) {
			continue // that it is ready is told once or twice; how a manager comes to be one, in steps of its own
		}
		e.note("event", eventOf(m, attributes))
		if (m.Action == events.ActionPause || m.Action == events.ActionUnPause) && last > 0 && e.notes[last] == e.notes[last-1] {
			e.notes = e.notes[:last] // an engine under load announces these twice
		}
		if m.Type != events.VolumeEventType && m.Type != events.NetworkEventType {
			unordered = 0
			continue
		}
		unordered++
		slices.Sort(e.notes[len(e.notes)-unordered:])
	}
}

func eventOf(m events.Message, attributes map[string]string) string {
	return fmt.Sprintf("%s %s %s %v", m.Type, m.Action, m.Actor.ID, attributes)
}

// listen collects events until the test ends.
func (e *engine) listen() *engine {
	info, err := e.cli.Info(e.Context(), client.InfoOptions{})
	if err != nil {
		e.Fatal(err)
	}
	e.ids[info.Info.DockerRootDir] = "<root>"
	stream := e.cli.Events(e.Context(), client.EventsListOptions{})
	go func() {
		for {
			select {
			case m := <-stream.Messages:
				e.mu.Lock()
				e.arrived = append(e.arrived, m)
				e.mu.Unlock()
			case <-stream.Err:
				return
			}
		}
	}()
	return e
}

// TestContract runs every scenario on a real engine and on ours. They must
// observe the same.
//
// The real one is the test's own: packages are tested at the same time, and
// some look at every container that the usual engine has.
func TestContract(t *testing.T) {
	if testing.Short() {
		t.Skip("the ordinary run compares with a real engine")
	}
	cli := dockertest.Private(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // an engine mostly waits
			var mine, real *engine
			t.Run("ours", func(t *testing.T) {
				mine = ours(t, "1.41")
				s.play(mine)
			})
			t.Run("real", func(t *testing.T) {
				e := theirs(t, cli)
				s.play(e)
				real = e
			})
			if real == nil {
				t.Skip("no Docker Engine to compare with")
			}
			if v := real.cli.ClientVersion(); v != "1.41" && s.only141 {
				t.Skipf("the engine speaks %s; this scenario is about 1.41", v)
			}
			if diff := lineDiff(real.notes, mine.notes); diff != "" {
				t.Errorf("- real engine, + ours\n%s", diff)
			}
		})
	}
}

// TestSwarmContract does the same with a swarm, for which the real engine is
// one of its own.
func TestSwarmContract(t *testing.T) {
	if testing.Short() {
		t.Skip("the ordinary run compares with a real engine")
	}
	cli := dockertest.Private(t)
	for name, play := range map[string]func(*engine){"what a swarm keeps": swarmed, "tasks": tasked} {
		t.Run(name, func(t *testing.T) { compareSwarms(t, cli, play) })
	}
}

func compareSwarms(t *testing.T, cli *client.Client, play func(*engine)) {
	real := (&engine{T: t, cli: cli, alone: true, prefix: "plimsoll-test-swarm-", ids: map[string]string{}}).listen()
	mine := ours(t, "1.41")
	mine.prefix = real.prefix
	play(real)
	play(mine)
	if v := cli.ClientVersion(); v != "1.41" {
		t.Skipf("the engine speaks %s; what is compared is 1.41", v)
	}
	if diff := lineDiff(real.notes, mine.notes); diff != "" {
		t.Errorf("- real engine, + ours\n%s", diff)
	}
}

// lineDiff returns the lines that only one of them has, by longest common
// subsequence.
func lineDiff(want, got []string) string {
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintln(&b, "-", want[i])
			i++
		default:
			fmt.Fprintln(&b, "+", got[j])
			j++
		}
	}
	return b.String()
}

var sixtyFour = regexp.MustCompile(`[0-9a-f]{64}`)

type scenario struct {
	name    string
	only141 bool // later versions of the API behave otherwise
	play    func(*engine)
}
