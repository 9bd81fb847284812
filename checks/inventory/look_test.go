package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockertest"
)

// busy is a container that can be seen to do something.
func busy(t *testing.T, s *dockertest.Server, name string) string {
	t.Helper()
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	id, err := s.AddContainer(dockertest.Container{
		Name: name, Config: api.Config{Image: "app:1", User: "1000"}, Host: api.HostConfig{Resources: api.Resources{Memory: 64 << 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Behave(id, dockertest.Behaviour{
		Processes: [][]string{{"1000", "20", "1", "0", "10:00", "?", "00:00:00", "/app/serve"}, {"1000", "21", "20", "0", "10:00", "?", "00:00:00", "sshd: x"}},
		Changes:   []api.FilesystemChange{{Kind: api.ChangeAdd, Path: "/usr/bin/nmap"}},
		Memory:    60 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func caller(t *testing.T, s *dockertest.Server) *client.Client {
	t.Helper()
	c, err := target(t, s.Host()).Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func idsOf(i Item) string {
	var ids []string
	for _, f := range i.Report.Findings {
		ids = append(ids, f.Check.ID)
	}
	return strings.Join(ids, " ")
}

func TestRunningContainersAreLookedAtLater(t *testing.T) {
	s := dockertest.Run(t)
	id := busy(t, s, "busy")
	o := options(t, s)
	o.Suite = append(o.Suite, container.Checks()...)
	v, _ := watch(t, o)
	v.until("complete", func() bool { return v.done })
	v.until("sshd is seen", func() bool {
		i, _ := v.named(checks.Container, "busy")
		return strings.Contains(idsOf(i), "container-sshd-running")
	})
	i, _ := v.named(checks.Container, "busy")
	if !strings.Contains(idsOf(i), "container-file-drift") {
		t.Errorf("found %s", idsOf(i))
	}
	if n := s.Count("GET /containers/{id}/json"); n != 1 {
		t.Errorf("%d inspections to look at one container", n)
	}
	if n := s.Count("GET /containers/{id}/stats"); n != 0 {
		t.Errorf("%d samples that nobody asked for", n)
	}
	looks := s.Count("GET /containers/{id}/top")

	// Another inspection keeps what was seen of the same run.
	if _, err := caller(t, s).ContainerUpdate(t.Context(), id, client.ContainerUpdateOptions{Resources: &api.Resources{Memory: 128 << 20, MemorySwap: 128 << 20}}); err != nil {
		t.Fatal(err)
	}
	v.until("the new limit shows", func() bool {
		i, _ := v.named(checks.Container, "busy")
		c := i.Subject.(*container.Container)
		if !strings.Contains(idsOf(i), "container-sshd-running") {
			t.Fatalf("what was seen is forgotten: %s", idsOf(i))
		}
		return c.Settings.Host.Memory == 128<<20
	})
	if n := s.Count("GET /containers/{id}/top"); n != looks {
		t.Errorf("looked at %d more times", n-looks)
	}
}

func TestGatherLooksClosely(t *testing.T) {
	s := dockertest.Run(t)
	busy(t, s, "busy")
	v := New(Options{Target: target(t, s.Host()), Suite: container.Checks()})
	for _, closely := range []bool{false, true} {
		items, err := v.Gather(t.Context(), Selection{AllContainers: true, Closely: closely})
		if err != nil || len(items) != 1 {
			t.Fatalf("%v, %v", items, err)
		}
		for _, id := range []string{"container-sshd-running", "container-limit-too-tight"} {
			if strings.Contains(idsOf(items[0]), id) != closely {
				t.Errorf("closely %v: found %s", closely, idsOf(items[0]))
			}
		}
	}
	if got := s.Count("GET /containers/{id}/stats"); got != 1 {
		t.Errorf("%d samples", got)
	}
}

func TestNeighboursAreKnown(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	for _, name := range []string{"one", "two"} {
		_, err := s.AddContainer(dockertest.Container{Name: name, Config: api.Config{Image: "app:1"}, Host: api.HostConfig{Binds: []string{"shared:/data"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Target: target(t, s.Host()), Suite: container.Checks()}
	for _, selection := range []Selection{{AllContainers: true}, {Containers: []string{"one"}}} {
		items, err := New(o).Gather(t.Context(), selection)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			if !strings.Contains(idsOf(i), "container-volume-shared") {
				t.Errorf("%+v: %s has %s", selection, i.Ref.Name, idsOf(i))
			}
		}
	}
	v, _ := watch(t, o)
	shared := func(name string) bool {
		i, _ := v.named(checks.Container, name)
		return strings.Contains(idsOf(i), "container-volume-shared")
	}
	v.until("both share", func() bool { return shared("one") && shared("two") })
	if _, err := caller(t, s).ContainerRemove(t.Context(), "two", client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	v.until("one is alone", func() bool {
		i, ok := v.named(checks.Container, "one")
		return ok && !strings.Contains(idsOf(i), "container-volume-shared")
	})
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"a", "b/c"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b/c", "b", "."} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	got := places([]api.MountPoint{
		{Type: mount.TypeBind, Source: dir, Destination: "/d", RW: true}, {Type: mount.TypeBind, Source: filepath.Join(dir, "a"), Destination: "/f"},
		{Type: mount.TypeBind, Source: filepath.Join(dir, "none"), Destination: "/n"}, {Type: mount.TypeTmpfs, Destination: "/t"},
	})
	if d := got["/d"]; d.Entries != 3 || d.Partial || !d.Newest.Equal(old) || !d.Mode.IsDir() {
		t.Errorf("/d is %+v", d)
	}
	if f := got["/f"]; f.Mode.Perm() != 0o640 || len(got) != 2 {
		t.Errorf("/f is %+v of %v", f, got)
	}
	for i := range mostEntries {
		if err := os.WriteFile(filepath.Join(dir, "x"+time.Duration(i).String()), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, _ := place(dir, true); !p.Partial {
		t.Errorf("more than %d entries: %+v", mostEntries, p)
	}
}

func TestRegistriesAreAskedOnce(t *testing.T) {
	s := dockertest.Run(t)
	s.Publish("app:1", dockertest.Image{Tags: []string{"app:1"}})
	c := caller(t, s)
	pull := func() {
		t.Helper()
		answer, err := c.ImagePull(t.Context(), "app:1", client.ImagePullOptions{})
		if err == nil {
			err = answer.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pull()
	for _, name := range []string{"one", "two"} {
		run(t, s, name)
	}
	v := New(Options{Target: target(t, s.Host()), Suite: container.Checks()})
	gather := func(v *Inventory) string {
		t.Helper()
		items, err := v.Gather(t.Context(), Selection{AllContainers: true, Closely: true})
		if err != nil || len(items) != 2 {
			t.Fatalf("%v, %v", items, err)
		}
		return idsOf(items[0])
	}
	if got := gather(v); strings.Contains(got, "container-image-outdated") {
		t.Errorf("found %s", got)
	}
	if n := s.Count("GET /distribution/{name}/json"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	s.Publish("app:1", dockertest.Image{Tags: []string{"app:1"}, Size: 7})
	v = New(Options{Target: target(t, s.Host()), Suite: container.Checks()})
	if got := gather(v); !strings.Contains(got, "container-image-outdated") {
		t.Errorf("found %s", got)
	}
	one, err := v.Read(t.Context(), checks.Ref{Kind: checks.Container, ID: "one"})
	if err != nil || one.(*container.Container).Served == "" {
		t.Errorf("what the registry said is forgotten before the fix: %v", err)
	}
}

func TestComposeFilesKnowTheirContainers(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"shop:1"}})
	dir := t.TempDir()
	path := filepath.Join(dir, "compose.yaml")
	if err := os.WriteFile(path, []byte("services:\n  web: {image: \"shop:1\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := s.AddContainer(dockertest.Container{
		Name: "web", Host: api.HostConfig{Privileged: true},
		Config: api.Config{Image: "shop:1", Labels: map[string]string{
			"com.docker.compose.service": "web", "com.docker.compose.project.config_files": path,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Target: target(t, s.Host()), Suite: compose.Checks(), Roots: []string{dir}}
	items, err := New(o).Gather(t.Context(), Selection{Paths: []string{dir}, AllContainers: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		if i.Ref.Kind == checks.Compose && !strings.Contains(idsOf(i), "compose-file-drift") {
			t.Errorf("found %s", idsOf(i))
		}
	}
	v, _ := watch(t, o)
	has := func(id string) bool {
		return strings.Contains(idsOf(v.items[identity{checks.Compose, path}]), id)
	}
	v.until("the privilege is noticed", func() bool { return has("compose-file-drift") })
	_, err = caller(t, s).ContainerUpdate(t.Context(), id, client.ContainerUpdateOptions{Resources: &api.Resources{Memory: 128 << 20, MemorySwap: 128 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	v.until("the limit is noticed", func() bool { return has("compose-fix-not-persisted") })
}

// What only root may write behind a mount is named, a few of it.
func TestPlaceNamesFilesOfRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("files cannot be given to others without root")
	}
	dir := t.TempDir()
	for n := range fewRoots + 2 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("root%d", n)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"app": 0o644, "open": 0o666} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(filepath.Join(dir, "app"), 1000, 1000), os.Chown(dir, 1000, 1000)); err != nil {
		t.Fatal(err)
	}
	p, ok := place(dir, true)
	if !ok || p.RootCount != fewRoots+2 || len(p.Roots) != fewRoots || p.Roots[0] != "root0" {
		t.Errorf("%+v", p)
	}
}
