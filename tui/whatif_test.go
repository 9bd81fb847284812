package tui

import (
	"fmt"
	"slices"
	"testing"

	apicontainer "github.com/moby/moby/api/types/container"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/fixes"
)

// tamed is how the shop of the attack paths would be: the proxy without the
// socket, but only by the fix called drop; the runner without its privileges.
func tamed(s checks.Subject, r fixes.Request) []checks.Subject {
	switch s.Ref().Name {
	case "proxy":
		if slices.Contains([]string{"", "drop"}, r.Fix[r.Findings[0].ID()]) {
			return []checks.Subject{reachable("p1", "proxy", "80", func(i *apicontainer.InspectResponse) {})}
		}
		return []checks.Subject{s}
	case "runner":
		return []checks.Subject{reachable("r1", "runner", "8080", func(i *apicontainer.InspectResponse) {})}
	}
	return []checks.Subject{s}
}

// dangerous is the shop with attack paths, with fixes for what they rest on.
func dangerous(t *testing.T, language assets.Language, size ...int) (*Model, *fakeFixer) {
	t.Helper()
	f := &fakeFixer{after: tamed}
	m := newModel(t, Options{Language: language, Fixer: f}, size...)
	u := attacked()
	for i := range u.Items {
		for k := range u.Items[i].Report.Findings {
			switch x := &u.Items[i].Report.Findings[k]; x.Check.ID {
			case "container-docker-socket-mounted":
				x.Fixes = []checks.Fix{aFix("drop", "take the socket away"), aFix("proxied", "reach it through a proxy that filters")}
			case "container-privileged":
				x.Fixes = []checks.Fix{aFix("drop", "leave privileged mode")}
			}
		}
	}
	drive(m, updateMsg(u))
	return m, f
}

var whatIfs = map[string]func(t *testing.T, m *Model){
	"plan": func(t *testing.T, m *Model) {
		chooseFinding(t, m, "proxy", "container-docker-socket-mounted")
		press(m, "f")
	},
	"batch": func(t *testing.T, m *Model) {
		chooseFinding(t, m, "proxy", "container-docker-socket-mounted")
		press(m, "space")
		chooseFinding(t, m, "runner", "container-privileged")
		press(m, "space", "F")
	},
	"options": func(t *testing.T, m *Model) {
		choose(t, m, "proxy")
		press(m, "F")
	},
}

func TestWhatIf(t *testing.T) {
	for _, language := range []assets.Language{assets.English, assets.German} {
		for _, size := range [][2]int{{80, 24}, {160, 45}} {
			for name, do := range whatIfs {
				t.Run(fmt.Sprintf("%s/%dx%d-%s", name, size[0], size[1], language), func(t *testing.T) {
					m, _ := dangerous(t, language, size[0], size[1])
					do(t, m)
					golden(t, screen(t, m))
				})
			}
		}
	}
}

// What is shown of the paths is about what is chosen now, whatever is on its way.
func TestWhatIfFollowsWhatIsChosen(t *testing.T) {
	m, f := dangerous(t, assets.English, 120, 40)
	whatIfs["batch"](t, m)
	shows(t, m, "Attack paths cut: 2 of 3")
	press(m, "space")
	shows(t, m, "Attack paths cut: 1 of 3")
	d := m.dialogs[0].(*batchDialog)
	late := effectKnown{by: d, round: d.round - 1}
	late.effect.Before = 99
	m.Update(late)
	hides(t, m, "99")
	press(m, "down", "space")
	hides(t, m, "Attack paths cut")

	press(m, "esc", "esc")
	chooseFinding(t, m, "proxy", "container-docker-socket-mounted")
	press(m, "f")
	shows(t, m, "Attack paths cut: 1 of 3", "takeover of the host")
	press(m, "tab", "right")
	shows(t, m, "Cuts none of the attack paths, of which there are 3")
	if len(f.entries) > 0 {
		t.Error("something was applied")
	}
	if n := len(m.world.attack.Paths()); n != 3 {
		t.Errorf("asking has changed the paths: %d", n)
	}
}

// Each option is tried by itself before anything is chosen; what is asked for is
// what is ticked, and not what was tried.
func TestOptionsAreTriedOut(t *testing.T) {
	m, f := dangerous(t, assets.English, 120, 40)
	whatIfs["options"](t, m)
	shows(t, m, "take the socket away:", "removes 1 finding · cuts 1 of 3 attack paths", "reach it through a proxy that filters:", "removes 1 finding ")
	n := len(f.requests)
	press(m, "down", "up")
	if len(f.requests) != n+1 { // the option below; what is known is not asked for again
		t.Errorf("asked %d times more", len(f.requests)-n)
	}
	f.blocked = true
	press(m, "esc", "F")
	shows(t, m, "not possible here: proxy was started with --rm")
}
