package container

import (
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// TestCoolDown: a release of yesterday waits, unless the user wants it; an old
// one does not, nor does what was built here.
func TestCoolDown(t *testing.T) {
	for name, c := range map[string]struct {
		age     time.Duration
		here    bool
		values  checks.Values
		blocked string
	}{
		"young":         {24 * time.Hour, false, nil, "wait until"},
		"decided":       {24 * time.Hour, false, checks.Values{"fresh": "now"}, ""},
		"old":           {96 * time.Hour, false, nil, ""},
		"built here":    {time.Hour, true, nil, ""},
		"no such value": {24 * time.Hour, false, checks.Values{"fresh": "x"}, "wait until"},
	} {
		t.Run(name, func(t *testing.T) {
			l := memoryLab(t)
			l.m.o.CoolDown = 72 * time.Hour
			old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
			l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
			fresh := dockertest.Probe(l.prefix+"app:1", "-x", "new")
			fresh.Created = time.Now().Add(-c.age)
			request := fixes.Request{Update: true, Values: c.values}
			if c.here {
				l.server.AddImage(fresh)
			} else {
				l.server.Publish(l.prefix+"app:1", fresh)
				request.Pull = true
				var err error
				if request.Fetched, err = l.fixer.Fetch(t.Context(), l.plan(l.prefix+"app", request), nil); err != nil {
					t.Fatal(err)
				}
			}
			one := l.plan(l.prefix+"app", request)
			all, err := l.fixer.Plan(t.Context(), l.imageOf(old), request)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []*fixes.Plan{one, all} {
				if got := p.Blocked.String(); !strings.Contains(got, c.blocked) || (got == "") != (c.blocked == "") {
					t.Errorf("%s: blocked %q", p.Title, got)
				}
				if asked := len(p.Choices) > 0; asked != (c.blocked != "" || c.values != nil) {
					t.Errorf("%s: choices %v", p.Title, p.Choices)
				}
			}
		})
	}
}
