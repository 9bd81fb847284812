package inventory

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/suite"
)

const canaryToken = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

// secretImage has a secret in its first layer that the second deletes.
func secretImage(tag string) dockertest.Image {
	return dockertest.Image{
		Tags: []string{tag}, Layers: []string{layerID(tag, 1), layerID(tag, 2)},
		Content: [][]dockertest.File{
			{{Path: "root/.npmrc", Text: "//registry.example/:_authToken=" + canaryToken + "\n"}, {Path: "opt/helper", Mode: 0o4755, Text: "\x7fELF"}},
			{{Path: "root/.npmrc", Deleted: true}},
		},
	}
}

func layerID(tag string, n int) string {
	hex := strings.Map(func(r rune) rune {
		return rune("0123456789abcdef"[r%16])
	}, tag)
	return "sha256:" + strings.Repeat(string(rune('0'+n)), 64-len(hex)) + hex
}

// watchScans watches an engine with one image that is used and one that is not.
func watchScans(t *testing.T, mode layers.Mode, cache layers.Cache) (*view, *Inventory) {
	t.Helper()
	server := dockertest.New()
	server.AddImage(secretImage("used:1"))
	server.AddImage(secretImage("spare:1"))
	if _, err := server.AddContainer(dockertest.Container{Name: "app", Config: api.Config{Image: "used:1"}}); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, Options{Target: &target, Suite: suite.All(), Layers: mode, Cache: cache})
}

func (v *view) image(name string) Item {
	for _, item := range v.items {
		if item.Ref.Kind == checks.Image && item.Ref.Name == name {
			return item
		}
	}
	return Item{}
}

func (v *view) untilRead(names ...string) {
	v.t.Helper()
	v.until("layers read", func() bool {
		return !slices.ContainsFunc(names, func(name string) bool {
			state := v.image(name).Status.Layers.State
			if state != LayersUnread && !v.done {
				v.t.Error("layers are read before everything else was")
			}
			return state != LayersRead
		})
	})
}

func found(item Item, id string) bool {
	return slices.ContainsFunc(item.Report.Findings, func(f checks.Finding) bool { return f.Check.ID == id })
}

func TestLayersOfImagesInUseAreRead(t *testing.T) {
	v, inventory := watchScans(t, layers.Used, layers.NewCache(t.TempDir()))
	v.untilRead("used:1")
	used, spare := v.image("used:1"), v.image("spare:1")
	if !found(used, "image-secret-in-hidden-layer") || !found(used, "image-setuid-setgid-files") {
		t.Errorf("found %v", used.Report.Findings)
	}
	if spare.Status.Layers.State != LayersUnread || found(spare, "image-secret-in-hidden-layer") {
		t.Error("an image that nobody uses was read")
	}
	if !found(spare, "image-unused") || found(used, "image-unused") {
		t.Error("which image is used is not told")
	}
	inventory.ReadLayers(t.Context(), spare.Ref)
	v.untilRead("spare:1")
	if !found(v.image("spare:1"), "image-secret-in-hidden-layer") {
		t.Error("layers that were asked for tell nothing")
	}
}

func TestLayersAreNotReadUnasked(t *testing.T) {
	v, inventory := watchScans(t, layers.Off, layers.NewCache(t.TempDir()))
	v.until("complete", func() bool { return v.done && v.image("used:1").Subject != nil })
	inventory.ReadLayers(t.Context(), v.image("spare:1").Ref)
	v.untilRead("spare:1")
	if v.image("used:1").Status.Layers.State != LayersUnread {
		t.Error("layers were read although nobody wants that")
	}
}

func TestContentsAndFilesOfLayers(t *testing.T) {
	v, inventory := watchScans(t, layers.Off, layers.NewCache(t.TempDir()))
	v.until("complete", func() bool { return v.done && v.image("used:1").Subject != nil })
	i := v.image("used:1").Subject.(*image.Image)
	contents, err := inventory.Contents(t.Context(), i)
	if err != nil || len(contents.Layers) != 2 || len(contents.Layers[0].Files) != 2 {
		t.Fatalf("%+v, %v", contents, err)
	}
	v.untilRead("used:1") // what was read for the eyes is judged as well
	data, err := inventory.File(t.Context(), i, contents.Manifest.Layers[0], "opt/helper", 100)
	if err != nil || string(data) != "\x7fELF" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := inventory.File(t.Context(), i, contents.Manifest.Layers[1], "opt/helper", 100); err == nil {
		t.Error("a file was read that is not in the layer")
	}
}

func TestGatheredImages(t *testing.T) {
	_, inventory := watchScans(t, layers.Used, layers.NewCache(t.TempDir()))
	for _, c := range []struct {
		selection Selection
		read      []string
	}{
		{Selection{AllImages: true}, []string{"used:1"}},
		{Selection{Images: []string{"spare:1"}}, []string{"spare:1"}},
	} {
		items, err := inventory.Gather(t.Context(), c.selection)
		if err != nil {
			t.Fatal(err)
		}
		var read []string
		for _, item := range items {
			if found(item, "image-secret-in-hidden-layer") {
				read = append(read, item.Ref.Name)
			}
			if found(item, "image-unused") != (item.Ref.Name == "spare:1") {
				t.Errorf("whether %s is used is wrong", item.Ref.Name)
			}
		}
		if !slices.Equal(read, c.read) {
			t.Errorf("%+v: layers of %q were read, want %q", c.selection, read, c.read)
		}
	}
}

// TestNoSecretIsKept looks for the secret in all that was written.
func TestNoSecretIsKept(t *testing.T) {
	dir := t.TempDir()
	v, _ := watchScans(t, layers.All, layers.NewCache(dir))
	v.untilRead("used:1", "spare:1")
	for _, item := range v.items {
		for _, f := range item.Report.Findings {
			for _, e := range f.Evidence {
				if strings.Contains(e.String()+f.Message.String(), canaryToken) {
					t.Errorf("%s shows the secret", f.Check.ID)
				}
			}
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), canaryToken) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files in the cache, %v", files, err)
	}
}

func TestMadeByDockerfile(t *testing.T) {
	server := dockertest.New()
	server.AddImage(secretImage("used:1"))
	if err := server.Start(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"Dockerfile": "FROM scratch\nCOPY app /\nCMD [\"/app\"]\n", "other/Dockerfile": "FROM scratch\nRUN make\nCMD [\"/app\"]\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	items, err := New(Options{Target: &target, Suite: suite.All(), From: dir}).Gather(t.Context(), Selection{Paths: []string{dir}, AllImages: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if i, ok := item.Subject.(*image.Image); ok && (len(i.Builds) != 1 || i.Builds[0].Name != "Dockerfile") {
			t.Errorf("built by %v", i.Builds)
		}
	}
}
