package container

import (
	"fmt"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// BenchmarkPlanAll is what one plan for 1,000 containers costs, all of which are
// to be replaced.
func BenchmarkPlanAll(b *testing.B) {
	server := dockertest.New()
	server.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	if err := server.Start(b.TempDir()); err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	cli := server.Client(b)
	m := New(cli, Options{})
	var asks []fixes.Ask
	for i := range 1000 {
		made, err := cli.ContainerCreate(b.Context(), client.ContainerCreateOptions{Name: fmt.Sprintf("c%04d", i), Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
		if err != nil {
			b.Fatal(err)
		}
		i, err := m.inspect(b.Context(), made.ID)
		if err != nil {
			b.Fatal(err)
		}
		c := subject.New(*i, nil, "", time.Now())
		var r fixes.Request
		for _, f := range checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
			if f.Check.ID == "container-rootfs-writable" {
				r.Findings = append(r.Findings, f)
			}
		}
		asks = append(asks, fixes.Ask{Subject: c, Request: r})
	}
	for b.Loop() {
		if parts := m.PlanAll(b.Context(), asks); len(parts) != 1000 || !parts[0].Applicable() {
			b.Fatalf("%d parts, %v", len(parts), parts[0].Err)
		}
	}
}
