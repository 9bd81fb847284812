package container

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// recorded is what Docker Engine 20.10 said while it pulled an image of three
// layers, of which it had one, shortened.
const recorded = `
{"status":"Pulling from shop","id":"1"}
{"status":"Pulling fs layer","progressDetail":{},"id":"aaa"}
{"status":"Already exists","progressDetail":{},"id":"bbb"}
{"status":"Pulling fs layer","progressDetail":{},"id":"ccc"}
{"status":"Waiting","progressDetail":{},"id":"ccc"}
{"status":"Downloading","progressDetail":{"current":250,"total":1000},"progress":"[====>  ]","id":"aaa"}
{"status":"Downloading","progressDetail":{"current":1000,"total":1000},"id":"aaa"}
{"status":"Verifying Checksum","progressDetail":{},"id":"aaa"}
{"status":"Download complete","progressDetail":{},"id":"aaa"}
{"status":"Extracting","progressDetail":{"current":32,"total":1000},"id":"aaa"}
{"status":"Downloading","progressDetail":{"current":500,"total":3000},"id":"ccc"}
{"status":"Pull complete","progressDetail":{},"id":"aaa"}
{"status":"Download complete","progressDetail":{},"id":"ccc"}
{"status":"Pull complete","progressDetail":{},"id":"ccc"}
{"status":"Digest: sha256:0123"}
{"status":"Status: Downloaded newer image for shop:1"}`

func TestTransfer(t *testing.T) {
	seen := transfer{now: fixes.Transfer{Ratio: -1}}
	decoder := json.NewDecoder(strings.NewReader(recorded))
	last, changes := -1.0, 0
	for decoder.More() {
		var m jsonstream.Message
		if err := decoder.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if seen.heard(m) {
			changes++
		}
		now := seen.snapshot()
		if r := now.Ratio; r < last {
			t.Errorf("%+v: %.2f after %.2f", m, r, last)
		} else {
			last = r
		}
		if m.ID == "ccc" && m.Status == "Downloading" && (now.Done != 1500 || now.Total != 4000 || now.Layers[0].State != fixes.Unpacking || now.Layers[1].State != fixes.Present || now.Layers[2].Done != 500) {
			t.Errorf("%+v", now)
		}
	}
	now := seen.snapshot()
	if last != 1 || now.Done != 4000 || len(now.Layers) != 3 || changes != 10 {
		t.Errorf("%.2f, %d changes, %+v", last, changes, now)
	}
	// What an engine may send all the same.
	for range 1000 {
		seen.heard(jsonstream.Message{ID: strings.Repeat("x", changes), Status: "Downloading", Progress: &jsonstream.Progress{Current: -5, Total: -1}})
		changes++
	}
	if n := len(seen.now.Layers); n != mostLayers || seen.now.Total != 4000 {
		t.Errorf("%d layers, %d bytes", n, seen.now.Total)
	}
}

func TestPullErrors(t *testing.T) {
	for text, want := range map[string]string{
		"pull access denied for shop/web, repository does not exist or may require 'docker login'":  "reg.example:5000/shop:1 does not exist, or reg.example:5000 gives it only to users that it knows: docker login reg.example:5000",
		"Head \"https://reg.example:5000/v2/shop/manifests/1\": no basic auth credentials":          "docker login reg.example:5000",
		"manifest for reg.example:5000/shop:1 not found: manifest unknown: manifest unknown":        "reg.example:5000 has no image reg.example:5000/shop:1",
		"toomanyrequests: You have reached your pull rate limit.":                                   "allows no more downloads",
		"Get \"https://reg.example:5000/v2/\": dial tcp 10.0.0.1:5000: connect: connection refused": "the engine does not reach reg.example:5000",
		"http: server gave HTTP response to HTTPS client":                                           "does not encrypt",
		"x509: certificate signed by unknown authority":                                             "does not trust the certificate",
		"write /var/lib/docker/tmp/GetImageBlob1: no space left on device":                          "the disk of the engine is full",
		"no matching manifest for linux/s390x in the manifest list entries":                         "for the platform of the engine",
		"something \x1b[2J else": "pull reg.example:5000/shop:1: something",
	} {
		err := pullError("reg.example:5000/shop:1", false, errors.New(text))
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %q", text, err)
		}
	}
	if err := pullError("shop:1", true, errors.New("unauthorized: incorrect username or password")); !strings.Contains(err.Error(), "docker.io does not accept the credentials") {
		t.Errorf("%q", err)
	}
	if err := pullError("shop:1", true, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%q", err)
	}
}

// A listening engine remembers which credentials it was given for which image.
type listeningEngine struct {
	Engine
	given map[string]string
}

func (e *listeningEngine) ImagePull(ctx context.Context, ref string, o client.ImagePullOptions) (client.ImagePullResponse, error) {
	e.given[ref] = o.RegistryAuth
	return e.Engine.ImagePull(ctx, ref, o)
}

// TestCredentialsOfItsRegistry: an image is pulled with the credentials that
// there are for it, and without any where these cannot be read.
func TestCredentialsOfItsRegistry(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1", "-x", "old"))
	l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	ref := l.prefix + "app:1"
	engine := &listeningEngine{l.cli, map[string]string{}}
	o := quickly
	locked := errors.New("the keyring is locked")
	o.Auth = func(_ context.Context, image string) (string, error) {
		if image != ref {
			t.Errorf("asked for the credentials of %s", image)
		}
		return "", locked
	}
	l.m = New(engine, o)
	l.fixer = l.dispatcher(l.m)
	update := func() *fixes.Plan { return l.plan(l.prefix+"app", fixes.Request{Update: true, Pull: true}) }
	var p *checks.Problem
	if err := l.applyFails(update()); !errors.As(err, &p) || !strings.Contains(err.Error(), locked.Error()) {
		t.Errorf("%v", err)
	}
	l.server.Publish(ref, dockertest.Probe(ref, "-x", "new"))
	l.m.o.Auth = func(context.Context, string) (string, error) { return "c2VjcmV0LWNhbmFyeQ==", nil }
	plan := update()
	l.apply(plan)
	if engine.given[ref] != "c2VjcmV0LWNhbmFyeQ==" || len(engine.given) != 1 {
		t.Errorf("%v", engine.given)
	}
	if entry := pretty(l.entry(plan.ID)) + pretty(plan.Steps); strings.Contains(entry, "c2VjcmV0") {
		t.Errorf("the credentials are in %s", entry)
	}
}
