package assets_test

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// The advisories of the examples: real facts, of which those for Maven are
// fresh and those for PyPI old.
var exampleAdvisories = map[string]string{
	"GHSA-jfh8-c2jp-5v3q": `"modified":"2025-12-30T00:00:00Z","aliases":["CVE-2021-44228"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":"Maven","name":"org.apache.logging.log4j:log4j-core"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"2.13.0"},{"fixed":"2.15.0"}]}]}]`,
	"GHSA-mjmj-j48q-9wg2": `"modified":"2025-12-30T00:00:00Z","aliases":["CVE-2022-1471"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":"Maven","name":"org.yaml:snakeyaml"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0"}]}]}]`,
	"PYSEC-2023-62": `"modified":"2025-07-01T00:00:00Z","aliases":["CVE-2023-30861"],
		"affected":[{"package":{"ecosystem":"PyPI","name":"flask"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.2.5"}]}]}]`,
}

const (
	exampleKEV  = `{"dateReleased":"2025-12-30T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2021-44228","dateAdded":"2021-12-10"}]}`
	exampleEPSS = "#model_version:v2025.03.14,score_date:2025-12-31T00:00:00Z\ncve,epss,percentile\nCVE-2022-1471,0.93,0.99\nCVE-2021-44228,0.94,0.99\n"
)

// exampleStore indexes them, once.
var exampleStore = sync.OnceValues(func() (*vulnerability.Store, error) {
	dir, err := os.MkdirTemp("", "plimsoll-examples-")
	if err != nil {
		return nil, err
	}
	archive := filepath.Join(dir, "all.zip")
	f, err := os.Create(archive)
	if err != nil {
		return nil, err
	}
	z := zip.NewWriter(f)
	for id, rest := range exampleAdvisories {
		w, err := z.Create(id + ".json")
		if err == nil {
			_, err = fmt.Fprintf(w, `{"id":%q,%s}`, id, rest)
		}
		if err != nil {
			return nil, err
		}
	}
	err = errors.Join(z.Close(), f.Close())
	store := vulnerability.NewStore(dir)
	for name, text := range map[string]string{"all.zip": "", "kev.json": exampleKEV, "epss.csv": exampleEPSS} {
		path := filepath.Join(dir, name)
		if text != "" {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600))
		}
		if err == nil {
			_, err = store.Import(context.Background(), path, "", nil)
		}
	}
	return store, err
})

// packagesOf returns an image with the packages that source lists, one a line:
// type, name, version, and the layer where it matters. Its base has one layer.
func packagesOf(source string) (checks.Subject, error) {
	store, err := exampleStore()
	if err != nil {
		return nil, err
	}
	inv := &packages.Inventory{}
	for line := range strings.Lines(source) {
		fields := strings.Fields(line)
		if len(fields) < 3 || len(fields) > 4 {
			return nil, fmt.Errorf("%q: want type, name, version and perhaps a layer", line)
		}
		p := packages.Package{Type: packages.Type(fields[0]), Name: fields[1], Version: fields[2], Path: "app/lib.jar"}
		if len(fields) == 4 {
			if p.Layer, err = strconv.Atoi(fields[3]); err != nil {
				return nil, err
			}
		}
		inv.Packages = append(inv.Packages, p)
	}
	i := exampleImage()
	i.Base = &image.Base{Name: "debian:12", Layers: []string{"sha256:" + strings.Repeat("1", 64)}, Source: "label"}
	i.Known, err = store.Match(inv)
	return i, err
}
