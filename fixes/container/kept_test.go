package container

import (
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes/ledger"
)

// An original can be removed once what took its place works; its volumes stay,
// and the change is final.
func TestDiscardOriginal(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Config.Volumes = map[string]struct{}{"/data": {}}
		l.load(image)
		id := l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Cmd: []string{"-write", "/data/log=started"}}, HostConfig: &api.HostConfig{}})
		r := l.apply(l.planFor(id, hardening...))
		name := l.prefix + "app"

		o, err := l.fixer.Kept(t.Context(), r.Entry)
		if err != nil || !strings.HasPrefix(o.Name, name+oldInfix) || o.Kept.IsZero() {
			t.Fatalf("kept %+v, %v", o, err)
		}
		before := l.inspect(name)
		if err := l.fixer.Discard(t.Context(), r.Entry); err != nil {
			t.Fatal(err)
		}
		now := l.inspect(name)
		if now.ID != before.ID || !now.State.Running || len(now.Mounts) != 1 || now.Mounts[0].Name != before.Mounts[0].Name {
			t.Errorf("the replacement is not what it was: %+v", now.Mounts)
		}
		if _, err := l.cli.VolumeInspect(t.Context(), now.Mounts[0].Name, client.VolumeInspectOptions{}); err != nil {
			t.Errorf("its volume: %v", err)
		}
		l.alone(name)
		if e := l.entry(r.Entry); e.State != ledger.Final {
			t.Errorf("the entry is %s", e.State)
		}
		if err := l.fixer.Undo(t.Context(), r.Entry, nil); err == nil || !strings.Contains(err.Error(), "final") {
			t.Errorf("undone without an original: %v", err)
		}
		if err := l.fixer.Discard(t.Context(), r.Entry); err == nil {
			t.Error("removed twice")
		}
	})
}

// While what took its place does not work the original is all there is.
func TestDiscardNeedsAReplacementThatRuns(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	id := l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	r := l.apply(l.planFor(id, hardening...))
	if err := l.server.Exit(l.prefix+"app", 1, false); err != nil {
		t.Fatal(err)
	}
	if err := l.fixer.Discard(t.Context(), r.Entry); err == nil {
		t.Error("the original of what does not run is removed")
	}
	if _, err := l.cli.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{}); err != nil {
		t.Errorf("the original: %v", err)
	}
}
