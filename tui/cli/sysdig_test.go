//go:build unix

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSysdig asks a sysdig that only says what it was asked.
func TestSysdig(t *testing.T) {
	s := withWeb(t, "")
	dir := t.TempDir()
	text := "#!/bin/sh\ncase \"$1\" in --version) echo sysdig version 0.29.3; exit;; --help) exit;; esac\ncase \"$*\" in *topconns*) exit;; *topprocs_cpu*) yes all;; esac\necho \"$@\" --token=not-a-real-canary-5e\n"
	if err := os.WriteFile(filepath.Join(dir, "sysdig"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	ask := func(args ...string) (int, string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"watch", "--host", s.Host(), "--read-only"}, args...), &out, &errs, false, "test")
		return code, out.String(), errs.String()
	}
	code, out, errs := ask("--sysdig", "commands", "container:web", "--for", "3s")
	if code != exitClean || !strings.Contains(out, "-M 3 ") || !strings.Contains(out, "container.id=") || strings.Contains(out, "canary") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	code, out, errs = ask("--sysdig", "list", "web", "--lang", "de")
	if code != exitClean || !strings.Contains(out, "welche Prozesse die CPU nutzen") || !strings.Contains(out, "cd / && sudo sysdig -pc -c topprocs_cpu 'container.id=") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	for want, args := range map[string][]string{
		"nothing of the kind":       {"--sysdig", "connections", "web"},
		"more than is shown":        {"--sysdig", "cpu", "web"},
		"asked nothing called x":    {"--sysdig", "x", "web"},
		"name one container":        {"--sysdig", "cpu"},
		"nowhere":                   {"--sysdig", "cpu", "nowhere"},
		"none of the others can be": {"--sysdig", "cpu", "web", "--falco-rules", "-"},
	} {
		code, _, errs := ask(args...)
		if good := strings.Contains("nothing of the kind, more than is shown", want); (code == exitClean) != good || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	var all bytes.Buffer
	if code := run(t.Context(), []string{"watch", "--demo", "--sysdig", "cpu", "shop-web-1"}, &all, &all, false, "test"); code != exitError {
		t.Errorf("exit %d: %s", code, all.String())
	}
}
