package tui

import (
	"context"
	"flag"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/runtime/sysdig"
	"plimsoll/fixes"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// newModel returns a model at noon that does not tick, with the explanations of
// the fixture instead of those of the program, which change.
func newModel(t testing.TB, o Options, size ...int) *Model {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	if o.Explain == nil {
		o.Explain = explain
	}
	m := New(t.Context(), o)
	m.ticking = true // ticks are tested by themselves
	m.crew.pause = time.Millisecond
	if len(size) == 2 {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
	}
	return m
}

func explain(l assets.Language, check string) (assets.Explanation, bool) {
	e := assets.Explanation{ID: check, Language: l}
	e.Sections[0] = assets.Section{Heading: "What happens", Text: "Whoever gets **in** is `root`. See [the manual](https://example.com/manual).\n\n```dockerfile\nUSER 10001\n```"}
	e.Sections[1] = assets.Section{Heading: "Why it matters", Text: "- one reason that is long enough to be broken into two lines at least, even on a wide screen\n- another *one*\n\n1. first\n2. second"}
	return e, true
}

// drive gives messages to m and carries out every command they lead to, one
// after the other.
func drive(m *Model, msgs ...tea.Msg) {
	for _, msg := range msgs {
		if batch, ok := msg.(tea.BatchMsg); ok {
			for _, cmd := range batch {
				if cmd != nil {
					drive(m, cmd())
				}
			}
			continue
		}
		if msg == nil {
			continue
		}
		if _, cmd := m.Update(msg); cmd != nil {
			drive(m, cmd())
		}
	}
}

// press gives keys to m: "f", "enter", "ctrl+c".
func press(m *Model, keys ...string) {
	for _, k := range keys {
		drive(m, pressed(k))
	}
}

func pressed(k string) tea.KeyPressMsg {
	switch k {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "tab":
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case "shift+tab":
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	case "up":
		return tea.KeyPressMsg{Code: tea.KeyUp}
	case "down":
		return tea.KeyPressMsg{Code: tea.KeyDown}
	case "left":
		return tea.KeyPressMsg{Code: tea.KeyLeft}
	case "right":
		return tea.KeyPressMsg{Code: tea.KeyRight}
	case "home":
		return tea.KeyPressMsg{Code: tea.KeyHome}
	case "end":
		return tea.KeyPressMsg{Code: tea.KeyEnd}
	case "pgdown":
		return tea.KeyPressMsg{Code: tea.KeyPgDown}
	case "pgup":
		return tea.KeyPressMsg{Code: tea.KeyPgUp}
	case "backspace":
		return tea.KeyPressMsg{Code: tea.KeyBackspace}
	case "space":
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	if c, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(k)[0], Text: k}
}

// screen is the frame as a reader sees it. It fails if the frame does not fit.
func screen(t testing.TB, m *Model) string {
	t.Helper()
	frame := ansi.Strip(m.View().Content)
	lines := strings.Split(frame, "\n")
	if len(lines) > m.size.Y && frame != "" {
		t.Errorf("%d lines on a screen of %d", len(lines), m.size.Y)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > m.size.X {
			t.Errorf("line %d is %d cells wide on a screen of %d: %q", i, w, m.size.X, l)
		}
		if strings.ContainsAny(l, "\t\r") {
			t.Errorf("line %d holds a tab or a return: %q", i, l)
		}
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func golden(t *testing.T, got string) {
	t.Helper()
	name := filepath.Join("testdata", filepath.FromSlash(t.Name())+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (run go test ./tui -update)", err)
	}
	if got != string(want) {
		t.Errorf("screen differs from %s\n--- got\n%s\n--- want\n%s", name, got, want)
	}
}

// chooseSubject moves to the subject called name.
func choose(t testing.TB, m *Model, name string) {
	t.Helper()
	for i, r := range m.subjects.rows {
		if r.subject != nil && r.subject.name == name {
			m.setFocus(subjectsPane)
			m.subjects.to(i)
			m.chooseSubject()
			m.setFocus(findingsPane)
			return
		}
	}
	t.Fatalf("no subject %q", name)
}

// chooseFinding moves to the finding of check on the subject called name.
func chooseFinding(t testing.TB, m *Model, name, check string) {
	t.Helper()
	choose(t, m, name)
	for i, r := range m.findings.rows {
		if r.finding.Check.ID == check {
			m.findings.to(i)
			m.chooseFinding()
			return
		}
	}
	t.Fatalf("no finding %q", check)
}

// marking marks some of everything, of which harbour cannot be changed.
func marking(t testing.TB, m *Model) {
	t.Helper()
	m.crew.fixer.(*fakeFixer).stuck = "db"
	u := fixture()
	for i := range u.Items {
		if f := u.Items[i].Report.Findings; u.Items[i].Ref.Name == "db" {
			f[0] = fixable(f[0], aFix("capabilities", "give it the capabilities that it needs, and no more"))
		}
	}
	drive(m, updateMsg(u))
	choose(t, m, "Dockerfile")
	m.setFocus(subjectsPane)
	press(m, "space")
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "space", "space")
	chooseFinding(t, m, "db", "container-privileged")
	press(m, "space")
}

// screens are what a user gets to see.
var screens = []struct {
	name   string
	update inventory.Update
	do     func(t *testing.T, m *Model)
}{
	{"main", fixture(), func(*testing.T, *Model) {}},
	{"finding", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "Dockerfile", "secret-in-env-or-arg")
		m.setFocus(detailPane)
	}},
	{"about", fixture(), func(t *testing.T, m *Model) { choose(t, m, "cache") }},
	{"filter", fixture(), func(t *testing.T, m *Model) { press(m, "2", "/", "w", "e", "b") }},
	{"filter-hides-all", fixture(), func(t *testing.T, m *Model) {
		m.setFocus(subjectsPane)
		press(m, "/", "n", "o", "n", "e", "enter")
	}},
	{"layers", readingLayers(), func(t *testing.T, m *Model) {
		choose(t, m, "shop/web:1.4")
		m.setFocus(subjectsPane)
	}},
	{"preview-file", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "f", "tab", "tab")
	}},
	{"preview-container", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "web", "container-memory-unlimited")
		press(m, "f", "d")
	}},
	{"progress", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "web", "container-memory-unlimited")
		press(m, "f")
		m.Update(pressed("enter")) // not carried out: we say how far it is
		d := m.dialogs[0].(*fixDialog)
		d.run.progress = fixes.Progress{Step: 1, Ratio: 0.4, Message: checks.Message{Format: "%d of %d MB", Args: []any{40, 100}}}
	}},
	{"progress-pull", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "web", "container-memory-unlimited")
		press(m, "f")
		m.Update(pressed("enter"))
		d := m.dialogs[0].(*fixDialog)
		d.run.progress = fixes.Progress{Step: 1, Ratio: 0.4, Message: checks.Message{Format: "pulling %s", Args: []any{"shop/web:1.4"}}, Transfer: &fixes.Transfer{
			Image: "shop/web:1.4", Done: 41_200_000, Total: 103_000_000, Layers: []fixes.Layer{
				{ID: "1f2e3d4c5b6a", State: fixes.Present}, {ID: "2a3b4c5d6e7f", State: fixes.Complete, Done: 8_000_000, Total: 8_000_000},
				{ID: "3b4c5d6e7f80", State: fixes.Unpacking, Done: 3_200_000, Total: 3_200_000}, {ID: "4c5d6e7f8091", State: fixes.Downloading, Done: 30_000_000, Total: 91_000_000},
				{ID: "5d6e7f8091a2", State: fixes.Downloading}, {ID: "6e7f8091a2b3", State: fixes.Downloaded, Done: 800_000, Total: 800_000}, {ID: "7f8091a2b3c4"}}}}
	}},
	{"card", fixture(), func(t *testing.T, m *Model) {
		updating(t, m)
		press(m, "enter")
	}},
	{"card-to-fetch", fixture(), updating},
	{"fix-image", fixture(), func(t *testing.T, m *Model) {
		choose(t, m, "shop/web:1.4")
		m.setFocus(subjectsPane)
		press(m, "F")
	}},
	{"marked", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		m.setFocus(subjectsPane)
	}},
	{"batch", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		press(m, "F", "down")
	}},
	{"batch-part", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		press(m, "F", "down", "o", "tab", "backspace")
	}},
	{"batch-under-way", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		press(m, "F")
		m.Update(pressed("enter")) // not carried out: we say how far it is
		d := m.dialogs[0].(*batchDialog)
		d.run.progress = fixes.Progress{Part: 1, Step: 1, Ratio: 0.4, Message: checks.Message{Format: "%d of %d MB", Args: []any{40, 100}}}
	}},
	{"batch-receipt", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		press(m, "F", "enter")
	}},
	{"batch-stopped", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		m.crew.fixer.(*fakeFixer).fails = "web"
		press(m, "F", "enter")
	}},
	{"batch-undo", fixture(), func(t *testing.T, m *Model) {
		marking(t, m)
		press(m, "F", "enter", "enter", "u")
	}},
	{"receipt", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "web", "container-memory-unlimited")
		press(m, "f", "enter")
	}},
	{"proof", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "f", "b")
	}},
	{"proof-failed", fixture(), func(t *testing.T, m *Model) {
		m.crew.prover.(*fakeProver).swallowed = true
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "f", "b", "enter", "b")
	}},
	{"proof-under-way", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "f")
		m.Update(pressed("b")) // not carried out: we say how far it is
		d := m.dialogs[1].(*proofDialog)
		d.run.heard(&m.ui, fixes.Progress{Ratio: -1, Message: checks.Msg("building the file as it is")})
	}},
	{"places", related(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "web", "container-runs-as-root")
		press(m, "o")
	}},
	{"ignored", ignoring(), func(t *testing.T, m *Model) {
		press(m, "I")
		chooseFinding(t, m, "Dockerfile", "remote-script-piped-to-shell")
		m.setFocus(detailPane)
	}},
	{"ignore", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "i", "N", "o", "tab", "2", "0", "2", "6", "enter")
	}},
	{"ignore-preview", fixture(), func(t *testing.T, m *Model) {
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "i", "N", "o", "enter")
	}},
	{"choose", fixture(), func(t *testing.T, m *Model) {
		choose(t, m, "web")
		press(m, "F", "down")
	}},
	{"vulnerabilities", fixture(), func(t *testing.T, m *Model) {
		choose(t, m, "shop/web:1.4")
		press(m, "V", "down")
	}},
	{"quick-look", lookedQuickly(), func(t *testing.T, m *Model) {
		choose(t, m, "shop/web:1.4")
		press(m, "V")
	}},
	{"scanners", consulted(), func(t *testing.T, m *Model) {
		choose(t, m, "shop/web:1.4")
		press(m, "V", "down")
	}},
	{"behaviour", misbehaving(), func(t *testing.T, m *Model) { press(m, "w", "down") }},
	{"sysdig", asked(), func(t *testing.T, m *Model) {
		choose(t, m, "web")
		press(m, "w", "s", "down", "down")
	}},
	{"falco-rules", misbehaving(), func(t *testing.T, m *Model) { press(m, "w", "F") }},
	{"observe", watched(), func(t *testing.T, m *Model) {
		choose(t, m, "web")
		press(m, "O")
	}},
	{"ledger", fixture(), func(t *testing.T, m *Model) { press(m, "U", "down", "down") }},
	{"help", fixture(), func(t *testing.T, m *Model) { press(m, "?") }},
	{"score", fixture(), func(t *testing.T, m *Model) { press(m, "S") }},
	{"palette", fixture(), func(t *testing.T, m *Model) { press(m, ":", "u") }},
	{"no-engine", noEngine(), func(t *testing.T, m *Model) {
		press(m, "down", "down", "down", "down")
		m.setFocus(findingsPane)
	}},
}

func TestScreens(t *testing.T) {
	for _, s := range screens {
		for _, language := range []assets.Language{assets.English, assets.German} {
			for _, size := range [][2]int{{80, 24}, {160, 45}} {
				t.Run(fmt.Sprintf("%s/%dx%d-%s", s.name, size[0], size[1], language), func(t *testing.T) {
					o := Options{Language: language, Fixer: &fakeFixer{entries: changes()}, Prover: &fakeProver{}, Accept: accepting, DemoHint: "plimsoll --demo", Repolicy: func(checks.Profile) {}, Lookout: &fakeLookout{rules: standings(), tool: sysdig.Tool{Path: "/usr/bin/sysdig", Version: "0.29.3"}}, Observe: func(context.Context, checks.Ref, bool) {}}
					m := newModel(t, o, size[0], size[1])
					drive(m, updateMsg(s.update))
					s.do(t, m)
					golden(t, screen(t, m))
				})
			}
		}
	}
}

// TestStyled keeps one frame per theme with its colours.
func TestStyled(t *testing.T) {
	for name, background := range map[string]color.Color{"dark": color.Black, "light": color.White} {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, Options{Fixer: &fakeFixer{}}, 100, 24)
			drive(m, tea.BackgroundColorMsg{Color: background}, updateMsg(fixture()))
			if m.dark != (name == "dark") {
				t.Fatalf("dark = %v", m.dark)
			}
			chooseFinding(t, m, "Dockerfile", "user-missing")
			golden(t, strings.ReplaceAll(m.View().Content, "\x1b", "␛")+"\n")
		})
	}
}

// TestSizes draws every screen at sizes that nobody has.
func TestSizes(t *testing.T) {
	for _, s := range screens {
		for _, size := range [][2]int{{0, 0}, {1, 1}, {5, 2}, {24, 6}, {30, 7}, {40, 10}, {41, 13}, {79, 14}, {99, 40}, {100, 12}, {101, 11}, {300, 6}, {500, 200}} {
			t.Run(fmt.Sprintf("%s/%dx%d", s.name, size[0], size[1]), func(t *testing.T) {
				m := newModel(t, Options{Fixer: &fakeFixer{entries: changes()}, Prover: &fakeProver{}, Accept: accepting}, 120, 40)
				drive(m, updateMsg(s.update))
				s.do(t, m)
				drive(m, tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				screen(t, m)
				press(m, "down", "pgdown", "tab", "up", "enter")
				drive(m, tea.MouseClickMsg{X: size[0] / 2, Y: size[1] / 2, Button: tea.MouseLeft}, tea.MouseWheelMsg{X: 1, Y: 3, Button: tea.MouseWheelDown})
				screen(t, m)
			})
		}
	}
}

func TestTooSmall(t *testing.T) {
	m := newModel(t, Options{}, 20, 4)
	drive(m, updateMsg(fixture()))
	if got := strings.Join(strings.Fields(screen(t, m)), " "); !strings.Contains(got, "needs 24 × 6") {
		t.Errorf("screen = %q", got)
	}
}

// updating shows the plan that asks the registry first.
func updating(t *testing.T, m *Model) {
	choose(t, m, "web")
	m.setFocus(subjectsPane)
	press(m, "F", "a", "G", "space", "enter")
}
