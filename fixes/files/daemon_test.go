package files_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/host"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A daemonBench is an engine's configuration file and a fixer over it.
type daemonBench struct {
	*fixer.Dispatcher
	path string
}

func newDaemonBench(t *testing.T) *daemonBench {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // without a dockerd that has an opinion
	dir := t.TempDir()
	return &daemonBench{path: filepath.Join(dir, "daemon.json"), Dispatcher: fixer.New(fixer.Options{
		Ledger: ledger.New(filepath.Join(t.TempDir(), "state")),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Host: files.New(checks.Host, files.Options{Checks: host.Checks(), Policy: &checks.Policy{Profile: checks.All}, Secrets: filepath.Join(t.TempDir(), "secrets")}),
		},
	})}
}

// subject returns an engine with that file, or with none, that is configured
// as engines come.
func (b *daemonBench) subject(t *testing.T) *host.Host {
	t.Helper()
	d := &host.Daemon{File: b.path, Reload: []string{"reload-it"}, Restart: []string{"restart-it"}}
	if source, err := os.ReadFile(b.path); !errors.Is(err, os.ErrNotExist) {
		must(t, err)
		d.Source = append([]byte{}, source...)
		d.Config, err = host.ParseDaemonConfig(source)
		must(t, err)
	}
	h := &host.Host{Daemon: d}
	h.Info.ID, h.Info.Name, h.Info.OSType, h.Info.LoggingDriver = "id", "box", "linux", "json-file"
	return h
}

func (b *daemonBench) plan(t *testing.T, ids ...string) *fixes.Plan {
	t.Helper()
	r := b.request(t, ids...)
	if len(r.Findings) != len(ids) {
		t.Fatalf("%d findings of %v", len(r.Findings), ids)
	}
	p, err := b.Plan(t.Context(), b.subject(t), r)
	must(t, err)
	return p
}

// Several options come into a file together, everything else keeps its bytes
// and its rights, and undo brings the old file back.
func TestDaemonFile(t *testing.T) {
	b := newDaemonBench(t)
	const before = "{\n\t\"mtu\": 1400,\n\t\"log-opts\": {\"tag\": \"x\"}\n}\n"
	must(t, os.WriteFile(b.path, []byte(before), 0o640))
	p := b.plan(t, "daemon-live-restore-off", "daemon-log-rotation-missing", "daemon-userland-proxy-on", "daemon-ulimits-default")
	if !p.Blocked.IsZero() || !slices.Equal(p.Deploy, []string{"restart-it"}) || len(p.Cures) < 4 {
		t.Fatalf("blocked %s, deploy %v, cures %d", p.Blocked, p.Deploy, len(p.Cures))
	}
	r, err := b.Apply(t.Context(), p, nil)
	must(t, err)
	after, err := os.ReadFile(b.path)
	must(t, err)
	for _, want := range []string{"{\n\t\"mtu\": 1400,\n\t\"log-opts\": {", `"tag":"x"`, `"max-size":"10m"`, ",\n\t\"live-restore\": true", ",\n\t\"userland-proxy\": false", `"Soft":65536`} {
		if !strings.Contains(string(after), want) {
			t.Errorf("%q is not in\n%s", want, after)
		}
	}
	if info, err := os.Stat(b.path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, f := range checks.Run(b.subject(t), host.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "daemon-log-rotation-missing" || f.Check.ID == "daemon-userland-proxy-on" || f.Check.ID == "daemon-ulimits-default" {
			t.Errorf("%s is still there", f.Check.ID)
		}
	}
	must(t, b.Undo(t.Context(), r.Entry, nil))
	if now, err := os.ReadFile(b.path); err != nil || string(now) != before {
		t.Errorf("undone to\n%s, %v", now, err)
	}
}

// A reload is enough where it is, and a file that is not there yet is made, and
// gone after undo.
func TestDaemonFileIsMade(t *testing.T) {
	b := newDaemonBench(t)
	p := b.plan(t, "daemon-live-restore-off")
	if !p.Blocked.IsZero() || !slices.Equal(p.Deploy, []string{"reload-it"}) || len(p.Files) != 1 || !p.Files[0].Created {
		t.Fatalf("blocked %s, deploy %v, files %+v", p.Blocked, p.Deploy, p.Files)
	}
	r, err := b.Apply(t.Context(), p, nil)
	must(t, err)
	if now, err := os.ReadFile(b.path); err != nil || string(now) != "{\n  \"live-restore\": true\n}\n" {
		t.Errorf("%q, %v", now, err)
	}
	must(t, b.Undo(t.Context(), r.Entry, nil))
	if _, err := os.Lstat(b.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after undo: %v", err)
	}
}

// What dockerd refuses is not written, with its own words.
func TestDaemonFileThatDockerdRefuses(t *testing.T) {
	b := newDaemonBench(t)
	must(t, os.WriteFile(b.path, []byte(`{"mtu": "odd"}`), 0o644))
	for script, blocked := range map[string]bool{
		"#!/bin/sh\necho \"unable to configure: $3: mtu is no number\" >&2\nexit 1\n": true,
		"#!/bin/sh\necho 'unknown flag: --validate' >&2\nexit 125\n":                  false, // an engine before 23
		"#!/bin/sh\nexit 0\n": false,
	} {
		must(t, os.WriteFile(filepath.Join(os.Getenv("PATH"), "dockerd"), []byte(script), 0o755))
		p := b.plan(t, "daemon-live-restore-off")
		if p.Blocked.IsZero() == blocked {
			t.Errorf("%s: blocked %q", script, p.Blocked)
		}
		if says := p.Blocked.String(); blocked && (!strings.Contains(says, b.path) || strings.Contains(says, "plimsoll-daemon-")) {
			t.Errorf("blocked with %q", says)
		}
	}
}

// A link out of the directory is not followed, and what somebody else wrote
// meanwhile is not overwritten.
func TestDaemonFileOfOthers(t *testing.T) {
	b := newDaemonBench(t)
	other := filepath.Join(t.TempDir(), "other.json")
	must(t, os.WriteFile(other, []byte("{}"), 0o644))
	must(t, os.Symlink(other, b.path))
	if p, err := b.Plan(t.Context(), b.subject(t), b.request(t, "daemon-live-restore-off")); err == nil && p.Blocked.IsZero() {
		t.Error("a link is written through")
	}
	must(t, os.Remove(b.path))
	p := b.plan(t, "daemon-live-restore-off")
	must(t, os.WriteFile(b.path, []byte(`{"mtu": 1}`), 0o644))
	if _, err := b.Apply(t.Context(), p, nil); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("written over a file that came meanwhile: %v", err)
	}
	if now, _ := os.ReadFile(b.path); string(now) != `{"mtu": 1}` {
		t.Errorf("it is %s now", now)
	}
}

func (b *daemonBench) request(t *testing.T, ids ...string) (r fixes.Request) {
	t.Helper()
	for _, f := range checks.Run(b.subject(t), host.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if slices.Contains(ids, f.Check.ID) {
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}
