package inventory

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
)

func TestSwitch(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "Dockerfile", "FROM app:1\n")
	var servers []*dockertest.Server
	for i := range 2 {
		s := dockertest.Run(t)
		s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
		if _, err := s.AddContainer(dockertest.Container{Name: fmt.Sprint("of", i), Config: container.Config{Image: "app:1"}}); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, s)
	}
	o := options(t, servers[0])
	o.Roots = []string{dir}
	v, inventory := watch(t, o)
	v.until("the first engine is read", func() bool { return v.done && v.has(checks.Container, "of0")() })

	listening := func(i int) bool { return servers[i].EventListeners() > 0 }
	turn := func(to int) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			defer close(done)
			inventory.Switch(t.Context(), *target(t, servers[to].Host()))
		}()
		kept := true
		v.until("the other engine is read", func() bool {
			_, there := v.items[identity{checks.Dockerfile, file}]
			kept = kept && there
			return v.done && v.engine.Phase == Connected && v.has(checks.Container, fmt.Sprint("of", to))()
		})
		<-done
		if !kept {
			t.Error("the file went away while the engines changed")
		}
		if _, old := v.named(checks.Container, fmt.Sprint("of", 1-to)); old {
			t.Error("a container of the engine before is still there")
		}
		for deadline := time.Now().Add(20 * time.Second); listening(1 - to); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the engine before is still listened to")
			}
		}
	}
	turn(1)
	turn(0)
	before := settledGoroutines(0)
	for i := range 10 {
		turn((i + 1) % 2)
	}
	if after := settledGoroutines(before); after > before {
		t.Errorf("%d goroutines after ten switches, %d before", after, before)
	}
	run(t, servers[0], "new")
	v.until("what happens on the engine now is seen", v.has(checks.Container, "new"))
	run(t, servers[1], "elsewhere")
	time.Sleep(2 * quiet)
	if _, seen := v.named(checks.Container, "elsewhere"); seen {
		t.Error("what happens on the engine before is seen")
	}
}

// An engine that cannot be reached can be left, and one found.
func TestSwitchFromNothing(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	run(t, s, "app")
	v, inventory := watch(t, Options{Target: target(t, "unix://"+filepath.Join(t.TempDir(), "none.sock"))})
	v.until("there is no engine", func() bool { return v.engine.Phase == Absent })
	go inventory.Switch(t.Context(), *target(t, s.Host()))
	v.until("there is one", func() bool { return v.engine.Phase == Connected && v.has(checks.Container, "app")() })

	v, inventory = watch(t, Options{})
	v.until("nothing is read", func() bool { return v.done })
	go inventory.Switch(t.Context(), *target(t, s.Host()))
	v.until("there is an engine", func() bool { return v.done && v.has(checks.Container, "app")() })
}

// settledGoroutines waits until there are no more goroutines than most, or
// until their number has not changed for a while, and returns it.
func settledGoroutines(most int) int {
	runtime.GC()
	n, since := runtime.NumGoroutine(), time.Now()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && (most > 0 && n > most || time.Since(since) < 300*time.Millisecond); time.Sleep(10 * time.Millisecond) {
		if now := runtime.NumGoroutine(); now != n {
			n, since = now, time.Now()
		}
	}
	return n
}
