package dockertest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/moby/moby/client"
)

// Private starts a Docker Engine for one test, apart from the one that the
// environment names: with files, a socket and a network of its own, so that it
// may join a swarm, be restarted and be damaged. Where none can be started the
// test is skipped, and says so. Containers of it are in no network but its own.
func Private(tb TB) *client.Client {
	tb.Helper()
	return PrivateWith(tb, "{}")
}

// PrivateWith is [Private] with a daemon.json and more arguments of dockerd.
func PrivateWith(tb TB, settings string, args ...string) *client.Client {
	tb.Helper()
	absent := tb.Skipf
	if os.Getenv(requireEngine) != "" {
		absent = tb.Fatalf
	}
	dir, err := os.MkdirTemp("", "plimsoll-engine-") // short: it holds a socket
	if err != nil {
		tb.Fatalf("private engine: %v", err)
	}
	var log bytes.Buffer
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		tb.Fatalf("private engine: %v", err)
	}
	engine := exec.Command("unshare", append([]string{"--net", "sh", "-c", `ip link set lo up && exec dockerd "$@"`, "dockerd",
		"--config-file", config, "--host", "unix://" + dir + "/d.sock", "--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid",
		"--storage-driver", "vfs", "--containerd-namespace", "plimsoll-" + filepath.Base(dir), "--containerd-plugins-namespace", "plimsoll-plugins-" + filepath.Base(dir)}, args...)...)
	engine.Stdout, engine.Stderr = &log, &log
	engine.WaitDelay = time.Second
	if err := engine.Start(); err != nil {
		os.RemoveAll(dir)
		absent("no private Docker Engine: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- engine.Wait() }()
	tb.Cleanup(func() {
		_ = engine.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = engine.Process.Kill()
			<-ended
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "exec", "netns", "*")); left != nil {
			_ = exec.Command("umount", left...).Run() // those that are still mounted
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Logf("private engine: %v", err)
		}
	})
	c, err := client.New(client.WithHost("unix://" + dir + "/d.sock"))
	if err != nil {
		tb.Fatalf("private engine: %v", err)
	}
	tb.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if _, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			return c
		}
		select {
		case err := <-ended:
			ended <- err
			absent("no private Docker Engine: it ends by itself (%v): %s", err, tail(log.Bytes()))
			return nil
		case <-ctx.Done():
			absent("no private Docker Engine: it does not answer within a minute")
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail returns the last few hundred bytes of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-600):] }
