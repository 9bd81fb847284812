package container

import (
	"net/netip"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

func prefixOf(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var hardening = []string{"container-new-privileges-allowed", "container-memory-unlimited"}

// TestLosesNothing is the whole protocol on a container with a bit of everything.
//
//scenario:1,2,3,36
func TestLosesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.Volumes = map[string]struct{}{"/var/data": {}}
		image.Config.Labels = map[string]string{"of-image": "1"}
		l.load(image)
		l.network("a", "10.213.1.0/24")
		l.network("b", "10.213.2.0/24")
		l.run("app", client.ContainerCreateOptions{
			Config: &api.Config{
				Image: "app:1", Cmd: []string{"-serve", ":8080", "-write", "/var/data/log=started"},
				Env:      []string{"COLOUR=green", "DB_PASSWORD=correct-horse-battery"},
				Labels:   map[string]string{"team": "blue"},
				Hostname: "box", User: "0:0", Volumes: map[string]struct{}{"/anon": {}},
				ExposedPorts: network.PortSet{network.MustParsePort("8080/tcp"): {}},
			},
			HostConfig: &api.HostConfig{
				NetworkMode:   api.NetworkMode(l.prefix + "a"),
				RestartPolicy: api.RestartPolicy{Name: "always"},
				Tmpfs:         map[string]string{"/scratch": "size=1m"},
				CapAdd:        []string{"NET_ADMIN"},
				ExtraHosts:    []string{"db:10.0.0.1"},
				Sysctls:       map[string]string{"net.core.somaxconn": "256"},
				LogConfig:     api.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}},
				Mounts:        []mount.Mount{{Type: mount.TypeVolume, Target: "/nameless"}, {Type: mount.TypeVolume, Source: l.prefix + "named", Target: "/named"}},
				PortBindings:  network.PortMap{network.MustParsePort("8080/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "0"}}},
			},
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
				l.prefix + "a": {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.213.1.10")}, Aliases: []string{"front"}},
			}},
		})
		name := l.prefix + "app"
		if _, err := l.cli.NetworkConnect(t.Context(), l.prefix+"b", client.NetworkConnectOptions{Container: name, EndpointConfig: &network.EndpointSettings{
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.213.2.20")}, Aliases: []string{"back"},
		}}); err != nil {
			t.Fatal(err)
		}
		before := l.inspect(name)

		p := l.planFor(name, hardening...)
		if p.Mechanism != fixes.Recreate {
			t.Errorf("mechanism %s", p.Mechanism)
		}
		receipt := l.apply(p)
		after := l.inspect(name)
		if after.ID == before.ID || !after.State.Running {
			t.Errorf("not replaced: %s, running %t", after.ID, after.State.Running)
		}
		l.same(before, after, "HostConfig.Memory", "HostConfig.SecurityOpt")
		if after.HostConfig.Memory == 0 || after.Image != before.Image || after.HostConfig.RestartPolicy.Name != "always" {
			t.Errorf("memory %d, image %s", after.HostConfig.Memory, after.Image)
		}
		for n, ip := range map[string]string{"a": "10.213.1.10", "b": "10.213.2.20"} {
			if got := after.NetworkSettings.Networks[l.prefix+n].IPAddress.String(); got != ip {
				t.Errorf("address in %s: %s, want %s", n, got, ip)
			}
		}
		kept := l.inspect(before.ID)
		if kept.State.Running || !kept.HostConfig.RestartPolicy.IsNone() || !shelved(containerName(kept)) {
			t.Errorf("the original is %s, running %t, policy %v", kept.Name, kept.State.Running, kept.HostConfig.RestartPolicy)
		}
		if receipt.Away <= 0 || len(receipt.Cured) < 2 {
			t.Errorf("receipt: %s", pretty(receipt))
		}
		for _, text := range append(p.Commands(), pretty(l.entry(p.ID)), pretty(p.Changes), pretty(receipt.Proof)) {
			if strings.Contains(text, "battery") {
				t.Errorf("the secret shows: %s", text)
			}
		}

		if err := l.fixer.CanUndo(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
	})
}
