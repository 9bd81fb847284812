//go:build unix

package tui

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/checks/inventory"
	"plimsoll/checks/runtime/sysdig"
)

// fakeSysdig puts a sysdig on the path that does what script says.
func fakeSysdig(t *testing.T, script string) sysdig.Tool {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\ncase \"$1\" in --version) echo sysdig version 0.29.3; exit;; --help) exit;; esac\n" + script
	if err := os.WriteFile(filepath.Join(dir, "sysdig"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return sysdig.Look(t.Context())
}

func TestSysdigPage(t *testing.T) {
	tool := fakeSysdig(t, `case "$*" in *topprocs_cpu*) printf '\033[2JCPU%%\n----\n9.00%%  xmrig\n';; *spy_users*) echo boom >&2; exit 2;; *topconns*) sleep 600;; esac`)
	l := &fakeLookout{tool: tool}
	m := newModel(t, Options{Lookout: l, ReadOnly: true}, 130, 45)
	drive(m, updateMsg(asked()))
	choose(t, m, "web")
	press(m, "w", "s")
	shows(t, m, "What sysdig tells of web")
	shows(t, m, "which processes use the CPU")
	shows(t, m, "cd / && sudo sysdig -p ")
	press(m, "enter")
	shows(t, m, "nothing of the kind happened")
	press(m, "j", "j", "enter")
	shows(t, m, "sysdig failed: boom")
	for range 6 {
		press(m, "j")
	}
	press(m, "enter")
	shows(t, m, "9.00%  xmrig")
	press(m, "k")
	press(m, "j") // what was answered is of another moment
	hides(t, m, "xmrig")
	press(m, "esc")
	if len(m.dialogs) != 1 {
		t.Errorf("%d pages", len(m.dialogs))
	}
	l.tool.Away = true
	press(m, "s")
	shows(t, m, "The engine is not on this machine", "sudo sysdig")
	press(m, "enter")
	shows(t, m, "not those of a remote engine")
	press(m, "esc")
	l.tool = sysdig.Tool{}
	press(m, "s")
	shows(t, m, "sysdig is not installed", "sudo sysdig")
}

// TestSysdigStops holds that esc ends what is asked, that nothing else happens
// meanwhile, and that no sysdig is left when the program ends.
func TestSysdigStops(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	tool := fakeSysdig(t, "echo $$ >>"+pids+"; sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	updates := make(chan inventory.Update, 1)
	updates <- asked()
	x := start(t, ctx, Options{Updates: updates, Lookout: &fakeLookout{tool: tool}}, 130, 45)
	x.waitFor(t, "container is privileged")
	x.press("/", "w", "e", "b", "enter", "down", "down", "w")
	x.waitFor(t, "ask sysdig")
	x.press("s")
	x.waitFor(t, "cd / && sudo sysdig")
	x.press("enter")
	x.waitFor(t, "sysdig looks on for")
	x.press("\x1b")
	x.waitFor(t, "esc close")
	x.press("enter")
	x.waitFor(t, "sysdig looks on for")
	for len(started(t, pids)) < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	x.waitExit(t)
	for _, pid := range started(t, pids) {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d lives on", pid)
		}
	}
}

// started returns the processes that wrote their numbers into a file.
func started(t *testing.T, path string) []int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
