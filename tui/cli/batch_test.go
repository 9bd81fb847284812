package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// two starts the containers web and api on an engine of their own.
func two(t *testing.T) (*dockertest.Server, map[string]string) {
	t.Helper()
	home(t)
	server := dockertest.Run(t)
	t.Setenv("DOCKER_HOST", server.Host())
	server.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	cli, ids := server.Client(t), map[string]string{}
	for _, name := range []string{"web", "api"} {
		made, err := cli.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cli.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		ids[name] = made.ID
	}
	return server, ids
}

// pids returns how many processes a container may have; 0 for any number.
func pids(t *testing.T, server *dockertest.Server, name string) int64 {
	t.Helper()
	c, err := server.Client(t).ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Container.HostConfig.PidsLimit; n != nil {
		return max(0, *n)
	}
	return 0
}

var batchID = regexp.MustCompile(`undo all with: plimsoll undo (\S+)`)

// Several subjects of all kinds get one plan, which is shown as one, applied as
// one and undone as one.
func TestFixMany(t *testing.T) {
	server, _ := two(t)
	if err := os.Mkdir("image", 0o755); err != nil {
		t.Fatal(err)
	}
	path := file(t, filepath.Join("image", "Dockerfile"), "FROM debian:12\nMAINTAINER ann\nUSER 1000\nCMD [\"/app\"]\n")
	args := []string{"fix", "container:web", path, "container:api", "--check", "container-pids-unlimited", "--check", "maintainer-deprecated"}
	code, out, errs := plimsoll(t, append(args, "--dry-run")...)
	if code != exitClean || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	order := []string{"Part 1 of 3: " + path, "-MAINTAINER ann", "Part 2 of 3: api", "HostConfig.PidsLimit", "docker update", "Part 3 of 3: web", "3 parts, one after the other, cure 3 findings", "what was done before it stays"}
	for at, rest := 0, out; at < len(order); at++ {
		_, after, ok := strings.Cut(rest, order[at])
		if !ok {
			t.Fatalf("no %q after the others in\n%s", order[at], out)
		}
		rest = after
	}
	if n := pids(t, server, "web"); n != 0 {
		t.Errorf("a dry run has set %d", n)
	}
	code, out, errs = plimsoll(t, append(args, "--yes")...)
	id := batchID.FindStringSubmatch(out)
	if code != exitClean || errs != "" || id == nil || !strings.Contains(out, "3 of 3 parts are done") {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	if pids(t, server, "web") == 0 || pids(t, server, "api") == 0 {
		t.Error("not all containers are limited")
	}
	if data, _ := os.ReadFile(path); strings.Contains(string(data), "MAINTAINER") {
		t.Errorf("the file is still\n%s", data)
	}
	if _, out, _ = plimsoll(t, "undo", "--list"); strings.Count(out, "of 3 in "+id[1]) != 3 {
		t.Errorf("the list does not show what belongs together:\n%s", out)
	}
	if _, out, _ = plimsoll(t, "undo", "--script", id[1]); strings.Count(out, "docker update") != 2 || strings.Index(out, "docker update") < strings.Index(out, "dockerfile") {
		t.Errorf("as a script\n%s", out)
	}
	if code, _, errs = plimsoll(t, "undo", id[1], "--discard", "--yes"); code != exitError || !strings.Contains(errs, id[1]) {
		t.Errorf("originals of a whole batch were removed: %d %s", code, errs)
	}
	// Without an id the newest is meant, which is all of it.
	if code, out, errs = plimsoll(t, "undo", "--yes"); code != exitClean || !strings.Contains(out, "undone") {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	if data, _ := os.ReadFile(path); pids(t, server, "web") != 0 || pids(t, server, "api") != 0 || !strings.Contains(string(data), "MAINTAINER") {
		t.Error("not all was taken back")
	}
	if code, _, errs = plimsoll(t, "undo", id[1], "--yes"); code != exitError || !strings.Contains(errs, "nothing of it is left to undo") {
		t.Errorf("undone twice: %d %s", code, errs)
	}
}

func TestFixManyStopsAtAFailure(t *testing.T) {
	for policy, want := range map[string]struct {
		kept bool
		says string
	}{
		"keep": {true, "1 of 2 parts are done; stopped at web"},
		"undo": {false, "0 of 2 parts are done; stopped at web; 1 were taken back"},
	} {
		server, ids := two(t)
		server.Inject(dockertest.Fault{Endpoint: "POST /containers/{id}/update", Subject: ids["web"], Status: 500, Message: "no room"})
		code, out, errs := plimsoll(t, "fix", "container:web", "container:api", "--check", "container-pids-unlimited", "--yes", "--on-failure", policy)
		if code != exitError || !strings.Contains(errs, "web: ") || !strings.Contains(errs, "no room") || !strings.Contains(out, want.says) {
			t.Errorf("%s: exit %d: %s\n%s", policy, code, errs, out)
		}
		if kept := pids(t, server, "api") != 0; kept != want.kept {
			t.Errorf("%s: api is limited: %t", policy, kept)
		}
	}
	code, _, errs := plimsoll(t, "fix", "container:web", "--on-failure", "hope")
	if code != exitError || !strings.Contains(errs, "use keep or undo") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// What cannot be changed is shown with its reason and left out; that it was is
// an error afterwards, as it always was.
func TestFixManyLeavesOut(t *testing.T) {
	server, _ := two(t)
	cli := server.Client(t)
	if _, err := cli.ContainerPause(t.Context(), "api", client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	args := []string{"fix", "container:web", "container:api", "--check", "container-pids-unlimited"}
	code, out, errs := plimsoll(t, append(args, "--dry-run")...)
	if code != exitClean || !strings.Contains(out, "Not part of it\n  api: api is paused") || !strings.Contains(out, "Part 1 of 1: web") {
		t.Errorf("exit %d: %s\n%s", code, errs, out)
	}
	if code, _, errs = plimsoll(t, append(args, "--yes")...); code != exitError || !strings.Contains(errs, "api is paused") || pids(t, server, "web") == 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs = plimsoll(t, append(args, "--set", "memroy=1g")...); code != exitError || !strings.Contains(errs, "memroy") {
		t.Errorf("a choice that nothing has: %d %s", code, errs)
	}
}

// An interrupted part is recovered as always, and what was done with it is told.
func TestUndoTellsWhatElseWasDone(t *testing.T) {
	server, ids := two(t)
	server.Inject(dockertest.Fault{Endpoint: "POST /containers/{id}/update", Subject: ids["web"], Status: 500, Message: "no room"})
	_, out, _ := plimsoll(t, "fix", "container:web", "container:api", "--check", "container-pids-unlimited", "--yes")
	id := batchID.FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("no batch in\n%s", out)
	}
	state := filepath.Join(os.Getenv("HOME"), ".local", "state", "plimsoll")
	entries, err := filepath.Glob(filepath.Join(state, "2*.json"))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	var interrupted string
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(data); strings.Contains(text, `"rolled-back"`) { // as a crash would have left it
			interrupted = strings.TrimSuffix(filepath.Base(path), ".json")
			if err := os.WriteFile(path, []byte(strings.Replace(text, `"rolled-back"`, `"running"`, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	code, out, errs := plimsoll(t, "undo", interrupted, "--yes")
	if code != exitClean || !strings.Contains(out, "It was one of 2 parts") || !strings.Contains(out, "plimsoll undo "+id[1]) {
		t.Errorf("exit %d: %s\n%s", code, errs, out)
	}
}

// Quarantine is what was asked for, and nothing else.
func TestQuarantine(t *testing.T) {
	server, _ := two(t)
	code, out, errs := plimsoll(t, "fix", "container:web", "--quarantine", "--yes")
	if code != exitClean || !strings.Contains(out, "Quarantine web") {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	c, err := server.Client(t).ContainerInspect(t.Context(), "web", client.ContainerInspectOptions{})
	if err != nil || !c.Container.State.Paused {
		t.Errorf("web runs on: %v", err)
	}
	if code, out, _ = plimsoll(t, "undo", "--yes"); code != exitClean {
		t.Errorf("exit %d: %s", code, out)
	}
}
