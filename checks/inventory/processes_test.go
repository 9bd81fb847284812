package inventory

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestProcessesNamesThisOne(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /proc here")
	}
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	names := processes()
	if !slices.Contains(names, strings.TrimSpace(string(own))) || len(names) < 2 {
		t.Errorf("%q is not among %d processes", own, len(names))
	}
	for _, n := range names {
		if n == "" || strings.ContainsAny(n, "\n\x00") {
			t.Errorf("a process is called %q", n)
		}
	}
}
