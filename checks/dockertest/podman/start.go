package podman

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// A Podman runs by itself, with a store of its own.
type Podman struct {
	Address string // of its service
	dir     string
}

// Start runs a service of Podman until t ends. Where there is none, t is skipped.
func Start(t testing.TB) *Podman {
	t.Helper()
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("podman is not installed: that it is judged as it really answers is not tested")
	}
	if os.Getuid() != 0 {
		t.Skip("Podman's store of a test's own needs root here: not tested")
	}
	dir, err := os.MkdirTemp("", "podman-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	p := &Podman{"unix://" + filepath.Join(dir, "s"), dir}
	t.Cleanup(func() { os.RemoveAll(dir) })
	service := exec.Command("podman", p.args("system", "service", "-t", "0", p.Address)...)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Process.Kill(); _ = service.Wait() })
	c, err := client.New(client.WithHost(p.Address))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err = c.Ping(t.Context(), client.PingOptions{}); err == nil {
			return p
		}
		if time.Now().After(deadline) {
			t.Skipf("podman does not start here, so it is not tested: %v", err)
		}
	}
}

func (p *Podman) args(args ...string) []string {
	return append([]string{"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--storage-driver", "vfs", "--events-backend", "file"}, args...)
}

// Do runs a command of podman.
func (p *Podman) Do(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("podman", p.args(args...)...).CombinedOutput(); err != nil {
		t.Fatalf("podman %q: %v\n%s", args, err, out)
	}
}

// Archive returns the file of an image's only layer, for podman import.
func (p *Podman) Archive(t testing.TB) string {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o755}), w.Close()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(p.dir, "layer.tar")
	if err := os.WriteFile(name, layer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
