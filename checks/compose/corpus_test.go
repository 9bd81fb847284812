package compose

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plimsoll/checks"
)

// corpus returns the compose files in a folder of the reference material
// beside the module.
func corpus(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "corpus", folder, "*.y*ml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no reference material in ../shared/corpus/%s", folder)
	}
	return files
}

// version1 are files from before Compose had services.
var version1 = map[string]bool{
	"docker__labs__security__apparmor__wordpress__docker-compose.yml": true,
}

func TestRealFiles(t *testing.T) {
	for _, path := range corpus(t, "compose") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := Load(abs, filepath.Base(path))
			if version1[filepath.Base(path)] {
				if err == nil {
					t.Error("loaded, which docker compose does not")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(file.Services) == 0 {
				t.Error("no services")
			}
			report := checks.Run(file, Checks(), nil)
			for _, err := range report.Errors {
				t.Error(err)
			}
			for _, f := range report.Findings {
				if f.Line < 1 || f.EndLine < f.Line {
					t.Errorf("%s: lines %d to %d", f.ID(), f.Line, f.EndLine)
				}
			}
		})
	}
}

//scenario:71
func TestHostileFiles(t *testing.T) {
	for _, path := range corpus(t, "adversarial/compose") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			file, err := Parse(filepath.Join(t.TempDir(), "compose.yml"), "compose.yml", source)
			if err == nil {
				for _, err := range checks.Run(file, Checks(), nil).Errors {
					t.Error(err)
				}
			}
			if errors.Is(err, errPanic) {
				t.Error(err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}
