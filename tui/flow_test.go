package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/fixes"
)

// shop returns the fixture on a usual screen.
func shop(t testing.TB, f *fakeFixer) *Model {
	t.Helper()
	m := newModel(t, Options{Fixer: f}, 120, 40)
	drive(m, updateMsg(fixture()))
	return m
}

func shows(t *testing.T, m *Model, texts ...string) {
	t.Helper()
	got := screen(t, m)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("screen does not show %q:\n%s", text, got)
		}
	}
}

func hides(t *testing.T, m *Model, texts ...string) {
	t.Helper()
	got := screen(t, m)
	for _, text := range texts {
		if strings.Contains(got, text) {
			t.Errorf("screen shows %q:\n%s", text, got)
		}
	}
}

func TestNothingIsAppliedWithoutConfirmation(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f")
	shows(t, m, "Limit memory of web", "unlimited → 256m", "apply")
	press(m, "esc")
	if len(f.entries) > 0 || len(m.dialogs) > 0 {
		t.Errorf("entries = %v, dialogs = %d", f.entries, len(m.dialogs))
	}
}

func TestFixAndUndoFromReceipt(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "enter")
	shows(t, m, "Done", "the engine reports Memory 268435456", "took 1.2 s")
	press(m, "u")
	shows(t, m, "memory is unlimited again")
	if fmt.Sprint(f.undone) != "[e1]" {
		t.Errorf("undone = %v", f.undone)
	}
	press(m, "enter")
	if len(m.dialogs) != 0 {
		t.Errorf("%d dialogs are open", len(m.dialogs))
	}
}

func TestChangedValuesArePlannedAgain(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "tab", "backspace") // 256m becomes 256
	d := m.dialogs[0].(*fixDialog)
	if n := len(f.requests); n != 2 || f.requests[1].Values["memory"] != "256" {
		t.Fatalf("requests = %+v", f.requests)
	}
	if !d.form.focused() || d.form.entries[0].field.text() != "256" {
		t.Errorf("form = %+v", d.form)
	}
	press(m, "tab", "right") // restart policy
	if got := f.requests[len(f.requests)-1].Values["restart"]; got != "unless-stopped" {
		t.Errorf("restart = %q", got)
	}
	shows(t, m, "unlimited → 256 ", "‹ unless-stopped ›")
}

func TestStalePreviewCannotBeApplied(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "tab")
	m.Update(pressed("backspace")) // the pause after it is not over
	press(m, "enter", "enter")
	if len(f.entries) > 0 {
		t.Fatal("a plan of other values was applied")
	}
	shows(t, m, "planning with the new values")
	d := m.dialogs[0].(*fixDialog)
	m.Update(planned{by: d, round: d.round - 1, plan: &fixes.Plan{Title: checks.Message{Format: "an answer that is too late"}}})
	hides(t, m, "too late")
}

func TestUnusableValueIsSaidAtOnce(t *testing.T) {
	m := shop(t, &fakeFixer{})
	chooseFinding(t, m, "Dockerfile", "base-image-not-digest-pinned")
	press(m, "f", "tab", "ctrl+u", "0", "enter", "enter")
	shows(t, m, "must not be root")
	if d := m.dialogs[0].(*fixDialog); d.stage != preview {
		t.Errorf("stage = %d", d.stage)
	}
}

func TestBlockedPlan(t *testing.T) {
	f := &fakeFixer{blocked: true}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "enter")
	shows(t, m, "was started with --rm")
	if len(f.entries) > 0 {
		t.Error("a blocked plan was applied")
	}
}

func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		fixer fakeFixer
		want  string
	}{
		"plan":      {fakeFixer{planErr: errors.New("no such image")}, "no such image"},
		"rolled":    {fakeFixer{applyErr: errors.New("exited with 1")}, "Everything is as it was"},
		"broken":    {fakeFixer{applyErr: fmt.Errorf("web-old is left: %w", fixes.ErrBroken)}, "A person is needed"},
		"changed":   {fakeFixer{applyErr: fmt.Errorf("web: %w", fixes.ErrChanged)}, "plan again"},
		"cancelled": {fakeFixer{applyErr: context.Canceled}, "Cancelled"},
		"hostile":   {fakeFixer{applyErr: errors.New("evil\x1b]0;title\a\u202e token ghp_0123456789abcdefghijABCDEFGHIJ012345")}, "evil␛]0;title␇"},
	} {
		t.Run(name, func(t *testing.T) {
			m := shop(t, &tt.fixer)
			chooseFinding(t, m, "web", "container-memory-unlimited")
			press(m, "f")
			if tt.fixer.planErr == nil {
				press(m, "enter")
			}
			shows(t, m, "Not done", tt.want)
			hides(t, m, "ghp_0123")
			press(m, "enter")
			hides(t, m, "Not done")
		})
	}
}

func TestCancelStopsTheJob(t *testing.T) {
	f := &fakeFixer{delay: time.Hour}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f")
	_, cmd := m.Update(pressed("enter"))
	batch := cmd().(tea.BatchMsg)
	result := make(chan tea.Msg)
	go func() { result <- batch[0]() }()
	press(m, "q") // does nothing: only esc cancels
	m.Update(pressed("ctrl+c"))
	shows(t, m, "Quitting cancels it")
	press(m, "n")
	press(m, "esc")
	shows(t, m, "putting everything back")
	drive(m, <-result)
	shows(t, m, "Cancelled. Everything is as it was.")
	m.crew.jobs.Wait()
}

func TestFixAllOfASubject(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	choose(t, m, "web")
	press(m, "F", "space", "end", "space", "enter")
	r := f.requests[len(f.requests)-1]
	if len(r.Findings) != 2 || !r.Update || !r.Pull {
		t.Errorf("request = %+v", r)
	}
	shows(t, m, "away for about 1.5 s")
	press(m, "esc", "F", "a", "enter")
	shows(t, m, "nothing is ticked")
}

func TestAlternativesAndBeside(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	choose(t, m, "Dockerfile")
	press(m, "F", "down", "right", "end", "space", "enter")
	r := f.requests[len(f.requests)-1]
	if !r.Beside || len(r.Findings) != 3 {
		t.Fatalf("request = %+v", r)
	}
	if got := r.Fix[r.Findings[1].ID()]; got != "image-user" {
		t.Errorf("fix = %q", got)
	}
	press(m, "tab", "right") // and once more in the preview
	last := f.requests[len(f.requests)-1]
	if got := last.Fix[r.Findings[1].ID()]; got != "nonroot" {
		t.Errorf("fix = %q", got)
	}
}

func TestDisabledKeysSayWhy(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		keys []string
		want string
	}{
		"read-only":    {Options{Fixer: &fakeFixer{}, ReadOnly: true}, []string{"f"}, "read-only"},
		"no fixer":     {Options{}, []string{"F"}, "not available"},
		"no ledger":    {Options{}, []string{"U"}, "not available"},
		"no fix":       {Options{Fixer: &fakeFixer{}}, []string{"f"}, "no automatic fix"},
		"no rescan":    {Options{}, []string{"r"}, "by itself"},
		"no profile":   {Options{}, []string{"p"}, "fixed at the start"},
		"nothing done": {Options{Fixer: &fakeFixer{}}, []string{"u"}, "nothing to undo"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, tt.o, 120, 40)
			drive(m, updateMsg(fixture()))
			choose(t, m, "db")
			press(m, tt.keys...)
			shows(t, m, tt.want)
			if len(m.dialogs) > 0 {
				t.Error("a dialog opened")
			}
			press(m, "?")
			shows(t, m, "help")
		})
	}
}

func TestLostEngineDisablesFixesOfContainers(t *testing.T) {
	m := shop(t, &fakeFixer{})
	chooseFinding(t, m, "web", "container-memory-unlimited")
	lost := inventory.Update{Complete: true, Engine: inventory.EngineState{Phase: inventory.Lost, Retry: noon.Add(3 * time.Second)}}
	drive(m, updateMsg(lost))
	shows(t, m, "connection lost · retry in 3 s")
	press(m, "f")
	shows(t, m, "no connection to the engine")
	chooseFinding(t, m, "Dockerfile", "user-missing")
	press(m, "f")
	shows(t, m, "Harden Dockerfile")
}

func TestUndoLastAsks(t *testing.T) {
	f := &fakeFixer{entries: changes()}
	now := noon
	m := newModel(t, Options{Fixer: f, Now: func() time.Time { return now }}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "u", "enter") // the question has just appeared: not an answer to it
	shows(t, m, "Take this change back?", "docker update --memory 256m web")
	if len(f.undone) > 0 {
		t.Fatal("undone without an answer")
	}
	now = now.Add(guardFor)
	press(m, "enter")
	if fmt.Sprint(f.undone) != "[e4]" {
		t.Errorf("undone = %v", f.undone)
	}
}

func TestLedger(t *testing.T) {
	f := &fakeFixer{entries: changes()}
	m := shop(t, f)
	press(m, "U", "down", "u")
	shows(t, m, "the container is gone")
	press(m, "down", "u")
	shows(t, m, "put back already")
	press(m, "home", "u", "enter")
	if fmt.Sprint(f.undone) != "[e4]" {
		t.Errorf("undone = %v", f.undone)
	}
}

//scenario:14
func TestInterruptedIsOfferedFirst(t *testing.T) {
	f := &fakeFixer{interrupted: changes()[:1]}
	now := noon
	m := newModel(t, Options{Fixer: f, Now: func() time.Time { return now }}, 80, 24)
	drive(m, m.findInterrupted()())
	shows(t, m, "Unfinished change", "finish it", "take it back")
	press(m, "f")
	if len(f.recovered) > 0 {
		t.Fatal("a key from before decided")
	}
	now = now.Add(guardFor)
	press(m, "t")
	if fmt.Sprint(f.recovered) != "[e4 false]" {
		t.Errorf("recovered = %v", f.recovered)
	}
	press(m, "enter")
	drive(m, m.findInterrupted()())
	if len(m.dialogs) > 0 {
		t.Error("offered twice")
	}
}

func TestCopyCommands(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "y")
	shows(t, m, "1 command copied")
	chooseFinding(t, m, "Dockerfile", "user-missing")
	press(m, "y")
	shows(t, m, "no equivalent command")
}

func TestLanguageSwitchesAtOnce(t *testing.T) {
	m := shop(t, &fakeFixer{})
	press(m, "L")
	shows(t, m, "Befunde", "kritisch")
	if m.language != assets.German {
		t.Errorf("language = %s", m.language)
	}
	press(m, "L")
	shows(t, m, "Findings", "critical")
}

func TestProfile(t *testing.T) {
	var got []checks.Profile
	m := newModel(t, Options{Repolicy: func(p checks.Profile) { got = append(got, p) }}, 120, 40)
	press(m, "p", "p", "p")
	if fmt.Sprint(got) != "[hygiene all security]" {
		t.Errorf("profiles = %v", got)
	}
}

func TestPalette(t *testing.T) {
	m := shop(t, &fakeFixer{})
	press(m, strings.Split(":posture", "")...)
	press(m, "enter")
	shows(t, m, "How the posture is computed", "Least privilege")
}

func TestEveryBindingActs(t *testing.T) {
	m := shop(t, &fakeFixer{entries: changes()})
	keys := map[string]bool{}
	for i := range m.keys {
		b := &m.keys[i]
		for _, k := range b.keys {
			if keys[k] {
				t.Errorf("%q is bound twice", k)
			}
			keys[k] = true
			if got := m.bound(k); got == nil || got.do == nil {
				t.Errorf("%q does nothing", k)
			}
		}
	}
}

// A proof is asked for once for each plan, and its verdict stays in the preview.
func TestProofOfAPlan(t *testing.T) {
	prover := &fakeProver{}
	m := newModel(t, Options{Fixer: &fakeFixer{}, Prover: prover}, 120, 40)
	drive(m, updateMsg(fixture()))
	chooseFinding(t, m, "Dockerfile", "user-missing")
	press(m, "f", "b")
	shows(t, m, "Proved by building", "uid 10001 (USER 10001:10001)", "took 8.2 s")
	press(m, "enter")
	shows(t, m, "Proved by building", "apply")
	press(m, "b")
	if prover.asked != 1 {
		t.Errorf("proved %d times", prover.asked)
	}
	press(m, "esc", "tab", "right") // another plan
	hides(t, m, "Proved by building")
	press(m, "esc", "esc")

	prover.err = errors.New("the engine went away")
	chooseFinding(t, m, "Dockerfile", "user-missing")
	press(m, "f", "b")
	shows(t, m, "could not be tried", "the engine went away")
	press(m, "enter")
	hides(t, m, "roved by building")
	prover.err = context.Canceled
	press(m, "b")
	shows(t, m, "nothing is left on the engine")
	press(m, "enter", "esc")

	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f")
	hides(t, m, "prove by building")
	press(m, "b")
	shows(t, m, "only changes of a Dockerfile are built")
}
