package inventory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	events "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/suite"
)

// everyContainer fires on every container, so that a report is seen.
var everyContainer = &checks.Check{ID: "every-container", Title: "a container", Severity: checks.Low, Chapter: checks.Updates, Kind: checks.Container,
	Run: func(s checks.Subject, report func(checks.Finding)) {
		report(checks.Finding{Message: checks.Msg("%s is here", s.(*container.Container).Settings.Name)})
	}}

// view is what a receiver of updates knows.
type view struct {
	t       *testing.T
	updates <-chan Update
	engine  EngineState
	items   map[identity]Item
	done    bool
}

func watch(t *testing.T, o Options) (*view, *Inventory) {
	v := New(o)
	return &view{t: t, updates: v.Watch(t.Context()), items: map[identity]Item{}}, v
}

// until takes updates until cond holds.
func (v *view) until(what string, cond func() bool) {
	v.t.Helper()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case u, ok := <-v.updates:
			if !ok {
				v.t.Fatalf("updates ended before %s", what)
			}
			v.engine, v.done = u.Engine, u.Complete
			for _, i := range u.Items {
				v.items[identify(i.Ref)] = i
			}
			for _, r := range u.Removed {
				delete(v.items, identify(r))
			}
		case <-deadline:
			v.t.Fatalf("never %s; engine %+v; %d items", what, v.engine, len(v.items))
		}
	}
}

func (v *view) named(kind checks.Kind, name string) (Item, bool) {
	for _, i := range v.items {
		if i.Ref.Kind == kind && i.Ref.Name == name {
			return i, true
		}
	}
	return Item{}, false
}

func (v *view) has(kind checks.Kind, name string) func() bool {
	return func() bool { i, ok := v.named(kind, name); return ok && i.Subject != nil }
}

func target(t *testing.T, host string) *engine.Target {
	t.Helper()
	found, err := engine.Resolve(host)
	if err != nil {
		t.Fatal(err)
	}
	return &found
}

func options(t *testing.T, s *dockertest.Server) Options {
	return Options{Target: target(t, s.Host()), Suite: []*checks.Check{everyContainer}}
}

// run starts a container called name and returns its id.
func run(t *testing.T, s *dockertest.Server, name string) string {
	t.Helper()
	id, err := s.AddContainer(dockertest.Container{Name: name, Config: api.Config{Image: "app:1"}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestWatchFollowsContainers(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	run(t, s, "first")
	v, _ := watch(t, options(t, s))
	v.until("complete", func() bool { return v.done })
	first, ok := v.named(checks.Container, "first")
	if !ok || len(first.Report.Findings) != 1 {
		t.Fatalf("the container is not judged: %+v", first)
	}
	if v.engine.Phase != Connected || v.engine.API == "" || v.engine.Version == "" {
		t.Errorf("engine is %+v, want connected with versions", v.engine)
	}
	for _, kind := range []checks.Kind{checks.Image, checks.Host} {
		found := false
		for key := range v.items {
			found = found || key.kind == kind
		}
		if !found {
			t.Errorf("no %s", kind)
		}
	}

	id := run(t, s, "second")
	v.until("the second container is there", v.has(checks.Container, "second"))
	c := s.Client(t)
	if _, err := c.ContainerRename(t.Context(), id, client.ContainerRenameOptions{NewName: "renamed"}); err != nil {
		t.Fatal(err)
	}
	v.until("it is renamed", v.has(checks.Container, "renamed"))
	if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	v.until("it is gone", func() bool { _, ok := v.named(checks.Container, "renamed"); return !ok })
}

// An engine that starts a container answers no inspection of it meanwhile;
// the container is seen all the same, and findings follow.
func TestCreatedContainerShowsBeforeItIsInspected(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	v, _ := watch(t, options(t, s))
	v.until("complete", func() bool { return v.done })
	release := make(chan struct{})
	s.Watch(func(c dockertest.Call) {
		if c.Endpoint == "GET /containers/{id}/json" {
			<-release
		}
	})
	run(t, s, "slow")
	v.until("the container is there", func() bool { _, ok := v.named(checks.Container, "slow"); return ok })
	if got, _ := v.named(checks.Container, "slow"); got.Subject != nil || got.Status.State != "created" || got.Status.Image != "app:1" {
		t.Errorf("before its inspection the container is %+v, want created from app:1", got)
	}
	close(release)
	v.until("it is judged", func() bool {
		got, _ := v.named(checks.Container, "slow")
		return len(got.Report.Findings) == 1
	})
}

// One container's change costs one inspection, whatever else exists.
func TestOneChangeCostsOneInspection(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	for i := range 20 {
		run(t, s, fmt.Sprint("c", i))
	}
	v, _ := watch(t, options(t, s))
	v.until("complete", func() bool { return v.done })
	before := s.Count("GET /containers/{id}/json")
	run(t, s, "new")
	v.until("the new container is there", v.has(checks.Container, "new"))
	time.Sleep(2 * quiet) // nothing may follow
	if n := s.Count("GET /containers/{id}/json") - before; n < 1 || n > 2 {
		t.Errorf("%d inspections after one docker run, want 1 (2 when the start was seen later than the creation)", n)
	}
}

func TestWatchReconnects(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	ended := run(t, s, "ended")
	v, _ := watch(t, options(t, s))
	v.until("complete", func() bool { return v.done })
	s.Drop() // nobody can reach it, and it goes on
	v.until("the loss is seen", func() bool { return v.engine.Phase == Lost })
	if v.engine.Err == nil || v.engine.Retry.IsZero() {
		t.Errorf("a lost engine says neither why nor when it is tried again: %+v", v.engine)
	}
	if _, ok := v.named(checks.Container, "ended"); !ok {
		t.Error("what was known is forgotten with the connection")
	}
	if err := s.Exit(ended, 0, false); err != nil {
		t.Fatal(err)
	}
	run(t, s, "while-away")
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	v.until("everything is read again", func() bool {
		ended, _ := v.named(checks.Container, "ended")
		return ended.Status.State == "exited" && v.has(checks.Container, "while-away")() && v.engine.Phase == Connected
	})
}

func TestWithoutEngine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM scratch\n")
	v, _ := watch(t, Options{Roots: []string{dir}, Target: target(t, "unix://"+filepath.Join(dir, "no.sock"))})
	v.until("complete", func() bool { return v.done })
	if v.engine.Phase != Absent || v.engine.Err == nil {
		t.Errorf("engine is %+v, want absent with a reason", v.engine)
	}
	if !v.has(checks.Dockerfile, filepath.Join(dir, "Dockerfile"))() {
		t.Error("the Dockerfile is not checked without an engine")
	}
}

func TestWatchFollowsFiles(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "Dockerfile", "FROM scratch\n")
	counted := &checks.Check{ID: "bytes", Title: "bytes", Severity: checks.Low, Chapter: checks.Updates, Kind: checks.Dockerfile,
		Run: func(s checks.Subject, report func(checks.Finding)) {
			report(checks.Finding{Message: checks.Msg("%d bytes", size(t, s.Ref().ID))})
		}}
	v, _ := watch(t, Options{Roots: []string{dir}, Suite: []*checks.Check{counted}})
	v.until("complete", func() bool { return v.done })
	says := func(path, message string) func() bool {
		return func() bool {
			i, ok := v.items[identity{checks.Dockerfile, path}]
			return ok && len(i.Report.Findings) == 1 && i.Report.Findings[0].Message.String() == message
		}
	}
	v.until("the file is judged", says(path, "13 bytes"))
	write(t, dir, "Dockerfile", "FROM scratch\nUSER 1\n")
	v.until("the change is seen", says(path, "20 bytes"))

	// Editors write beside and rename.
	beside := write(t, dir, "tmp", "FROM scratch\nUSER 22\n")
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
	v.until("the renamed file is seen", says(path, "21 bytes"))

	deep := write(t, dir, "a/b/api.Dockerfile", "FROM scratch\n")
	v.until("a file in new directories is seen", says(deep, "13 bytes"))
	write(t, dir, ".gitignore", "a/\n")
	v.until("an ignored file goes", func() bool { _, ok := v.items[identity{checks.Dockerfile, deep}]; return !ok })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v.until("a removed file goes", func() bool { _, ok := v.items[identity{checks.Dockerfile, path}]; return !ok })
}

func size(t *testing.T, path string) int {
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return 0
	}
	return int(info.Size())
}

func TestJudgeReadsNothing(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	run(t, s, "judged")
	v, inventory := watch(t, options(t, s))
	v.until("complete", func() bool { return v.done })
	v.until("looked at", func() bool {
		i, _ := v.named(checks.Container, "judged")
		return i.Subject.(*container.Container).Changed != nil
	})
	before := len(s.Calls())
	go inventory.Judge(t.Context(), &checks.Policy{Disabled: map[string]bool{everyContainer.ID: true}})
	v.until("the finding is gone", func() bool {
		i, ok := v.named(checks.Container, "judged")
		return ok && len(i.Report.Findings) == 0
	})
	if n := len(s.Calls()) - before; n != 0 {
		t.Errorf("judging anew called the engine %d times", n)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	updates := New(Options{Roots: []string{t.TempDir()}}).Watch(ctx)
	<-updates
	cancel()
	for range updates {
	}
}

// A compose file that was read before the engine was there, or before a tag moved,
// is judged by the images that its services run now.
func TestComposeFileFollowsImages(t *testing.T) {
	s := dockertest.Run(t)
	for tag, user := range map[string]string{"app:1": "", "app:2": "1000"} {
		i := dockertest.Image{Tags: []string{tag}}
		i.Config.User = user
		s.AddImage(i)
	}
	dir := t.TempDir()
	path := write(t, dir, "compose.yaml", "services:\n  web:\n    image: app:1\n")
	root := func(v *view) func() bool {
		return func() bool {
			item := v.items[identity{checks.Compose, path}]
			return slices.ContainsFunc(item.Report.Findings, func(f checks.Finding) bool { return f.Check.ID == "container-runs-as-root" })
		}
	}
	o := options(t, s)
	o.Roots, o.Suite = []string{dir}, suite.All()
	s.Drop()
	v, _ := watch(t, o)
	v.until("it is read without an engine", func() bool { return v.items[identity{checks.Compose, path}].Subject != nil })
	if root(v)() {
		t.Fatal("it is known to run as root without its image")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	v.until("it knows its image", root(v))
	if _, err := s.Client(t).ImageTag(t.Context(), client.ImageTagOptions{Source: "app:2", Target: "app:1"}); err != nil {
		t.Fatal(err)
	}
	v.until("it knows that its tag has moved", func() bool { return !root(v)() })
}

// However many events there are of however many containers, what is kept and what
// is asked follows the containers.
//
//scenario:74
func TestFloodOfEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: 5000 containers")
	}
	const containers, flood = 5000, 20_000
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	ids := make([]string, containers)
	for i := range ids {
		ids[i] = run(t, s, fmt.Sprint("c", i))
	}
	v, _ := watch(t, options(t, s))
	v.until("complete", func() bool { return v.done })
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, asked, updates := heap(), s.Count("GET /containers/{id}/json"), 0
	for i := range flood {
		s.Emit(events.ContainerEventType, events.ActionUpdate, ids[i%len(ids)], map[string]string{"name": fmt.Sprint("c", i%len(ids))})
	}
	run(t, s, "last")
	v.until("what came last is seen", func() bool { updates++; return v.has(checks.Container, "last")() })
	if n := s.Count("GET /containers/{id}/json") - asked; n > flood/2 {
		t.Errorf("%d inspections for %d events of %d containers", n, flood, containers)
	}
	if updates > flood/20 {
		t.Errorf("%d updates for %d events", updates, flood)
	}
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("%d MiB more are kept", grown>>20)
	}
}
