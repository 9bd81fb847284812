package container

import (
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// A health check that is new is kept when it succeeds, and only then.
func TestNewHealthCheckHasToSucceed(t *testing.T) {
	for flag, kept := range map[string]bool{"-x=y": true, "-unhealthy": false} {
		l := memoryLab(t)
		l.prefix = ""
		l.server.AddImage(dockertest.Probe("postgres:17", flag))
		id := l.run("db", client.ContainerCreateOptions{Config: &api.Config{Image: "postgres:17"}, HostConfig: &api.HostConfig{}})
		c := l.subject(id)
		request := fixes.Request{}
		for _, f := range checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
			if f.Check.ID == "container-healthcheck-missing" {
				request.Findings = append(request.Findings, f)
			}
		}
		plan, err := l.fixer.Plan(l.Context(), c, request)
		must(t, err)
		if !plan.Blocked.IsZero() {
			t.Fatal(plan.Blocked)
		}
		_, err = l.fixer.Apply(l.Context(), plan, nil)
		now := l.inspect("db")
		if (err == nil) != kept || (now.ID != id) != kept || kept && now.Config.Healthcheck.Test[0] != "CMD-SHELL" {
			t.Errorf("%s: %v, the original is back: %t", flag, err, now.ID == id)
		}
	}
}
