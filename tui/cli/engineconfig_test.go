package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// A real engine of its own takes in an option that was written into its file,
// without a restart, and the finding is gone.
func TestEngineTakesInItsFile(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	home(t)
	engine := dockertest.Private(t)
	host := []string{"--host", engine.DaemonHost()}
	restores := func() bool {
		info, err := engine.Info(t.Context(), client.InfoOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return info.Info.LiveRestoreEnabled
	}
	if restores() {
		t.Fatal("the engine restores already")
	}
	code, out, errs := plimsoll(t, append(host, "fix", "host", "--check", "daemon-live-restore-off", "--yes", "--up")...)
	if code != exitClean {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	until := time.Now().Add(20 * time.Second)
	for !restores() {
		if time.Now().After(until) {
			t.Fatalf("the engine has not taken it in:\n%s", out)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, out, _ := plimsoll(t, append(host, "check", "host", "--format", "json", "--fail-on", "never")...); strings.Contains(out, "daemon-live-restore-off") || !strings.Contains(out, "daemon-userland-proxy-on") {
		t.Errorf("afterwards:\n%s", out)
	}
	// A reload does not take an option away again, and no service starts this one.
	code, out, errs = plimsoll(t, append(host, "undo", "--yes")...)
	if code != exitClean || !strings.Contains(out, "when it is started the next time") || !restores() {
		t.Errorf("undo: exit %d\n%s%s", code, out, errs)
	}
}
