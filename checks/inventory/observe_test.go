package inventory

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockertest"
)

// limited proposes by what was seen, like the real checks.
var limited = &checks.Check{ID: "limited", Title: "limited", Severity: checks.Low, Chapter: checks.ResourceLimits, Kind: checks.Container,
	Run: func(s checks.Subject, report func(checks.Finding)) {
		peak := uint64(0)
		if o := s.(*container.Container).Observed; o != nil {
			peak = o.MemoryPeak
		}
		report(checks.Finding{Message: checks.Msg("peak %d", int(peak))})
	}}

// What a container uses is seen a second after somebody wants to know, judged
// by, kept when it is watched no more, and history once it is started anew.
func TestObserve(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	id := run(t, s, "app")
	if err := s.Behave(id, dockertest.Behaviour{Memory: 50 << 20, Pids: 7, CPU: 0.5, Processes: [][]string{{"1000", "1", "0", "0", "10:00", "?", "00:00:00", "app"}}}); err != nil {
		t.Fatal(err)
	}
	o := options(t, s)
	o.Suite = []*checks.Check{limited}
	v, inventory := watch(t, o)
	v.until("complete", func() bool { return v.done })
	ref := checks.Ref{Kind: checks.Container, ID: id, Name: "app"}
	seen := func() (Item, *container.Observed) {
		item, _ := v.named(checks.Container, "app")
		if c, ok := item.Subject.(*container.Container); ok {
			return item, c.Observed
		}
		return item, nil
	}
	inventory.Observe(t.Context(), ref, true)
	v.until("two samples were seen", func() bool { _, o := seen(); return o != nil && o.CPUPeak > 0 })
	item, use := seen()
	if use.MemoryPeak != 50<<20 || use.PidsPeak != 7 || math.Abs(use.CPUPeak-0.5) > 0.2 || len(use.UIDs) != 1 || use.Lasted() <= 0 || !item.Status.Observed {
		t.Errorf("seen: %+v, status %+v", use, item.Status)
	}
	if text := item.Report.Findings[0].Message.String(); text != "peak 52428800" {
		t.Errorf("it is judged by %q", text)
	}
	if n := s.Count("GET /containers/{id}/stats"); n != 1 {
		t.Errorf("%d streams of one container", n)
	}
	inventory.Observe(t.Context(), ref, false)
	v.until("nobody watches", func() bool { item, _ := seen(); return !item.Status.Observed })
	if _, o := seen(); o == nil || o.MemoryPeak != 50<<20 {
		t.Errorf("what was seen is forgotten: %+v", o)
	}
}

// Watching ends with the container, in the inventory and for one fix.
func TestObserveEnds(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	id := run(t, s, "app")
	o := options(t, s)
	o.Suite = []*checks.Check{limited}
	v, inventory := watch(t, o)
	v.until("complete", func() bool { return v.done })
	inventory.Observe(t.Context(), checks.Ref{Kind: checks.Container, ID: id, Name: "app"}, true)
	v.until("it is watched", func() bool { item, _ := v.named(checks.Container, "app"); return item.Status.Observed })
	if err := s.Exit(id, 0, false); err != nil {
		t.Fatal(err)
	}
	v.until("watching ends with it", func() bool {
		item, _ := v.named(checks.Container, "app")
		return !item.Status.Observed && item.Status.State == "exited"
	})
	item, _ := v.named(checks.Container, "app")
	if _, err := inventory.Watched(t.Context(), item, time.Second, func(*container.Container) {}); err == nil || !strings.Contains(err.Error(), "running") {
		t.Errorf("a stopped container is watched: %v", err)
	}
}

// A real container is watched for a while.
func TestWatchedReal(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	c := dockertest.Real(t)
	prefix := dockertest.Prefix(t, c)
	dockertest.Load(t, c, prefix, dockertest.Probe(prefix+"app:1"))
	created, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: prefix + "app", Image: prefix + "app:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ContainerStart(t.Context(), created.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	v := New(Options{Target: target(t, c.DaemonHost()), Suite: []*checks.Check{limited}})
	items, err := v.Gather(t.Context(), Selection{Containers: []string{created.ID}})
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	samples := 0
	item, err := v.Watched(t.Context(), items[0], 2500*time.Millisecond, func(*container.Container) { samples++ })
	if err != nil {
		t.Fatal(err)
	}
	use := item.Subject.(*container.Container).Observed
	if samples < 1 || use == nil || use.MemoryPeak == 0 || use.PidsPeak == 0 || use.CPUs == 0 || len(use.UIDs) != 1 || use.UIDs[0] != 0 {
		t.Errorf("%d samples, %+v", samples, use)
	}
}
