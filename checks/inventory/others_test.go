//go:build unix

package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/scanner"
)

// fakeTrivy puts a program on PATH that counts how often it is run and finds
// one thing in every image; it refuses what is no archive of an image.
func fakeTrivy(t *testing.T) (runs func() int) {
	t.Helper()
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	text := `#!/bin/sh
if [ "$1" = version ]; then echo '{"Version":"0.74.0"}'; exit; fi
echo run >>` + count + `
tar -tf "$3" manifest.json >/dev/null || exit 1
echo '{"SchemaVersion": 2, "Results": [{"Type": "debian", "Vulnerabilities": [{"VulnerabilityID": "CVE-2024-1", "PkgName": "thing", "InstalledVersion": "1", "FixedVersion": "2", "Severity": "CRITICAL"}]}]}'
`
	if err := os.WriteFile(filepath.Join(dir, "trivy"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return func() int {
		data, _ := os.ReadFile(count)
		return strings.Count(string(data), "run")
	}
}

func TestOtherScannersAreHeard(t *testing.T) {
	runs := fakeTrivy(t)
	dir := t.TempDir()
	v, inventory := watchScans(t, layers.Used, layers.NewCache(dir))
	inventory.options.Scans = scanner.NewCache(dir)
	v.untilRead("used:1")
	if runs() != 0 {
		t.Error("a scanner that nobody chose was run")
	}
	ref := v.image("used:1").Ref
	if err := inventory.Consult(t.Context(), ref, func(int) {}); err != nil {
		t.Fatal(err)
	}
	v.until("heard", func() bool { return found(v.image("used:1"), "image-vulnerable-critical") })
	i := v.image("used:1").Subject.(*image.Image)
	if len(i.Scans) != 1 || i.Scans[0].Problem != nil || i.Scans[0].Version != "0.74.0" || !found(v.image("used:1"), "image-secret-in-hidden-layer") {
		t.Errorf("%+v", i.Scans)
	}
	inventory.LookUp(t.Context()) // keeps what others said
	if err := inventory.Consult(t.Context(), ref, func(int) {}); err != nil {
		t.Fatal(err)
	}
	if runs() != 1 {
		t.Errorf("run %d times for the same image", runs())
	}
}

func TestChosenScannersAreAsked(t *testing.T) {
	fakeTrivy(t)
	_, inventory := watchScans(t, layers.Used, layers.Cache{})
	inventory.options.Scanners = []scanner.Name{scanner.Grype, scanner.Trivy}
	items, err := inventory.Gather(t.Context(), Selection{Images: []string{"spare:1"}})
	if err != nil || len(items) != 1 {
		t.Fatalf("%v, %v", items, err)
	}
	if errs := items[0].Report.Errors; len(errs) != 1 || !strings.Contains(errs[0].Error(), "grype is not installed") {
		// The layers of the image in memory may have more to say.
		t.Errorf("errors %v", errs)
	}
	if !found(items[0], "image-vulnerable-critical") {
		t.Errorf("%v", items[0].Report.Findings)
	}
}
