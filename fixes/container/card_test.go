package container

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	imagechecks "plimsoll/checks/image"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
)

// TestFetchThenShow: what an update changes is known before anything is
// replaced, and until then nothing but one more image is on the engine.
func TestFetchThenShow(t *testing.T) {
	l := memoryLab(t)
	const secret = "ghp_CANARYnotARealToken0123456789abcdefg"
	old, new := dockertest.Probe("app:1", "-x", "old"), dockertest.Probe("app:1", "-x", "new")
	old.Config.Env, new.Config.Env = []string{"PATH=/", "GONE=1", "KEPT=1", "API_TOKEN=" + secret}, []string{"PATH=/", "KEPT=2", "API_TOKEN=" + secret + "2", "FRESH=" + secret}
	old.Config.User, new.Config.User = "1000", ""
	old.Config.ExposedPorts, new.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}}, map[string]struct{}{"8080/tcp": {}, "22/tcp": {}}
	new.Config.Volumes = map[string]struct{}{"/data": {}}
	new.Config.Healthcheck = dockertest.ProbeCheck()
	new.Created = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	l.load(old)
	name := l.prefix + "app"
	l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Env: []string{"OWN=" + secret}}, HostConfig: &api.HostConfig{}})
	before := l.inspect(name)
	new.Tags = []string{l.prefix + "app:1"}
	id := l.server.Publish(l.prefix+"app:1", new)

	asked := fixes.Request{Update: true, Pull: true}
	first := l.plan(name, asked)
	if first.Fetch != l.prefix+"app:1" || first.Card != nil {
		t.Errorf("to be fetched: %q, card %v", first.Fetch, first.Card)
	}
	gaveUp, cancel := context.WithCancel(t.Context())
	if _, err := l.fixer.Fetch(gaveUp, first, func(fixes.Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	image, err := l.fixer.Fetch(t.Context(), first, nil)
	if err != nil || image != id {
		t.Fatalf("%s, %v", image, err)
	}
	if now := l.inspect(name); now.ID != before.ID || now.State.StartedAt != before.State.StartedAt || l.subject(name).TagID != before.Image {
		t.Error("it was touched, or the tag was")
	}

	known := func(id string, cves ...string) *imagechecks.Image {
		i := &imagechecks.Image{Known: &vulnerability.Result{Sources: []vulnerability.Info{{}}}, Now: time.Now()}
		got, err := l.cli.ImageInspect(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		i.Inspect = got.InspectResponse
		for _, cve := range cves {
			i.Known.Vulnerabilities = append(i.Known.Vulnerabilities, vulnerability.Vulnerability{ID: cve, Package: packages.Package{Name: "openssl"}})
		}
		return i
	}
	l.m.o.Images = func(_ context.Context, id string) (*imagechecks.Image, error) {
		if id == before.Image {
			return known(id, "CVE-1", "CVE-2"), nil
		}
		return known(id, "CVE-2", "CVE-3"), nil
	}
	asked.Fetched = image
	p := l.plan(name, asked)
	text := pretty(p.Card.Facts) + pretty(p.Card.Repaired) + pretty(p.Card.Brought)
	for _, f := range p.Card.New {
		text += f.Check.ID + " " + f.Message.String()
	}
	for _, want := range []string{`"1000"`, `"root"`, `"GONE"`, `"FRESH"`, `"API_TOKEN"`, `"22/tcp"`, `"/data"`, `"2026-11-20"`, "CVE-1", "CVE-3", "image-exposes-admin-port", "container-runs-as-root"} {
		if !strings.Contains(text, want) {
			t.Errorf("the card does not say %s", want)
		}
	}
	if t.Failed() || strings.Contains(text, secret[4:]) || strings.Contains(text, "CVE-2") || strings.Contains(text, `"OWN"`) || strings.Contains(text, "older image") {
		t.Errorf("the card says %s", text)
	}
	if p.Fetch != "" || p.Steps[0].Op != "tag" || !strings.HasPrefix(p.Steps[0].Command, "docker tag sha256:") {
		t.Errorf("first step %v", p.Steps[0])
	}
	for _, f := range l.apply(p).Left {
		if f.Check.ID == "container-image-not-current-local" {
			t.Errorf("left: %s", f.Message)
		}
	}
	if now := l.inspect(name); now.Image != id || l.subject(name).TagID != id {
		t.Errorf("it runs %s", now.Image)
	}
	if _, err := l.fixer.Fetch(t.Context(), l.plan(name, fixes.Request{Update: true, Pull: true}), nil); !errdefs.IsNotModified(err) {
		t.Errorf("fetched again: %v", err)
	}
	if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.back(before)
	if l.subject(name).TagID != before.Image {
		t.Error("the tag was not taken back")
	}
	if _, err := l.fixer.Plan(t.Context(), l.subject(name), fixes.Request{Update: true, Fetched: "sha256:" + strings.Repeat("0", 64)}); !errdefs.IsNotFound(err) {
		t.Errorf("planned with an image that is gone: %v", err)
	}
}
