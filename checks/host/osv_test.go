package host

import (
	"archive/zip"
	"encoding/json"
	"strings"
	"testing"
)

// osvFixes returns the versions that fix each CVE of a module, from a zip of
// OSV records.
func osvFixes(t *testing.T, file, module string) map[string][]string {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	fixes := map[string][]string{}
	for _, f := range z.File {
		var record struct {
			Aliases  []string
			Affected []struct {
				Package struct{ Name string }
				Ranges  []struct{ Events []struct{ Fixed string } }
			}
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(r).Decode(&record)
		r.Close()
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for _, id := range record.Aliases {
			for _, a := range record.Affected {
				if a.Package.Name != module || !strings.HasPrefix(id, "CVE-") {
					continue
				}
				for _, r := range a.Ranges {
					for _, e := range r.Events {
						if e.Fixed != "" {
							fixes[id] = append(fixes[id], e.Fixed)
						}
					}
				}
			}
		}
	}
	return fixes
}
