//go:build unix

package program

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

var roomy = Limits{Time: 20 * time.Second, Output: 1 << 20}

func TestRun(t *testing.T) {
	t.Setenv("CANARY", "secret")
	out, err := Run(t.Context(), Command{Path: script(t, `cat; env; echo complaint >&2; exit 3`), Env: []string{"A=b"}, Stdin: []byte("in\n")}, roomy)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || out.Code != 3 {
		t.Errorf("%v, code %d", err, out.Code)
	}
	if !strings.HasPrefix(string(out.Stdout), "in\n") || !strings.Contains(string(out.Stdout), "A=b") || strings.Contains(string(out.Stdout), "CANARY") {
		t.Errorf("stdout %q", out.Stdout)
	}
	if string(out.Stderr) != "complaint\n" {
		t.Errorf("stderr %q", out.Stderr)
	}
	if out, _ := Run(t.Context(), Command{Path: script(t, `env`)}, roomy); strings.Contains(string(out.Stdout), "CANARY") {
		t.Error("an empty environment was filled with ours")
	}
}

func TestFlood(t *testing.T) {
	out, err := Run(t.Context(), Command{Path: script(t, `yes flood`), Env: []string{"PATH=/usr/bin:/bin"}}, Limits{Time: 20 * time.Second, Output: 10000})
	if !errors.Is(err, ErrOutput) || len(out.Stdout) > 10000 {
		t.Errorf("%v after %d bytes", err, len(out.Stdout))
	}
	out, err = Run(t.Context(), Command{Path: script(t, `i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done >&2`)}, roomy)
	if err != nil || len(out.Stderr) > mostErrors || !strings.HasSuffix(string(out.Stderr), "19999\n") {
		t.Errorf("%v: stderr of %d bytes ends %q", err, len(out.Stderr), out.Stderr[max(0, len(out.Stderr)-20):])
	}
}

// TestHang ends a program that ignores signals, and the child that it left.
func TestHang(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	hangs := script(t, `trap '' TERM INT HUP
(sleep 600 & echo $! >`+pids+`; wait) &
sleep 600`)
	_, err := Run(t.Context(), Command{Path: hangs, Env: []string{"PATH=/usr/bin:/bin"}}, Limits{Time: 300 * time.Millisecond, Output: 10})
	if !errors.Is(err, ErrTime) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := Run(ctx, Command{Path: hangs, Env: []string{"PATH=/usr/bin:/bin"}}, roomy); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	for range 100 {
		if state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err != nil && syscall.Kill(pid, 0) != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d lives on", pid)
}

func TestAbsent(t *testing.T) {
	if _, err := Run(t.Context(), Command{Path: "/nowhere/at/all"}, roomy); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestFileSize needs nothing but a shell: dd writes more than it may.
func TestFileSize(t *testing.T) {
	if _, err := os.Stat("/proc/self/limits"); err != nil {
		t.Skip("no bounds of processes here")
	}
	path := filepath.Join(t.TempDir(), "big")
	// It waits a moment, since it is bounded just after it began.
	_, err := Run(t.Context(), Command{Path: script(t, `sleep 0.2; dd if=/dev/zero of=`+path+` bs=1000 count=100`), Env: []string{"PATH=/usr/bin:/bin"}}, Limits{Time: 20 * time.Second, Output: 100, File: 5000})
	if info, statErr := os.Stat(path); err == nil || statErr != nil || info.Size() > 5000 {
		t.Errorf("%v, %v", err, info)
	}
}
