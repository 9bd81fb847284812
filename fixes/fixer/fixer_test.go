package fixer_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A fake mechanic changes nothing; its functions say what happens.
type fake struct {
	fixer.Mechanic
	plan    func(checks.Subject, fixes.Request) (*fixes.Plan, error)
	apply   func(fixer.Record) (*fixes.Receipt, error)
	undo    func(fixer.Record) error
	canUndo error
	recover func(entry ledger.Entry, finish bool) (ledger.State, error)
}

func (f *fake) Plan(_ context.Context, s checks.Subject, r fixes.Request) (*fixes.Plan, error) {
	if f.plan != nil {
		return f.plan(s, r)
	}
	return &fixes.Plan{Title: checks.Msg("limit %s", s.Ref().Name), Mechanism: fixes.Update, Cures: r.Findings, Steps: []fixes.Step{{Op: "update", Command: "docker update web"}}}, nil
}

func (f *fake) Apply(_ context.Context, _ string, plan *fixes.Plan, record fixer.Record, _ func(fixes.Progress)) (*fixes.Receipt, error) {
	if f.apply != nil {
		return f.apply(record)
	}
	if err := record(0, map[string]int{"memory": 1}); err != nil {
		return nil, err
	}
	return &fixes.Receipt{Proof: []checks.Message{checks.Msg("%d seen", 1)}, Cured: plan.Cures}, nil
}

func (f *fake) CanUndo(context.Context, ledger.Entry) error { return f.canUndo }

func (f *fake) Undo(_ context.Context, e ledger.Entry, record fixer.Record, _ func(fixes.Progress)) error {
	if f.undo != nil {
		return f.undo(record)
	}
	return nil
}

func (f *fake) Recover(_ context.Context, e ledger.Entry, finish bool, _ fixer.Record, _ func(fixes.Progress)) (ledger.State, error) {
	return f.recover(e, finish)
}

type subject struct {
	id      string
	version int
}

func (s subject) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Container, ID: s.id, Name: "web"}
}

var unlimited = &checks.Check{ID: "unlimited", Kind: checks.Container, Run: func(s checks.Subject, report func(checks.Finding)) {
	if v := s.(subject).version; v < 9 {
		report(checks.Finding{Line: v})
	}
}}

type reader map[string]subject

func (r reader) Read(_ context.Context, ref checks.Ref) (checks.Subject, error) {
	s, ok := r[ref.ID]
	if !ok {
		return nil, errdefs.ErrNotFound
	}
	return s, nil
}

type bench struct {
	*fixer.Dispatcher
	dir    string
	ledger *ledger.Ledger
	engine string
	fake   *fake
}

func newBench(t *testing.T, change func(*fixer.Options)) *bench {
	b := &bench{dir: filepath.Join(t.TempDir(), "plimsoll"), engine: "E1", fake: &fake{}}
	b.ledger = ledger.New(b.dir)
	o := fixer.Options{
		Ledger:    b.ledger,
		Mechanics: map[checks.Kind]fixer.Mechanic{checks.Container: b.fake},
		Engine:    func(context.Context) (string, error) { return b.engine, nil },
	}
	if change != nil {
		change(&o)
	}
	b.Dispatcher = fixer.New(o)
	return b
}

func (b *bench) request() fixes.Request {
	return fixes.Request{Findings: checks.Run(subject{id: "c1"}, []*checks.Check{unlimited}, &checks.Policy{Profile: checks.All}).Findings}
}

func (b *bench) planned(t *testing.T) *fixes.Plan {
	t.Helper()
	plan, err := b.Plan(t.Context(), subject{id: "c1"}, b.request())
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func (b *bench) only(t *testing.T) ledger.Entry {
	t.Helper()
	entries, err := b.Entries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	return entries[0]
}

func TestApplyThenUndo(t *testing.T) {
	b := newBench(t, nil)
	plan := b.planned(t)
	if plan.ID == "" || plan.Subject.ID != "c1" || plan.Engine != "E1" {
		t.Fatalf("the fixer did not fill in the plan: %+v", plan)
	}
	receipt, err := b.Apply(t.Context(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := b.only(t)
	if e.ID != receipt.Entry || e.State != ledger.Applied || e.Engine != "E1" || e.Title != "limit web" ||
		strings.Join(e.Commands, "") != "docker update web" || strings.Join(e.Proof, "") != "1 seen" || strings.Join(e.Checks, "") != "unlimited" {
		t.Errorf("entry %+v", e)
	}
	if _, err := b.Apply(t.Context(), plan, nil); !errdefs.IsAlreadyExists(err) {
		t.Errorf("one plan was applied twice: %v", err)
	}
	b.fake.canUndo = errors.New("somebody else changed it")
	if err := b.Undo(t.Context(), e.ID, nil); !errors.Is(err, b.fake.canUndo) || b.only(t).State != ledger.Applied {
		t.Errorf("undo that is not possible: %v, %s", err, b.only(t).State)
	}
	b.fake.canUndo = nil
	if err := b.Undo(t.Context(), e.ID, nil); err != nil {
		t.Fatal(err)
	}
	if e := b.only(t); e.State != ledger.Undone {
		t.Errorf("state %s", e.State)
	}
	if err := b.CanUndo(t.Context(), e.ID); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("undo twice: %v", err)
	}
}

func TestEntryIsOnDiskBeforeEachStep(t *testing.T) {
	b := newBench(t, nil)
	plan := b.planned(t)
	b.fake.apply = func(record fixer.Record) (*fixes.Receipt, error) {
		if e := b.only(t); e.State != ledger.Running || e.ID != plan.ID {
			t.Errorf("before the first step: %+v", e)
		}
		for step := range 3 {
			if err := record(step, step*10); err != nil {
				t.Fatal(err)
			}
			e := b.only(t)
			var inverse int
			if err := json.Unmarshal(e.Inverse, &inverse); err != nil || e.Step != step || inverse != step*10 {
				t.Errorf("step %d: %+v, %v", step, e, err)
			}
		}
		return &fixes.Receipt{}, nil
	}
	if _, err := b.Apply(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
}

func TestFailureBecomesAState(t *testing.T) {
	canary := "ghp_" + strings.Repeat("c4nary", 6)
	for want, failure := range map[ledger.State]error{
		ledger.RolledBack: errors.New("no space left, token " + canary),
		ledger.Broken:     errors.Join(errors.New("web is gone"), fixes.ErrBroken),
	} {
		b := newBench(t, nil)
		b.fake.apply = func(fixer.Record) (*fixes.Receipt, error) { return nil, failure }
		if _, err := b.Apply(t.Context(), b.planned(t), nil); !errors.Is(err, failure) {
			t.Errorf("error %v", err)
		}
		e := b.only(t)
		if e.State != want || e.Error == "" || strings.Contains(e.Error, canary) {
			t.Errorf("entry %+v, want %s and no secret", e, want)
		}
	}
}

func TestBlockedAndReadOnly(t *testing.T) {
	b := newBench(t, nil)
	plan := b.planned(t)
	plan.Blocked = checks.Msg("%s belongs to Swarm", "web")
	if _, err := b.Apply(t.Context(), plan, nil); err == nil || err.Error() != "web belongs to Swarm" {
		t.Errorf("blocked plan: %v", err)
	}
	applied := b.planned(t)
	if _, err := b.Apply(t.Context(), applied, nil); err != nil {
		t.Fatal(err)
	}
	r := fixer.New(fixer.Options{Ledger: b.ledger, Mechanics: map[checks.Kind]fixer.Mechanic{checks.Container: b.fake}, ReadOnly: true,
		Engine: func(context.Context) (string, error) { return "E1", nil }})
	plan, err := r.Plan(t.Context(), subject{id: "c1"}, b.request())
	if err != nil {
		t.Fatalf("planning reads only: %v", err)
	}
	_, apply := r.Apply(t.Context(), plan, nil)
	for what, err := range map[string]error{
		"apply":   apply,
		"undo":    r.Undo(t.Context(), applied.ID, nil),
		"canundo": r.CanUndo(t.Context(), applied.ID),
		"recover": r.Recover(t.Context(), applied.ID, true, nil),
	} {
		if !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if e := b.only(t); e.State != ledger.Applied {
		t.Errorf("read-only changed the entry to %s", e.State)
	}
}

//scenario:64
func TestOtherEngineIsRefused(t *testing.T) {
	b := newBench(t, nil)
	plan, second := b.planned(t), b.planned(t)
	if _, err := b.Apply(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	e := b.only(t)
	b.engine = "E2"
	if _, err := b.Apply(t.Context(), second, nil); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("a plan for another engine was applied: %v", err)
	}
	if err := b.Undo(t.Context(), e.ID, nil); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "another Docker Engine") {
		t.Errorf("undo on another engine: %v", err)
	}
	e.State = ledger.Running
	if err := b.ledger.Put(e); err != nil {
		t.Fatal(err)
	}
	if found, err := b.Interrupted(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("interrupted on another engine: %v, %v", found, err)
	}
	b.fake.recover = func(ledger.Entry, bool) (ledger.State, error) {
		t.Error("recovered onto another engine")
		return ledger.Applied, nil
	}
	if err := b.Recover(t.Context(), e.ID, true, nil); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("recover on another engine: %v", err)
	}
}

func TestPlansStartFromTheWorldAsItIs(t *testing.T) {
	now := reader{"c1": {id: "c1", version: 7}}
	b := newBench(t, func(o *fixer.Options) { o.Reader = now })
	b.fake.plan = func(s checks.Subject, r fixes.Request) (*fixes.Plan, error) {
		if v := s.(subject).version; v != 7 || r.Findings[0].Line != 7 {
			t.Errorf("planned from version %d with a finding of version %d", v, r.Findings[0].Line)
		}
		return &fixes.Plan{}, nil
	}
	b.planned(t)
	now["c1"] = subject{id: "c1", version: 9}
	if _, err := b.Plan(t.Context(), subject{id: "c1"}, b.request()); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("plan for a problem that is gone: %v", err)
	}
	delete(now, "c1")
	if _, err := b.Plan(t.Context(), subject{id: "c1"}, b.request()); !errdefs.IsNotFound(err) {
		t.Errorf("plan for a container that is gone: %v", err)
	}
	if _, err := b.Plan(t.Context(), subject{id: "c2"}, b.request()); !errdefs.IsInvalidArgument(err) {
		t.Errorf("plan with findings of another subject: %v", err)
	}
}

func TestOneChangeAtATime(t *testing.T) {
	b := newBench(t, nil)
	first, second := b.planned(t), b.planned(t)
	other := fixer.New(fixer.Options{Ledger: ledger.New(b.dir), Mechanics: map[checks.Kind]fixer.Mechanic{checks.Container: &fake{
		apply: func(fixer.Record) (*fixes.Receipt, error) { t.Error("both were applied"); return nil, nil },
	}}, Engine: func(context.Context) (string, error) { return "E1", nil }})
	b.fake.apply = func(record fixer.Record) (*fixes.Receipt, error) {
		if err := record(0, 1); err != nil {
			return nil, err
		}
		if _, err := other.Apply(t.Context(), second, nil); !errdefs.IsConflict(err) {
			t.Errorf("second plimsoll: %v", err)
		}
		if found, err := other.Interrupted(t.Context()); err != nil || len(found) != 0 {
			t.Errorf("a change at work is taken for interrupted: %v, %v", found, err)
		}
		return &fixes.Receipt{}, nil
	}
	if _, err := b.Apply(t.Context(), first, nil); err != nil {
		t.Fatal(err)
	}
}

// interrupted leaves an entry as a crash would.
func interrupted(t *testing.T, b *bench, run func(), state ledger.State) ledger.Entry {
	t.Helper()
	func() {
		defer func() { _ = recover() }()
		run()
	}()
	e := b.only(t)
	if e.State != state {
		t.Fatalf("state %s after the crash, want %s", e.State, state)
	}
	found, err := b.Interrupted(t.Context())
	if err != nil || len(found) != 1 || found[0].ID != e.ID {
		t.Fatalf("interrupted: %v, %v", found, err)
	}
	return e
}

func TestRecoverApply(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		for _, finish := range []bool{true, false} {
			b := newBench(t, nil)
			b.fake.apply = func(record fixer.Record) (*fixes.Receipt, error) {
				if recorded {
					if err := record(2, "how"); err != nil {
						t.Error(err)
					}
				}
				panic("killed")
			}
			plan, next := b.planned(t), b.planned(t)
			e := interrupted(t, b, func() { _, _ = b.Apply(t.Context(), plan, nil) }, ledger.Running)
			if _, err := b.Apply(t.Context(), next, nil); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), e.ID) {
				t.Errorf("changed on top of an interrupted change: %v", err)
			}
			if err := b.Undo(t.Context(), e.ID, nil); !errdefs.IsFailedPrecondition(err) {
				t.Errorf("undo of an interrupted change: %v", err)
			}
			called := false
			b.fake.recover = func(e ledger.Entry, f bool) (ledger.State, error) {
				called = true
				if string(e.Inverse) != `"how"` || e.Step != 2 || f != finish {
					t.Errorf("recover %+v, %v", e, f)
				}
				if f {
					return ledger.Applied, nil
				}
				return ledger.RolledBack, nil
			}
			if err := b.Recover(t.Context(), e.ID, finish, nil); err != nil {
				t.Fatal(err)
			}
			want := ledger.RolledBack
			if finish && recorded {
				want = ledger.Applied
			}
			if got := b.only(t).State; got != want || called != recorded {
				t.Errorf("recorded %v, finish %v: %s, mechanic called: %v", recorded, finish, got, called)
			}
			if err := b.Recover(t.Context(), e.ID, finish, nil); !errdefs.IsFailedPrecondition(err) {
				t.Errorf("recovered twice: %v", err)
			}
		}
	}
}

func TestRecoverUndo(t *testing.T) {
	b := newBench(t, nil)
	receipt, err := b.Apply(t.Context(), b.planned(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	b.fake.undo = func(fixer.Record) error { panic("killed") }
	interrupted(t, b, func() { _ = b.Undo(t.Context(), receipt.Entry, nil) }, ledger.Undoing)

	offline := errors.New("engine away")
	b.fake.recover = func(ledger.Entry, bool) (ledger.State, error) { return "", offline }
	if err := b.Recover(t.Context(), receipt.Entry, false, nil); !errors.Is(err, offline) || b.only(t).State != ledger.Undoing {
		t.Errorf("recovery that can be tried again: %v, %s", err, b.only(t).State)
	}
	b.fake.recover = func(ledger.Entry, bool) (ledger.State, error) { return ledger.RolledBack, nil }
	if err := b.Recover(t.Context(), receipt.Entry, false, nil); err != nil || b.only(t).State != ledger.Undone {
		t.Errorf("undo was not finished: %v, %s", err, b.only(t).State)
	}
}

func TestUndoThatFailsLeavesTheChange(t *testing.T) {
	b := newBench(t, nil)
	receipt, err := b.Apply(t.Context(), b.planned(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	b.fake.undo = func(fixer.Record) error { return errors.New("port taken") }
	if err := b.Undo(t.Context(), receipt.Entry, nil); err == nil || b.only(t).State != ledger.Applied || b.only(t).Error != "port taken" {
		t.Errorf("undo: %v, %+v", err, b.only(t))
	}
}

func TestNoMechanicNoEngine(t *testing.T) {
	b := newBench(t, func(o *fixer.Options) { o.Mechanics = nil })
	if _, err := b.Plan(t.Context(), subject{id: "c1"}, b.request()); !errdefs.IsNotImplemented(err) {
		t.Errorf("no mechanic: %v", err)
	}
	b = newBench(t, func(o *fixer.Options) { o.Engine = nil })
	if _, err := b.Plan(t.Context(), subject{id: "c1"}, b.request()); !errdefs.IsUnavailable(err) {
		t.Errorf("no engine: %v", err)
	}
}

//scenario:16
func TestDamagedEntriesAreNotFatal(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.Apply(t.Context(), b.planned(t), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "torn.json"), []byte(`{"id":"torn","sta`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.only(t)
	if damaged, err := b.Damaged(); err != nil || len(damaged) != 1 || !strings.Contains(damaged[0].Error(), "torn.json") {
		t.Errorf("damaged: %v, %v", damaged, err)
	}
	if _, err := b.Apply(t.Context(), b.planned(t), nil); err != nil {
		t.Errorf("a torn entry stops everything: %v", err)
	}
}

// TestFixesThatMoveContainers: what an image lacks is asked of the mechanic as an
// update of its containers, and nothing of it has to be found again.
func TestFixesThatMoveContainers(t *testing.T) {
	b := newBench(t, func(o *fixer.Options) { o.Reader = reader{"c1": {id: "c1"}} })
	var asked fixes.Request
	b.fake.plan = func(_ checks.Subject, r fixes.Request) (*fixes.Plan, error) {
		asked = r
		return &fixes.Plan{}, nil
	}
	r := b.request()
	r.Findings[0].Key, r.Findings[0].Fixes = "shop/web:1.4", []checks.Fix{{ID: "update-containers", Update: true}}
	if _, err := b.Plan(t.Context(), subject{id: "c1"}, r); err != nil {
		t.Fatal(err)
	}
	if !asked.Update || !asked.Pull || asked.Tag != "shop/web:1.4" || len(asked.Findings) != 0 {
		t.Errorf("asked for %+v", asked)
	}
}
