package container

import (
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// TestNewerImageOfTheTag: what was the old image's gives way to the new one's.
//
//scenario:33
func TestNewerImageOfTheTag(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		old, new := dockertest.Probe("app:1", "-x", "old"), dockertest.Probe("app:1", "-x", "new")
		old.Config.Env, new.Config.Env = []string{"PATH=/", "VERSION=1", "GONE=1"}, []string{"PATH=/", "VERSION=2", "FRESH=1"}
		old.Config.Labels, new.Config.Labels = map[string]string{"v": "1"}, map[string]string{"v": "2"}
		old.Config.WorkingDir, new.Config.WorkingDir = "/tmp", "/etc"
		old.Config.Healthcheck, new.Config.Healthcheck = dockertest.ProbeCheck(), dockertest.ProbeCheck()
		new.Config.Healthcheck.Retries = 5
		oldID := l.load(old)[0]
		name := l.prefix + "app"
		l.run("app", client.ContainerCreateOptions{
			Config:     &api.Config{Image: "app:1", Env: []string{"OWN=1", "FRESH=mine"}, Labels: map[string]string{"own": "1"}},
			HostConfig: &api.HostConfig{},
		})
		l.becomes(name, api.Healthy)
		before := l.inspect(name)
		newID := l.load(new)[0]

		// Hardening alone is no update: the tag has moved, the image stays.
		hardened := l.planFor(name, hardening...)
		l.apply(hardened)
		now := l.inspect(name)
		if now.Image != oldID {
			t.Fatalf("image %s, want the old one %s", now.Image, oldID)
		}
		l.same(before, now, "HostConfig.Memory", "HostConfig.SecurityOpt")

		// The name survives in a label, so that an update is still possible.
		c := l.subject(name)
		p := l.plan(name, fixes.Request{Update: true})
		if !strings.HasPrefix(c.Settings.Image, "sha256:") || p.Mechanism != fixes.Recreate {
			t.Errorf("image %s, mechanism %s", c.Settings.Image, p.Mechanism)
		}
		l.apply(p)
		now = l.inspect(name)
		slices.Sort(now.Config.Env)
		if got := strings.Join(now.Config.Env, " "); got != "FRESH=mine OWN=1 PATH=/ VERSION=2" {
			t.Errorf("environment %s", got)
		}
		if now.Image != newID || now.Config.Image != l.prefix+"app:1" {
			t.Errorf("image %s, created from %s", now.Image, now.Config.Image)
		}
		if got := strings.Join(now.Config.Cmd, " "); got != "-x new" {
			t.Errorf("command %s", got)
		}
		if now.Config.WorkingDir != "/etc" || now.Config.Labels["v"] != "2" || now.Config.Labels["own"] != "1" || now.Config.Healthcheck.Retries != 5 {
			t.Errorf("%s", pretty(now.Config))
		}
		if now.HostConfig.Memory == 0 {
			t.Error("the update lost the limit")
		}
		if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := l.fixer.Undo(t.Context(), hardened.ID, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
	})
}

// TestPull asks the registry of the engine in memory.
func TestPull(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1", "-x", "old"))
	name := l.prefix + "app"
	l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	before := l.inspect(name)
	id := l.server.Publish(l.prefix+"app:1", dockertest.Probe(l.prefix+"app:1", "-x", "new"))
	p := l.plan(name, fixes.Request{Update: true, Pull: true})
	told := 0
	_, err := l.fixer.Apply(t.Context(), p, func(progress fixes.Progress) {
		if p.Steps[progress.Step].Op == "pull" && progress.Ratio >= 0 {
			told++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if now := l.inspect(name); now.Image != id || told == 0 {
		t.Errorf("image %s, want %s; progress told %d times", now.Image, id, told)
	}
	if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.back(before)
	if now := l.subject(name); now.TagID != before.Image {
		t.Errorf("after undo the tag names %s, want %s", now.TagID, before.Image)
	}

	// Pulled once more, it is the newest that there is.
	l.apply(l.plan(name, fixes.Request{Update: true, Pull: true}))
	again := l.inspect(name)
	if err := l.applyFails(l.plan(name, fixes.Request{Update: true, Pull: true})); !errdefs.IsNotModified(err) {
		t.Errorf("error %v", err)
	}
	if now := l.inspect(name); now.ID != again.ID || !now.State.Running {
		t.Error("it was touched")
	}
}

// TestNothingGrows: five replacements in a row leave settings as they were.
//
//scenario:37
func TestNothingGrows(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.Volumes = map[string]struct{}{"/data": {}}
		l.load(image)
		l.network("n", "")
		name := l.prefix + "app"
		o := service("-serve", ":8080")
		o.HostConfig.NetworkMode = api.NetworkMode(l.prefix + "n")
		o.Config.Env = []string{"A=1"}
		l.run("app", o)
		first := l.inspect(name)
		for i, ids := range [][]string{
			{"container-new-privileges-allowed"}, {"container-capabilities-not-dropped"}, {"container-rootfs-writable"},
			{"container-runs-as-root"}, {},
		} {
			if i == 4 {
				l.load(dockertest.Probe("app:1", "-x", "new"))
				l.apply(l.plan(name, fixes.Request{Update: true}))
				continue
			}
			l.apply(l.planFor(name, ids...))
		}
		last := l.inspect(name)
		l.same(first, last, "HostConfig.SecurityOpt", "HostConfig.Cap", "HostConfig.Readonly", "HostConfig.Tmpfs", "Config.User")
		if len(last.Config.Labels) > len(first.Config.Labels)+3 {
			t.Errorf("labels %v", last.Config.Labels)
		}
		if len(last.HostConfig.Mounts) != 1 || len(last.Mounts) != 1 || len(last.Config.Env) != len(first.Config.Env) {
			t.Errorf("mounts %v, environment %v", last.HostConfig.Mounts, last.Config.Env)
		}
		if n := len(ownAliases(last.NetworkSettings.Networks[l.prefix+"n"].Aliases, last)); n != 0 {
			t.Errorf("%d aliases", n)
		}
	})
}

// TestEmptiedEntrypoint: --entrypoint "" reads back as nothing, and nothing
// would bring back the image's.
//
//scenario:31
func TestEmptiedEntrypoint(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.Entrypoint = []string{"/no-such-program"}
		l.load(image)
		name := l.prefix + "app"
		l.run("app", client.ContainerCreateOptions{
			Config: &api.Config{Image: "app:1", Entrypoint: []string{""}, Cmd: []string{"/probe"}}, HostConfig: &api.HostConfig{},
		})
		before := l.inspect(name)
		l.apply(l.planFor(name, hardening...))
		after := l.inspect(name)
		if after.Path != before.Path || !slices.Equal(after.Args, before.Args) || !after.State.Running {
			t.Errorf("runs %s %v, want %s %v", after.Path, after.Args, before.Path, before.Args)
		}
	})
}

// TestNotRunning: what does not run is replaced, but not started.
func TestNotRunning(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.create("app", service())
		before := l.inspect(name)
		p := l.planFor(name, hardening...)
		l.apply(p)
		if now := l.inspect(name); now.ID == before.ID || now.State.Running {
			t.Errorf("replaced %t, running %t", now.ID != before.ID, now.State.Running)
		}
		if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
	})
}

// TestNewerEngine: several networks at creation, as engines from API 1.44 on
// take them.
//
//scenario:36
func TestNewerEngine(t *testing.T) {
	for _, version := range []string{"1.43", "1.44", "1.47"} {
		t.Run(version, func(t *testing.T) {
			l := memoryLab(t, dockertest.API(version))
			l.load(dockertest.Probe("app:1"))
			l.network("a", "")
			l.network("b", "")
			o := service()
			o.HostConfig.NetworkMode = api.NetworkMode(l.prefix + "a")
			id := l.run("app", o)
			if _, err := l.cli.NetworkConnect(t.Context(), l.prefix+"b", client.NetworkConnectOptions{Container: id}); err != nil {
				t.Fatal(err)
			}
			before := l.inspect(id)
			l.server.Forget()
			l.apply(l.planFor(id, hardening...))
			l.same(before, l.inspect(l.prefix+"app"), "HostConfig.Memory", "HostConfig.SecurityOpt")
			if n := l.server.Count("POST /networks/{id}/connect"); n != 0 && version != "1.43" || n != 1 && version == "1.43" {
				t.Errorf("%d connections after creation", n)
			}
		})
	}
}
