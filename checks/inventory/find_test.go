package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"plimsoll/checks"
)

// write makes a file below dir, and the directories it needs.
func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(t *testing.T, root string, dir string) []string {
	t.Helper()
	found, err := find(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, ref := range found.files {
		rel, err := filepath.Rel(dir, ref.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(ref.Kind)+" "+rel)
	}
	slices.Sort(out)
	return out
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, ".git/HEAD", "")
	write(t, dir, ".git/Dockerfile", "")
	write(t, dir, ".gitignore", "build/\n*.local\n/only-root/\n")
	for _, name := range []string{
		"Dockerfile", "api.Dockerfile", "Dockerfile.dev", "Containerfile", "compose.yaml", "docker-compose.prod.yml",
		"build/Dockerfile", "a/build/Dockerfile", "Dockerfile.local", "only-root/Dockerfile", "a/only-root/Dockerfile",
		"Dockerfile.dockerignore", "Dockerfile.md", "Dockerfile~", "notes.txt", "node_modules/x/Dockerfile",
		"kept/Dockerfile", "kept/secret/Dockerfile",
	} {
		write(t, dir, name, "FROM scratch\n")
	}
	write(t, dir, "kept/.gitignore", "secret\n")
	outside := write(t, t.TempDir(), "Dockerfile", "FROM scratch\n")
	for link, target := range map[string]string{"Dockerfile.link": outside, "linked": filepath.Dir(outside)} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"compose compose.yaml", "compose docker-compose.prod.yml",
		"dockerfile Containerfile", "dockerfile Dockerfile", "dockerfile Dockerfile.dev",
		"dockerfile a/only-root/Dockerfile", "dockerfile api.Dockerfile", "dockerfile kept/Dockerfile",
	}
	if got := names(t, dir, dir); !slices.Equal(got, want) {
		t.Errorf("found\n%q\nwant\n%q", got, want)
	}
	t.Run("the repository's .gitignore counts below it", func(t *testing.T) {
		want := []string{"dockerfile a/only-root/Dockerfile"}
		if got := names(t, filepath.Join(dir, "a"), dir); !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
	})
	t.Run("a file that is named is taken", func(t *testing.T) {
		for name, kind := range map[string]checks.Kind{"notes.txt": checks.Dockerfile, "compose.yaml": checks.Compose, "Dockerfile.local": checks.Dockerfile} {
			want := []string{string(kind) + " " + name}
			if got := names(t, filepath.Join(dir, name), dir); !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		}
	})
	t.Run("a missing root is an error", func(t *testing.T) {
		if _, err := find(t.Context(), filepath.Join(dir, "missing"), ""); !os.IsNotExist(err) {
			t.Errorf("error %v, want one of a missing file", err)
		}
	})
}

func TestRecogniseIgnoresCase(t *testing.T) {
	for name, want := range map[string]checks.Kind{
		"dockerfile": checks.Dockerfile, "DOCKERFILE.Prod": checks.Dockerfile, "web.containerfile": checks.Dockerfile,
		"Compose.YML": checks.Compose, "docker-compose.override.yaml": checks.Compose,
		"composer.yaml": "", "mydockerfile": "", "Dockerfile.tmpl": "", "compose.json": "",
	} {
		kind, ok := Recognise(name)
		if kind != want || ok != (want != "") {
			t.Errorf("Recognise(%q) = %q, %v; want %q", name, kind, ok, want)
		}
	}
}

// BenchmarkFind is the walk over a tree of 10,000 files in 500 directories.
// Its floor is reading the directories alone.
func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	for d := range 500 {
		for f := range 20 {
			write(b, dir, fmt.Sprintf("d%d/f%d.go", d, f), "")
		}
	}
	write(b, dir, ".gitignore", "*.o\nvendor/\n")
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				_, _ = os.ReadDir(filepath.Join(dir, e.Name()))
			}
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if _, err := find(b.Context(), dir, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
