package container

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// task makes c one of the service web.
func task(c *Container) {
	c.Settings.Config.Labels = map[string]string{LabelService: "s1", LabelServiceName: "web", LabelTask: "t1"}
}

func TestTasks(t *testing.T) {
	fixed := func(c *Container) {
		c.Settings.Networks = map[string]*network.EndpointSettings{"back": {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.0.1.3")}}}
	}
	for name, test := range map[string]struct {
		change        func(*Container)
		service, past bool
		judged        string // finding that it is to have, "" for none
	}{
		"no task":          {fixed, false, false, "container-static-mac-or-ip"},
		"runs":             {func(c *Container) { task(c); fixed(c) }, true, false, ""},
		"runs, privileged": {func(c *Container) { task(c); c.Settings.Host.Privileged = true }, true, false, "container-privileged"},
		"ended": {func(c *Container) {
			task(c)
			c.Settings.Host.Privileged = true
			c.Inspect.State.Status = container.StateExited
		}, true, true, ""},
		"not started yet": {func(c *Container) {
			task(c)
			c.Settings.Host.Privileged = true
			c.Inspect.State.Status = container.StateCreated
		}, true, false, "container-privileged"},
		"says its image only": {func(c *Container) {
			task(c)
			c.Image.Config.Labels = c.Settings.Config.Labels
			c.Inspect.State.Status = container.StateExited
		}, false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := sound()
			test.change(c)
			if id, service := c.Service(); (id == "s1" && service == "web") != test.service {
				t.Errorf("service %s %s", id, service)
			}
			if c.Past() != test.past {
				t.Errorf("past %t", c.Past())
			}
			found := ""
			for _, f := range checks.Run(c, Checks(), &checks.Policy{Profile: checks.All}).Findings {
				if f.Check.ID == "container-static-mac-or-ip" || f.Check.ID == "container-privileged" {
					found = f.Check.ID
				}
			}
			if found != test.judged {
				t.Errorf("found %q, want %q", found, test.judged)
			}
		})
	}
}

// TestInitOfTheEngineIsNoIntruder: docker diff lists the place where the engine
// mounts its init process.
func TestInitOfTheEngineIsNoIntruder(t *testing.T) {
	for _, asked := range []bool{true, false} {
		c := sound()
		doing(c)
		c.Settings.Host.Init = &asked
		c.Processes[0].Command = "/sbin/docker-init -- /app/serve --port 80"
		wrote(c, "+/sbin/docker-init")
		intruders := 0
		for _, f := range checks.Run(c, Checks(), &checks.Policy{Profile: checks.All}).Findings {
			if f.Check.ID == "container-unexpected-process" || f.Check.ID == "container-file-drift" {
				intruders++
			}
		}
		if want := map[bool]int{true: 0, false: 2}[asked]; intruders != want {
			t.Errorf("asked for %t: %d findings, want %d", asked, intruders, want)
		}
	}
}
