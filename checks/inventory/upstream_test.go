package inventory

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/registry"
	"plimsoll/checks/registry/registrytest"
	"plimsoll/checks/suite"
)

// supplied is an engine whose images came from a real registry: one that is
// current, one that is not, one that was built on what is here, and one that
// nobody uses.
func supplied(t *testing.T) (repo registrytest.Repository, options Options) {
	t.Helper()
	host := registrytest.Start(t)
	repo = registrytest.Repository{TB: t, Host: host, Name: "shop"}
	digest := repo.Image("1.0", "first", time.Now())["digest"].(string)
	base := registrytest.Repository{TB: t, Host: host, Name: "base"}
	baseDigest := base.Image("12", "base", time.Now())["digest"].(string)
	server := dockertest.New()
	server.AddImage(dockertest.Image{Tags: []string{host + "/shop:1.0"}, Digests: []string{host + "/shop@" + digest}, Layers: []string{layerID("shop", 1)}})
	server.AddImage(dockertest.Image{Tags: []string{host + "/base:12"}, Digests: []string{host + "/base@" + baseDigest}, Layers: []string{layerID("base", 1)}})
	server.AddImage(dockertest.Image{Tags: []string{"own:1"}, Layers: []string{layerID("base", 1), layerID("own", 2)}})
	for name, ref := range map[string]string{"shop": host + "/shop:1.0", "own": "own:1"} {
		if _, err := server.AddContainer(dockertest.Container{Name: name, Config: api.Config{Image: ref}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Start(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	return repo, Options{Target: &target, Suite: suite.All(), Layers: layers.Off, Registry: registry.New(registry.Keychain{}, registry.Cache{}), Ask: registry.Used}
}

func TestRegistryIsAsked(t *testing.T) {
	repo, options := supplied(t)
	name := repo.Host + "/shop:1.0"
	gather := func() map[string]Item {
		items, err := New(options).Gather(t.Context(), Selection{AllImages: true, AllContainers: true, Closely: true})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Item{}
		for _, item := range items {
			out[item.Ref.Name] = item
			for _, err := range item.Report.Errors {
				t.Errorf("%s: %v", item.Ref.Name, err)
			}
		}
		return out
	}
	items := gather()
	if found(items[name], "image-outdated") || found(items["shop"], "container-image-outdated") || found(items[name], "image-newer-version-tag") {
		t.Errorf("%v", items[name].Report.Findings)
	}
	repo.Image("1.0", "second", time.Now())
	repo.Image("1.1", "third", time.Now())
	items = gather()
	for subject, ids := range map[string][]string{name: {"image-outdated", "image-newer-version-tag"}, "shop": {"container-image-outdated"}} {
		for _, id := range ids {
			if !found(items[subject], id) {
				t.Errorf("%s: no %s", subject, id)
			}
		}
	}
	if items[repo.Host+"/base:12"].Subject.(*image.Image).Upstream != nil {
		t.Error("the registry was asked about an image that nobody uses")
	}
	options.Ask = registry.Off
	if items := gather(); found(items[name], "image-outdated") || found(items["shop"], "container-image-outdated") {
		t.Error("asked although nobody may")
	}
}

// TestBaseOfImageIsAsked finds the base by layers, and by labels.
func TestBaseOfImageIsAsked(t *testing.T) {
	repo, options := supplied(t)
	options.Ask = registry.All
	own := func() Item {
		items, err := New(options).Gather(t.Context(), Selection{AllImages: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			if item.Ref.Name == repo.Host+"/shop:1.0" {
				return item
			}
		}
		t.Fatal("no such image")
		return Item{}
	}
	if item := own(); !found(item, "image-signature-missing") || !found(item, "image-provenance-missing") || !found(item, "image-sbom-missing") {
		t.Errorf("%v", item.Report.Findings)
	}
	v := New(options)
	items, err := v.Gather(t.Context(), Selection{AllImages: true})
	if err != nil {
		t.Fatal(err)
	}
	var all []*image.Image
	var child *image.Image
	for _, item := range items {
		i := item.Subject.(*image.Image)
		all = append(all, i)
		if item.Ref.Name == "own:1" {
			child = i
		}
	}
	base := registrytest.Repository{TB: t, Host: repo.Host, Name: "base"}
	if u := v.upstream(t.Context(), child, all, true); u.Base == nil || u.Base.Newer || len(u.Errs) > 0 {
		t.Errorf("%+v", u)
	}
	was := base.Image("12", "base, repaired", time.Now())["digest"].(string)
	if u := v.upstream(t.Context(), child, all, true); u.Base == nil || !u.Base.Newer || u.Base.Ref != repo.Host+"/base:12" {
		t.Errorf("%+v", u)
	}
	labelled := *child
	labelled.Inspect.Config = new(*child.Inspect.Config)
	labelled.Inspect.Config.Labels = map[string]string{labelBase: repo.Host + "/base:12", labelBaseDigest: was}
	if u := v.upstream(t.Context(), &labelled, all, true); u.Base == nil || u.Base.Newer {
		t.Errorf("%+v", u)
	}
	// A label chooses no server.
	var asked atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer stranger.Close()
	labelled.Inspect.Config.Labels[labelBase] = strings.TrimPrefix(stranger.URL, "http://") + "/base:12"
	if u := v.upstream(t.Context(), &labelled, all, true); u.Base != nil || asked.Load() > 0 {
		t.Errorf("%+v after %d questions", u.Base, asked.Load())
	}
}

// TestRegistryIsAskedLive has what the registry says come as an update.
func TestRegistryIsAskedLive(t *testing.T) {
	repo, options := supplied(t)
	repo.Image("1.0", "second", time.Now())
	v, _ := watch(t, options)
	v.until("asked", func() bool { return found(v.image(repo.Host+"/shop:1.0"), "image-outdated") })
	if i, ok := v.image(repo.Host + "/base:12").Subject.(*image.Image); !ok || i.Upstream != nil {
		t.Error("the registry was asked about an image that nobody uses")
	}
}
