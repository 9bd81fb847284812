package cli

import (
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/dockertest"
)

// What a container used while it was watched decides what is proposed.
func TestFixByObservation(t *testing.T) {
	home(t)
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	id, err := s.AddContainer(dockertest.Container{Name: "app", Config: api.Config{Image: "app:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Behave(id, dockertest.Behaviour{Memory: 100 << 20, Pids: 150}); err != nil {
		t.Fatal(err)
	}
	args := []string{"--host", s.Host(), "fix", "container:app", "--check", "container-pids-unlimited", "--dry-run", "--observe", "1200ms"}
	code, out, errs := plimsoll(t, args...)
	if code != exitClean || !strings.Contains(out, "pids=300") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if n := s.Count("GET /containers/{id}/stats"); n == 0 {
		t.Error("nobody watched")
	}
	if err := s.Exit(id, 0, false); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := plimsoll(t, args...); code == exitClean || !strings.Contains(errs, "running container") {
		t.Errorf("a stopped one: exit %d\n%s%s", code, out, errs)
	}
}
