package tui

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/inventory"
	"plimsoll/fixes/fixer"
)

// fakeEngines are four: the one that is shown, one that answers, one that does
// not, and one whose context is broken.
type fakeEngines struct {
	opened   []string
	surveyed []string
	openErr  error
	fixer    fixer.Fixer // of every engine that is opened
}

func (*fakeEngines) List() ([]engine.Known, error) {
	return []engine.Known{
		{Target: engine.Target{Host: "unix:///var/run/docker.sock", Context: "default"}, Name: "default"},
		{Name: "broken", Err: errors.New("its certificate cannot be read")},
		{Target: engine.Target{Host: "ssh://me@harbour.example", Context: "harbour"}, Name: "harbour"},
		{Target: engine.Target{Host: "tcp://gone.example:2376", Context: "gone"}, Name: "gone"},
	}, nil
}

func (f *fakeEngines) Find(address string) (engine.Target, error) {
	if address != "ssh://me@new.example" {
		return engine.Target{}, fmt.Errorf("engine address %q has no scheme", address)
	}
	return engine.Target{Host: address}, nil
}

func (f *fakeEngines) Survey(_ context.Context, t engine.Target) (Survey, error) {
	f.surveyed = append(f.surveyed, t.Title())
	if t.Context == "gone" {
		return Survey{}, errors.New("no Docker Engine answers at tcp://gone.example:2376")
	}
	s := Sum(fixture().Items)
	s.Name, s.Version = "harbour\x1b[2J", "28.2.2"
	return s, nil
}

func (f *fakeEngines) Open(_ context.Context, t engine.Target) (Tools, error) {
	f.opened = append(f.opened, t.Title())
	return Tools{Fixer: f.fixer}, f.openErr
}

// atHome is the fixture on the engine of the default context.
func atHome() inventory.Update {
	u := fixture()
	u.Engine.Endpoint, u.Engine.Context, u.Engine.Remote = "unix:///var/run/docker.sock", "default", false
	return u
}

// abroad is the fixture on an engine of another machine.
func abroad() inventory.Update {
	u := fixture()
	u.Engine.Endpoint, u.Engine.Context, u.Engine.Remote = "ssh://me@harbour.example", "harbour", true
	return u
}

func TestEnginesScreens(t *testing.T) {
	for name, do := range map[string]func(m *Model){
		"engines": func(m *Model) { drive(m, updateMsg(atHome())); press(m, "E", "down") },
		"address": func(m *Model) { drive(m, updateMsg(atHome())); press(m, "E", "a", "m", "e") },
		"unlock": func(m *Model) {
			drive(m, updateMsg(abroad()))
			chooseFinding(t, m, "web", "container-memory-unlimited")
			press(m, "f", "enter", "h", "a")
		},
	} {
		for _, language := range []assets.Language{assets.English, assets.German} {
			for _, size := range [][2]int{{80, 24}, {160, 45}} {
				t.Run(fmt.Sprintf("%s/%dx%d-%s", name, size[0], size[1], language), func(t *testing.T) {
					m := newModel(t, Options{Language: language, Fixer: &fakeFixer{}, Engines: &fakeEngines{}}, size[0], size[1])
					do(m)
					golden(t, screen(t, m))
				})
			}
		}
	}
}

func TestEnginesAreSurveyed(t *testing.T) {
	f := &fakeEngines{}
	m := newModel(t, Options{Fixer: &fakeFixer{}, Engines: f}, 120, 40)
	drive(m, updateMsg(atHome()))
	press(m, "E")
	if fmt.Sprint(f.surveyed) != "[harbour gone]" {
		t.Errorf("surveyed %v: the engine that is shown is known, and the broken one cannot be asked", f.surveyed)
	}
	shows(t, m, "together: 2 of 4 answer", "● default", "no Docker Engine answers at tcp://gone", "its certificate cannot be read")
	press(m, "esc")
	if len(m.dialogs) > 0 || len(f.opened) > 0 {
		t.Errorf("%d dialogs, opened %v", len(m.dialogs), f.opened)
	}
}

func TestTurnToAnotherEngine(t *testing.T) {
	there := &fakeFixer{}
	f := &fakeEngines{fixer: there}
	m := newModel(t, Options{Fixer: &fakeFixer{}, Engines: f}, 120, 40)
	drive(m, updateMsg(atHome()))
	press(m, "E", "down", "enter") // broken
	if len(f.opened) > 0 || len(m.dialogs) != 1 {
		t.Fatalf("opened %v", f.opened)
	}
	press(m, "down", "enter")
	if fmt.Sprint(f.opened) != "[harbour]" || len(m.dialogs) > 0 || m.turning {
		t.Errorf("opened %v, %d dialogs, turning %v", f.opened, len(m.dialogs), m.turning)
	}
	if m.crew.fixer != fixer.Fixer(there) {
		t.Error("changes still go to the engine before")
	}
	drive(m, updateMsg(abroad()))
	shows(t, m, "context harbour", "remote", "changes locked")

	// By address, and one that fails.
	press(m, "E", "a")
	for _, r := range "me@new.example" {
		press(m, string(r))
	}
	press(m, "enter")
	if fmt.Sprint(f.opened) != "[harbour ssh://me@new.example]" {
		t.Errorf("opened %v", f.opened)
	}
	f.openErr = errors.New("no way")
	f.fixer = nil
	press(m, "E", "up", "up", "up", "up", "enter")
	shows(t, m, "no way")
	if m.crew.fixer != fixer.Fixer(there) {
		t.Error("after a failure nothing can be changed any more")
	}
}

// While the engines change nothing can be fixed.
func TestNothingIsFixedWhileTurning(t *testing.T) {
	m := newModel(t, Options{Fixer: &fakeFixer{}, Engines: &fakeEngines{}}, 120, 40)
	drive(m, updateMsg(atHome()))
	m.turnTo(engine.Target{Host: "ssh://me@harbour.example"}) // its command is not carried out
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f")
	if len(m.dialogs) > 0 {
		t.Error("a fix is planned on an engine that is being left")
	}
	shows(t, m, "turning to another engine")
}

// An engine on another machine is changed only after its name was typed.
func TestRemoteEngineIsLocked(t *testing.T) {
	f := &fakeFixer{}
	m := newModel(t, Options{Fixer: f}, 120, 40)
	drive(m, updateMsg(abroad()))
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "enter")
	shows(t, m, "Type its name, harbour")
	press(m, "enter")
	shows(t, m, "that is not its name")
	press(m, "esc")
	if len(f.entries) > 0 {
		t.Fatal("it was changed without its name")
	}
	press(m, "enter", "h", "a", "r", "b", "o", "u", "r", "enter")
	if len(f.entries) != 1 {
		t.Fatalf("it was not changed after its name was typed: %v\n%s", f.entries, screen(t, m))
	}
	press(m, "u") // undo from the receipt: it is open now
	if len(f.undone) != 1 {
		t.Errorf("undone %v", f.undone)
	}
	hides(t, m, "Type its name")

	// Another one is locked by itself, also for undo.
	other := abroad()
	other.Engine.Context = "quay"
	press(m, "esc")
	drive(m, updateMsg(other))
	press(m, "u")
	m.now = func() time.Time { return noon.Add(time.Minute) } // the guard of the question is over
	press(m, "enter")
	shows(t, m, "Type its name, quay")
	if len(f.undone) != 1 {
		t.Errorf("undone %v", f.undone)
	}
}

// Files are on this machine whatever engine is shown.
func TestFilesAreNotLocked(t *testing.T) {
	f := &fakeFixer{}
	m := newModel(t, Options{Fixer: f}, 120, 40)
	drive(m, updateMsg(abroad()))
	chooseFinding(t, m, "Dockerfile", "user-missing")
	press(m, "f", "enter")
	hides(t, m, "Type its name")
	if len(f.entries) != 1 {
		t.Errorf("entries %v", f.entries)
	}
}

func TestTotal(t *testing.T) {
	one := Sum(fixture().Items)
	two := Total([]Survey{one, one, Sum(nil)})
	if two.Score != one.Score || two.Subjects != 2*one.Subjects || two.Counts[checks.High] != 2*one.Counts[checks.High] || one.Counts[checks.High] == 0 {
		t.Errorf("together %+v, one %+v", two, one)
	}
	if empty := Total(nil); empty.Score != 100 || empty.Subjects != 0 {
		t.Errorf("nothing is %+v", empty)
	}
}
