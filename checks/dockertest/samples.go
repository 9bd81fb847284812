package dockertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Samples returns the directory of databases of a package manager ("rpm", "apk")
// of real distributions, which a module among our dependencies brings along for
// its own tests. Without it the test is skipped.
func Samples(tb TB, manager string) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "extractor", "filesystem", "os", manager, "testdata")
	if _, missing := os.Stat(dir); err != nil || missing != nil {
		tb.Skipf("no databases of %s to read: %v, %v", manager, err, missing)
	}
	return dir
}
