package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks/runtime/falco"
)

// TestFalcoRules writes rules of what the configuration declares, and refuses
// to replace what it did not write.
func TestFalcoRules(t *testing.T) {
	const config = "runtime: {normal: {web: {programs: [serve], ports: [80]}}}\n"
	path := filepath.Join(t.TempDir(), "rules.yaml")
	s := withWeb(t, config)
	write := func(args ...string) (int, string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"watch", "--host", s.Host(), "--falco-rules", path}, args...), &out, &errs, false, "test")
		return code, out.String(), errs.String()
	}
	const foreign = "- list: mine\n  items: []\n"
	if err := os.WriteFile(path, []byte(foreign), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := write()
	if data, _ := os.ReadFile(path); code != exitError || string(data) != foreign || !strings.Contains(errs, "was not written by plimsoll") {
		t.Errorf("exit %d, %s\n%s", code, errs, data)
	}
	code, _, errs = write("--force")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if code != exitClean || !strings.HasPrefix(string(data), falco.Written) || !strings.Contains(string(data), `Unexpected listener in web (plimsoll)`) || !strings.Contains(errs, "rules for web are in "+path) {
		t.Errorf("exit %d, %s\n%s", code, errs, data)
	}
	if !strings.Contains(errs, "other: has to be watched for ") || !strings.Contains(string(data), "# Not among them: other has to be watched") {
		t.Errorf("it is not said what is missing: %s", errs)
	}
	if err := os.WriteFile(path, append(data, "# old\n"...), 0o600); err != nil { // ours
		t.Fatal(err)
	}
	if code, _, errs = write("web"); code != exitClean {
		t.Errorf("exit %d: %s", code, errs)
	}
	if data, _ := os.ReadFile(path); strings.Contains(string(data), "# old") || strings.Contains(string(data), "other") {
		t.Errorf("written\n%s", data)
	}
	if code, _, errs = write("other"); code != exitError || !strings.Contains(errs, "no running container is known well enough") {
		t.Errorf("exit %d: %s", code, errs)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v", left)
	}
	path = "-"
	if code, out, errs := write(); code != exitClean || !strings.HasPrefix(out, falco.Written) {
		t.Errorf("exit %d, %s\n%s", code, errs, out)
	}
	path = filepath.Join(t.TempDir(), "nowhere", "rules.yaml")
	if code, _, errs := write(); code != exitError || !strings.Contains(errs, "nowhere") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestFalcoRulesLater watches first, and writes nothing when it is ended before.
func TestFalcoRulesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	_, _, errs, end := watching(t, "runtime: {normal: {\"*\": {programs: [serve]}}}\n", "--falco-rules", path, "--for", "1h")
	if code := end(); code != exitError || !strings.Contains(errs.String(), "ended before the rules were written") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it is written")
	}
	_, _, errs, end = watching(t, "runtime: {normal: {\"*\": {programs: [serve]}}}\n", "--falco-rules", path, "--for", "1s")
	errs.until(t, "rules for other, web are in")
	if code := end(); code != exitClean {
		t.Errorf("exit %d: %s", code, errs)
	}
}
