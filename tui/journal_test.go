package tui

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	apicontainer "github.com/moby/moby/api/types/container"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suite"
	"plimsoll/tui/history"
)

// A calendar is a screen that is opened on several days.
type calendar struct {
	t       *testing.T
	dir     string
	history *History
	now     time.Time
}

func newCalendar(t *testing.T) *calendar {
	dir := filepath.Join(t.TempDir(), "history")
	return &calendar{t, dir, &History{
		Store: history.NewStore(dir), Delay: 1, Root: "/home/me/shop",
		Asked: func(kind checks.Kind, _ checks.Profile) []string {
			var ids []string
			for _, c := range suite.All() {
				if c.Kind == kind {
					ids = append(ids, c.ID)
				}
			}
			return append(ids, "image-old-build")
		},
	}, noon}
}

// open shows u on the screen, and leaves it after what do does.
func (c *calendar) open(u inventory.Update, o Options, w, h int, do func(m *Model)) {
	c.t.Helper()
	o.History, o.Now, o.Fixer = c.history, func() time.Time { return c.now }, &fakeFixer{}
	m := newModel(c.t, o, w, h)
	drive(m, updateMsg(u))
	do(m)
	if write := m.unwritten(); write != nil {
		if err := write(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// grown is the attacked shop a few days later: proxy is cured, web runs as root.
func grown() inventory.Update {
	u := attacked()
	up := inventory.Status{State: "running"}
	u.Items[0] = judged(reachable("p2", "proxy", "80", func(*apicontainer.InspectResponse) {}), up)
	u.Items[1] = judged(reachable("w1", "web", "3000", func(i *apicontainer.InspectResponse) {
		i.Config.User = "root"
		i.Config.Env = []string{"SESSION_SECRET=c4nary-not-a-real-secret"}
	}), up)
	return u
}

// days is what three days leave behind, and the screen of the fourth.
func days(t *testing.T, o Options, w, h int, do func(m *Model)) {
	c := newCalendar(t)
	nothing := func(*Model) {}
	c.open(attacked(), o, w, h, nothing)
	c.now = c.now.AddDate(0, 0, 1)
	c.open(grown(), o, w, h, nothing)
	c.now = c.now.AddDate(0, 0, 1)
	c.open(attacked(), o, w, h, nothing)
	c.now = c.now.Add(90 * time.Minute)
	c.open(attacked(), o, w, h, do)
}

func TestJournalScreens(t *testing.T) {
	for name, do := range map[string]func(m *Model){
		"journal":   func(m *Model) { press(m, "N") },
		"fresh":     func(m *Model) { press(m, "n") },
		"score":     func(m *Model) { press(m, "S") },
		"came-back": func(m *Model) { chooseFinding(t, m, "proxy", "container-runs-as-root"); m.setFocus(detailPane) },
	} {
		for _, language := range []assets.Language{assets.English, assets.German} {
			for _, size := range [][2]int{{80, 24}, {160, 45}} {
				t.Run(fmt.Sprintf("%s/%dx%d-%s", name, size[0], size[1], language), func(t *testing.T) {
					days(t, Options{Language: language}, size[0], size[1], func(m *Model) {
						do(m)
						golden(t, screen(t, m))
					})
				})
			}
		}
	}
}

func TestFirstLookIsNotNew(t *testing.T) {
	c := newCalendar(t)
	c.open(attacked(), Options{}, 120, 40, func(m *Model) {
		press(m, "n")
		shows(t, m, "new since yesterday")
		hides(t, m, "Privileged mode")
		press(m, "esc")
		shows(t, m, "Privileged mode")
		press(m, "N")
		shows(t, m, "Remembered since", "Nothing has appeared")
	})
}

func TestWhatAppearsWhileLookingIsNew(t *testing.T) {
	c := newCalendar(t)
	c.open(attacked(), Options{}, 120, 40, func(m *Model) {
		c.now = c.now.Add(time.Minute)
		drive(m, updateMsg(grown()))
		press(m, "n")
		shows(t, m, "Runs as root")
		hides(t, m, "Privileged mode")
		// It was removed and created anew under its name: nothing is told.
		c.now = c.now.Add(time.Minute)
		engine := attacked().Engine
		drive(m, updateMsg(inventory.Update{Engine: engine, Complete: true, Removed: []checks.Ref{{Kind: checks.Container, ID: "r1", Name: "runner"}}}))
		again := reachable("r2", "runner", "8080", func(i *apicontainer.InspectResponse) { i.Config.User, i.HostConfig.Privileged = "root", true })
		drive(m, updateMsg(inventory.Update{Engine: engine, Complete: true, Items: []inventory.Item{judged(again, inventory.Status{State: "running"})}}))
		hides(t, m, "Privileged mode")
	})
}

func TestOtherProfileFixesNothing(t *testing.T) {
	c := newCalendar(t)
	hygiene := checks.Finding{Check: rule("x-hygiene", "untidy", checks.Low, checks.Hygiene), Severity: checks.Low, Message: checks.Message{Format: "untidy"}}
	of := func(findings ...checks.Finding) inventory.Update {
		u := fixture()
		u.Items = []inventory.Item{containerItem("aaaa", "web", "running", findings...), u.Items[len(u.Items)-1]}
		return u
	}
	asked := c.history.Asked
	c.history.Asked = func(kind checks.Kind, p checks.Profile) []string {
		if p == checks.Security {
			return asked(kind, p)
		}
		return append(asked(kind, p), "x-hygiene")
	}
	c.open(of(hygiene), Options{Profile: checks.All}, 120, 40, func(*Model) {})
	c.now = c.now.Add(time.Hour)
	c.open(of(), Options{Profile: checks.Security}, 120, 40, func(m *Model) {
		press(m, "N")
		shows(t, m, "Nothing has appeared")
	})
}

func TestDamagedHistoryIsSaid(t *testing.T) {
	c := newCalendar(t)
	c.open(attacked(), Options{}, 120, 40, func(*Model) {})
	books, err := filepath.Glob(filepath.Join(c.dir, "book-*"))
	if err != nil || len(books) == 0 {
		t.Fatalf("books %v, %v", books, err)
	}
	for _, b := range books {
		if err := os.WriteFile(b, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.open(attacked(), Options{}, 120, 40, func(m *Model) {
		press(m, "N")
		shows(t, m, "read the history")
	})
}

func TestNothingIsRememberedReadOnly(t *testing.T) {
	c := newCalendar(t)
	c.history.ReadOnly = true
	c.open(attacked(), Options{ReadOnly: true}, 120, 40, func(m *Model) {
		if m.unwritten() != nil || m.save() != nil {
			t.Error("something is to be written")
		}
	})
	m := shop(t, &fakeFixer{})
	press(m, "n")
	shows(t, m, "nothing is remembered")
}
