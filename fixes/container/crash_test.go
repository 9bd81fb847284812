package container

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// The variables by which a test asks its own binary, run as a child, to begin
// a change and to be killed before a step of it.
const (
	crashAt     = "PLIMSOLL_TEST_CRASH_AT" // number of the call of record
	crashHost   = "PLIMSOLL_TEST_HOST"
	crashName   = "PLIMSOLL_TEST_NAME"
	crashLedger = "PLIMSOLL_TEST_LEDGER"
	crashUndo   = "PLIMSOLL_TEST_UNDO" // id of the entry to undo instead
	crashLate   = "PLIMSOLL_TEST_LATE" // die before the step is on disk, not after
	crashFate   = "PLIMSOLL_TEST_FATE" // of what was written
)

// killer is a mechanic that dies by SIGKILL at one call of record.
type killer struct {
	*Mechanic
	at   int
	late bool
	seen int
}

func (k *killer) record(r fixer.Record) fixer.Record {
	return func(step int, inverse any) error {
		if k.seen == k.at && k.late {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if err := r(step, inverse); err != nil {
			return err
		}
		if k.seen == k.at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		k.seen++
		return nil
	}
}

func (k *killer) Apply(ctx context.Context, id string, p *fixes.Plan, r fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	return k.Mechanic.Apply(ctx, id, p, k.record(r), progress)
}

func (k *killer) Undo(ctx context.Context, e ledger.Entry, r fixer.Record, progress func(fixes.Progress)) error {
	return k.Mechanic.Undo(ctx, e, k.record(r), progress)
}

// TestCrashChild is the child; by itself it does nothing.
func TestCrashChild(t *testing.T) {
	at, err := strconv.Atoi(os.Getenv(crashAt))
	if err != nil {
		t.Skip("only as a child of TestKilledAtEveryStep")
	}
	cli, err := client.New(client.WithHost(os.Getenv(crashHost)))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, cli, "")
	l.ledger = ledger.New(os.Getenv(crashLedger))
	l.m.o.Written = filepath.Join(l.ledger.Path(), "written")
	l.fixer = l.dispatcher(&killer{Mechanic: l.m, at: at, late: os.Getenv(crashLate) != ""})
	if id := os.Getenv(crashUndo); id != "" {
		err = l.fixer.Undo(t.Context(), id, nil)
	} else {
		c := l.subject(os.Getenv(crashName))
		asked := l.asking(c, hardening...)
		if f := os.Getenv(crashFate); f != "" {
			asked.Values = checks.Values{fateKey: f}
		}
		var p *fixes.Plan
		if p, err = l.fixer.Plan(t.Context(), c, asked); err == nil {
			_, err = l.fixer.Apply(t.Context(), p, nil)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// crash runs the child and reports whether it got to the point of its death.
func (l *lab) crash(name string, at int, env ...string) (killed bool) {
	l.Helper()
	child := exec.CommandContext(l.Context(), os.Args[0], "-test.run=^TestCrashChild$")
	child.Env = append(os.Environ(), crashAt+"="+strconv.Itoa(at), crashHost+"="+l.cli.DaemonHost(), crashName+"="+name, crashLedger+"="+l.ledger.Path())
	child.Env = append(child.Env, env...)
	out, err := child.CombinedOutput()
	if err == nil {
		return false
	}
	status, ok := child.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		l.Fatalf("the child failed: %v\n%s", err, out)
	}
	return true
}

// crashed returns the entry that the child left unfinished.
func (l *lab) crashed() ledger.Entry {
	l.Helper()
	entries, err := l.fixer.Interrupted(l.Context())
	if err != nil || len(entries) != 1 {
		l.Fatalf("%d interrupted entries, %v", len(entries), err)
	}
	return entries[0]
}

// TestKilledAtEveryStep kills the program before each step, twice: before and
// after the step is on disk. Whatever is then asked for, exactly one container
// works under the name, with its data.
//
//scenario:12
func TestKilledAtEveryStep(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.Volumes = map[string]struct{}{"/data": {}}
		l.load(image)
		l.network("n", "")
		for at := 0; ; at++ {
			reached := false
			for _, c := range []struct{ finish, late bool }{{true, true}, {false, false}, {true, false}, {false, true}} {
				if l.server == nil && (!c.late || c.finish != (at%2 == 0)) {
					continue // each takes seconds there
				}
				name := fmt.Sprintf("%sapp%d-%t-%t", l.prefix, at, c.finish, c.late)
				l.run(strings.TrimPrefix(name, l.prefix), client.ContainerCreateOptions{
					Config: &api.Config{Image: "app:1", Cmd: []string{"-write", "/data/log=started"}},
					HostConfig: &api.HostConfig{
						NetworkMode: api.NetworkMode(l.prefix + "n"), RestartPolicy: api.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3},
					},
				})
				before := l.inspect(name)
				var env []string
				if c.late {
					env = append(env, crashLate+"=1")
				}
				if !l.crash(name, at, env...) {
					break
				}
				reached = true
				l.recovers(before, c.finish)
			}
			if !reached {
				if at < 8 {
					t.Errorf("only %d points were reached", at)
				}
				return
			}
		}
	})
}

// recovers ends the crashed change and checks what is left.
func (l *lab) recovers(before *api.InspectResponse, finish bool) {
	l.Helper()
	e := l.crashed()
	if err := l.fixer.Recover(l.Context(), e.ID, finish, nil); err != nil {
		l.Fatalf("step %d: %v", e.Step, err)
	}
	name := containerName(before)
	now := l.inspect(name)
	if !now.State.Running || !samePolicy(now.HostConfig.RestartPolicy, before.HostConfig.RestartPolicy) {
		l.Errorf("step %d: running %t, policy %v", e.Step, now.State.Running, now.HostConfig.RestartPolicy)
	}
	l.same(before, now, "HostConfig.Memory", "HostConfig.SecurityOpt")
	if len(now.Mounts) != 1 || now.Mounts[0].Name != before.Mounts[0].Name {
		l.Errorf("step %d: mounts %v, want %v", e.Step, now.Mounts, before.Mounts)
	}
	state := l.entry(e.ID).State
	switch {
	case now.ID == before.ID && state != ledger.RolledBack && state != ledger.Undone:
		l.Errorf("step %d: the original is back, the entry says %s", e.Step, state)
	case now.ID != before.ID && state != ledger.Applied:
		l.Errorf("step %d: it was replaced, the entry says %s", e.Step, state)
	case now.ID != before.ID && !finish:
		l.Errorf("step %d: it was to be taken back", e.Step)
	}
	for _, c := range l.family(name) {
		if c.State == api.StateRunning && c.ID != now.ID {
			l.Errorf("step %d: %s runs too", e.Step, c.Names)
		}
		if strings.HasSuffix(c.Names[0], newSuffix) {
			l.Errorf("step %d: %s is left", e.Step, c.Names)
		}
	}
	if err := l.fixer.Recover(l.Context(), e.ID, finish, nil); err == nil {
		l.Errorf("step %d: it can be recovered twice", e.Step)
	}
}

// family lists the containers whose names begin with name.
func (l *lab) family(name string) []api.Summary {
	l.Helper()
	list, err := l.cli.ContainerList(l.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", "^/"+name)})
	if err != nil {
		l.Fatal(err)
	}
	var out []api.Summary
	for _, c := range list.Items {
		if strings.HasPrefix(c.Names[0], "/"+name) {
			out = append(out, c)
		}
	}
	return out
}

// TestKilledWhileUndoing kills the program at the beginning of an undo.
func TestKilledWhileUndoing(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		for _, finish := range []bool{true, false} {
			name := fmt.Sprintf("%sapp-%t", l.prefix, finish)
			l.run(strings.TrimPrefix(name, l.prefix), client.ContainerCreateOptions{
				Config: &api.Config{Image: "app:1", Volumes: map[string]struct{}{"/data": {}}}, HostConfig: &api.HostConfig{},
			})
			before := l.inspect(name)
			p := l.planFor(name, hardening...)
			l.apply(p)
			if !l.crash(name, 0, crashUndo+"="+p.ID) {
				t.Fatal("the child was not killed")
			}
			l.recovers(before, finish)
		}
	})
}
