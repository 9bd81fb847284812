package scanner

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

func TestCache(t *testing.T) {
	c := NewCache(t.TempDir())
	tool := Installed{Name: Trivy, Path: "/usr/bin/trivy", Version: "0.74.0"}
	s := vulnerability.Scan{Scanner: "trivy", Version: "0.74.0", Taken: time.Now().UTC().Round(0), Vulnerabilities: []vulnerability.Vulnerability{
		{ID: "CVE-1", Severity: checks.High, Package: packages.Package{Type: packages.Deb, Name: "apt", Version: "1", Layer: 3}}}}
	if _, ok := c.Get("sha256:1", tool); ok {
		t.Error("it remembers what it never heard")
	}
	c.Put("sha256:1", tool, s)
	if got, ok := c.Get("sha256:1", tool); !ok || !reflect.DeepEqual(got, s) {
		t.Errorf("%v: %+v, want %+v", ok, got, s)
	}
	newer := tool
	newer.Version = "0.75.0"
	if _, ok := c.Get("sha256:1", newer); ok {
		t.Error("another version said so")
	}
	if _, ok := c.Get("sha256:2", tool); ok {
		t.Error("another image")
	}
	s.Taken = time.Now().Add(-Fresh - time.Minute)
	c.Put("sha256:1", tool, s)
	if _, ok := c.Get("sha256:1", tool); ok {
		t.Error("too old")
	}
	c.Put("sha256:3", tool, vulnerability.Scan{Scanner: "trivy", Taken: time.Now(), Problem: &checks.Problem{}})
	if _, ok := c.Get("sha256:3", tool); ok {
		t.Error("a failure is remembered")
	}
	files, _ := filepath.Glob(filepath.Join(c.dir, "*"))
	for _, path := range files {
		if err := os.WriteFile(path, []byte(`{"Scan":{"Vulnerabilities":[{}]}}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := c.Get("sha256:1", tool); ok || len(files) != 1 {
		t.Errorf("a damaged record of %d", len(files))
	}
	Cache{}.Put("sha256:1", tool, s)
	if _, ok := (Cache{}).Get("sha256:1", tool); ok {
		t.Error("no cache remembers")
	}
}
