package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	return PrivateEngine(tb, settings, args...).Client
}

// An Engine is a private one, which can be killed and started again.
type Engine struct {
	*client.Client
	tb      TB
	dir     string // short: it holds a socket
	args    []string
	log     *bytes.Buffer // of the last run
	command *exec.Cmd
	ended   chan error
}

// PrivateEngine is [PrivateWith] with a handle on the engine itself.
func PrivateEngine(tb TB, settings string, args ...string) *Engine {
	tb.Helper()
	absent := tb.Skipf
	if os.Getenv(requireEngine) != "" {
		absent = tb.Fatalf
	}
	dir, err := os.MkdirTemp("", "plimsoll-engine-")
	if err != nil {
		tb.Fatalf("private engine: %v", err)
	}
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		tb.Fatalf("private engine: %v", err)
	}
	e := &Engine{tb: tb, dir: dir, args: append([]string{"--net", "sh", "-c", `ip link set lo up && exec dockerd "$@"`, "dockerd",
		"--config-file", config, "--host", "unix://" + dir + "/d.sock", "--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid",
		"--storage-driver", "vfs", "--containerd-namespace", "plimsoll-" + filepath.Base(dir), "--containerd-plugins-namespace", "plimsoll-plugins-" + filepath.Base(dir)}, args...)}
	if e.Client, err = client.New(client.WithHost("unix://" + dir + "/d.sock")); err != nil {
		tb.Fatalf("private engine: %v", err)
	}
	tb.Cleanup(func() { e.Client.Close() })
	tb.Cleanup(e.remove)
	if err := e.Start(); err != nil {
		absent("no private Docker Engine: %v", err)
	}
	return e
}

// Start starts the engine, which must not run, and waits until it answers.
func (e *Engine) Start() error {
	e.log = &bytes.Buffer{}
	e.command = exec.Command("unshare", e.args...)
	e.command.Stdout, e.command.Stderr = e.log, e.log
	e.command.WaitDelay = time.Second
	if err := e.command.Start(); err != nil {
		e.command = nil
		return err
	}
	ended := make(chan error, 1)
	e.ended = ended
	go func(command *exec.Cmd) { ended <- command.Wait() }(e.command)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if _, err := e.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it ends by itself (%w): %s", err, tail(e.log.Bytes()))
		case <-ctx.Done():
			return errors.New("it does not answer within a minute")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Kill ends the engine at once, as a crash does: what it was doing stays
// half-done, and its containers run on until it is started again.
func (e *Engine) Kill() {
	pid, _ := os.ReadFile(filepath.Join(e.dir, "exec", "containerd", "containerd.pid"))
	_ = e.command.Process.Kill() // it may have ended
	<-e.ended
	e.ended <- nil
	// Its containerd dies with it, a little later. An engine that finds one
	// alive waits for that in vain.
	id, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	for range 200 {
		if p, found := os.FindProcess(id); err != nil || found != nil || p.Signal(syscall.Signal(0)) != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Stop ends the engine as a restart of its service does.
func (e *Engine) Stop() {
	_ = e.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case err := <-e.ended:
		e.ended <- err
	case <-time.After(30 * time.Second):
		e.Kill()
	}
}

func (e *Engine) remove() {
	if e.command != nil {
		e.Stop()
	}
	left, _ := filepath.Glob(filepath.Join(e.dir, "exec", "netns", "*"))
	_ = exec.Command("umount", append(left, filepath.Join(e.dir, "data"))...).Run() // those that are still mounted
	if err := os.RemoveAll(e.dir); err != nil {
		e.tb.Logf("private engine: %v", err)
	}
}

// tail returns the last few hundred bytes of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-600):] }
