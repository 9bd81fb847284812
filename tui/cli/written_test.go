package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// What a container wrote is asked about by name, in the user's language, and the
// file that it is saved in is listed for as long as it is there.
func TestFixSavesWhatWasWritten(t *testing.T) {
	home(t)
	server := dockertest.Run(t)
	t.Setenv("DOCKER_HOST", server.Host())
	server.AddImage(dockertest.Image{Tags: []string{"app:1"}, Run: dockertest.Behaviour{Writes: map[string]string{"/state/log": "started"}}})
	if _, err := server.AddContainer(dockertest.Container{Name: "web", Config: api.Config{Image: "app:1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Client(t).ContainerStop(t.Context(), "web", client.ContainerStopOptions{}); err != nil {
		t.Fatal(err)
	}
	fix := []string{"fix", "container:web", "--check", "container-new-privileges-allowed"}
	code, out, errs := plimsoll(t, append(fix, "--dry-run", "--lang", "de")...)
	for _, want := range []string{"Wahl: was er außerhalb von Volumes schrieb (--set written=leave)", "carry: in den Ersatz kopieren", "save: als tar-Datei sichern", "commit: ein Image daraus machen", "/state/log"} {
		if !strings.Contains(out, want) {
			t.Errorf("exit %d: no %q in\n%s%s", code, want, out, errs)
		}
	}
	if code, _, errs = plimsoll(t, append(fix, "--yes", "--set", "written=burn")...); code != exitError || !strings.Contains(errs, "use one of leave, carry, save, commit") {
		t.Errorf("exit %d: %s", code, errs)
	}
	code, out, errs = plimsoll(t, append(fix, "--yes", "--set", "written=save")...)
	saved := regexp.MustCompile(`is saved in (/\S+\.tar): 1 paths, 8B`).FindStringSubmatch(out)
	if code != exitClean || saved == nil {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	if info, err := os.Stat(saved[1]); err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if code, out, errs = plimsoll(t, "undo", "--yes"); code != exitClean || !strings.Contains(out, "keeps "+saved[1]) {
		t.Errorf("exit %d: %s\n%s", code, errs, out)
	}
	if _, out, _ = plimsoll(t, "undo", "--list"); !strings.Contains(out, "keeps "+saved[1]) {
		t.Errorf("not listed:\n%s", out)
	}
	if err := os.Remove(saved[1]); err != nil {
		t.Fatal(err)
	}
	if _, out, _ = plimsoll(t, "undo", "--list"); strings.Contains(out, saved[1]) {
		t.Errorf("listed, though it is gone:\n%s", out)
	}
}
