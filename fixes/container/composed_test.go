package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// What docker compose manages follows an image by its tag: compose itself makes
// the containers anew, on request, and again when that was undone.
func TestComposeFollowsTheImage(t *testing.T) {
	t.Parallel()
	l := realLab(t)
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Skip("no docker-compose")
	}
	old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
	fresh := l.load(dockertest.Probe("app:2", "-x", "new"))[0]
	dir := t.TempDir()
	text := fmt.Sprintf("version: '2.4'\nservices:\n  db:\n    image: %[1]sapp:1\n    volumes: [/data]\n  web:\n    image: %[1]sapp:1\n    depends_on: [db]\n", l.prefix)
	must(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(text), 0o644))
	project := strings.Trim(l.prefix, "-")
	up := func(args ...string) {
		command := exec.Command("docker-compose", append([]string{"--project-directory", dir, "--project-name", project, "--file", filepath.Join(dir, "compose.yaml")}, args...)...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	up("up", "--detach")
	t.Cleanup(func() {
		_ = exec.Command("docker-compose", "--project-directory", dir, "--project-name", project, "--file", filepath.Join(dir, "compose.yaml"), "down", "--volumes").Run()
	})
	l.run("plain", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	names := []string{l.prefix + "plain", project + "_db_1", project + "_web_1"}
	before := l.inspected(names)
	runs := func(when, image string, names ...string) {
		t.Helper()
		for name, now := range l.inspected(names) {
			if now.Image != image || !now.State.Running {
				t.Errorf("%s: %s runs %s, not %s", when, name, shortImage(now.Image), shortImage(image))
			}
		}
	}

	p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true, Fetched: fresh})
	must(t, err)
	if !p.Blocked.IsZero() || len(p.Members) != 1 || !strings.HasSuffix(strings.Join(p.Deploy, " "), "up --detach db web") || !strings.Contains(pretty(p.Notes), "makes them anew from the image") {
		t.Fatalf("blocked %s, members %v, deploy %q, notes %s", p.Blocked, p.Members, p.Deploy, pretty(p.Notes))
	}
	l.apply(p)
	runs("applied", fresh, names[0])
	runs("applied", old, names[1:]...)
	must(t, l.fixer.Deploy(t.Context(), p.ID, nil))
	runs("deployed", fresh, names...)
	for _, name := range names[1:] {
		now := l.inspect(name)
		if len(now.Mounts) != len(before[name].Mounts) || len(now.Mounts) > 0 && now.Mounts[0].Name != before[name].Mounts[0].Name {
			t.Errorf("%s lost its volume: %v", name, now.Mounts)
		}
	}
	must(t, l.fixer.Undo(t.Context(), p.ID, nil))
	runs("undone", old, names[0])
	must(t, l.fixer.Deploy(t.Context(), p.ID, nil))
	runs("undone and deployed", old, names...)
	if e := l.entry(p.ID); e.Deployed || e.State != ledger.Undone {
		t.Errorf("the ledger says %s, deployed %t", e.State, e.Deployed)
	}
	l.alone(names...)
}

// composedLab has two containers of a compose project, made from app:1, and
// app:2 to move to.
func composedLab(t *testing.T) (l *lab, old, fresh string) {
	t.Helper()
	l = memoryLab(t)
	old, fresh = l.load(dockertest.Probe("app:1", "-x", "old"))[0], l.load(dockertest.Probe("app:2", "-x", "new"))[0]
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte("services: {}\n"), 0o644))
	for _, service := range []string{"web", "db"} {
		labels := map[string]string{composeProject: "shop", composeService: service, composeDir: dir, composeFiles: "compose.yaml"}
		l.run(service, client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Labels: labels, Cmd: []string{"-write", "/" + service + "=1"}}, HostConfig: &api.HostConfig{}})
	}
	return l, old, fresh
}

func (l *lab) tagged(ref string) string {
	l.Helper()
	i, err := l.m.image(l.Context(), l.prefix+ref)
	if err != nil || i == nil {
		l.Fatalf("%s: %v", ref, err)
	}
	return i.ID
}

// Where all belong to compose the tag is what is changed, and undone, also after
// a crash; containers are left to compose.
func TestOnlyTheTagMoves(t *testing.T) {
	l, old, fresh := composedLab(t)
	request := fixes.Request{Update: true, Fetched: fresh}
	p, err := l.fixer.Plan(t.Context(), l.imageOf(old), request)
	if err != nil || !p.Blocked.IsZero() || len(p.Members) > 0 || p.Card == nil || !strings.HasSuffix(strings.Join(p.Deploy, " "), "up --detach db web") {
		t.Fatalf("%v, %+v", err, p)
	}
	if text := pretty(p.Notes); strings.Count(text, "is gone when docker compose makes it anew") != 2 || !strings.Contains(text, `"/web"`) || !strings.Contains(text, `"/db"`) {
		t.Errorf("notes %s", text)
	}
	receipt := l.apply(p)
	if l.tagged("app:1") != fresh || !strings.Contains(pretty(receipt.Proof), "from which docker compose makes") || l.inspect(l.prefix+"web").Image != old {
		t.Errorf("app:1 is %s, web runs %s, proof %s", l.tagged("app:1"), l.inspect(l.prefix+"web").Image, pretty(receipt.Proof))
	}
	// The tag does not move any more, so that there is nothing to undo: left out.
	if p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true}); err != nil || !strings.Contains(p.Blocked.String(), "docker compose pull") {
		t.Errorf("%v, %+v", err, p)
	}
	must(t, l.fixer.Undo(t.Context(), p.ID, nil))
	if l.tagged("app:1") != old {
		t.Error("the tag stayed where it was moved to")
	}

	for _, finish := range []bool{true, false} {
		p, err := l.fixer.Plan(t.Context(), l.imageOf(old), request)
		must(t, err)
		l.apply(p)
		e := l.entry(p.ID)
		e.State = ledger.Running
		must(t, l.ledger.Put(e))
		must(t, l.fixer.Recover(t.Context(), p.ID, finish, nil))
		if want := map[bool]string{true: fresh, false: old}[finish]; l.tagged("app:1") != want {
			t.Errorf("finish %t: the tag names %s", finish, l.tagged("app:1"))
		}
		if finish {
			must(t, l.fixer.Undo(t.Context(), p.ID, nil))
		}
	}
}

// An image that nothing keeps can be gone when the tag is to be put back.
func TestTagOfAnImageThatIsGone(t *testing.T) {
	l, old, fresh := composedLab(t)
	p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true, Fetched: fresh})
	must(t, err)
	l.apply(p)
	for _, name := range []string{"web", "db"} {
		_, err := l.cli.ContainerRemove(t.Context(), l.prefix+name, client.ContainerRemoveOptions{Force: true})
		must(t, err)
	}
	_, err = l.cli.ImageRemove(t.Context(), old, client.ImageRemoveOptions{Force: true})
	must(t, err)
	if err := l.fixer.CanUndo(t.Context(), p.ID); !errdefs.IsNotFound(err) {
		t.Errorf("%v", err)
	}
}

// Files that are not here, or an engine elsewhere, leave it to the user.
func TestComposeElsewhere(t *testing.T) {
	l, old, fresh := composedLab(t)
	dir := l.inspect(l.prefix + "web").Config.Labels[composeDir]
	must(t, os.Remove(filepath.Join(dir, "compose.yaml")))
	p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true, Fetched: fresh})
	if err != nil || len(p.Deploy) > 0 || !strings.Contains(p.Blocked.String(), "docker compose pull") {
		t.Errorf("%v, %+v", err, p)
	}
}
