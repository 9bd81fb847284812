package dockertest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"go.yaml.in/yaml/v4"

	"plimsoll/checks/dockertest"
)

func started(t testing.TB, s *dockertest.Server) *client.Client {
	t.Helper()
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Client(t)
}

func TestDemoShowsWhatItPromises(t *testing.T) {
	clock := dockertest.NewManualClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	cli := started(t, dockertest.Demo(dockertest.WithClock(clock)))
	ctx := t.Context()
	inspect := func(name string) client.ContainerInspectResult {
		got, err := cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil || len(list.Items) != 8 {
		t.Errorf("%d containers, %v", len(list.Items), err)
	}
	images, err := cli.ImageList(ctx, client.ImageListOptions{})
	if err != nil || len(images.Items) < 6 {
		t.Errorf("%d images, %v", len(images.Items), err)
	}
	web := inspect("web").Container
	tag, err := cli.ImageInspect(ctx, web.Config.Image)
	if err != nil || tag.ID == web.Image {
		t.Errorf("web runs what its tag means now: %v", err)
	}
	if !inspect("runner").Container.HostConfig.Privileged {
		t.Error("runner is not privileged")
	}
	if n := inspect("worker").Container.RestartCount; n < 100 {
		t.Errorf("worker restarted %d times", n)
	}
	if h := inspect("payments").Container.State.Health; h == nil || h.Status != "healthy" {
		t.Errorf("payments: %+v", h)
	}
	history, err := cli.ImageHistory(ctx, web.Image)
	if err != nil || !strings.Contains(history.Items[1].CreatedBy, "NPM_TOKEN=") {
		t.Errorf("history of web: %+v, %v", history, err)
	}
	pull, err := cli.ImagePull(ctx, "shop/proxy:latest", client.ImagePullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer pull.Close()
	go func() {
		for range 100 {
			clock.Advance(time.Second)
			time.Sleep(time.Millisecond)
		}
	}()
	if err := pull.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if now, err := cli.ImageInspect(ctx, "shop/proxy:latest"); err != nil || now.ID == inspect("proxy").Container.Image {
		t.Errorf("a pull brought nothing new: %v", err)
	}
}

func TestLiveDemoRestartsSomething(t *testing.T) {
	clock := dockertest.NewManualClock(time.Now())
	s := dockertest.Demo(dockertest.WithClock(clock))
	started(t, s)
	s.Live(3 * time.Second)
	before := len(s.Events())
	clock.Advance(3 * time.Second)
	var seen []string
	for _, m := range s.Events()[before:] {
		if m.Type == "container" && m.Action == "die" && m.Actor.Attributes["name"] != "worker" {
			seen = append(seen, m.Actor.Attributes["name"])
		}
	}
	if len(seen) != 1 {
		t.Fatalf("died within one turn: %q", seen)
	}
	clock.Advance(time.Second)
	all := s.Events()
	if !slices.ContainsFunc(all[before:], func(m events.Message) bool {
		return m.Action == events.ActionStart && m.Actor.Attributes["name"] == seen[0]
	}) {
		t.Errorf("%s did not come back", seen[0])
	}
}

func TestDemoFiles(t *testing.T) {
	dir := t.TempDir()
	if err := dockertest.WriteDemoFiles(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web/Dockerfile", "payments/Dockerfile"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := parser.Parse(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]any }
	if err := yaml.Unmarshal(text, &file); err != nil || len(file.Services) != 4 {
		t.Errorf("compose.yaml: %d services, %v", len(file.Services), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "payments", ".dockerignore")); err != nil {
		t.Error(err)
	}
}

func TestLargeIsQuick(t *testing.T) {
	start := time.Now()
	cli := started(t, dockertest.Large(1000, 300))
	if d := time.Since(start); d > time.Minute {
		t.Errorf("starting took %v", d)
	}
	list, err := cli.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	if err != nil || len(list.Items) != 1000 {
		t.Errorf("%d containers, %v", len(list.Items), err)
	}
	images, err := cli.ImageList(t.Context(), client.ImageListOptions{})
	if err != nil || len(images.Items) != 300 {
		t.Errorf("%d images, %v", len(images.Items), err)
	}
}

func BenchmarkLargeStart(b *testing.B) {
	for b.Loop() {
		dockertest.Large(1000, 300)
	}
}

func BenchmarkLargeList(b *testing.B) {
	cli := started(b, dockertest.Large(1000, 300))
	for b.Loop() {
		if _, err := cli.ContainerList(b.Context(), client.ContainerListOptions{All: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLargeInspectAll(b *testing.B) {
	cli := started(b, dockertest.Large(1000, 300))
	list, err := cli.ContainerList(b.Context(), client.ContainerListOptions{All: true})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, c := range list.Items {
			if _, err := cli.ContainerInspect(b.Context(), c.ID, client.ContainerInspectOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
