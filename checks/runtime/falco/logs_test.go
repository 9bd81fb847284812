package falco

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// A listener collects what is followed.
type listener struct {
	mu    sync.Mutex
	lines []string
	names []string
	wrong []string
}

func (l *listener) logs(e LogEngine) Logs {
	note := func(to *[]string, s string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		*to = append(*to, s)
	}
	return Logs{
		Engine: e, Again: 10 * time.Millisecond,
		Take:  func(line []byte) { note(&l.lines, string(line)) },
		Found: func(name string) { note(&l.names, name) },
		Trouble: func(err error) {
			if err != nil {
				note(&l.wrong, err.Error())
			}
		},
	}
}

func (l *listener) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		ok := cond()
		l.mu.Unlock()
		if ok {
			return
		}
	}
	t.Fatalf("never %s: %q, %q, %q", what, l.lines, l.names, l.wrong)
}

func alert(n int) string { return fmt.Sprintf(`{"rule":"r%d","priority":"Notice"}`, n) }

// follow follows until the test ends.
func follow(t *testing.T, l Logs) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Follow(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func TestLogsOfAContainer(t *testing.T) {
	server := dockertest.Run(t)
	server.AddImage(dockertest.Image{Tags: []string{"registry.example/falcosecurity/falco:0.43.0"}, Run: dockertest.Behaviour{Stdout: alert(1) + "\n", Stderr: "Falco version: 0.43.0\n"}})
	server.AddImage(dockertest.Image{Tags: []string{"falcosecurity/falcosidekick:2"}, Run: dockertest.Behaviour{Stdout: alert(99) + "\n"}})
	for name, image := range map[string]string{"sidekick": "falcosecurity/falcosidekick:2", "sensor": "registry.example/falcosecurity/falco:0.43.0"} {
		if _, err := server.AddContainer(dockertest.Container{Name: name, Config: container.Config{Image: image}}); err != nil {
			t.Fatal(err)
		}
	}
	c := server.Client(t)
	l := &listener{}
	follow(t, l.logs(c))
	l.until(t, "found", func() bool { return slices.Contains(l.names, "sensor") })
	l.until(t, "followed", func() bool { return server.Count("GET /containers/{id}/logs") > 0 })
	// What it printed before is history.
	say := func(text string) {
		t.Helper()
		if err := server.Print("sensor", "stdout", text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say(alert(2) + "\nstarting")
	l.until(t, "taken", func() bool { return len(l.lines) == 1 })
	// What it prints while the engine is away is not, and nothing is told twice.
	server.Drop()
	say(alert(3))
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	say("12:00:00.123456789: Notice A shell was spawned")
	l.until(t, "told again", func() bool {
		return len(l.lines) >= 2 && strings.Contains(strings.Join(l.wrong, " "), "json_output: true")
	})
	if _, err := c.ContainerRestart(t.Context(), "sensor", client.ContainerRestartOptions{}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "restarted", func() bool { return len(l.lines) >= 3 })
	want := []string{alert(2), alert(3), alert(1)}
	// Another container takes its place.
	if _, err := c.ContainerRemove(t.Context(), "sensor", client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "lost", func() bool { return l.names[len(l.names)-1] == "" })
	if _, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "sensor2", Config: &container.Config{Image: "registry.example/falcosecurity/falco:0.43.0"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ContainerStart(t.Context(), "sensor2", client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "replaced", func() bool { return len(l.lines) >= 4 })
	want = append(want, alert(1))
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, want) {
		t.Errorf("taken %q, want %q", l.lines, want)
	}
}

func TestLogsOfANamedContainer(t *testing.T) {
	server := dockertest.Run(t)
	l := &listener{}
	o := l.logs(server.Client(t))
	o.Container = "own-build"
	follow(t, o)
	l.until(t, "missed", func() bool { return len(l.wrong) > 0 })
	server.AddImage(dockertest.Image{Tags: []string{"mine:1"}, Run: dockertest.Behaviour{Stdout: alert(7) + "\n"}})
	if _, err := server.AddContainer(dockertest.Container{Name: "own-build", Config: container.Config{Image: "mine:1", Tty: true}}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "read", func() bool { return slices.Contains(l.names, "own-build") })
	l.until(t, "taken", func() bool { return slices.Equal(l.lines, []string{alert(7)}) })
}

func TestWhoRunsFalco(t *testing.T) {
	for image, want := range map[string]bool{
		"falcosecurity/falco": true, "docker.io/falcosecurity/falco:latest": true, "public.ecr.aws/falcosecurity/falco-no-driver:0.40.0": true,
		"bitnami/falco@sha256:" + strings.Repeat("a", 64): true, "falcosecurity/falco-exporter": false, "shop:falco": false, "": false, "sha256:abc": false,
	} {
		if got := runs(&container.Summary{Image: image}); got != want {
			t.Errorf("%s: %t", image, got)
		}
	}
	if !runs(&container.Summary{Image: "own:1", Labels: map[string]string{"org.opencontainers.image.title": "falco"}}) {
		t.Error("a label says nothing")
	}
}

// TestLogsOfTheRealEngine reads what a container prints on the real engine.
func TestLogsOfTheRealEngine(t *testing.T) {
	c := dockertest.Real(t)
	prefix := dockertest.Prefix(t, c)
	dockertest.Busybox(t, c, prefix, "box:1")
	script := "echo '" + alert(1) + "'; sleep 2; echo '" + alert(2) + "'; echo noise >&2; sleep 60"
	made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: prefix + "sensor", Config: &container.Config{
		Image: prefix + "box:1", Cmd: []string{"sh", "-c", script},
	}})
	if err == nil {
		_, err = c.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // so that the first alert is history
	l := &listener{}
	o := l.logs(c)
	o.Container = made.ID[:12]
	follow(t, o)
	l.until(t, "taken", func() bool { return len(l.lines) > 0 })
	if l.lines[0] != alert(2) {
		t.Errorf("taken %q", l.lines)
	}
	if _, err := c.ContainerRestart(t.Context(), made.ID, client.ContainerRestartOptions{Timeout: new(int)}); err != nil {
		t.Fatal(err)
	}
	l.until(t, "restarted", func() bool { return len(l.lines) > 1 && l.lines[1] == alert(1) })
}
