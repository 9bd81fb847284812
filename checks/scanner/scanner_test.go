package scanner

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks/vulnerability"
)

var fewLayers = []string{"sha256:1111", "sha256:2222"}

// line says what matters of a finding.
func line(v vulnerability.Vulnerability) string {
	p := v.Package
	text := fmt.Sprintf("%s %s %s %s layer %d", v.ID, p.Type, p.Name, p.Version, p.Layer)
	if v.Fixed != "" {
		text += " -> " + v.Fixed
	}
	if v.Severity != 0 {
		text += " " + v.Severity.String()
	}
	if v.Score != 0 {
		text += fmt.Sprintf(" %.1f", v.Score)
	}
	if v.Minor {
		text += " minor"
	}
	if !v.Exploited.IsZero() {
		text += v.Exploited.Format(" exploited 2006-01-02")
	}
	if v.Probability != 0 {
		text += fmt.Sprintf(" EPSS %.2f", v.Probability)
	}
	if len(v.Aliases) > 0 {
		text += fmt.Sprint(" ", v.Aliases)
	}
	return text
}

func TestParse(t *testing.T) {
	for file, want := range map[string][]string{
		"trivy-0.74.0.json":        nil, // compared with the other tool below
		"trivy-0.19-no-purl.json":  {"CVE-2019-14697 apk musl 1.1.22-r2 layer 0 -> 1.1.22-r3 critical 9.8", "CVE-2022-32149 go golang.org/x/text 0.3.7 layer 1 -> 0.3.8 high"},
		"trivy-empty.json":         {},
		"grype-empty.json":         {},
		"grype-0.121.2.json":       nil,
		"grype-0.74-language.json": {"CVE-2021-44228 maven org.apache.logging.log4j:log4j-core 2.14.1 layer 1 -> 2.15.0 critical 10.0 exploited 2021-12-10 EPSS 0.94 [GHSA-jfh8-c2jp-5v3q]", "CVE-2023-24540 go stdlib 1.20.3 layer 1 -> 1.20.4 critical", "CVE-2011-3374 deb apt 2.6.1 layer -1 low minor"},
		"scout-1.20.sarif.json":    {"CVE-2021-44228 maven org.apache.logging.log4j:log4j-core 2.14.1 layer -1 -> 2.15.0 critical 10.0", "CVE-2024-0001 npm @scope/thing 1.0.0 layer -1", "CVE-2024-0001 deb libthing1 1:2.0-1 layer -1"},
		"scout-0.24.sarif.json":    {"GMS-2022-9109 maven com.thoughtworks.xstream:xstream 1.4.5 layer -1 low 3.1"},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		tool, _, _ := strings.Cut(file, "-")
		r, err := kinds[Name(tool)].parse(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var got []string
		for _, v := range r.located(fewLayers) {
			got = append(got, line(v))
		}
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", file, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if strings.HasPrefix(file, "grype-0") && r.data.Year() < 2024 {
			t.Errorf("%s: advisories of %v", file, r.data)
		}
	}
}

// TestTwoToolsAgree reads what trivy and grype recorded of the same packages
// with the same advisories.
func TestTwoToolsAgree(t *testing.T) {
	pairs := func(tool Name, file string) []string {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return pairsOf(t, tool, data)
	}
	one, other := pairs(Trivy, "testdata/trivy-0.74.0.json"), pairs(Grype, "testdata/grype-0.121.2.json")
	if len(one) != 4 || !slices.Equal(one, other) {
		t.Errorf("%q, %q", one, other)
	}
}

func pairsOf(t *testing.T, tool Name, data []byte) []string {
	t.Helper()
	r, err := kinds[tool].parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range r.found {
		out = append(out, v.ID+" "+v.Package.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestWholeRecordings reads complete runs on a real image: both tools found the
// pairs that four engines agreed on.
func TestWholeRecordings(t *testing.T) {
	const shared = "../../../shared/vulnerability/"
	text, err := os.ReadFile(shared + "deb12-expected.tsv")
	if err != nil {
		t.Skipf("no recordings of whole runs here: %v", err)
	}
	var want []string
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if f := strings.Split(s.Text(), "\t"); !strings.HasPrefix(f[0], "#") {
			want = append(want, strings.TrimPrefix(f[0], "DEBIAN-")+" "+f[1])
		}
	}
	slices.Sort(want)
	for tool, file := range map[Name]string{Trivy: "trivy/real-0.74.0-deb12-app.json.gz", Grype: "grype/real-0.121.2-deb12-app.json.gz"} {
		f, err := os.Open(shared + "samples/" + file)
		if err != nil {
			t.Skipf("no recordings of whole runs here: %v", err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := pairsOf(t, tool, data); len(want) != 171 || !slices.Equal(got, want) {
			t.Errorf("%s: %d pairs, want %d", tool, len(got), len(want))
		}
	}
	goldens, _ := filepath.Glob(shared + "samples/trivy/*.json.golden")
	for _, file := range goldens {
		data, _ := os.ReadFile(file)
		r, err := parseTrivy(data)
		if err != nil || len(r.found) == 0 {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, v := range r.found {
			if v.Package.Type == "" || v.Package.Version == "" {
				t.Errorf("%s: %s", file, line(v))
			}
		}
	}
}

func TestBrokenReports(t *testing.T) {
	old, err := os.ReadFile("testdata/trivy-0.15-array.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"nothing": "", "old": string(old), "cut off": `{"SchemaVersion": 2, "Results": [{"Vuln`, "another thing": `{"hello": "world"}`, "html": "<html>", "null": "null",
		"types": `{"SchemaVersion": 2, "Results": {"a": 1}, "matches": 3, "version": [], "runs": 1}`, "deep": strings.Repeat("[", 20000),
	} {
		for tool, k := range kinds {
			if r, err := k.parse([]byte(data)); err == nil {
				t.Errorf("%s takes %s for a report with %d findings", tool, name, len(r.found))
			}
		}
	}
	// What is understood of a hostile report stays small.
	long := strings.Repeat("é", 5000)
	r, err := parseTrivy([]byte(`{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{}, {"VulnerabilityID": "x"},
		{"VulnerabilityID": "` + long + `", "PkgName": "` + long + `", "InstalledVersion": "` + long + `", "Title": "` + long + `", "FixedVersion": "` + long + `", "VendorIDs": ["` + long + `"]}]}]}`))
	if err != nil || len(r.found) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	if v := r.found[0]; len(v.ID)+len(v.Package.Name)+len(v.Package.Version)+len(v.Fixed)+len(v.Summary)+len(v.Aliases[0]) > 1500 {
		t.Errorf("%d bytes of an id", len(v.ID))
	}
}

func TestPURL(t *testing.T) {
	for text, want := range map[string]string{
		"pkg:deb/debian/apt@2.6.1?arch=amd64&distro=debian-12":        "deb apt 2.6.1 amd64",
		"pkg:rpm/rhel/nspr@4.34.0-17.el9_1?arch=x86_64&epoch=1":       "rpm nspr 1:4.34.0-17.el9_1 x86_64",
		"pkg:golang/github.com/docker/distribution@v2.7.1%2Bincompat": "go github.com/docker/distribution v2.7.1+incompat ",
		"pkg:npm/%40angular/animation@12.3.1#sub/path":                "npm @angular/animation 12.3.1 ",
		"pkg:maven/org.apache.commons/io@1.3.4?type=jar":              "maven org.apache.commons:io 1.3.4 ",
		"pkg:composer/laravel/laravel@5.5.0":                          "composer laravel/laravel 5.5.0 ",
		"pkg:generic/unknown@1":                                       " unknown 1 ",
		"pkg:":                                                        "",
		"pkg:deb/%zz@1":                                               "deb %zz 1 ",
		"https://example.com":                                         "",
	} {
		p, ok := parsePURL(text)
		got := ""
		if ok {
			got = fmt.Sprintf("%s %s %s %s", p.Type, p.Name, p.Version, p.Arch)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, k := range kinds {
			if r, err := k.parse(data); err == nil && len(r.found) != len(r.layers) {
				t.Error("findings without layers")
			}
		}
	})
}
