package tui

import (
	"context"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/inventory"
)

// watched is the fixture with a container whose use was followed for a while.
func watched() inventory.Update {
	u := fixture()
	for i := range u.Items {
		item := &u.Items[i]
		c, ok := item.Subject.(*container.Container)
		if !ok || item.Ref.Name != "web" {
			continue
		}
		seen := *c
		seen.Observed = &container.Observed{
			Since: noon.Add(-42 * time.Minute), Last: noon, Memory: 61 << 20, MemoryPeak: 83 << 20, CPU: 0.12, CPUPeak: 1.71, Pids: 9, PidsPeak: 14, UIDs: []int{0, 101},
		}
		seen.Changed = []api.FilesystemChange{{Path: "/var/cache"}, {Path: "/var/cache/nginx"}, {Path: "/var/cache/nginx/a"}, {Path: "/run"}, {Path: "/run/nginx.pid"}}
		item.Subject, item.Status.Observed = &seen, true
		item.Report.Findings[1].Fixes[0].Choices = []checks.Choice{{Key: "memory", Label: checks.Msg("memory, such as 512m or 2g"), Default: "128m", Why: checks.Msg("its peak of %s with headroom", "83MiB")}}
	}
	return u
}

// An observer counts what it is told.
type observer struct{ told []bool }

func (o *observer) observe(_ context.Context, _ checks.Ref, on bool) { o.told = append(o.told, on) }

func TestObservePage(t *testing.T) {
	o := &observer{}
	m := newModel(t, Options{Observe: o.observe, Fixer: &fakeFixer{}}, 120, 40)
	drive(m, updateMsg(fixture()))
	choose(t, m, "web")
	press(m, "O")
	shows(t, m, "waiting for the first sample")
	drive(m, updateMsg(watched()))
	for _, want := range []string{"watched for 42 min", "83MiB", "1.71", "0, 101", "/run, /var/cache/nginx", "128m"} {
		shows(t, m, want)
	}
	press(m, "x") // ends watching, and the page stays
	if len(m.dialogs) != 1 || len(o.told) != 2 || !o.told[0] || o.told[1] {
		t.Fatalf("%d pages, told %v", len(m.dialogs), o.told)
	}
	press(m, "enter") // to what can be hardened
	shows(t, m, "Fix web")
	press(m, "esc")
	choose(t, m, "db") // which does not run
	press(m, "O")
	if len(m.dialogs) != 0 || len(o.told) != 2 {
		t.Errorf("what does not run is watched: %v", o.told)
	}
	drive(m, updateMsg(inventory.Update{Engine: fixture().Engine, Complete: true, Removed: []checks.Ref{{Kind: checks.Container, ID: "aaaa"}}}))
}

// A page stays usable when its container goes.
func TestObservePageOfWhatIsGone(t *testing.T) {
	o := &observer{}
	m := newModel(t, Options{Observe: o.observe, Fixer: &fakeFixer{}}, 80, 24)
	drive(m, updateMsg(watched()))
	choose(t, m, "web")
	press(m, "O")
	drive(m, updateMsg(inventory.Update{Engine: fixture().Engine, Complete: true, Removed: []checks.Ref{{Kind: checks.Container, ID: "aaaa"}}}))
	shows(t, m, "the container is gone")
	press(m, "x", "enter")
	if len(o.told) != 1 {
		t.Errorf("told %v about what is gone", o.told)
	}
	press(m, "esc")
	if len(m.dialogs) != 0 {
		t.Error("the page does not close")
	}
}
