package private_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"plimsoll/fixes/private"
)

func TestWriteReadRemove(t *testing.T) {
	d := private.Dir{Path: filepath.Join(t.TempDir(), "a", "b")}
	if names, err := d.Names(); err != nil || names != nil {
		t.Fatalf("names of a directory that does not exist: %v, %v", names, err)
	}
	if _, err := d.Read("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("read without a directory: %v", err)
	}
	for _, text := range []string{"one", "two"} {
		if err := d.Write("x", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Read("x"); err != nil || string(got) != text {
			t.Fatalf("read %q, %v", got, err)
		}
	}
	if err := d.Create("x", []byte("three")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("create over a file: %v", err)
	}
	if got, _ := d.Read("x"); string(got) != "two" {
		t.Fatalf("create changed the file to %q", got)
	}
	if names, err := d.Names(); err != nil || len(names) != 1 {
		t.Fatalf("temporary files are left: %v, %v", names, err)
	}
	if runtime.GOOS != "windows" {
		dir, _ := os.Stat(d.Path)
		file, _ := os.Stat(filepath.Join(d.Path, "x"))
		if dir.Mode().Perm() != 0o700 || file.Mode().Perm() != 0o600 {
			t.Errorf("modes %v and %v", dir.Mode(), file.Mode())
		}
	}
	if err := errors.Join(d.Remove("x"), d.Remove("x")); err != nil {
		t.Fatal(err)
	}
	if names, _ := d.Names(); len(names) != 0 {
		t.Fatalf("left: %v", names)
	}
}

func TestOthersAreKeptOut(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes and owners are a matter of Unix")
	}
	tests := []struct {
		name, want string
		make       func(t *testing.T, path string)
	}{
		{"open to others", "chmod 700", func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o755))
			must(t, os.Chmod(path, 0o755))
		}},
		{"symbolic link", "symbolic link", func(t *testing.T, path string) {
			must(t, os.Symlink(t.TempDir(), path))
		}},
		{"file", "not a directory", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, nil, 0o600))
		}},
		{"other owner", "another user", func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o700))
			if err := os.Chown(path, 65534, 65534); err != nil {
				t.Skip("only root can give directories away: ", err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := private.Dir{Path: filepath.Join(t.TempDir(), "d")}
			tt.make(t, d.Path)
			_, read := d.Read("x")
			for _, err := range []error{d.Write("x", nil), read} {
				if !errdefs.IsPermissionDenied(err) && tt.name != "file" || err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
			}
		})
	}
}

func TestLinksInsideAreNotRead(t *testing.T) {
	d := private.Dir{Path: filepath.Join(t.TempDir(), "d")}
	must(t, d.Write("x", nil))
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("theirs"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(d.Path, "y")))
	if data, err := d.Read("y"); err == nil {
		t.Errorf("read %q through a link", data)
	}
	must(t, d.Write("y", []byte("mine")))
	if data, _ := os.ReadFile(outside); string(data) != "theirs" {
		t.Errorf("wrote through a link: %q", data)
	}
}

func TestLock(t *testing.T) {
	d := private.Dir{Path: filepath.Join(t.TempDir(), "d")}
	release, err := d.Lock("l")
	must(t, err)
	if _, err := d.Lock("l"); !errdefs.IsConflict(err) {
		t.Fatalf("second lock: %v", err)
	}
	release()
	release, err = d.Lock("l")
	must(t, err)
	release()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
