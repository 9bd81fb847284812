package container

import (
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

var limiting = []string{"container-memory-unlimited", "container-cpu-unlimited", "container-pids-unlimited", "container-restart-unbounded"}

// TestLiveLimits: limits need no other container, and no restart.
//
//scenario:51
func TestLiveLimits(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service())
		before := l.inspect(name)
		p := l.planFor(name, limiting...)
		if p.Mechanism != fixes.Update || p.Downtime != 0 {
			t.Fatalf("mechanism %s, downtime %s", p.Mechanism, p.Downtime)
		}
		receipt := l.apply(p)
		after := l.inspect(name)
		if after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
			t.Error("another container, or a restart")
		}
		h := after.HostConfig
		if h.Memory == 0 || h.MemorySwap != 2*h.Memory || h.NanoCPUs == 0 || pids(h) == 0 || h.RestartPolicy.Name != "on-failure" {
			t.Errorf("%s", pretty(h.Resources))
		}
		if len(receipt.Cured) != 4 {
			t.Errorf("cured %d findings", len(receipt.Cured))
		}
		// The container can still be stopped and started.
		if _, err := l.cli.ContainerRestart(t.Context(), name, client.ContainerRestartOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		h = l.inspect(name).HostConfig
		if pids(h) != 0 || h.RestartPolicy.Name != "always" {
			t.Errorf("pids %d, policy %v", pids(h), h.RestartPolicy)
		}
		info, err := l.m.engineInfo(t.Context())
		if err != nil || h.Memory != info.MemTotal || h.NanoCPUs != int64(info.NCPU)*1e9 {
			t.Errorf("memory %d of %d, %d CPUs, %v", h.Memory, info.MemTotal, h.NanoCPUs, err)
		}
		if _, err := l.cli.ContainerRestart(t.Context(), name, client.ContainerRestartOptions{}); err != nil {
			t.Fatalf("after undo: %v", err)
		}
	})
}

// TestReservationAboveTheLimit: each alone is accepted, together they keep the
// container from ever starting again.
//
//scenario:53
func TestReservationAboveTheLimit(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		o := service()
		o.HostConfig.MemoryReservation = 300 << 20
		l.run("app", o)
		c := l.subject(name)
		r := l.asking(c, "container-memory-unlimited")
		r.Values = checks.Values{"memory": "200m"}
		p := l.plan(name, r)
		l.apply(p)
		h := l.inspect(name).HostConfig
		if h.Memory != 200<<20 || h.MemoryReservation > h.Memory {
			t.Errorf("%s", pretty(h.Resources))
		}
		if _, err := l.cli.ContainerRestart(t.Context(), name, client.ContainerRestartOptions{}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLimitBelowUse is refused before the engine is asked.
//
//scenario:52
func TestLimitBelowUse(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1", "-memory", "100"))
	name := l.prefix + "app"
	l.run("app", service())
	r := l.asking(l.subject(name), "container-memory-unlimited")
	r.Values = checks.Values{"memory": "110m"}
	p := l.plan(name, r)
	if !strings.Contains(p.Blocked.String(), "killed") {
		t.Errorf("blocked %q", p.Blocked)
	}
	if _, err := l.fixer.Apply(t.Context(), p, nil); err == nil {
		t.Error("applied all the same")
	}
}

// TestQuotaStored: the kind of CPU limit that is in use is kept.
//
//scenario:54
func TestQuotaStored(t *testing.T) {
	w := worldOf(t, func(w *world) { w.inspect().HostConfig.CPUPeriod = 50_000 })
	want := w.container.Settings.Clone()
	want.Host.NanoCPUs = 1.5e9
	w.settle(want)
	if want.Host.NanoCPUs != 0 || want.Host.CPUQuota != 75_000 || want.Host.CPUPeriod != 50_000 {
		t.Errorf("%s", pretty(want.Host.Resources))
	}
}

// TestIgnoredLimits: an engine that accepts and drops is found out.
//
//scenario:55
func TestIgnoredLimits(t *testing.T) {
	want := limits{Memory: 100, MemorySwap: 200, Pids: 10}
	got := limits{Memory: 100, MemorySwap: -1, Pids: 0}
	if ignored := got.ignored(want, true); len(ignored) != 2 {
		t.Errorf("%v", ignored)
	}
	if ignored := got.ignored(want, false); len(ignored) != 1 {
		t.Errorf("without swap accounting: %v", ignored)
	}
}

// TestIncapableEngine: a kernel without a controller cannot limit.
func TestIncapableEngine(t *testing.T) {
	l := memoryLab(t, dockertest.WithInfo(func(i *system.Info) { i.PidsLimit = false }))
	l.load(dockertest.Probe("app:1"))
	l.run("app", service())
	if p := l.planFor(l.prefix+"app", "container-pids-unlimited"); !strings.Contains(p.Blocked.String(), "pids") {
		t.Errorf("blocked %q", p.Blocked)
	}
}

// TestLiveMove: off the default bridge without a restart, and back.
//
//scenario:39,88
func TestLiveMove(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service())
		before := l.inspect(name)
		p := l.planFor(name, "container-default-bridge")
		if p.Mechanism != fixes.Update {
			t.Fatalf("mechanism %s", p.Mechanism)
		}
		l.apply(p)
		after := l.inspect(name)
		_, on := after.NetworkSettings.Networks[network.NetworkBridge]
		if after.ID != before.ID || on || len(after.NetworkSettings.Networks) != 1 {
			t.Errorf("%s in %v", after.ID, after.NetworkSettings.Networks)
		}

		// A replacement is made where it is, not where it was born.
		q := l.planFor(name, "container-new-privileges-allowed")
		l.apply(q)
		moved := l.inspect(name)
		if _, on := moved.NetworkSettings.Networks[network.NetworkBridge]; on || len(moved.NetworkSettings.Networks) != 1 {
			t.Errorf("in %v", moved.NetworkSettings.Networks)
		}
		if err := l.fixer.Undo(t.Context(), q.ID, nil); err != nil {
			t.Fatal(err)
		}

		if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
		if networks, err := l.cli.NetworkList(t.Context(), client.NetworkListOptions{Filters: client.Filters{}.Add("label", labelTx+"="+p.ID)}); err != nil || len(networks.Items) != 0 {
			t.Errorf("%d networks are left, %v", len(networks.Items), err)
		}
	})
}

// TestLiveFailures lets each call of a live change fail.
func TestLiveFailures(t *testing.T) {
	for _, call := range []string{"POST /containers/{id}/update", "POST /networks/create", "POST /networks/{id}/connect", "POST /networks/{id}/disconnect"} {
		for _, f := range []dockertest.Fault{{Status: 500}, {After: true}} {
			l := memoryLab(t)
			l.load(dockertest.Probe("app:1"))
			name := l.prefix + "app"
			l.run("app", service())
			before := l.inspect(name)
			p := l.planFor(name, "container-default-bridge", "container-pids-unlimited")
			f.Endpoint, f.Nth = call, 1
			l.server.Inject(f)
			_, err := l.fixer.Apply(t.Context(), p, nil)
			l.server.Heal()
			if err == nil || l.entry(p.ID).State != ledger.RolledBack {
				t.Errorf("%s: %v, %s", call, err, l.entry(p.ID).State)
			}
			l.back(before)
		}
	}
}

// TestInterruptedLiveChange can be finished and taken back.
func TestInterruptedLiveChange(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	for _, finish := range []bool{true, false} {
		id := l.run("app"+map[bool]string{true: "1", false: "2"}[finish], service())
		c := l.inspect(id)
		j := liveJournal{Tx: "x", Container: id, Stage: reading, Old: limitsOf(c.HostConfig), New: limitsOf(c.HostConfig)}
		j.New.Pids = 100
		if _, err := l.cli.ContainerUpdate(t.Context(), id, j.Old.request(j.New)); err != nil {
			t.Fatal(err)
		}
		state, err := l.m.recoverLive(t.Context(), j, finish, func(fixes.Progress) {})
		want, limit := ledger.Applied, int64(100)
		if !finish {
			want, limit = ledger.RolledBack, 0
		}
		if err != nil || state != want || pids(l.inspect(id).HostConfig) != limit {
			t.Errorf("finish %t: %s, %v, pids %d", finish, state, err, pids(l.inspect(id).HostConfig))
		}
	}
}

// worldOf returns a world of one running container, with changes.
func worldOf(t *testing.T, change func(*world)) *world {
	t.Helper()
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	id := l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	w, err := l.m.look(t.Context(), l.subject(id))
	if err != nil {
		t.Fatal(err)
	}
	change(w)
	return w
}
