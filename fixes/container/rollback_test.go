package container

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// service is a container that the rollback scenarios start from.
func service(flags ...string) client.ContainerCreateOptions {
	return client.ContainerCreateOptions{
		Config:     &api.Config{Image: "app:1", Cmd: flags, Volumes: map[string]struct{}{"/data": {}}},
		HostConfig: &api.HostConfig{RestartPolicy: api.RestartPolicy{Name: "always"}},
	}
}

// TestExitIsRolledBack: the program cannot work on a read-only root.
func TestExitIsRolledBack(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service("-need-write", "/var/state"))
		before := l.inspect(name)
		c := l.subject(name)
		r := l.asking(c, "container-rootfs-writable")
		r.Values = checks.Values{"tmpfs": ""}
		p := l.plan(name, r)
		err := l.applyFails(p)
		if errors.Is(err, fixes.ErrBroken) || !strings.Contains(err.Error(), "exit code 3") {
			t.Errorf("error %q", err)
		}
		if l.server == nil && !strings.Contains(err.Error(), "read-only file system") {
			t.Errorf("the error does not say why: %q", err)
		}
		l.back(before)
		if e := l.entry(p.ID); e.State != ledger.RolledBack {
			t.Errorf("state %s", e.State)
		}
		// With the folder that it was seen to write to, it works.
		l.apply(l.planFor(name, "container-rootfs-writable"))
		if now := l.inspect(name); !now.State.Running || !now.HostConfig.ReadonlyRootfs {
			t.Error("not read-only")
		}
	})
}

// TestRestartLoopIsRolledBack: a replacement that starts and exits over and
// over can be caught in the moment in which the engine cannot change its
// restart policy, because the program has just ended.
func TestRestartLoopIsRolledBack(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	name := l.prefix + "app"
	l.run("app", service("-need-write", "/var/state"))
	before := l.inspect(name)
	r := l.asking(l.subject(name), "container-rootfs-writable")
	r.Values = checks.Values{"tmpfs": ""}
	p := l.plan(name, r)
	// The original is disarmed, then the replacement.
	l.server.Inject(dockertest.Fault{Endpoint: "POST /containers/{id}/update", Nth: 2, Status: 500, Message: "container not running"})
	err := l.applyFails(p)
	if errors.Is(err, fixes.ErrBroken) {
		t.Errorf("error %q", err)
	}
	l.back(before)
	if e := l.entry(p.ID); e.State != ledger.RolledBack {
		t.Errorf("state %s", e.State)
	}
}

// TestLeavingWithoutErrorIsAFailure: a service that exits with 0 does not serve.
//
//scenario:20
func TestLeavingWithoutErrorIsAFailure(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
		before := l.inspect(name)
		l.load(dockertest.Probe("app:1", "-exit-after", "100ms", "-code", "0"))
		l.applyFails(l.plan(name, fixes.Request{Update: true}))
		l.back(before)
	})
}

// TestUnhealthyIsRolledBack: the newer image fails its health check.
//
//scenario:21
func TestUnhealthyIsRolledBack(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		good, bad := dockertest.Probe("app:1"), dockertest.Probe("app:1", "-unhealthy")
		good.Config.Healthcheck, bad.Config.Healthcheck = dockertest.ProbeCheck(), dockertest.ProbeCheck()
		l.load(good)
		name := l.prefix + "app"
		l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
		l.becomes(name, api.Healthy)
		before := l.inspect(name)
		l.load(bad)
		err := l.applyFails(l.plan(name, fixes.Request{Update: true}))
		if !strings.Contains(err.Error(), "health") {
			t.Errorf("error %q", err)
		}
		l.back(before)
	})
}

// TestNotWorseThanBefore: what was unhealthy may stay unhealthy.
//
//scenario:23
func TestNotWorseThanBefore(t *testing.T) {
	l := memoryLab(t)
	bad := dockertest.Probe("app:1", "-unhealthy")
	bad.Config.Healthcheck = dockertest.ProbeCheck()
	l.load(bad)
	name := l.prefix + "app"
	l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	l.becomes(name, api.Unhealthy)
	l.apply(l.planFor(name, hardening...))
}

// TestEveryCallFails lets each call that changes something fail, and be cut
// off after it worked, one at a time.
//
//scenario:17
func TestEveryCallFails(t *testing.T) {
	calls := []string{
		"POST /containers/create", "POST /networks/{id}/connect", "POST /containers/{id}/stop", "POST /containers/{id}/rename",
		"POST /containers/{id}/update", "POST /containers/{id}/start",
	}
	for _, call := range calls {
		for nth := 1; nth <= 2; nth++ {
			for _, f := range []dockertest.Fault{{Status: 500, Message: "no"}, {After: true}, {Drop: true}} {
				l := memoryLab(t)
				l.load(dockertest.Probe("app:1"))
				l.network("a", "")
				l.network("b", "")
				o := service()
				o.HostConfig.NetworkMode = api.NetworkMode(l.prefix + "a")
				id := l.run("app", o)
				if _, err := l.cli.NetworkConnect(t.Context(), l.prefix+"b", client.NetworkConnectOptions{Container: id}); err != nil {
					t.Fatal(err)
				}
				before := l.inspect(id)
				p := l.planFor(id, hardening...)
				f.Endpoint, f.Nth = call, nth
				l.server.Forget()
				l.server.Inject(f)
				_, err := l.fixer.Apply(t.Context(), p, nil)
				l.server.Heal()
				if err == nil {
					if l.server.Count(call) >= nth {
						t.Errorf("%s %d: the failure went unnoticed", call, nth)
					}
					continue
				}
				if errors.Is(err, fixes.ErrBroken) {
					t.Errorf("%s %d %+v: %v", call, nth, f, err)
				}
				l.back(before)
			}
		}
	}
}

// TestCancelledWhileAway: whoever leaves after the stop leaves a running container.
//
//scenario:27
func TestCancelledWhileAway(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service())
		before := l.inspect(name)
		p := l.planFor(name, hardening...)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := l.fixer.Apply(ctx, p, func(progress fixes.Progress) {
			if p.Steps[progress.Step].Op == "verify" {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		l.back(before)
	})
}

// TestTwoAtOnce: the lock is the engine's, not the ledger's.
//
//scenario:25,26
func TestTwoAtOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service())
		first, second := l.planFor(name, hardening...), l.planFor(name, hardening...)
		other := newLab(t, l.cli, l.prefix) // another machine: another ledger
		var inner error
		done := false
		_, err := l.fixer.Apply(t.Context(), first, func(progress fixes.Progress) {
			if first.Steps[progress.Step].Op == "compare" && !done {
				done = true
				_, inner = other.fixer.Apply(t.Context(), second, nil)
			}
		})
		if err != nil {
			t.Fatalf("the first: %v", err)
		}
		if !errdefs.IsConflict(inner) {
			t.Errorf("the second: %v", inner)
		}
		now := l.inspect(name)
		if now.Config.Labels[labelTx] != first.ID || !now.State.Running {
			t.Errorf("labels %v, running %t", now.Config.Labels, now.State.Running)
		}
	})
}

// TestChangedMeanwhile: a plan holds for what it was made from only.
func TestChangedMeanwhile(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		id := l.run("app", service())
		p := l.planFor(name, hardening...)
		if err := l.m.policy(t.Context(), id, api.RestartPolicy{Name: "no"}); err != nil {
			t.Fatal(err)
		}
		before := l.inspect(name)
		if err := l.applyFails(p); !errors.Is(err, fixes.ErrChanged) {
			t.Errorf("error %v", err)
		}
		l.back(before)
	})
}

// TestUndoIsRefused where it would destroy, and says why.
//
//scenario:8
func TestUndoIsRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service())
		first := l.planFor(name, hardening...)
		l.apply(first)
		second := l.planFor(name, "container-capabilities-not-dropped")
		l.apply(second)
		refused := func(id, why string) {
			t.Helper()
			if err := l.fixer.CanUndo(t.Context(), id); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%v, want %q", err, why)
			}
			if err := l.fixer.Undo(t.Context(), id, nil); err == nil {
				t.Error("undone all the same")
			}
		}
		refused(first.ID, "undo that one first")
		if err := l.fixer.Undo(t.Context(), second.ID, nil); err != nil {
			t.Fatal(err)
		}
		// Somebody tidies up.
		kept := l.entry(first.ID).Subject.ID
		if _, err := l.cli.ContainerRemove(t.Context(), kept, client.ContainerRemoveOptions{}); err != nil {
			t.Fatal(err)
		}
		refused(first.ID, "removed")
		if now := l.inspect(name); !now.State.Running {
			t.Error("not running")
		}
	})
}

// TestKilledOriginal: that the program did not obey is worth knowing.
//
//scenario:24
func TestKilledOriginal(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		o := service("-ignore-term")
		o.Config.StopTimeout = new(int)
		*o.Config.StopTimeout = 1
		l.run("app", o)
		receipt := l.apply(l.planFor(name, hardening...))
		if !strings.Contains(pretty(receipt.Proof), "stop signal") {
			t.Errorf("proof %s", pretty(receipt.Proof))
		}
	})
}

// TestUndoFails: the change stands, and can be undone once the engine works.
func TestUndoFails(t *testing.T) {
	for _, call := range []string{"POST /containers/{id}/stop", "POST /containers/{id}/rename", "POST /containers/{id}/update", "POST /containers/{id}/start"} {
		for nth := 1; nth <= 2; nth++ {
			l := memoryLab(t)
			l.load(dockertest.Probe("app:1"))
			name := l.prefix + "app"
			l.run("app", service())
			before := l.inspect(name)
			p := l.planFor(name, hardening...)
			l.apply(p)
			replaced := l.inspect(name)
			l.server.Forget()
			l.server.Inject(dockertest.Fault{Endpoint: call, Nth: nth, Status: 500})
			err := l.fixer.Undo(t.Context(), p.ID, nil)
			l.server.Heal()
			if err == nil {
				// A restart policy that cannot be changed is tried again once
				// its container was stopped.
				gotOver := call == "POST /containers/{id}/update" && nth == 1
				if l.server.Count(call) >= nth && !gotOver {
					t.Errorf("%s %d: the failure went unnoticed", call, nth)
				}
				l.back(before)
				continue
			}
			if errors.Is(err, fixes.ErrBroken) {
				t.Errorf("%s %d: %v", call, nth, err)
			}
			now := l.inspect(name)
			if now.ID != replaced.ID || !now.State.Running || now.HostConfig.RestartPolicy.Name != "always" || l.inspect(before.ID).State.Running {
				t.Errorf("%s %d: the change does not stand: %s", call, nth, pretty(now.State))
			}
			if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
				t.Errorf("%s %d: %v", call, nth, err)
			}
			l.back(before)
		}
	}
}

// becomes waits for a state of health.
func (l *lab) becomes(ref string, want api.HealthStatus) {
	l.Helper()
	for range 500 {
		if health(l.inspect(ref)) == want {
			return
		}
		pause()
	}
	l.Fatalf("%s does not become %s", ref, want)
}
