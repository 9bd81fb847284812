package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// sinceOf runs check --since and returns what is new and what was fixed.
func sinceOf(t *testing.T, args ...string) (code int, fresh, fixed []string, errs string) {
	t.Helper()
	code, out, errs := plimsoll(t, append([]string{"check", "--format", "json", "--fail-on", "info"}, args...)...)
	var report struct {
		Findings []struct{ Check string }
		Gone     []struct{ Check string } `json:"no_longer_found"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s%s", err, out, errs)
	}
	for _, f := range report.Findings {
		fresh = append(fresh, f.Check)
	}
	for _, f := range report.Gone {
		fixed = append(fixed, f.Check)
	}
	return code, fresh, fixed, errs
}

func TestSinceLast(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	code, fresh, _, errs := sinceOf(t, ".", "--since", "last")
	if code != exitClean || len(fresh) != 0 || !strings.Contains(errs, "begins with this run") {
		t.Errorf("the first run: exit %d, new %v, %s", code, fresh, errs)
	}
	if code, fresh, _, errs = sinceOf(t, ".", "--since", "last"); code != exitClean || len(fresh) != 0 || errs != "" {
		t.Errorf("nothing changed: exit %d, new %v, %s", code, fresh, errs)
	}
	// Times are kept in seconds, and two runs of a test may share one.
	file(t, "Dockerfile", strings.Replace(weak, "USER root\n", "ENV API_TOKEN=not-a-real-c4nary\nUSER 1000\n", 1))
	code, fresh, fixed, _ := sinceOf(t, ".", "--since", "1h")
	if code != exitFindings || len(fresh) != 1 || fresh[0] != "secret-in-env-or-arg" || len(fixed) != 1 || fixed[0] != "final-user-root" {
		t.Errorf("exit %d, new %v, fixed %v", code, fresh, fixed)
	}
	if _, out, _ := plimsoll(t, "check", ".", "--since", "1h"); !strings.Contains(out, "fixed: final-user-root on Dockerfile") || strings.Contains(out, "apt-lists-left") {
		t.Errorf("the table says\n%s", out)
	}
	if _, out, _ := plimsoll(t, "check", ".", "--since", "1h", "--format", "markdown"); !strings.Contains(out, "Fixed since 1h: 1") {
		t.Errorf("the comment says\n%s", out)
	}
}

func TestSinceFollowsContainersByName(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	home(t)
	t.Setenv("DOCKER_HOST", s.Host())
	c, err := client.New(client.WithHost(s.Host()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	create := func(privileged bool) {
		t.Helper()
		created, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "web", Image: "app:1", HostConfig: &container.HostConfig{Privileged: privileged}})
		if err == nil {
			_, err = c.ContainerStart(t.Context(), created.ID, client.ContainerStartOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remove := func() {
		t.Helper()
		if _, err := c.ContainerRemove(t.Context(), "web", client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	create(false)
	sinceOf(t, "containers")
	remove()
	sinceOf(t, "containers")
	create(true)
	code, fresh, _, errs := sinceOf(t, "containers", "--since", "1h")
	if code != exitFindings || strings.Join(fresh, " ") != "container-privileged" {
		t.Errorf("exit %d, new %v, %s: created anew under its name, only what is new counts", code, fresh, errs)
	}
	remove()
	create(false)
	if code, fresh, fixed, _ := sinceOf(t, "containers", "--since", "1h"); code != exitClean || len(fresh) != 0 || len(fixed) == 0 || fixed[0] != "container-privileged" {
		t.Errorf("exit %d, new %v, fixed %v", code, fresh, fixed)
	}
}

func TestSinceRefusesWhatIsNoTime(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	if code, _, errs := plimsoll(t, "check", ".", "--since", "tomorrow"); code != exitError || !strings.Contains(errs, "tomorrow") {
		t.Errorf("exit %d, %s", code, errs)
	}
	file(t, ".plimsoll.yaml", "history: false\n")
	if code, _, errs := plimsoll(t, "check", ".", "--since", "1h"); code != exitError || !strings.Contains(errs, "switches off") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestHistoryIsKeptOnlyWhereWanted looks for files after runs that may not
// write any.
func TestHistoryIsKeptOnlyWhereWanted(t *testing.T) {
	dir := home(t)
	file(t, "Dockerfile", weak)
	books := func() int {
		names, err := filepath.Glob(filepath.Join(dir, ".local/state/plimsoll/history/*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	plimsoll(t, "check", ".", "--read-only")
	plimsoll(t, "check", "--demo")
	file(t, ".plimsoll.yaml", "history: false\n")
	plimsoll(t, "check", ".")
	if n := books(); n != 0 {
		t.Errorf("%d files of a history that nobody wants", n)
	}
	os.Remove(".plimsoll.yaml")
	plimsoll(t, "check", ".")
	if n := books(); n != 2 {
		t.Errorf("%d files, want a book and a lock", n)
	}
}

// TestNamedFilesShareAHistory: a hook names hundreds of files, and each of them
// with a history of its own would push the others out.
func TestNamedFilesShareAHistory(t *testing.T) {
	dir := home(t)
	for _, name := range []string{"a.Dockerfile", "b.Dockerfile", "c.Dockerfile"} {
		file(t, name, weak)
	}
	if code, fresh, _, errs := sinceOf(t, "a.Dockerfile", "b.Dockerfile", "--since", "last"); code != exitClean || len(fresh) != 0 || strings.Count(errs, "begins with this run") != 1 {
		t.Errorf("the first run: exit %d, new %v, %s", code, fresh, errs)
	}
	books, err := filepath.Glob(filepath.Join(dir, ".local/state/plimsoll/history/book-*"))
	if err != nil || len(books) != 1 {
		t.Errorf("books: %v, %v", books, err)
	}
	file(t, "b.Dockerfile", strings.Replace(weak, "USER root\n", "ENV API_TOKEN=not-a-real-c4nary\nUSER 1000\n", 1))
	_, fresh, fixed, _ := sinceOf(t, "b.Dockerfile", "--since", "1h")
	if len(fresh) != 1 || fresh[0] != "secret-in-env-or-arg" || len(fixed) != 1 || fixed[0] != "final-user-root" {
		t.Errorf("of the file alone: new %v, fixed %v", fresh, fixed)
	}
	if _, fresh, fixed, _ = sinceOf(t, "a.Dockerfile", "--since", "1h"); len(fresh) != 0 || len(fixed) != 0 {
		t.Errorf("of the other file: new %v, fixed %v", fresh, fixed)
	}
}
