package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/registry"
	"plimsoll/checks/registry/registrytest"
)

// TestBaseOfADockerfileIsBehind: what a registry was asked about an image tells
// of the Dockerfiles that build on it, and nobody is asked for their sake.
func TestBaseOfADockerfileIsBehind(t *testing.T) {
	repo, options := supplied(t)
	options.Registry = registry.New(registry.Keychain{}, registry.NewCache(t.TempDir()))
	base := registrytest.Repository{TB: t, Host: repo.Host, Name: "base"}
	dir := t.TempDir()
	path := filepath.Join(dir, "Dockerfile")
	if err := os.WriteFile(path, []byte("FROM "+repo.Host+"/base:12\nUSER 1000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	behind := func(o Options, s Selection) bool {
		t.Helper()
		items, err := New(o).Gather(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			if item.Ref.Kind == checks.Dockerfile {
				return found(item, "base-image-stale-digest")
			}
		}
		t.Fatal("no Dockerfile")
		return false
	}
	file := Selection{Paths: []string{path}}
	all := Selection{Paths: []string{path}, Images: []string{repo.Host + "/base:12"}}
	if behind(options, all) {
		t.Error("a base that is current is behind")
	}
	base.Image("12", "later", time.Now())
	if behind(options, file) {
		t.Error("a registry was asked for a Dockerfile, or an answer was not remembered")
	}
	options.Registry = registry.New(registry.Keychain{}, registry.NewCache(t.TempDir())) // six hours later
	if behind(options, file) {
		t.Error("a registry was asked for a Dockerfile")
	}
	if !behind(options, all) {
		t.Error("a base that is behind is not told, where the image is asked about")
	}
	if !behind(options, file) {
		t.Error("what was remembered is not told")
	}
	off := options
	off.Ask = registry.Off
	if behind(off, file) {
		t.Error("told although registries are not to be asked")
	}
	// The same while it is followed: the answer comes after the file was read.
	followed := options
	followed.Roots, followed.Ask = []string{dir}, registry.All
	followed.Registry = registry.New(registry.Keychain{}, registry.NewCache(t.TempDir()))
	v, _ := watch(t, followed)
	v.until("told", func() bool {
		for _, item := range v.items {
			if item.Ref.Kind == checks.Dockerfile && strings.HasSuffix(item.Ref.ID, "Dockerfile") {
				return found(item, "base-image-stale-digest")
			}
		}
		return false
	})
}
