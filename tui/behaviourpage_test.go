package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/runtime"
	"plimsoll/checks/runtime/falco"
	"plimsoll/checks/runtime/sysdig"
)

// A fakeLookout counts who looks.
type fakeLookout struct {
	attended []bool
	rules    []runtime.Standing
	kept     int
	refuses  error
	tool     sysdig.Tool
}

func (l *fakeLookout) Sysdig(context.Context) sysdig.Tool { return l.tool }

func (l *fakeLookout) Attend(always bool) { l.attended = append(l.attended, always) }

func (l *fakeLookout) Rules(context.Context) (falco.Rules, error) { return falco.Of(l.rules), nil }

func (l *fakeLookout) KeepRules(falco.Rules) (string, error) {
	l.kept++
	return "/home/anna/.local/state/plimsoll/falco/plimsoll_rules.yaml", l.refuses
}

func (l *fakeLookout) Sources() []Source {
	return []Source{
		{Name: "docker events", Present: true},
		{Name: "Falco", Detail: "/var/log/falco/events.json", Present: true, Err: errors.New("permission denied")},
		{Name: "sysdig", Detail: "0.29.3", Present: true},
	}
}

// misbehaving is the fixture after a bad morning.
func misbehaving() inventory.Update {
	u := fixture()
	id := ""
	for _, item := range u.Items {
		if item.Ref.Name == "web" && item.Ref.Kind == checks.Container {
			id = item.Ref.ID
		}
	}
	alert := func(check string, s checks.Severity, ago time.Duration, container, format string, args ...any) runtime.Alert {
		return runtime.Alert{Check: check, Container: container, Name: "web", At: noon.Add(-ago), Severity: s, Source: runtime.Events,
			Message: checks.Message{Format: format, Args: args}, Evidence: []checks.Evidence{
				{Source: "docker events", Detail: "exec_create: sh -c apk add --token=•••••••• nmap"}, {Source: "by", Detail: "user anna, uid 1000, pid 4711, docker exec"},
			}}
	}
	u.Alerts = []runtime.Alert{
		alert(runtime.ShellOpened, checks.Medium, 26*time.Hour, id, "somebody opened a shell in %s: %s", "web", "bash"),
		alert(runtime.PackageManagerRun, checks.High, 40*time.Minute, id, "somebody runs %s in %s, which changes what its image brought", "apk", "web"),
		alert(runtime.FilelessExec, checks.Critical, time.Minute, "", "Falco saw in %s: %s", "elsewhere", "Fileless execution via memfd_create"),
	}
	u.Alerts[0].Past = true
	return u
}

// asked is the fixture with an id of web that sysdig knows.
func asked() inventory.Update {
	u := fixture()
	for i := range u.Items {
		if u.Items[i].Ref.Name == "web" && u.Items[i].Ref.Kind == checks.Container {
			u.Items[i].Ref.ID = strings.Repeat("a1", 32)
		}
	}
	return u
}

func TestBehaviourPage(t *testing.T) {
	l := &fakeLookout{}
	m := newModel(t, Options{Lookout: l, Fixer: &fakeFixer{}}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "w")
	shows(t, m, "Nothing has happened")
	shows(t, m, "permission denied")
	drive(m, updateMsg(misbehaving()))
	shows(t, m, "Fileless execution")
	shows(t, m, "earlier: somebody opened a shell")
	press(m, "Q") // of what is not here
	if len(m.dialogs) != 1 {
		t.Error("what is elsewhere is quarantined")
	}
	press(m, "j")
	shows(t, m, "exec_create: sh -c apk add")
	// The cursor stays where it is while more comes.
	more := misbehaving()
	more.Alerts = more.Alerts[2:]
	more.Alerts[0].At = noon
	drive(m, updateMsg(more))
	shows(t, m, "exec_create: sh -c apk add")
	press(m, "enter")
	if len(m.dialogs) != 0 || m.wanted.Name != "web" {
		t.Errorf("%d dialogs, %s selected", len(m.dialogs), m.wanted.Name)
	}
	if got := l.attended; len(got) != 2 || !got[0] || got[1] {
		t.Errorf("attended %v", got)
	}
	press(m, "w", "j", "j", "Q")
	if d, ok := m.dialogs[len(m.dialogs)-1].(*fixDialog); !ok || !d.request.Quarantine {
		t.Error("Q plans no quarantine")
	}
}

// TestAlertsAreBounded holds that a flood is not remembered whole, and that
// another engine begins anew.
func TestAlertsAreBounded(t *testing.T) {
	var w world
	for range 10 {
		w.apply(inventory.Update{Alerts: make([]runtime.Alert, 200)})
	}
	if len(w.alerts) != mostAlerts {
		t.Errorf("%d alerts", len(w.alerts))
	}
	w.apply(inventory.Update{Engine: inventory.EngineState{Endpoint: "unix:///other"}})
	if len(w.alerts) != 0 {
		t.Error("alerts of another engine stay")
	}
}

func TestNothingWatches(t *testing.T) {
	m := newModel(t, Options{}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "w")
	if frame := screen(t, m); !strings.Contains(frame, "nothing watches containers here") {
		t.Errorf("frame\n%s", frame)
	}
}

// standings are a service that is known and one that is not.
func standings() []runtime.Standing {
	return []runtime.Standing{
		{Facts: runtime.Facts{Service: "shop/web", Name: "shop-web-1", OwnNetwork: true}, Normal: runtime.Normal{Programs: []string{"nginx"}, Listeners: []string{"80/tcp"}}},
		{Facts: runtime.Facts{Service: "shop/db", Name: "shop-db-1"}, Left: 34 * time.Minute},
	}
}

func TestRulesPage(t *testing.T) {
	l := &fakeLookout{}
	m := newModel(t, Options{Lookout: l, Fixer: &fakeFixer{}}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "w", "F")
	shows(t, m, "There are no rules yet")
	press(m, "s")
	if l.kept != 0 {
		t.Error("nothing is saved as a file")
	}
	press(m, "esc")
	l.rules = standings()
	press(m, "F")
	shows(t, m, "shop/web: what it does is known")
	shows(t, m, "shop/db: has to be watched for 34")
	shows(t, m, "- required_engine_version")
	press(m, "s")
	shows(t, m, "The rules are in /home/anna")
	shows(t, m, "falco --validate")
	if l.kept != 1 {
		t.Errorf("saved %d times", l.kept)
	}
	l.refuses = errors.New("no space left on device")
	press(m, "s")
	shows(t, m, "no space left")
	press(m, "esc", "esc")
	if len(m.dialogs) != 0 {
		t.Error("the pages stay")
	}

	m = newModel(t, Options{Lookout: l, ReadOnly: true}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "w", "F", "s")
	shows(t, m, "shop/web: what it does is known")
	if l.kept != 2 {
		t.Error("a file is written, read-only")
	}
}
