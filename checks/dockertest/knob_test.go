package dockertest_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// running returns an engine with one running container, "web".
func running(t *testing.T, opts ...dockertest.Option) (*dockertest.Server, *client.Client) {
	t.Helper()
	s := dockertest.Run(t, opts...)
	s.AddImage(dockertest.Probe("app:1"))
	add(t, s, dockertest.Container{Name: "web", Config: container.Config{Image: "app:1"}})
	return s, s.Client(t)
}

func add(t *testing.T, s *dockertest.Server, c dockertest.Container) string {
	t.Helper()
	id, err := s.AddContainer(c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func state(t *testing.T, cli *client.Client, name string) container.InspectResponse {
	t.Helper()
	got, err := cli.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Container
}

func TestFaults(t *testing.T) {
	s, cli := running(t)
	ctx := t.Context()
	rename := func(to string) error {
		_, err := cli.ContainerRename(ctx, state(t, cli, "web").ID, client.ContainerRenameOptions{NewName: to})
		return err
	}
	const endpoint = "POST /containers/{id}/rename"
	s.Inject(dockertest.Fault{Endpoint: endpoint, Nth: 2, Status: http.StatusConflict, Message: "not now"})
	for i, want := range []bool{false, true, false} {
		if err := rename("web"); want != errdefs.IsConflict(err) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if n := s.Count(endpoint); n != 3 {
		t.Errorf("counted %d renames", n)
	}
	s.Heal()

	s.Inject(dockertest.Fault{Endpoint: endpoint, Nth: 1, Drop: true}, dockertest.Fault{Endpoint: endpoint, Nth: 2, After: true})
	if err := rename("lost"); err == nil {
		t.Error("a dropped call succeeded")
	}
	if got := state(t, cli, "web").Name; got != "/web" {
		t.Errorf("a dropped call was carried out: %s", got)
	}
	if err := rename("shop"); err == nil {
		t.Error("a call cut after it was carried out was answered")
	}
	if got := state(t, cli, "shop").Name; got != "/shop" {
		t.Errorf("it was not carried out: %s", got)
	}

	s.Forget()
	s.Inject(dockertest.Fault{Endpoint: "GET /containers/{id}/json", Subject: "shop", Delay: 30 * time.Millisecond})
	start := time.Now()
	state(t, cli, "shop")
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Errorf("the delayed call took %v", d)
	}
	want := []dockertest.Call{{Endpoint: "GET /containers/{id}/json", Subject: "shop"}}
	if got := s.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls: %+v", got)
	}
}

func TestWatchSeesCallsBeforeTheyHappen(t *testing.T) {
	s, cli := running(t)
	id := state(t, cli, "web").ID
	var mu sync.Mutex
	var seen []string
	s.Watch(func(c dockertest.Call) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, c.Endpoint)
		if c.Endpoint == "POST /containers/{id}/stop" && slices.ContainsFunc(s.Events(), func(m events.Message) bool { return m.Action == events.ActionKill }) {
			t.Error("it had begun to stop")
		}
	})
	if _, err := cli.ContainerStop(t.Context(), id, client.ContainerStopOptions{}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(seen, []string{"POST /containers/{id}/stop"}) {
		t.Errorf("seen %q", seen)
	}
}

func TestDropAndResume(t *testing.T) {
	s, cli := running(t)
	stream := cli.Events(t.Context(), client.EventsListOptions{})
	s.Drop()
	select {
	case err := <-stream.Err:
		if err == nil {
			t.Error("the stream ended without an error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the stream of events survived")
	}
	if _, err := cli.Ping(t.Context(), client.PingOptions{}); err == nil {
		t.Error("the engine answers while it is away")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if !state(t, cli, "web").State.Running {
		t.Error("the container did not run on")
	}
}

func TestRestartBringsBackWhatAnEngineBringsBack(t *testing.T) {
	s, cli := running(t)
	for _, policy := range []container.RestartPolicyMode{"always", "unless-stopped"} {
		for _, stopped := range []string{"", "-stopped"} {
			name := string(policy) + stopped
			add(t, s, dockertest.Container{Name: name, Config: container.Config{Image: "app:1"}, Host: container.HostConfig{RestartPolicy: container.RestartPolicy{Name: policy}}})
			if stopped != "" {
				if _, err := cli.ContainerStop(t.Context(), name, client.ContainerStopOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	add(t, s, dockertest.Container{Name: "created", Config: container.Config{Image: "app:1"}, Stopped: true, Host: container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}}})
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"web": false, "always": true, "always-stopped": true, "unless-stopped": true, "unless-stopped-stopped": false, "created": false,
	} {
		if got := state(t, cli, name).State.Running; got != want {
			t.Errorf("%s runs: %v", name, got)
		}
	}
}

func TestPullMovesTheTag(t *testing.T) {
	s, cli := running(t)
	ctx := t.Context()
	old := state(t, cli, "web").Image
	if _, err := cli.ImagePull(ctx, "app:1", client.ImagePullOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("pulling what is not published: %v", err)
	}
	fresh := s.Publish("app:1", dockertest.Probe("app:1", "-x", "new"))
	before, err := cli.ImageInspect(ctx, "app:1")
	if err != nil || before.ID != old {
		t.Fatalf("publishing moved the tag: %v", err)
	}
	remote, err := cli.DistributionInspect(ctx, "app:1", client.DistributionInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		pull, err := cli.ImagePull(ctx, "app:1", client.ImagePullOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var last string
		progress := false
		for m, err := range pull.JSONMessages(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			last = m.Status
			progress = progress || m.Progress != nil && m.Progress.Total > 0
		}
		pull.Close()
		if newer := round == 0; newer != progress || newer != strings.Contains(last, "newer image") {
			t.Errorf("round %d ends with %q, progress %v", round, last, progress)
		}
	}
	after, err := cli.ImageInspect(ctx, "app:1")
	if err != nil || after.ID != fresh {
		t.Errorf("the tag is at %s, %v", after.ID, err)
	}
	if want := "app@" + string(remote.Descriptor.Digest); !slices.Contains(after.RepoDigests, want) {
		t.Errorf("digests %q, the registry says %q", after.RepoDigests, want)
	}
	left, err := cli.ImageInspect(ctx, old)
	if err != nil || len(left.RepoTags) != 0 {
		t.Errorf("the old image: %q, %v", left.RepoTags, err)
	}
	if got := state(t, cli, "web").Image; got != old {
		t.Error("the container moved with the tag")
	}
}

func TestEventsSinceAndFilters(t *testing.T) {
	_, cli := running(t)
	ctx := t.Context()
	collect := func(o client.EventsListOptions) []string {
		o.Until = time.Now().Add(30 * time.Millisecond).Format(time.RFC3339Nano)
		stream := cli.Events(ctx, o)
		var got []string
		for {
			select {
			case m := <-stream.Messages:
				got = append(got, string(m.Type)+" "+string(m.Action))
			case err := <-stream.Err:
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
				return got
			}
		}
	}
	begin := time.Now().Add(-time.Minute).Format(time.RFC3339Nano)
	if got := collect(client.EventsListOptions{Since: begin}); !slices.Equal(got, []string{"container create", "network connect", "container start"}) {
		t.Errorf("all: %q", got)
	}
	if got := collect(client.EventsListOptions{Since: begin, Filters: client.Filters{}.Add("type", "container").Add("event", "start")}); !slices.Equal(got, []string{"container start"}) {
		t.Errorf("starts: %q", got)
	}
	if got := collect(client.EventsListOptions{Since: begin, Filters: client.Filters{}.Add("container", "somebody")}); len(got) != 0 {
		t.Errorf("of somebody else: %q", got)
	}
	if got := collect(client.EventsListOptions{}); len(got) != 0 {
		t.Errorf("from now on: %q", got)
	}
}

func TestEventsArriveBeforeTheAnswer(t *testing.T) {
	s, cli := running(t)
	before := len(s.Events())
	if _, err := cli.ContainerPause(t.Context(), "web", client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	if all := s.Events(); len(all) != before+1 || all[before].Action != events.ActionPause {
		t.Errorf("events: %+v", all[before:])
	}
}

func TestSeveralEndpointsFrom144(t *testing.T) {
	s := dockertest.Run(t, dockertest.API("1.44"))
	s.AddImage(dockertest.Probe("app:1"))
	cli := s.Client(t)
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		if _, err := cli.NetworkCreate(ctx, name, client.NetworkCreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	mac := network.HardwareAddr{2, 66, 10, 0, 0, 9}
	made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: "web", Config: &container.Config{Image: "app:1"}, HostConfig: &container.HostConfig{NetworkMode: "a", Annotations: map[string]string{"k": "v"}},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"a": {MacAddress: mac}, "b": {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := cli.ClientVersion(); v != "1.44" {
		t.Errorf("negotiated %s", v)
	}
	if _, err := cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	c := state(t, cli, "web")
	if got := slices.Sorted(maps.Keys(c.NetworkSettings.Networks)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("networks %q", got)
	}
	if got := c.NetworkSettings.Networks["a"].MacAddress.String(); got != mac.String() {
		t.Errorf("mac %s", got)
	}
	if c.HostConfig.Annotations["k"] != "v" {
		t.Error("annotations are gone")
	}
}

func TestRestartPolicyBacksOff(t *testing.T) {
	clock := dockertest.NewManualClock(time.Unix(1_700_000_000, 0))
	s := dockertest.Run(t, dockertest.WithClock(clock))
	cli := s.Client(t)
	i := dockertest.Image{Tags: []string{"crash:1"}, Run: dockertest.OnExit(time.Second, 7)}
	s.AddImage(i)
	add(t, s, dockertest.Container{Name: "crash", Config: container.Config{Image: "crash:1"}, Host: container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}}})
	clock.Advance(time.Second)
	if c := state(t, cli, "crash"); c.State.Status != container.StateRestarting || c.State.ExitCode != 7 || c.RestartCount != 1 {
		t.Errorf("after the first end: %+v, %d restarts", c.State, c.RestartCount)
	}
	clock.Advance(100 * time.Millisecond)
	if c := state(t, cli, "crash"); c.State.Status != container.StateRunning {
		t.Errorf("after 100 ms: %s", c.State.Status)
	}
	clock.Advance(time.Second)
	clock.Advance(150 * time.Millisecond)
	if c := state(t, cli, "crash"); c.State.Status != container.StateRestarting {
		t.Errorf("150 ms after the second end: %s", c.State.Status)
	}
	clock.Advance(time.Minute)
	if c := state(t, cli, "crash"); c.RestartCount < 4 {
		t.Errorf("after a minute: %d restarts", c.RestartCount)
	}
	if _, err := cli.ContainerStop(t.Context(), "crash", client.ContainerStopOptions{}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
	if c := state(t, cli, "crash"); c.State.Running {
		t.Error("it came back after it was stopped")
	}
}

func TestStats(t *testing.T) {
	clock := dockertest.NewManualClock(time.Unix(1_700_000_000, 0))
	s := dockertest.Run(t, dockertest.WithClock(clock))
	cli := s.Client(t)
	s.AddImage(dockertest.Image{Tags: []string{"busy:1"}, Run: dockertest.Behaviour{Memory: 64 << 20, MemoryPeak: 96 << 20, CPU: 1.5, Pids: 12}})
	add(t, s, dockertest.Container{Name: "busy", Config: container.Config{Image: "busy:1"}, Host: container.HostConfig{Resources: container.Resources{Memory: 128 << 20}}})
	clock.Advance(10 * time.Second)
	got, err := cli.ContainerStats(t.Context(), "busy", client.ContainerStatsOptions{Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	samples := json.NewDecoder(got.Body)
	var first, second container.StatsResponse
	if err := samples.Decode(&first); err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 50 {
			clock.Advance(100 * time.Millisecond)
			time.Sleep(time.Millisecond)
		}
	}()
	if err := samples.Decode(&second); err != nil {
		t.Fatal(err)
	}
	if m := first.MemoryStats; m.Usage != 64<<20 || m.MaxUsage != 96<<20 || m.Limit != 128<<20 || first.PidsStats.Current != 12 {
		t.Errorf("first: %+v", first)
	}
	used := float64(second.CPUStats.CPUUsage.TotalUsage-second.PreCPUStats.CPUUsage.TotalUsage) / float64(second.CPUStats.SystemUsage-second.PreCPUStats.SystemUsage) * float64(second.CPUStats.OnlineCPUs)
	if used < 1.49 || used > 1.51 {
		t.Errorf("CPUs used: %v", used)
	}
	one, err := cli.ContainerStats(t.Context(), "busy", client.ContainerStatsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Body.Close()
	if all, err := io.ReadAll(one.Body); err != nil || strings.Count(string(all), "\n") != 1 {
		t.Errorf("one-shot: %q, %v", all, err)
	}
}

func TestVolumeContentSurvivesItsContainer(t *testing.T) {
	s := dockertest.Run(t)
	cli := s.Client(t)
	image := dockertest.Probe("db:1", "-write", "/data/log=started")
	image.Config.Volumes = map[string]struct{}{"/data": {}}
	s.AddImage(image)
	add(t, s, dockertest.Container{Name: "db", Config: container.Config{Image: "db:1"}})
	name := state(t, cli, "db").Mounts[0].Name
	if _, err := cli.ContainerRemove(t.Context(), "db", client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	add(t, s, dockertest.Container{Name: "db", Config: container.Config{Image: "db:1"}, Host: container.HostConfig{Binds: []string{name + ":/data"}}})
	if files, ok := s.Volume(name); !ok || files["log"] != "started\nstarted\n" {
		t.Errorf("content %q, %v", files, ok)
	}
}

func TestCloseRemovesTheSocket(t *testing.T) {
	s := dockertest.New()
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(s.Host(), "unix://")
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after closing: %v", err)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	s, cli := running(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := "c" + string(rune('0'+i))
			for range 10 {
				if _, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Image: "app:1"}); err != nil {
					t.Error(err)
				}
				cli.ContainerStart(ctx, name, client.ContainerStartOptions{})
				cli.ContainerList(ctx, client.ContainerListOptions{All: true})
				s.SetHealth(name, container.Healthy)
				if _, err := cli.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d containers are left, %v", len(list.Items), err)
	}
}
