package container

import (
	"context"
	"errors"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// TestOnlyTrustedImagesArePulled has whoever is asked refuse, demand another
// digest than comes, and agree.
func TestOnlyTrustedImagesArePulled(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1", "-x", "old"))
	name := l.prefix + "app"
	l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	before := l.inspect(name)
	id := l.server.Publish(l.prefix+"app:1", dockertest.Probe(l.prefix+"app:1", "-x", "new"))
	remote, err := l.cli.DistributionInspect(t.Context(), l.prefix+"app:1", client.DistributionInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(digest string, err error) {
		l.m.o.Trust = func(_ context.Context, ref string) (string, error) {
			if !strings.HasSuffix(ref, "app:1") {
				t.Errorf("asked about %s", ref)
			}
			return digest, err
		}
	}
	unsigned := errors.New("not signed")
	answer("", unsigned)
	if err := l.applyFails(l.plan(name, fixes.Request{Update: true, Pull: true})); !errors.Is(err, unsigned) {
		t.Errorf("%v", err)
	}
	answer("sha256:"+strings.Repeat("0", 64), nil)
	if err := l.applyFails(l.plan(name, fixes.Request{Update: true, Pull: true})); err == nil || !strings.Contains(err.Error(), "became another image") {
		t.Errorf("%v", err)
	}
	if now := l.inspect(name); now.ID != before.ID || !now.State.Running {
		t.Error("it was touched")
	}
	answer(remote.Descriptor.Digest.String(), nil)
	l.apply(l.plan(name, fixes.Request{Update: true, Pull: true}))
	if now := l.inspect(name); now.Image != id {
		t.Errorf("image %s, want %s", now.Image, id)
	}
}
