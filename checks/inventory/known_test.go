package inventory

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"

	"plimsoll/checks/image/layers"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// TestLookUp: what was read is compared with the advisories as they are, and
// what could not be read is said.
func TestLookUp(t *testing.T) {
	store := vulnerability.NewStore(t.TempDir())
	v := New(Options{Advisories: store})
	files := &layers.Summary{Installed: &packages.Inventory{
		Packages: []packages.Package{{Type: packages.NPM, Name: "lodash", Version: "4.17.20"}},
		Trouble:  []string{"/var/lib/rpm/Packages: damaged"},
	}}
	known, err := v.lookUp(files)
	if err == nil || known == nil || len(known.NoData) != 1 || len(known.Vulnerabilities) != 0 {
		t.Errorf("without advisories: %+v, %v", known, err)
	}
	archive := filepath.Join(t.TempDir(), "all.zip")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("1.json")
	if err == nil {
		_, err = w.Write([]byte(`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"npm","name":"lodash"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"4.17.21"}]}]}]}`))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := store.Import(t.Context(), archive, "", nil); err != nil {
		t.Fatal(err)
	}
	files.Installed.Trouble = nil
	known, err = v.lookUp(files)
	if err != nil || len(known.Vulnerabilities) != 1 || known.Vulnerabilities[0].Fixed != "4.17.21" {
		t.Errorf("with advisories: %+v, %v", known, err)
	}
	for _, nothing := range []*layers.Summary{nil, {}} {
		if known, err := v.lookUp(nothing); known != nil || err != nil {
			t.Errorf("%+v, %v", known, err)
		}
	}
}
