package cli

import (
	"context"
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
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for !restores() {
		select {
		case <-ctx.Done():
			t.Fatalf("the engine has not taken it in:\n%s", out)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if _, out, _ := plimsoll(t, append(host, "check", "host", "--format", "json", "--fail-on", "never")...); strings.Contains(out, "daemon-live-restore-off") || !strings.Contains(out, "daemon-userland-proxy-on") {
		t.Errorf("afterwards:\n%s", out)
	}
	if code, out, errs := plimsoll(t, append(host, "undo", "--yes")...); code != exitClean {
		t.Errorf("undo: exit %d\n%s%s", code, out, errs)
	}
}
