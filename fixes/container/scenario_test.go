package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// A container that removes itself when it stops leaves no way back, and its
// anonymous volumes go with it: it is not touched.
//
//scenario:4
func TestSelfRemovingContainerIsNotTouched(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.Volumes = map[string]struct{}{"/data": {}}
		l.load(image)
		id := l.run("app", client.ContainerCreateOptions{
			Config: &api.Config{Image: "app:1", Cmd: []string{"-write", "/data/log=started"}}, HostConfig: &api.HostConfig{AutoRemove: true},
		})
		before := l.inspect(id)
		p := l.planFor(id, hardening...)
		if !strings.Contains(p.Blocked.String(), "--rm") {
			t.Errorf("blocked %q", p.Blocked)
		}
		if _, err := l.fixer.Apply(t.Context(), p, nil); err == nil {
			t.Error("applied all the same")
		}
		l.back(before)
		if _, err := l.cli.VolumeInspect(t.Context(), before.Mounts[0].Name, client.VolumeInspectOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// Whatever fails, no call asks the engine to remove volumes.
//
//scenario:5
func TestRollbackRemovesNoVolume(t *testing.T) {
	for _, call := range []string{"POST /containers/{id}/stop", "POST /containers/{id}/rename", "POST /containers/{id}/update", "POST /containers/{id}/start"} {
		l := memoryLab(t)
		l.load(dockertest.Probe("app:1"))
		id := l.run("app", service("-write", "/data/log=started"))
		before := l.inspect(id)
		p := l.planFor(id, hardening...)
		l.server.Forget()
		l.server.Inject(dockertest.Fault{Endpoint: call, Nth: 1, Status: 500})
		_ = l.applyFails(p)
		removed := 0
		for _, c := range l.server.Calls() {
			if c.Endpoint == "DELETE /containers/{id}" {
				removed++
				if strings.Contains(c.Query, "v=1") || strings.Contains(c.Query, "v=true") {
					t.Errorf("%s: removes volumes: %s", call, c.Query)
				}
			}
		}
		if removed == 0 {
			t.Errorf("%s: the replacement was not removed", call)
		}
		l.back(before)
		if _, err := l.cli.VolumeInspect(t.Context(), before.Mounts[0].Name, client.VolumeInspectOptions{}); err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// What is in the writable layer is named before anybody agrees.
//
//scenario:7
func TestWritableLayerIsListed(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		id := l.run("app", service("-write", "/state=1"))
		for i := 0; ; i++ {
			notes := ""
			for _, n := range l.planFor(id, hardening...).Notes {
				notes += n.String() + "\n"
			}
			if strings.Contains(notes, "/state") && !strings.Contains(notes, "/data") {
				return
			}
			if i == 100 {
				t.Fatalf("notes:\n%s", notes)
			}
			pause()
		}
	})
}

// Who takes volumes from a container that is replaced still has them.
//
//scenario:11
func TestVolumesFromOutliveTheirSource(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		source := l.run("source", service("-write", "/data/log=started"))
		other := l.run("other", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{VolumesFrom: []string{l.prefix + "source"}}})
		volume := l.inspect(source).Mounts[0].Name
		l.apply(l.planFor(source, hardening...))
		if _, err := l.cli.ContainerRestart(t.Context(), other, client.ContainerRestartOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"source", "other"} {
			if now := l.inspect(l.prefix + name); len(now.Mounts) != 1 || now.Mounts[0].Name != volume || !now.State.Running {
				t.Errorf("%s mounts %v, want %s", name, now.Mounts, volume)
			}
		}
		// And who takes them can be replaced too.
		l.apply(l.planFor(other, hardening...))
		if now := l.inspect(l.prefix + "other"); len(now.Mounts) != 1 || now.Mounts[0].Name != volume {
			t.Errorf("replaced, it mounts %v", now.Mounts)
		}
	})
}

// A replacement that the engine does not make costs the original nothing.
//
//scenario:17
func TestRefusedCreationTouchesNothing(t *testing.T) {
	for _, status := range []int{400, 404, 409, 500} {
		l := memoryLab(t)
		l.load(dockertest.Probe("app:1"))
		id := l.run("app", service())
		before := l.inspect(id)
		p := l.planFor(id, hardening...)
		l.server.Forget()
		l.server.Inject(dockertest.Fault{Endpoint: "POST /containers/create", Nth: 1, Status: status, Message: "no"})
		_ = l.applyFails(p)
		for _, call := range []string{"POST /containers/{id}/stop", "POST /containers/{id}/rename", "POST /containers/{id}/update", "DELETE /containers/{id}"} {
			if n := l.server.Count(call); n != 0 {
				t.Errorf("%d: %d calls of %s", status, n, call)
			}
		}
		l.back(before)
		if now := l.inspect(id); now.State.StartedAt != before.State.StartedAt {
			t.Errorf("%d: restarted", status)
		}
	}
}

// meanwhile applies p. Just before the replacement is started it lets enter
// run, and when everything is put back leave.
func (l *lab) meanwhile(p *fixes.Plan, enter, leave func()) error {
	l.Helper()
	entered, left := false, false
	_, err := l.fixer.Apply(l.Context(), p, func(progress fixes.Progress) {
		switch {
		case progress.Undoing && !left && entered:
			left = true
			leave()
		case p.Steps[progress.Step].Op == "start" && !entered:
			entered = true
			enter()
		}
	})
	if !entered || !left {
		l.Errorf("the start was reached: %t, it was put back: %t", entered, left)
	}
	return err
}

// thief returns what creates and starts a container, and what removes it.
func (l *lab) thief(o client.ContainerCreateOptions) (enter, leave func()) {
	id := ""
	enter = func() { id = l.run("thief", o) }
	leave = func() {
		if _, err := l.cli.ContainerRemove(context.WithoutCancel(l.Context()), id, client.ContainerRemoveOptions{Force: true}); err != nil {
			l.Fatal(err)
		}
	}
	return enter, leave
}

// Somebody takes the address while both are away.
//
//scenario:18
func TestAddressTakenIsRolledBack(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		n := l.network("n", "10.213.7.0/24")
		at := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			n: {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.213.7.10")}},
		}}
		o := service()
		o.HostConfig.NetworkMode, o.NetworkingConfig = api.NetworkMode(n), at
		id := l.run("app", o)
		before := l.inspect(id)
		enter, leave := l.thief(client.ContainerCreateOptions{
			Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode(n)}, NetworkingConfig: at,
		})
		err := l.meanwhile(l.planFor(id, hardening...), enter, leave)
		if err == nil || errors.Is(err, fixes.ErrBroken) {
			t.Errorf("error %v", err)
		}
		l.back(before)
	})
}

// Somebody takes the port while both are away: the original has it again where
// it is free again, and where it is not, a person is told and nothing is lost.
//
//scenario:19
func TestPortTakenIsRolledBack(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		port := network.MustParsePort("8080/tcp")
		published := func() *api.HostConfig {
			return &api.HostConfig{RestartPolicy: api.RestartPolicy{Name: "always"}, PortBindings: network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: freePort(t)}}}}
		}
		for _, freed := range []bool{true, false} {
			o := client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", ExposedPorts: network.PortSet{port: {}}}, HostConfig: published()}
			id := l.run(fmt.Sprint("app-", freed), o)
			before := l.inspect(id)
			p := l.planFor(id, hardening...)
			enter, leave := l.thief(client.ContainerCreateOptions{
				Config: &api.Config{Image: "app:1", ExposedPorts: network.PortSet{port: {}}}, HostConfig: &api.HostConfig{PortBindings: o.HostConfig.PortBindings},
			})
			if freed {
				if err := l.meanwhile(p, enter, leave); err == nil || errors.Is(err, fixes.ErrBroken) {
					t.Errorf("error %v", err)
				}
				l.back(before)
				if _, err := l.cli.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			err := l.meanwhile(p, enter, func() {})
			if !errors.Is(err, fixes.ErrBroken) {
				t.Errorf("error %v", err)
			}
			leave()
			now := l.inspect(containerName(before))
			if now.ID != before.ID || !samePolicy(now.HostConfig.RestartPolicy, before.HostConfig.RestartPolicy) {
				t.Errorf("%s has the name, policy %v", short(now.ID), now.HostConfig.RestartPolicy)
			}
			if _, err := l.cli.ContainerStart(t.Context(), id, client.ContainerStartOptions{}); err != nil {
				t.Errorf("the original cannot be started by hand: %v", err)
			}
		}
	})
}

// freePort returns a port that nobody uses.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// An engine without timers, such as Podman without systemd, leaves a health
// check starting for ever: that it keeps running decides then.
//
//scenario:22
func TestHealthThatNeverSettles(t *testing.T) {
	l := memoryLab(t)
	image := dockertest.Probe("app:1", "-healthy-after", "1h")
	image.Config.Healthcheck = dockertest.ProbeCheck()
	l.load(image)
	id := l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	if h := health(l.inspect(id)); h != api.Starting {
		t.Fatalf("health %s", h)
	}
	l.apply(l.planFor(id, hardening...))
	if now := l.inspect(l.prefix + "app"); now.ID == id || !now.State.Running {
		t.Error("not replaced")
	}
}

// The original disappears, by somebody else's hand, before and after it was
// stopped.
//
//scenario:28
func TestOriginalDisappears(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		for _, op := range []string{"compare", "start"} {
			id := l.run("app-"+op, service())
			p := l.planFor(id, hardening...)
			done := false
			_, err := l.fixer.Apply(t.Context(), p, func(progress fixes.Progress) {
				if p.Steps[progress.Step].Op == op && !done {
					done = true
					if _, err := l.cli.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
						t.Error(err)
					}
				}
			})
			left := l.family(l.prefix + "app-" + op)
			switch op {
			case "compare":
				if err == nil || len(left) != 0 {
					t.Errorf("%s: %v, %d containers", op, err, len(left))
				}
			case "start": // the replacement is all that there is: it has to run
				if len(left) != 1 || left[0].State != api.StateRunning || left[0].Names[0] != "/"+l.prefix+"app-"+op {
					t.Errorf("%s: %v, %s", op, err, pretty(left))
				}
			}
		}
	})
}

// The tag has moved, but nobody asked for another image.
//
//scenario:35
func TestHardeningKeepsTheImage(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		id := l.run("app", service())
		before := l.inspect(id)
		l.load(dockertest.Probe("app:1", "-x", "newer"))
		l.apply(l.planFor(id, hardening...))
		if now := l.inspect(l.prefix + "app"); now.ID == id || now.Image != before.Image {
			t.Errorf("image %s, want %s", now.Image, before.Image)
		}
	})
}

// A configured hardware address is kept where the engine takes one for each
// network, refused where it takes none, and a generated one is never asked for.
//
//scenario:38
func TestHardwareAddresses(t *testing.T) {
	for _, version := range []string{"1.41", "1.43", "1.44", "1.51"} {
		for _, mac := range []string{"", "02:42:0a:d5:07:63"} {
			t.Run(version+" "+mac, func(t *testing.T) {
				l := memoryLab(t, dockertest.API(version))
				l.load(dockertest.Probe("app:1"))
				n := l.network("n", "")
				o := service()
				o.HostConfig.NetworkMode = api.NetworkMode(n)
				e := &network.EndpointSettings{}
				if mac != "" && version >= "1.44" {
					if err := e.MacAddress.UnmarshalText([]byte(mac)); err != nil {
						t.Fatal(err)
					}
				}
				o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{n: e}}
				id := l.run("app", o)
				before := l.inspect(id).NetworkSettings.Networks[n].MacAddress.String()
				p := l.planFor(id, hardening...)
				if mac != "" && version >= "1.44" && before != mac {
					t.Fatalf("the engine gave it %s", before)
				}
				l.apply(p)
				after := l.inspect(l.prefix + "app").NetworkSettings.Networks[n].MacAddress.String()
				if mac != "" && version >= "1.44" && after != mac {
					t.Errorf("hardware address %s, want %s", after, mac)
				}
				if kept := strings.Contains(strings.Join(p.Commands(), "\n"), "mac-address"); kept != (mac != "" && version >= "1.44") {
					t.Errorf("asks for a hardware address: %t", kept)
				}
			})
		}
	}
}

// A container in the network of another has no name and no ports of its own.
//
//scenario:40
func TestSharerOfANetwork(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}}
		l.load(image)
		donor := l.run("donor", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Hostname: "box"}, HostConfig: &api.HostConfig{}})
		id := l.run("sharer", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + donor)}})
		l.apply(l.planFor(id, hardening...))
		now := l.inspect(l.prefix + "sharer")
		if now.ID == id || !now.State.Running || string(now.HostConfig.NetworkMode) != "container:"+donor {
			t.Errorf("mode %s, running %t", now.HostConfig.NetworkMode, now.State.Running)
		}
	})
}

// A linked container keeps its links, by the names that they have inside.
//
//scenario:41
func TestLinksAreKept(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		l.run("db", service())
		id := l.run("web", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{Links: []string{l.prefix + "db:store"}}})
		l.apply(l.planFor(id, hardening...))
		now := l.inspect(l.prefix + "web")
		if want := []string{"/" + l.prefix + "db:/" + l.prefix + "web/store"}; now.ID == id || !slices.Equal(now.HostConfig.Links, want) || !now.State.Running {
			t.Errorf("links %v, want %v, running %t", now.HostConfig.Links, want, now.State.Running)
		}
	})
}

// Privileged mode leaves no trace when it goes.
//
//scenario:42
func TestPrivilegedLeavesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		id := l.create("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{Privileged: true}})
		l.apply(l.planFor(id, "container-privileged"))
		h := l.inspect(l.prefix + "app").HostConfig
		if h.Privileged || slices.Contains(h.SecurityOpt, "label=disable") || len(h.MaskedPaths) == 0 || len(h.ReadonlyPaths) == 0 {
			t.Errorf("privileged %t, options %v, masked %v", h.Privileged, h.SecurityOpt, h.MaskedPaths)
		}
	})
}

// A limit that is raised above the swap that is stored takes that along.
//
//scenario:45
func TestRaisedMemoryTakesSwapAlong(t *testing.T) {
	w := worldOf(t, func(w *world) {
		w.inspect().HostConfig.Memory, w.inspect().HostConfig.MemorySwap = 64<<20, 128<<20
	})
	want := w.container.Settings.Clone()
	want.Host.Memory = 256 << 20
	w.settle(want)
	if want.Host.MemorySwap != 512<<20 {
		t.Errorf("memory with swap %d", want.Host.MemorySwap)
	}
}

// Something that an engine drops without a word is seen by comparing.
//
//scenario:47
func TestDroppedAnnotationsAreSeen(t *testing.T) {
	w := worldOf(t, func(w *world) { w.inspect().HostConfig.Annotations = map[string]string{"run.example/keep": "1"} })
	got := *w.inspect()
	host := *got.HostConfig
	host.Annotations = nil
	got.HostConfig = &host
	lost := w.unexpected(w.inspect(), &got, w.container.Image)
	if !slices.ContainsFunc(lost, func(f string) bool { return strings.Contains(f, "Annotations") }) {
		t.Errorf("lost %v", lost)
	}
}

// Ports that the engine chooses will be others.
//
//scenario:48
func TestRandomPortsAreAnnounced(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		port := network.MustParsePort("8080/tcp")
		id := l.run("app", client.ContainerCreateOptions{
			Config:     &api.Config{Image: "app:1", ExposedPorts: network.PortSet{port: {}}},
			HostConfig: &api.HostConfig{PortBindings: network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "0"}}}},
		})
		if notes := pretty(l.planFor(id, hardening...).Notes); !strings.Contains(notes, "published ports without a number") {
			t.Errorf("notes %s", notes)
		}
	})
}

// An engine that takes no restart policy for "none" is always told it.
//
//scenario:56
func TestPolicyIsAlwaysNamed(t *testing.T) {
	for _, policy := range []api.RestartPolicyMode{"", "no", "always", "unless-stopped"} {
		old := limitsOf(&api.HostConfig{RestartPolicy: api.RestartPolicy{Name: policy}})
		want := old
		want.Pids = 100
		o := old.request(want)
		if o.RestartPolicy == nil || o.RestartPolicy.Name == "" || policy != "" && o.RestartPolicy.Name != policy {
			t.Errorf("%q becomes %v", policy, o.RestartPolicy)
		}
	}
}

// A first limit cannot be taken away from what runs: that is said before.
//
//scenario:57
func TestFirstLimitIsForGood(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		id := l.run("app", service())
		if notes := pretty(l.planFor(id, "container-memory-unlimited").Notes); !strings.Contains(notes, "cannot be taken away from a running container") {
			t.Errorf("notes %s", notes)
		}
	})
}

// Fewer processes than there are is no limit but a fault.
//
//scenario:58
func TestPidsBelowUse(t *testing.T) {
	w := worldOf(t, func(w *world) { w.used.pids = 200 })
	want := w.container.Settings.Clone()
	limit := int64(100)
	want.Host.PidsLimit = &limit
	pl := planner{w: w, d: &detail{want: want}}
	if why := pl.tooSmall().String(); !strings.Contains(why, "200 threads") {
		t.Errorf("says %q", why)
	}
}

// Three containers in the network of a fourth: none of them is cut off.
//
//scenario:63
func TestDonorOfThree(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		donor := l.run("donor", service())
		before := l.inspect(donor)
		for _, name := range []string{"a", "b", "c"} {
			l.run(name, client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + donor)}})
		}
		p := l.planFor(donor, hardening...)
		for _, name := range []string{"a", "b", "c"} {
			if !strings.Contains(p.Blocked.String(), l.prefix+name) {
				t.Errorf("%s is not named: %q", name, p.Blocked)
			}
		}
		if _, err := l.fixer.Apply(t.Context(), p, nil); err == nil {
			t.Error("applied all the same")
		}
		if now := l.inspect(donor); now.State.StartedAt != before.State.StartedAt {
			t.Error("the donor was restarted")
		}
	})
}

// A source on the host that is gone would become an empty folder.
//
//scenario:10
func TestMissingSourceIsRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		dir := t.TempDir() + "/gone"
		id := l.create("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{
			Mounts: []mount.Mount{{Type: mount.TypeBind, Source: t.TempDir(), Target: "/x"}}, Binds: []string{dir + ":/y"},
		}})
		p := l.planFor(id, hardening...)
		if !strings.Contains(p.Blocked.String(), dir) {
			t.Errorf("blocked %q", p.Blocked)
		}
		if _, err := l.fixer.Apply(t.Context(), p, nil); err == nil {
			t.Error("applied all the same")
		}
	})
}

// What the engine warns of when it makes the replacement is in the receipt.
//
//scenario:50
func TestWarningsOfTheEngineAreShown(t *testing.T) {
	l := memoryLab(t, dockertest.WithInfo(func(i *system.Info) { i.SwapLimit = false }))
	l.load(dockertest.Probe("app:1"))
	id := l.run("app", service())
	receipt := l.apply(l.planFor(id, hardening...))
	if proof := pretty(receipt.Proof); !strings.Contains(proof, "the engine says") || !strings.Contains(proof, "swap") {
		t.Errorf("proof %s", proof)
	}
}
