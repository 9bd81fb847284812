//go:build unix

package scanner

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestSweep removes what killed processes have left, and nothing else.
func TestSweep(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	make := func(name string, mode os.FileMode, files ...string) string {
		t.Helper()
		dir := filepath.Join(tmp, name)
		if err := os.Mkdir(dir, mode); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, f), []byte("layers"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	live, err := newFolder()
	if err != nil {
		t.Fatal(err)
	}
	killed := make("plimsoll-scan-killed", 0o700, lockName, "image.tar")
	link(outside, filepath.Join(killed, "trivy"))
	make("plimsoll-scan-early", 0o700, "image.tar")
	make("plimsoll-scan-open", 0o755, lockName)
	make("plimsoll-demo-1", 0o700, lockName)
	link(outside, filepath.Join(tmp, "plimsoll-scan-link"))
	odd := make("plimsoll-scan-odd", 0o700)
	link(filepath.Join(outside, "precious"), filepath.Join(odd, lockName))
	if err := os.WriteFile(filepath.Join(tmp, "plimsoll-scan-file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	left := func() []string {
		entries, err := os.ReadDir(tmp)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	all := left()
	Sweep()
	if got := left(); !slices.Equal(got, all) {
		t.Errorf("what is new is swept: %q are left", got)
	}
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(names, n) })
	}
	sweep(tmp, time.Now().Add(2*unlocked))
	if got, want := left(), without("plimsoll-scan-killed"); !slices.Equal(got, want) {
		t.Errorf("%q are left, want %q", got, want)
	}
	sweep(tmp, time.Now().Add(2*neverHeld))
	if got, want := left(), without("plimsoll-scan-killed", "plimsoll-scan-early"); !slices.Equal(got, want) {
		t.Errorf("%q are left after a day, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
	live.remove()
	if _, err := os.Stat(live.path); err == nil {
		t.Error("a folder that is done with is still there")
	}
}
