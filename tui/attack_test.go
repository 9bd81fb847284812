package tui

import (
	"fmt"
	"slices"
	"testing"
	"time"

	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/host"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suite"
)

// onPaths are the checks that the paths of the tests rest on.
var onPaths = []string{
	"container-runs-as-root", "container-privileged", "container-docker-socket-mounted", "container-port-on-all-interfaces",
	"container-secret-in-env", "daemon-runs-as-root",
}

// judged is a subject as the inventory sends it, judged by real checks.
func judged(s checks.Subject, status inventory.Status) inventory.Item {
	few := slices.DeleteFunc(suite.All(), func(c *checks.Check) bool { return !slices.Contains(onPaths, c.ID) })
	return inventory.Item{Ref: s.Ref(), Status: status, Subject: s, Report: checks.Run(s, few, nil)}
}

// reachable returns a running container that listens to the world.
func reachable(id, name, port string, change func(*apicontainer.InspectResponse)) *container.Container {
	i := apicontainer.InspectResponse{
		ID: id, Name: "/" + name, State: &apicontainer.State{Status: "running", Running: true},
		Config: &apicontainer.Config{Image: "shop/" + name + ":1.4", User: "10001:10001"},
		HostConfig: &apicontainer.HostConfig{NetworkMode: "shop",
			PortBindings: network.PortMap{network.MustParsePort(port + "/tcp"): {{HostPort: port}}}},
		NetworkSettings: &apicontainer.NetworkSettings{Networks: map[string]*network.EndpointSettings{"shop": {}}},
	}
	change(&i)
	return container.New(i, nil, "", noon)
}

// attacked is a shop with three attack paths.
func attacked() inventory.Update {
	u := fixture()
	up := inventory.Status{State: "running"}
	proxy := reachable("p1", "proxy", "80", func(i *apicontainer.InspectResponse) {
		i.Config.User = ""
		i.HostConfig.Binds = []string{"/var/run/docker.sock:/var/run/docker.sock:ro"}
	})
	web := reachable("w1", "web", "3000", func(i *apicontainer.InspectResponse) {
		i.Config.Env = []string{"SESSION_SECRET=c4nary-not-a-real-secret"}
		i.HostConfig.NetworkMode, i.NetworkSettings.Networks = "front", map[string]*network.EndpointSettings{"front": {}}
	})
	runner := reachable("r1", "runner", "8080", func(i *apicontainer.InspectResponse) {
		i.Config.User, i.HostConfig.Privileged = "root", true
	})
	h := &host.Host{Info: system.Info{ID: "ENGINE", Name: "harbour"}, Now: noon}
	u.Items = []inventory.Item{judged(proxy, up), judged(web, up), judged(runner, up), judged(h, inventory.Status{})}
	return u
}

func TestPathsPage(t *testing.T) {
	for _, language := range []assets.Language{assets.English, assets.German} {
		for _, size := range [][2]int{{80, 24}, {160, 45}} {
			for name, keys := range map[string][]string{"first": {"a"}, "second": {"a", "j"}, "explained": {"a", "e"}, "last": {"a", "G"}} {
				t.Run(fmt.Sprintf("%s/%dx%d-%s", name, size[0], size[1], language), func(t *testing.T) {
					m := newModel(t, Options{Language: language, Fixer: &fakeFixer{}}, size[0], size[1])
					drive(m, updateMsg(attacked()))
					press(m, keys...)
					golden(t, screen(t, m))
				})
			}
		}
	}
}

func TestPathsPageOfNothing(t *testing.T) {
	m := shop(t, &fakeFixer{})
	press(m, "a")
	shows(t, m, "No attack path")
	press(m, "f", "enter", "e", "down", "up")
	shows(t, m, "No attack path")
}

// TestPathLeadsToItsFix presses f on a path and gets the plan for the finding
// that cuts it.
func TestPathLeadsToItsFix(t *testing.T) {
	fixer := &fakeFixer{}
	m := shop(t, fixer)
	drive(m, updateMsg(attacked()))
	press(m, "1", "c", "a", "f") // the socket has no fix, and filters do not hide the way
	shows(t, m, "has no automatic fix")
	press(m, "enter")
	if r, _ := m.findings.current(); r.finding == nil || r.finding.Check.ID != "container-docker-socket-mounted" || r.subject.name != "proxy" {
		t.Errorf("enter leads to %+v", r)
	}
	press(m, "a", "j", "f")
	if len(fixer.requests) != 1 || fixer.requests[0].Findings[0].Check.ID != "container-privileged" {
		t.Fatalf("f asks for %+v", fixer.requests)
	}
	if _, ok := m.dialogs[len(m.dialogs)-1].(*fixDialog); !ok || len(m.dialogs) != 1 {
		t.Errorf("dialogs are %v", m.dialogs)
	}
}

// TestPathsPageFollowsTheWorld keeps the cursor on its path when others come
// and go.
func TestPathsPageFollowsTheWorld(t *testing.T) {
	m := shop(t, &fakeFixer{})
	drive(m, updateMsg(attacked()))
	press(m, "a", "G")
	d := m.dialogs[0].(*pathsPage)
	before := d.wanted
	cured := attacked()
	cured.Items = []inventory.Item{judged(reachable("p1", "proxy", "80", func(*apicontainer.InspectResponse) {}), inventory.Status{State: "running"})}
	drive(m, updateMsg(cured))
	screen(t, m)
	if all := d.paths(); all[d.cursor].ID != before || len(all) != 2 {
		t.Errorf("the cursor is on path %d of %d", d.cursor, len(all))
	}
	hides(t, m, "through proxy")
	drive(m, updateMsg(inventory.Update{Engine: cured.Engine, Complete: true, Removed: []checks.Ref{{Kind: checks.Container, ID: "w1"}}}))
	if all := d.paths(); len(all) != 1 || d.cursor != 0 {
		t.Errorf("the cursor is on path %d of %d", d.cursor, len(all))
	}
	shows(t, m, "through runner")
}

// BenchmarkPathsPage moves through the paths of 1,000 reachable containers.
func BenchmarkPathsPage(b *testing.B) {
	u := attacked()
	for i := range 1000 {
		c := reachable(fmt.Sprintf("id%04d", i), fmt.Sprintf("service-%04d", i), fmt.Sprint(10000+i), func(r *apicontainer.InspectResponse) {
			if i%10 == 0 {
				r.HostConfig.Binds = []string{"/var/run/docker.sock:/var/run/docker.sock"}
			}
		})
		u.Items = append(u.Items, inventory.Item{Ref: c.Ref(), Subject: c, Report: checks.Report{Subject: c.Ref()}})
	}
	m := newModel(b, Options{Fixer: &fakeFixer{}}, 160, 45)
	m.Update(updateMsg(u))
	m.Update(pressed("a"))
	worst := time.Duration(0)
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		m.Update(pressed(map[bool]string{true: "down", false: "up"}[i%100 < 50]))
		m.View()
		worst = max(worst, time.Since(began))
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
}
