package container

import (
	"net/netip"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// TestDeafReplacement: a published port takes connections although nothing
// listens inside. It is the listener that is looked for.
//
//scenario:87
func TestDeafReplacement(t *testing.T) {
	l := realLab(t)
	l.load(dockertest.Probe("app:1", "-serve", ":8080"))
	port := network.MustParsePort("8080/tcp")
	name := l.prefix + "app"
	l.run("app", client.ContainerCreateOptions{
		Config:     &api.Config{Image: "app:1", ExposedPorts: network.PortSet{port: {}}},
		HostConfig: &api.HostConfig{PortBindings: network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1")}}}},
	})
	for i := 0; len(l.m.baseline(l.inspect(name)).Listening) == 0; i++ {
		if i == 100 {
			t.Skip("the processes of this engine cannot be seen from here")
		}
		pause()
	}
	before := l.inspect(name)
	l.load(dockertest.Probe("app:1", "-serve", "127.0.0.1:9090"))
	err := l.applyFails(l.plan(name, fixes.Request{Update: true}))
	if !strings.Contains(err.Error(), "nothing listens on port 8080") {
		t.Errorf("error %q", err)
	}
	l.back(before)
}

// TestEngineRestartsAfterTheKill: at most one of the two containers comes back
// by itself, at every point, because they share their data.
//
//scenario:6,14
func TestEngineRestartsAfterTheKill(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	for at := range 9 {
		name := l.prefix + "app" + string(rune('0'+at))
		l.run(strings.TrimPrefix(name, l.prefix), service())
		before := l.inspect(name)
		if !l.crash(name, at) {
			t.Fatalf("only %d points were reached", at)
		}
		if err := l.server.Restart(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			pause()
			running := 0
			for _, c := range l.family(name) {
				if c.State == api.StateRunning {
					running++
				}
			}
			if running > 1 {
				t.Fatalf("killed before step %d: %d containers run", at, running)
			}
		}
		l.recovers(before, at%2 == 0)
	}
}
