//go:build unix

package signature

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKeyIsFile has a project name a pipe as its key, which would be waited for.
func TestKeyIsFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Load([]Rule{{Images: []string{"acme"}, Keys: []string{pipe}}})
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%v", err)
		}
	case <-time.After(2 * time.Second):
		t.Error("waits for somebody to write a key")
	}
}
