package ledger_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes/ledger"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func entry(at time.Time) ledger.Entry {
	return ledger.Entry{
		ID:        ledger.NewID(at),
		Time:      at,
		Title:     "pin the digest",
		Mechanism: "patch",
		Subject:   checks.Ref{Kind: checks.Dockerfile, ID: "/srv/app/Dockerfile", Name: "Dockerfile"},
		State:     ledger.Applied,
		Inverse:   json.RawMessage(`{"a":1}`),
		Commands:  []string{},
		Checks:    []string{"base-image-untagged"},
	}
}

func TestDir(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	for state, want := range map[string]string{
		"":         "/home/me/.local/state/plimsoll",
		"/state":   "/state/plimsoll",
		"relative": "/home/me/.local/state/plimsoll",
	} {
		t.Setenv("XDG_STATE_HOME", state)
		if got, err := ledger.Dir(); err != nil || got != want {
			t.Errorf("XDG_STATE_HOME=%q: %q, %v", state, got, err)
		}
	}
}

func TestEntriesSurvive(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plimsoll")
	l := ledger.New(dir)
	if entries, damaged, err := l.Entries(); len(entries)+len(damaged) != 0 || err != nil {
		t.Fatalf("a ledger that was never used: %v, %v, %v", entries, damaged, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("reading created the directory")
	}
	var ids []string
	for n := range 3 {
		e := entry(noon.Add(time.Duration(n) * time.Hour))
		if err := l.Put(e); err != nil {
			t.Fatal(err)
		}
		ids = append([]string{e.ID}, ids...)
	}
	again := ledger.New(dir)
	entries, damaged, err := again.Entries()
	if err != nil || len(damaged) != 0 {
		t.Fatal(damaged, err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.ID)
	}
	if !reflect.DeepEqual(got, ids) {
		t.Errorf("order %v, want the newest first: %v", got, ids)
	}
	e, err := again.Entry(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	e.State = ledger.Undone
	if err := again.Put(e); err != nil {
		t.Fatal(err)
	}
	if e, _ = l.Entry(ids[0]); e.State != ledger.Undone {
		t.Errorf("state %s after it was replaced", e.State)
	}
}

//scenario:16
func TestDamagedFilesAreKeptAndReported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plimsoll")
	l := ledger.New(dir)
	good := entry(noon)
	if err := l.Put(good); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, good.ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"truncated.json": string(whole[:len(whole)/2]),
		"empty.json":     "",
		"foreign.json":   `{"name":"of another program"}`,
		"copied.json":    string(whole), // says that it is another entry
	}
	for name, text := range bad {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "."+good.ID+".json.tmp"), whole[:9], 0o600); err != nil {
		t.Fatal(err)
	}
	entries, damaged, err := l.Entries()
	if err != nil || len(entries) != 1 || entries[0].ID != good.ID {
		t.Fatalf("entries %v, %v", entries, err)
	}
	if len(damaged) != len(bad) {
		t.Errorf("reported %v, want %d", damaged, len(bad))
	}
	for name, text := range bad {
		if now, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(now) != text {
			t.Errorf("%s was not left alone: %q, %v", name, now, err)
		}
		reported := false
		for _, err := range damaged {
			reported = reported || strings.Contains(err.Error(), name)
		}
		if !reported {
			t.Errorf("%s is not named in %v", name, damaged)
		}
	}
}

func TestIDsCannotLeaveTheLedger(t *testing.T) {
	l := ledger.New(filepath.Join(t.TempDir(), "plimsoll"))
	for _, id := range []string{"", "../x", "a/b", ".hidden", "a\x00b", `a\b`} {
		e := entry(noon)
		e.ID = id
		if err := l.Put(e); !errdefs.IsInvalidArgument(err) {
			t.Errorf("put %q: %v", id, err)
		}
		if _, err := l.Entry(id); !errdefs.IsInvalidArgument(err) {
			t.Errorf("entry %q: %v", id, err)
		}
	}
	if _, err := l.Entry("unknown"); !errdefs.IsNotFound(err) {
		t.Errorf("unknown entry: %v", err)
	}
}

func TestIDsSortByTime(t *testing.T) {
	last := ""
	for n := range 5 {
		id := ledger.NewID(noon.Add(time.Duration(n) * time.Millisecond))
		if id <= last {
			t.Errorf("%s after %s", id, last)
		}
		last = id
	}
}

func TestLockByName(t *testing.T) {
	l := ledger.New(filepath.Join(t.TempDir(), "plimsoll"))
	release, err := l.Lock("one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lock("one"); !errdefs.IsConflict(err) {
		t.Errorf("one was locked twice: %v", err)
	}
	other, err := l.Lock("two")
	if err != nil {
		t.Fatalf("two is not one: %v", err)
	}
	other()
	release()
}
