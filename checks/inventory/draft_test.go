package inventory

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/suite"
)

// A Dockerfile that is to be written for an image knows what was found in it: the
// packages that newer ones repair are installed on top.
func TestDraftForAVulnerableImage(t *testing.T) {
	server := dockertest.Run(t)
	for tag, files := range map[string][]dockertest.File{
		"shop:1":   {{Path: "usr/bin/apt-get", Mode: 0o755, Text: "\x7fELF"}},
		"static:1": nil,
	} {
		i := debianImage(tag)
		i.Content[0] = append(i.Content[0], files...)
		server.AddImage(i)
	}
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	v := New(Options{Target: &target, Suite: suite.All(), Advisories: advisories(t), Layers: layers.All, Cache: layers.NewCache(t.TempDir())})
	items, err := v.Gather(t.Context(), Selection{AllImages: true})
	if err != nil {
		t.Fatal(err)
	}
	fixable := map[string]bool{}
	for _, item := range items {
		for _, f := range item.Report.Findings {
			if f.Check.ID == "image-vulnerable-critical" {
				fixable[item.Subject.(*image.Image).Inspect.RepoTags[0]] = f.Fixable()
			}
		}
	}
	if !fixable["shop:1"] || fixable["static:1"] {
		t.Errorf("fixable by a layer: %v", fixable)
	}
	for tag, want := range map[string]string{"shop:1": "RUN apt-get update && apt-get install --no-install-recommends --only-upgrade -y libc6 && ", "static:1": ""} {
		path := filepath.Join(t.TempDir(), "Dockerfile.shop")
		file, err := v.Draft(t.Context(), checks.Ref{Kind: checks.Dockerfile, ID: path, Name: "Dockerfile.shop"}, []byte("FROM "+tag+"\nUSER 1000\n"))
		if err != nil {
			t.Fatal(err)
		}
		findings := checks.Run(file, suite.All(), &checks.Policy{Profile: checks.All}).Findings
		at := slices.IndexFunc(findings, func(f checks.Finding) bool { return f.Check.ID == "base-image-known-vulnerable" })
		if !file.New || at < 0 {
			t.Fatalf("%s: found %v", tag, findings)
		}
		if want == "" {
			if findings[at].Fixable() {
				t.Errorf("%s: nothing in it installs packages, and %s is offered", tag, findings[at].Fixes[0].Title)
			}
			continue
		}
		edits, err := findings[at].Fixes[0].Edit(nil)
		if err != nil || len(edits) != 1 || !strings.Contains(edits[0].New, want) {
			t.Errorf("%s: %v, %+v", tag, err, edits)
		}
	}
}

// An image that goes between being listed and being asked for is not there, and
// no error.
func TestImageGoesMeanwhile(t *testing.T) {
	server := dockertest.Run(t)
	server.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	c := server.Client(t)
	x := &images{}
	if _, _, err := x.list(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	id := x.resolve("app:1")
	if _, err := c.ImageRemove(t.Context(), id, client.ImageRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if i, err := x.inspect(t.Context(), c, id); i != nil || err != nil {
		t.Errorf("%v, %v", i, err)
	}
}
