package build

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func packed(t *testing.T, dir, dockerfile string, changed map[string][]byte) []string {
	t.Helper()
	r, err := Pack(dir, dockerfile, changed)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for archive := tar.NewReader(r); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimRight(head.Name+" "+head.Linkname+string(data), " "))
	}
}

func TestPack(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	for path, text := range map[string]string{
		"Dockerfile": "FROM scratch", ".dockerignore": "*.md\nsub\n!sub/kept\nDockerfile\n",
		"a.md": "a", "b.txt": "b", "sub/kept": "k", "sub/lost": "l", outside: "nobody",
	} {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	ignore := ".dockerignore *.md\nsub\n!sub/kept\nDockerfile\n"
	want := []string{ignore, "Dockerfile FROM scratch", "b.txt b", "link " + outside, "sub/kept k"}
	if got := packed(t, dir, "Dockerfile", nil); !slices.Equal(got, want) {
		t.Errorf("packed %q, want %q", got, want)
	}
	// The list that is for one Dockerfile alone wins, also one that is not there yet.
	want = []string{"Dockerfile FROM b", "Dockerfile.dockerignore *\n", ignore}
	slices.Sort(want)
	if got := packed(t, dir, "Dockerfile", map[string][]byte{"Dockerfile": []byte("FROM b"), "Dockerfile.dockerignore": []byte("*\n")}); !slices.Equal(got, want) {
		t.Errorf("packed %q, want %q", got, want)
	}
	if got := packed(t, dir, "Dockerfile", map[string][]byte{".dockerignore": nil, "b.txt": nil}); !slices.Contains(got, "a.md a") || slices.Contains(got, "b.txt b") {
		t.Errorf("packed %q", got)
	}
	if _, err := Pack(dir, "Dockerfile", map[string][]byte{".dockerignore": []byte("[\n")}); err == nil {
		t.Error("a list that cannot be read is passed over")
	}
}
