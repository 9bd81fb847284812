package container

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	imagechecks "plimsoll/checks/image"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// imageOf returns the snapshot of an image that an inventory would take.
func (l *lab) imageOf(ref string) *imagechecks.Image {
	l.Helper()
	got, err := l.cli.ImageInspect(l.Context(), ref)
	if err != nil {
		l.Fatal(err)
	}
	return &imagechecks.Image{Inspect: got.InspectResponse, Now: time.Now()}
}

// three starts a, b in the network of a, and in memory c, all of app:1.
func (l *lab) three() (names []string, before map[string]*api.InspectResponse) {
	l.Helper()
	a := l.run("a", service("-serve", ":8080"))
	l.run("b", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + a)}})
	names = []string{l.prefix + "a", l.prefix + "b"}
	if l.server == nil {
		return names, l.inspected(names) // takes seconds
	}
	l.run("c", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Env: []string{"OWN=1"}}, HostConfig: &api.HostConfig{}})
	names = append(names, l.prefix+"c")
	return names, l.inspected(names)
}

func (l *lab) inspected(names []string) map[string]*api.InspectResponse {
	l.Helper()
	all := map[string]*api.InspectResponse{}
	for _, n := range names {
		if err := dockertest.Ready(l.Context(), l.cli, n); err != nil {
			l.Fatal(err)
		}
		all[n] = l.inspect(n)
	}
	return all
}

// asBefore reports what is not as it was.
func (l *lab) asBefore(before map[string]*api.InspectResponse) {
	l.Helper()
	for name, was := range before {
		now := l.inspect(name)
		if now.ID != was.ID || !now.State.Running || now.HostConfig.RestartPolicy != was.HostConfig.RestartPolicy {
			l.Errorf("%s is %s, running %t, restarted %s", name, short(now.ID), now.State.Running, now.HostConfig.RestartPolicy.Name)
		}
	}
	a, b := before[l.prefix+"a"], before[l.prefix+"b"]
	if b != nil && b.HostConfig.NetworkMode.IsContainer() && started(l.inspect(b.ID)).Before(started(l.inspect(a.ID))) {
		l.Error("b is in a network that a has left")
	}
	list, err := l.cli.ContainerList(l.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelTx)})
	if err != nil {
		l.Fatal(err)
	}
	for _, c := range list.Items {
		if strings.HasPrefix(c.Names[0], "/"+l.prefix) {
			l.Errorf("%s is left", c.Names[0])
		}
	}
}

func started(c *api.InspectResponse) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	return at
}

// TestAllContainersOfAnImage moves three containers, one of which is in the
// network of another, and takes that back as one.
//
//scenario:63
func TestAllContainersOfAnImage(t *testing.T) {

	onEngines(t, func(t *testing.T, l *lab) {
		old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
		names, before := l.three()
		l.create("other", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Labels: map[string]string{composeProject: "shop"}}, HostConfig: &api.HostConfig{}})
		id := l.load(dockertest.Probe("app:1", "-x", "new"))[0]
		p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true})
		if err != nil || !p.Blocked.IsZero() {
			t.Fatalf("%v, %s", err, p.Blocked)
		}
		var order []string
		for _, m := range p.Members {
			order = append(order, strings.TrimPrefix(m.Name, l.prefix))
		}
		if got := strings.Join(order, " "); !strings.HasPrefix("a b c", got) || len(p.Members) != len(names) || !strings.Contains(pretty(p.Notes), "docker compose pull") {
			t.Errorf("order %s, notes %s", got, pretty(p.Notes))
		}
		l.apply(p)
		after := l.inspected(names)
		for name, now := range after {
			if now.Image != id || now.ID == before[name].ID || !now.State.Running {
				t.Errorf("%s runs %s", name, now.Image)
			}
		}
		if mode := after[names[1]].HostConfig.NetworkMode; mode.ConnectedContainer() != after[names[0]].ID {
			t.Errorf("b is in the network %s, a is %s", mode, after[names[0]].ID)
		}
		if p, err := l.fixer.Plan(t.Context(), l.imageOf(id), fixes.Request{Update: true}); err != nil || !strings.Contains(p.Blocked.String(), "docker compose") {
			t.Errorf("there is still something to do: %v", err)
		}
		entries, err := l.fixer.Entries()
		if err != nil || len(entries) != 1 || len(entries[0].Members) != len(names) {
			t.Errorf("%d entries, %v", len(entries), err)
		}
		if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		l.asBefore(before)
	})
}

// TestFirstOneKeepsTheOthers: an image that does not work is tried with one
// container, and the others do not notice.
func TestFirstOneKeepsTheOthers(t *testing.T) {

	l := memoryLab(t)
	old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
	for _, n := range []string{"a", "b", "c"} {
		l.run(n, client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	}
	before := l.inspected([]string{l.prefix + "a", l.prefix + "b", l.prefix + "c"})
	l.server.Publish(l.prefix+"app:1", dockertest.Probe(l.prefix+"app:1", "-exit-after", "1ms", "-code", "7"))
	request := fixes.Request{Update: true, Pull: true}
	p, err := l.fixer.Plan(t.Context(), l.imageOf(old), request)
	if err != nil || p.Fetch == "" {
		t.Fatalf("%v, %+v", err, p)
	}
	if _, err := l.fixer.Apply(t.Context(), p, nil); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("applied without having been fetched: %v", err)
	}
	if request.Fetched, err = l.fixer.Fetch(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	if p, err = l.fixer.Plan(t.Context(), l.imageOf(old), request); err != nil || p.Card == nil {
		t.Fatalf("%v, %+v", err, p)
	}
	if err := l.applyFails(p); !strings.Contains(err.Error(), l.prefix+"a: the container") || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("%v", err)
	}
	l.asBefore(before)
	for name, was := range before {
		if now := l.inspect(name); name != l.prefix+"a" && now.State.StartedAt != was.State.StartedAt {
			t.Errorf("%s was touched", name)
		}
	}
	if now := l.imageOf(l.prefix + "app:1"); now.Inspect.ID != old {
		t.Errorf("the tag names %s", now.Inspect.ID)
	}
	if e := l.entry(p.ID); e.State != ledger.RolledBack {
		t.Errorf("state %s", e.State)
	}
}

// TestLastOneTakesAllBack: when the third cannot be started the first and the
// second go back too, and what shares a network is in the right one.
func TestLastOneTakesAllBack(t *testing.T) {

	for nth := 1; nth <= 3; nth++ {
		l := memoryLab(t)
		old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
		_, before := l.three()
		l.load(dockertest.Probe("app:1", "-x", "new"))
		p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true})
		if err != nil {
			t.Fatal(err)
		}
		l.server.Inject(dockertest.Fault{Endpoint: "POST /containers/{id}/start", Nth: nth, Status: 500, Message: "no more of it"})
		if err := l.applyFails(p); errors.Is(err, fixes.ErrBroken) || !strings.Contains(err.Error(), "no more of it") {
			t.Errorf("start %d: %v", nth, err)
		}
		l.asBefore(before)
	}
}

// TestFirstOneIsWatched: one that is healthy at first and ends a little later is
// seen to before the others follow.
func TestFirstOneIsWatched(t *testing.T) {
	l := memoryLab(t)
	l.m.o.Grace = 3 * time.Second
	old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
	for _, n := range []string{"a", "b"} {
		l.run(n, client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	}
	before := l.inspected([]string{l.prefix + "a", l.prefix + "b"})
	image := dockertest.Probe("app:1", "-exit-after", "700ms", "-code", "9")
	image.Config.Healthcheck = dockertest.ProbeCheck()
	l.load(image)
	p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true})
	if err != nil {
		t.Fatal(err)
	}
	watched := false
	_, err = l.fixer.Apply(t.Context(), p, func(now fixes.Progress) {
		watched = watched || strings.Contains(now.Message.String(), "before the others")
	})
	if err == nil || !strings.Contains(err.Error(), "exit code 9") || !watched {
		t.Errorf("watched %t, %v", watched, err)
	}
	l.asBefore(before)
	if now := l.inspect(l.prefix + "b"); now.State.StartedAt != before[l.prefix+"b"].State.StartedAt {
		t.Error("the second was touched")
	}
}

// TestUpdateIsInterrupted leaves the update of one container and that of two at
// each step: all are as before, the tag too, or all are new.
//
//scenario:12
func TestUpdateIsInterrupted(t *testing.T) {
	t.Run("one", func(t *testing.T) { interrupt(t, false, false) })
	t.Run("all", func(t *testing.T) { interrupt(t, true, false) })
	t.Run("all, late", func(t *testing.T) { interrupt(t, true, true) })
}

func interrupt(t *testing.T, all, late bool) {
	t.Parallel()
	for at := 0; ; at++ {
		l := memoryLab(t)
		l.m.o.Grace, l.m.o.Poll = 10*time.Millisecond, 2*time.Millisecond
		old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
		a := l.run("a", service())
		names := []string{l.prefix + "a"}
		var what checks.Subject = l.subject(l.prefix + "a")
		mortal := &mortal{Mechanic: l.m}
		if all {
			l.run("b", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + a)}})
			names = append(names, l.prefix+"b")
			what, mortal.Mechanic = l.imageOf(old), NewGroup(l.m)
		}
		before := l.inspected(names)
		id := l.server.Publish(l.prefix+"app:1", dockertest.Probe(l.prefix+"app:1", "-x", "new"))
		request := fixes.Request{Update: true, Pull: true}
		p, err := l.fixer.Plan(t.Context(), what, request)
		if err != nil {
			t.Fatal(err)
		}
		if request.Fetched, err = l.fixer.Fetch(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
		if p, err = l.fixer.Plan(t.Context(), what, request); err != nil {
			t.Fatal(err)
		}
		mortal.left, mortal.late = at+1, late
		ended := func() (ended bool) {
			defer func() { ended = recover() == nil }()
			_, err = l.with(what.Ref().Kind, mortal).Apply(t.Context(), p, nil)
			return
		}()
		if ended {
			if err != nil || at < 8 {
				t.Errorf("after %d steps: %v", at, err)
			}
			return
		}
		e := l.crashed()
		finish := at%2 == 1
		if err := l.fixer.Recover(t.Context(), e.ID, finish, nil); errors.Is(err, fixes.ErrBroken) {
			t.Errorf("step %d: %v", at, err)
		}
		tag := l.imageOf(l.prefix + "app:1").Inspect.ID
		switch e = l.entry(e.ID); e.State {
		case ledger.Applied:
			for _, n := range names {
				if now := l.inspect(n); now.Image != id || !now.State.Running || tag != id || !finish {
					t.Errorf("step %d: %s runs %s", at, n, now.Image)
				}
			}
		case ledger.RolledBack:
			l.asBefore(before)
			if tag != old {
				t.Errorf("step %d: the tag names %s", at, tag)
			}
		default:
			t.Errorf("step %d: state %s", at, e.State)
		}
	}
}

// A mortal mechanic dies once so many steps are on disk, or just before the last
// of them is.
type mortal struct {
	fixer.Mechanic
	left int
	late bool
}

func (m *mortal) Apply(ctx context.Context, id string, p *fixes.Plan, r fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	return m.Mechanic.Apply(ctx, id, p, func(step int, inverse any) error {
		m.left--
		if m.left == 0 && m.late && step > 0 {
			panic("killed")
		}
		err := r(step, inverse)
		if m.left == 0 {
			panic("killed")
		}
		return err
	}, progress)
}

// with returns a fixer whose mechanic for a kind is m.
func (l *lab) with(kind checks.Kind, m fixer.Mechanic) *fixer.Dispatcher {
	return fixer.New(fixer.Options{Ledger: l.ledger, Mechanics: map[checks.Kind]fixer.Mechanic{kind: m}, Engine: l.engineID})
}
