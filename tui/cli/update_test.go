package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/registry/registrytest"
)

// A shop is a real registry with a password and a real engine that runs what
// is in it.
type shop struct {
	*testing.T
	cli    *client.Client
	prefix string
	ref    string            // of the image that is updated
	ids    map[string]string // of what was published, by name
}

// The account of the registry.
const (
	registryPassword = "not-a-real-password"
	registryHash     = `$2a$05$abcdefghijklmnopqrstuudLYPY/O3Omal5/C.k5.n2dNOG5VmjFK`
)

func openShop(t *testing.T) *shop {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short")
	}
	cli := dockertest.Real(t)
	s := &shop{T: t, cli: cli, prefix: dockertest.Prefix(t, cli), ids: map[string]string{}}
	passwords := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(passwords, []byte("user:"+registryHash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := registrytest.Start(t, fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}", passwords))
	s.ref = host + "/shop/app:1"
	t.Cleanup(func() { // whose names do not begin as those of tests do
		for _, id := range s.ids {
			_, _ = cli.ImageRemove(context.Background(), id, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		}
	})
	return s
}

// publish makes an image and pushes it under the one tag. The engine forgets it,
// and names with the tag what it named before.
func (s *shop) publish(name string, flags ...string) {
	s.Helper()
	before, _ := s.cli.ImageInspect(s.Context(), s.ref)
	image := dockertest.Probe(s.prefix+name, flags...)
	image.Files = map[string]string{"/etc/version": strings.Repeat(name, 200<<10)}
	image.Config.Healthcheck = dockertest.ProbeCheck()
	id := dockertest.Load(s, s.cli, s.prefix, image)[0]
	s.ids[name] = id
	s.tag(id)
	auth, err := authconfig.Encode(registry.AuthConfig{Username: "user", Password: registryPassword})
	if err != nil {
		s.Fatal(err)
	}
	push, err := s.cli.ImagePush(s.Context(), s.ref, client.ImagePushOptions{RegistryAuth: auth})
	if err == nil {
		err = push.Wait(s.Context())
	}
	if err != nil {
		s.Fatal(err)
	}
	if before.ID == "" {
		return
	}
	s.tag(before.ID)
	if _, err := s.cli.ImageRemove(s.Context(), id, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil {
		s.Fatal(err)
	}
}

func (s *shop) tag(id string) {
	s.Helper()
	if _, err := s.cli.ImageTag(s.Context(), client.ImageTagOptions{Source: id, Target: s.ref}); err != nil {
		s.Fatal(err)
	}
}

// tagged returns what the tag of the engine names, by the name it was published with.
func (s *shop) tagged() string {
	s.Helper()
	i, err := s.cli.ImageInspect(s.Context(), s.ref)
	if err != nil {
		s.Fatal(err)
	}
	return s.named(i.ID)
}

func (s *shop) named(id string) string {
	for name, other := range s.ids {
		if id == other {
			return name
		}
	}
	return id
}

// create makes a container of an image.
func (s *shop) create(name, ref string) (id string) {
	s.Helper()
	made, err := s.cli.ContainerCreate(s.Context(), client.ContainerCreateOptions{Name: s.prefix + name, Config: &container.Config{Image: ref}, HostConfig: &container.HostConfig{NetworkMode: "none"}})
	if err != nil {
		s.Fatal(err)
	}
	return made.ID
}

// run starts a container of an image and waits until it obeys.
func (s *shop) run(name, ref string) {
	s.Helper()
	id := s.create(name, ref)
	_, err := s.cli.ContainerStart(s.Context(), id, client.ContainerStartOptions{})
	if err == nil {
		err = dockertest.Ready(s.Context(), s.cli, id)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shop) inspect(name string) container.InspectResponse {
	s.Helper()
	got, err := s.cli.ContainerInspect(s.Context(), s.prefix+name, client.ContainerInspectOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return got.Container
}

// TestUpdateFromARegistry takes a container to what a registry has, and back
// from what does not work, as a user does it.
//
//scenario:76
func TestUpdateFromARegistry(t *testing.T) {
	s := openShop(t)
	s.publish("old", "-x", "old")
	s.run("app", s.ref)
	s.publish("new", "-x", "new")
	if s.tagged() != "old" {
		t.Fatalf("the tag names %s", s.tagged())
	}

	// Another registry, which is told no secrets.
	var mu sync.Mutex
	told := []string{}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		told = append(told, r.Header.Get("Authorization"))
		mu.Unlock()
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer other.Close()
	elsewhere := strings.TrimPrefix(other.URL, "http://") + "/shop/app:1"
	if _, err := s.cli.ImageTag(t.Context(), client.ImageTagOptions{Source: s.ids["old"], Target: elsewhere}); err != nil {
		t.Fatal(err)
	}
	s.create("other", elsewhere)

	dir := home(t)
	docker := func(config string) {
		t.Helper()
		path := filepath.Join(dir, "docker", "config.json")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, _, _ := strings.Cut(s.ref, "/")
	update := func(name string) (int, string) {
		code, out, errs := plimsoll(t, "fix", "--host", s.cli.DaemonHost(), "--update", "--pull", "--yes", "container:"+s.prefix+name, "--check", "container-too-old")
		return code, out + errs
	}
	before := s.inspect("app")

	docker(`{}`)
	if code, out := update("app"); code == 0 || !strings.Contains(out, "docker login "+host) {
		t.Errorf("without credentials: exit %d, %s", code, out)
	}
	docker(fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, base64.StdEncoding.EncodeToString([]byte("user:"+registryPassword))))
	if code, out := update("other"); code == 0 || !strings.Contains(out, "only to users that it knows") {
		t.Errorf("another registry: exit %d, %s", code, out)
	}
	mu.Lock()
	if all := strings.Join(told, ""); len(told) == 0 || all != "" {
		t.Errorf("another registry was asked %d times and told %q", len(told), all)
	}
	mu.Unlock()

	code, out, errs := plimsoll(t, "check", "--host", s.cli.DaemonHost(), "image:"+s.ref)
	if !strings.Contains(out, "image-outdated") {
		t.Errorf("the newer image was not found: exit %d, %s%s", code, out, errs)
	}
	if now := s.inspect("app"); now.ID != before.ID || now.State.StartedAt != before.State.StartedAt {
		t.Fatal("it was touched")
	}
	// The finding's fix moves all containers of the tag: there is one.
	code, out, errs = plimsoll(t, "fix", "--host", s.cli.DaemonHost(), "--check", "image-outdated", "--yes", "image:"+s.ref)
	if code != 0 || !strings.Contains(out, "What the new image changes") || !strings.Contains(out, "1 of 1 layers") || !strings.Contains(out, s.prefix+"app runs the image") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	good := s.inspect("app")
	if s.named(good.Image) != "new" || good.Config.Image != s.ref || s.tagged() != "new" || !good.State.Running {
		t.Errorf("it runs %s, the tag names %s", s.named(good.Image), s.tagged())
	}

	s.publish("bad", "-exit-after", "1ms", "-code", "7")
	if code, out := update("app"); code == 0 || !strings.Contains(out, "exit code 7") {
		t.Errorf("exit %d, %s", code, out)
	}
	now := s.inspect("app")
	if now.ID != good.ID || !now.State.Running || s.tagged() != "new" {
		t.Errorf("it is %s of %s, the tag names %s", now.ID, s.named(now.Image), s.tagged())
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && !strings.HasSuffix(path, "docker/config.json") {
			if data, _ := os.ReadFile(path); strings.Contains(string(data), registryPassword) {
				t.Errorf("the password is in %s", path)
			}
		}
		return nil
	})
	// Undone, all is as it was: the container, and the tag.
	if code, out, errs := plimsoll(t, "undo", "--host", s.cli.DaemonHost(), "--yes"); code != 0 {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if now := s.inspect("app"); now.ID != before.ID || !now.State.Running || s.tagged() != "old" {
		t.Errorf("undone, it is %s of %s, the tag names %s", now.ID, s.named(now.Image), s.tagged())
	}
}

// TestNothingNewer: a look fetches nothing, and to be up to date is no failure.
func TestNothingNewer(t *testing.T) {
	home(t)
	server := dockertest.New()
	image := dockertest.Probe("app:1")
	image.ID = server.AddImage(image)
	server.Publish("app:1", image)
	if err := server.Start(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	cli, err := client.New(client.WithHost(server.Host()))
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	made, err := cli.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "app", Config: &container.Config{Image: "app:1"}, HostConfig: &container.HostConfig{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"container:app", "image:app:1"} {
		args := []string{"fix", "--host", server.Host(), "--update", "--pull", "--check", "container-too-old", subject}
		if code, out, errs := plimsoll(t, append(args, "--dry-run")...); code != 0 || !strings.Contains(out, "To be fetched first") || server.Count("POST /images/create") != 0 {
			t.Errorf("%s: exit %d, %s%s", subject, code, out, errs)
		}
		if code, out, errs := plimsoll(t, append(args, "--yes")...); code != 0 || !strings.Contains(out+errs, "newest image of app:1 already") && !strings.Contains(out+errs, "run its newest image already") {
			t.Errorf("%s: exit %d, %s%s", subject, code, out, errs)
		}
		server.Forget()
	}
}
