package inventory

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/suite"
)

// bases is an engine with a base that has a vulnerable package, a later one in
// which it is repaired, and others that cannot take its place.
func bases(t *testing.T) Options {
	t.Helper()
	server := dockertest.Run(t)
	add := func(tag, version, release string) {
		i := debianImage(tag)
		i.Content[0][0].Text = "ID=debian\nVERSION_ID=\"" + release + "\"\n"
		i.Content[0][1].Text = "Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: " + version + "\n"
		server.AddImage(i)
	}
	add("base:2.0", "2.36-9", "12")
	add("base:2.1", "2.36-10", "12")
	add("base:1.0", "2.36-10", "12")  // earlier
	add("base:2.2", "2.36-9", "12")   // not better
	add("base:9.0", "2.36-9", "99")   // of which nothing is known
	add("other:2.1", "2.36-10", "12") // elsewhere
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	return Options{Target: &target, Suite: suite.All(), Advisories: advisories(t), Layers: layers.All, Cache: layers.NewCache(t.TempDir())}
}

func writeDockerfile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// vulnerableBase returns the finding about the base of the Dockerfile among
// items, nil without one.
func vulnerableBase(items []Item) *checks.Finding {
	for _, item := range items {
		for _, f := range item.Report.Findings {
			if item.Ref.Kind == checks.Dockerfile && f.Check.ID == "base-image-known-vulnerable" {
				return &f
			}
		}
	}
	return nil
}

// TestBaseOfADockerfileIsVulnerable: what was found in an image tells of the
// Dockerfiles that build on it, and nothing is read for their sake.
func TestBaseOfADockerfileIsVulnerable(t *testing.T) {
	o := bases(t)
	path := writeDockerfile(t, "FROM base:2.0\nUSER 1000\n")
	gather := func(s Selection) *checks.Finding {
		t.Helper()
		s.Paths = []string{path}
		items, err := New(o).Gather(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return vulnerableBase(items)
	}
	if gather(Selection{}) != nil {
		t.Error("layers were read for a Dockerfile")
	}
	if f := gather(Selection{Images: []string{"base:2.0"}}); f == nil || len(f.Fixes) != 0 {
		t.Errorf("of an image that was scanned together with the file: %+v", f)
	}
	if gather(Selection{AllImages: true}) == nil {
		t.Error("not told")
	}
	f := gather(Selection{}) // from what is remembered
	if f == nil {
		t.Fatal("what is remembered is not told")
	}
	if f.Severity != checks.Medium || !strings.Contains(f.Message.String(), "CVE-2024-1") { // nobody rated it
		t.Errorf("%s: %s", f.Severity, f.Message)
	}
	if len(f.Fixes) != 1 || len(f.Fixes[0].Choices) != 1 || !slices.Equal(f.Fixes[0].Choices[0].Options, []string{"2.1"}) {
		t.Errorf("offered: %+v", f.Fixes)
	}
	// A fix is planned by a snapshot of its own.
	subject, err := New(o).Read(t.Context(), checks.Ref{Kind: checks.Dockerfile, ID: path, Name: path})
	if err != nil {
		t.Fatal(err)
	}
	if b := subject.(*dockerfile.File).Bases["base:2.0"]; !slices.Equal(b.Fixable, []string{"CVE-2024-1"}) || !b.Unrated || !slices.Equal(b.Better, []string{"2.1"}) || !slices.Equal(b.Platforms, []string{"linux/amd64"}) {
		t.Errorf("read %+v", b)
	}
	path = writeDockerfile(t, "FROM base:2.1\nUSER 1000\n")
	if f := gather(Selection{AllImages: true}); f != nil {
		t.Errorf("a repaired base: %s", f.Message)
	}
}

// TestBaseIsFollowed: a scan that comes later, and other advisories, tell of
// Dockerfiles as well.
func TestBaseIsFollowed(t *testing.T) {
	o := bases(t)
	path := writeDockerfile(t, "FROM base:2.0\nUSER 1000\n")
	o.Roots, o.Layers = []string{filepath.Dir(path)}, layers.Off
	v, inventory := watch(t, o)
	file := func() *checks.Finding {
		var items []Item
		for _, item := range v.items {
			items = append(items, item)
		}
		return vulnerableBase(items)
	}
	v.until("complete", func() bool { return v.done && v.image("base:2.0").Subject != nil && v.image("base:2.1").Subject != nil })
	if file() != nil {
		t.Error("told although nobody looked")
	}
	inventory.ReadLayers(t.Context(), v.image("base:2.0").Ref)
	v.until("the base was read", func() bool { return file() != nil })
	if f := file(); len(f.Fixes) != 0 {
		t.Errorf("offered: %+v", f.Fixes)
	}
	inventory.ReadLayers(t.Context(), v.image("base:2.1").Ref)
	v.until("another was read", func() bool { f := file(); return f != nil && len(f.Fixes) == 1 })

	// The next start knows it from the cache, without being asked.
	again, inventory := watch(t, o)
	v = again
	v.until("remembered", func() bool { f := file(); return f != nil && len(f.Fixes) == 1 })
	if err := os.WriteFile(path, []byte("FROM base:2.1\nUSER 1000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	v.until("moved", func() bool { return file() == nil })
	later := packedAdvisory(t, `{"id":"DEBIAN-CVE-2024-2","upstream":["CVE-2024-2"],"affected":[{"package":{"ecosystem":"Debian:12","name":"glibc"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.36-11"}]}]}]}`)
	if _, err := o.Advisories.Import(t.Context(), later, "", nil); err != nil {
		t.Fatal(err)
	}
	inventory.LookUp(t.Context())
	v.until("advisories came", func() bool { f := file(); return f != nil && strings.Contains(f.Message.String(), "CVE-2024-2") })
}

// TestBaseFromAQuickLook counts what a quick look saw, too.
func TestBaseFromAQuickLook(t *testing.T) {
	o := bases(t)
	path := writeDockerfile(t, "FROM base:2.0\nUSER 1000\n")
	o.Roots, o.Layers = []string{filepath.Dir(path)}, layers.Off
	v, inventory := watch(t, o)
	v.until("complete", func() bool { return v.done && v.image("base:2.0").Subject != nil })
	if err := inventory.QuickLook(t.Context(), v.image("base:2.0").Ref); err != nil {
		t.Fatal(err)
	}
	v.until("looked", func() bool {
		for _, item := range v.items {
			if vulnerableBase([]Item{item}) != nil {
				return true
			}
		}
		return false
	})
}

// TestBaseOnARealEngine does the same with images of a real engine.
func TestBaseOnARealEngine(t *testing.T) {
	c := dockertest.Real(t)
	prefix := dockertest.Prefix(t, c)
	repository := prefix + "base"
	for tag, version := range map[string]string{"2.0": "2.36-9", "2.1": "2.36-10"} {
		var root bytes.Buffer
		w := tar.NewWriter(&root)
		for name, text := range map[string]string{
			"etc/os-release":      "ID=debian\nVERSION_ID=\"12\"\n",
			"var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: " + version + "\n",
		} {
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		dockertest.Import(t, c, &root, prefix, "base:"+tag)
	}
	target, err := engine.Resolve(c.DaemonHost())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Target: &target, Suite: suite.All(), Advisories: advisories(t), Policy: &checks.Policy{Profile: checks.All}, Layers: layers.Used, Cache: layers.NewCache(t.TempDir())}
	path := writeDockerfile(t, "FROM --platform=linux/s390x "+repository+":2.0\nUSER 1000\n")
	items, err := New(o).Gather(t.Context(), Selection{Paths: []string{path}, Images: []string{repository + ":2.0", repository + ":2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	f := vulnerableBase(items)
	if f == nil || len(f.Fixes) != 1 || !slices.Equal(f.Fixes[0].Choices[0].Options, []string{"2.1"}) {
		t.Errorf("got %+v", f)
	}
	mismatch := false
	for _, item := range items {
		mismatch = mismatch || item.Ref.Kind == checks.Dockerfile && found(item, "base-image-platform-mismatch")
	}
	if !mismatch {
		t.Error("an image that was only made here is for the platform that it was made for")
	}
}
