package cli

import (
	"archive/zip"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestDatabase(t *testing.T) {
	home(t)
	t.Setenv("XDG_CACHE_HOME", "")
	if code, out, _ := plimsoll(t, "db", "status"); code != exitClean || !strings.Contains(out, "plimsoll db update") {
		t.Errorf("without advisories: %d, %q", code, out)
	}
	if code, _, errs := plimsoll(t, "db", "update"); code != exitError || !strings.Contains(errs, "name them") {
		t.Errorf("update of nothing: %d, %q", code, errs)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("A.json")
	if err == nil {
		_, err = w.Write([]byte(`{"id":"A","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"npm","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/npm/all.zip" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Write(archive.Bytes())
	}))
	defer server.Close()
	code, out, errs := plimsoll(t, "db", "update", "--from", server.URL, "npm", "Plan9")
	if code != exitError || !strings.Contains(out, "npm") || !strings.Contains(errs, "Plan9") || !strings.Contains(errs, "1 of 2") {
		t.Errorf("update: %d, %q, %q", code, out, errs)
	}
	if code, out, _ := plimsoll(t, "db", "status", "--lang", "de"); code != exitClean || !strings.Contains(out, "Stand 2026-01-02") {
		t.Errorf("status: %d, %q", code, out)
	}
	if err := os.WriteFile("all.zip", archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := plimsoll(t, "db", "import", "all.zip"); code != exitClean || !strings.Contains(out, "npm") {
		t.Errorf("import: %d, %q, %q", code, out, errs)
	}
	if code, _, errs := plimsoll(t, "db", "import", file(t, "notes.txt", "hello")); code != exitError || !strings.Contains(errs, "no advisories") {
		t.Errorf("import of a text: %d, %q", code, errs)
	}
}
