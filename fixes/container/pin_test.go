package container

import (
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// A container that follows a moving tag is made anew from the same image by its
// digest, and nothing else changes.
func TestPinned(t *testing.T) {
	l := memoryLab(t)
	image := dockertest.Probe("app:latest")
	digest := "sha256:" + strings.Repeat("ab", 32)
	image.Digests = []string{l.prefix + "app@" + digest}
	l.load(image)
	name := l.prefix + "app"
	l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:latest", Cmd: []string{"-serve", ":8080"}}})
	before := l.inspect(name)
	plan := l.planFor(name, "container-image-mutable-ref")
	if len(plan.Cures) != 1 || !strings.Contains(strings.Join(plan.Commands(), "\n"), name+":latest@"+digest) {
		t.Errorf("cures %v by\n%s", plan.Cures, strings.Join(plan.Commands(), "\n"))
	}
	receipt := l.apply(plan)
	after := l.inspect(name)
	if after.Config.Image != name+":latest@"+digest || after.Image != before.Image || len(receipt.Cured) != 1 {
		t.Errorf("runs %s, %s; was %s", after.Config.Image, after.Image, before.Image)
	}
	l.same(before, after)
	if err := l.fixer.Undo(t.Context(), receipt.Entry, nil); err != nil {
		t.Fatal(err)
	}
	if now := l.inspect(name); now.ID != before.ID {
		t.Error("undone, it is another")
	}
}
