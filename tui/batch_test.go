package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// asked returns what the last batch was asked for: "web: 2, Dockerfile: 3".
func (f *fakeFixer) askedFor() string {
	var out []string
	for _, ask := range f.asked {
		out = append(out, fmt.Sprintf("%s: %d", ask.Subject.Ref().Name, len(ask.Request.Findings)))
	}
	return strings.Join(out, ", ")
}

// Marks are known by what findings are known by: they survive updates and
// filters, until what was planned with them is done.
func TestMarks(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	marking(t, m)
	shows(t, m, "6 marked", "F plan 6 marked")
	drive(m, updateMsg(fixture())) // without a fix for db
	press(m, "1")
	shows(t, m, "5 marked")
	press(m, "5", "F")
	if got := f.askedFor(); got != "Dockerfile: 3, web: 2" {
		t.Errorf("asked for %s", got)
	}
	press(m, "esc")
	if len(f.entries) > 0 {
		t.Fatal("something was applied without confirmation")
	}
	choose(t, m, "Dockerfile")
	m.setFocus(subjectsPane)
	press(m, "space") // all of it is marked: no more
	shows(t, m, "2 marked")
	press(m, "F", "enter")
	shows(t, m, "1 of 1 parts are done")
	press(m, "enter")
	hides(t, m, "marked")
	if m.marked != 0 || len(f.applied) != 1 {
		t.Errorf("%d marked, applied %v", m.marked, f.applied)
	}
}

func TestMarksAreClearedLast(t *testing.T) {
	m := shop(t, &fakeFixer{})
	choose(t, m, "web")
	m.setFocus(subjectsPane)
	press(m, "3", "space", "esc")
	shows(t, m, "1 marked")
	press(m, "esc")
	hides(t, m, "marked")
}

func TestSpaceMarksNothingThatHasNoFix(t *testing.T) {
	m := shop(t, &fakeFixer{})
	chooseFinding(t, m, "web", "container-runs-as-root")
	press(m, "space")
	shows(t, m, "this finding has no automatic fix")
	choose(t, m, "cache")
	m.setFocus(subjectsPane)
	press(m, "space")
	shows(t, m, "none of its findings has an automatic fix")
	m.setFocus(detailPane)
	press(m, "space") // turns the page there
	if m.marked != 0 {
		t.Errorf("%d marked", m.marked)
	}
}

// Everything safe is what needs no decision, as far as it is shown.
func TestEverythingSafe(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	press(m, "A")
	if got := f.askedFor(); got != "Dockerfile: 2, web: 3" { // the user of the Dockerfile is a decision
		t.Errorf("asked for %s", got)
	}
	press(m, "esc", "/", "w", "e", "b", "enter", "A")
	if got := f.askedFor(); got != "web: 3" {
		t.Errorf("asked for %s", got)
	}
	press(m, "esc", "esc", "/", "c", "a", "c", "h", "e", "enter", "A")
	shows(t, m, "A: every fix of what is shown changes how something behaves")
	if len(m.dialogs) > 0 {
		t.Error("there is nothing to plan")
	}
}

func TestPartsAreLeftOutAndPolicyIsChosen(t *testing.T) {
	f := &fakeFixer{fails: "web"}
	m := shop(t, f)
	marking(t, m)
	press(m, "F", "t")
	shows(t, m, "all before it are taken back", "db was started with --rm")
	press(m, "enter")
	shows(t, m, "Stopped at web", "1 part that was done before it was taken back", "0 of 2 parts are done")
	if fmt.Sprint(f.applied) != "[{undo false}]" || m.marked == 0 {
		t.Errorf("applied %v, %d marked", f.applied, m.marked)
	}
	press(m, "u") // there is nothing to undo
	if len(f.undone) > 0 {
		t.Errorf("undone %v", f.undone)
	}
	press(m, "enter", "F", "down", "space")
	shows(t, m, "1 part ·", "take in")
	press(m, "enter")
	shows(t, m, "1 of 1 parts are done")
	if got := f.entries[0].Subject.Name; got != "Dockerfile" {
		t.Errorf("applied to %s", got)
	}
	press(m, "u")
	shows(t, m, "all is as it was")
	if fmt.Sprint(f.undone) != "[b1]" {
		t.Errorf("undone %v", f.undone)
	}
}

// A part can be opened as a plan by itself. Its values count for the whole, and
// nothing is applied from there.
func TestOpenedPart(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	marking(t, m)
	press(m, "F", "down", "o")
	shows(t, m, "Limit memory of web", "enter back")
	press(m, "enter")
	shows(t, m, "One plan for everything chosen")
	press(m, "o", "tab", "backspace", "enter", "enter") // out of the field, then over
	shows(t, m, "One plan for everything chosen")
	if len(f.entries) > 0 {
		t.Fatal("a part was applied by itself")
	}
	at := slices.IndexFunc(f.asked, func(a fixes.Ask) bool { return a.Subject.Ref().Name == "web" })
	if at < 0 || f.asked[at].Request.Values["memory"] != "256" || len(f.asked) != 3 {
		t.Errorf("asked %+v", f.asked)
	}
	press(m, "end", "o")
	shows(t, m, "✗ db was started with --rm")
	press(m, "esc", "esc")
	if len(m.dialogs) > 0 {
		t.Errorf("%d dialogs", len(m.dialogs))
	}
}

// What only a person can answer is told of the part that waits for it.
func TestPartWaitsForAnAnswer(t *testing.T) {
	f := &fakeFixer{question: "variable that takes its path"}
	m := shop(t, f)
	marking(t, m)
	press(m, "F")
	hides(t, m, "waits for an answer")
	press(m, "down")
	shows(t, m, "waits for an answer, open it with o: variable that takes its path")
}

func TestLatePlanOfABatchIsDropped(t *testing.T) {
	m := shop(t, &fakeFixer{})
	marking(t, m)
	press(m, "F")
	d := m.dialogs[0].(*batchDialog)
	m.Update(batchPlanned{by: d, round: d.round - 1, batch: &fixes.Batch{ID: "late"}})
	if d.batch.ID != "b1" {
		t.Errorf("shows the batch %s", d.batch.ID)
	}
}

func TestReadOnlyPlansNoBatch(t *testing.T) {
	m := newModel(t, Options{Fixer: &fakeFixer{}, ReadOnly: true}, 120, 40)
	drive(m, updateMsg(fixture()))
	choose(t, m, "web")
	m.setFocus(subjectsPane)
	press(m, "space")
	for _, key := range []string{"F", "A"} {
		press(m, key)
		shows(t, m, key+": read-only")
	}
	if len(m.dialogs) > 0 {
		t.Error("a plan is shown")
	}
}

func TestRemoteBatchIsLocked(t *testing.T) {
	f := &fakeFixer{}
	m := newModel(t, Options{Fixer: f}, 120, 40)
	drive(m, updateMsg(abroad()))
	choose(t, m, "web")
	m.setFocus(subjectsPane)
	press(m, "space", "F", "enter")
	shows(t, m, "Type its name, harbour")
	if len(f.applied) > 0 {
		t.Fatal("it was changed without its name")
	}
	press(m, "h", "a", "r", "b", "o", "u", "r", "enter")
	shows(t, m, "1 of 1 parts are done")
}

// What was done with one plan is offered to be undone as one.
func TestUndoOfOnePartOrAll(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	marking(t, m)
	press(m, "F", "enter", "enter", "U", "u")
	shows(t, m, "It was one of 2 parts of one plan", "undo all 2", "only this one")
	press(m, "o")
	if fmt.Sprint(f.undone) != "[e2]" {
		t.Errorf("undone %v", f.undone)
	}
	press(m, "enter", "U", "u", "enter")
	if fmt.Sprint(f.undone) != "[e2 b1]" {
		t.Errorf("undone %v", f.undone)
	}
}

// After a crash the part that was under way is recovered, and the rest offered.
func TestRecoveryTellsOfTheBatch(t *testing.T) {
	entries := changes()[:2]
	entries[0].State, entries[0].Batch = ledger.Running, &ledger.Part{ID: "b7", N: 2, Of: 3}
	entries[1].ID, entries[1].Batch = "e9", &ledger.Part{ID: "b7", N: 1, Of: 3}
	f := &fakeFixer{interrupted: entries[:1], entries: entries}
	now := noon
	m := newModel(t, Options{Fixer: f, Now: func() time.Time { return now }}, 80, 24)
	drive(m, m.findInterrupted()())
	now = now.Add(guardFor)
	shows(t, m, "It was one of 3 parts of one plan", "Harden db")
	press(m, "t")
	shows(t, m, "undo these too")
	press(m, "u")
	if fmt.Sprint(f.recovered, f.undone) != "[e4 false] [b7]" {
		t.Errorf("recovered %v, undone %v", f.recovered, f.undone)
	}
}

// A container that was started with marks on it keeps them under its name.
func TestMarksFollowTheName(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "space")
	u := fixture()
	for i := range u.Items {
		if item := &u.Items[i]; item.Ref.Name == "web" {
			u.Removed = append(u.Removed, item.Ref)
			*item = containerItem("anew", "web", "running", memoryFinding())
		}
	}
	drive(m, updateMsg(u))
	press(m, "F")
	if len(f.asked) != 1 || f.asked[0].Subject.Ref() != (checks.Ref{Kind: checks.Container, ID: "anew", Name: "web"}) {
		t.Errorf("asked %v", f.asked)
	}
}

// What runs is brought to what the files say on request, by one command for each.
func TestBatchIsDeployed(t *testing.T) {
	f := &fakeFixer{deploy: []string{"docker", "compose", "up", "--detach", "web"}}
	m := shop(t, f)
	marking(t, m)
	press(m, "F", "enter")
	shows(t, m, "what runs stays as it is until: docker compose up --detach web", "c docker compose up")
	press(m, "c")
	if len(f.deployed) != 1 {
		t.Errorf("ran %q", f.deployed)
	}
}
