package container

import (
	"slices"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// Fixes of one plan know of each other: a capability that one takes away is
// none that another keeps.
func TestFixesKnowOfEachOther(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	id := l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{CapAdd: []string{"SYS_ADMIN", "SYS_TIME"}}})
	c := l.subject(id)
	for _, ids := range [][]string{
		{"container-cap-escape-class", "container-capabilities-not-dropped"},
		{"container-cap-escape-class", "container-capabilities-not-dropped", "container-runs-as-root"},
	} {
		p, err := l.fixer.Plan(t.Context(), c, l.asking(c, ids...))
		if err != nil {
			t.Fatal(err)
		}
		if !p.Blocked.IsZero() {
			t.Errorf("%v: blocked: %s", ids, p.Blocked)
		}
		for _, id := range ids {
			if !slices.ContainsFunc(p.Cures, func(f checks.Finding) bool { return f.Check.ID == id }) {
				t.Errorf("%v: %s is not cured", ids, id)
			}
		}
		kept := p.Detail.(*detail).want.Host.CapAdd
		if slices.Contains(kept, "SYS_ADMIN") {
			t.Errorf("%v: keeps %v", ids, kept)
		}
	}
}

// What was seen of processes of root says nothing about a container once it
// runs as somebody else.
func TestAnotherUserHasOtherProcesses(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	c := l.subject(l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}}))
	c.Processes = []subject.Process{{PID: 1}}
	pl := planner{w: &world{container: c}, p: &fixes.Plan{}, d: &detail{want: c.Settings.Clone()}}
	if len(pl.changed(nil).Processes) != 1 {
		t.Error("what was seen is forgotten, though the user is the same")
	}
	pl.d.want.Config.User = "1000"
	if len(pl.changed(nil).Processes) != 0 {
		t.Error("processes of root are taken for those of another user")
	}
}
