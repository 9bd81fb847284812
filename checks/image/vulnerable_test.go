package image

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// today is the day of these images.
var today = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// libssl returns a package that layer brought.
func libssl(layer int) packages.Package {
	return packages.Package{Type: packages.Deb, Name: "libssl3", Version: "3.0.9-1", Layer: layer, Path: "var/lib/dpkg/status"}
}

var vulnerableCases = map[string]struct {
	known vulnerability.Result
	want  []string // check, severity
}{
	"nothing":          {vulnerability.Result{Packages: 9}, nil},
	"high and fixed":   {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.High, Fixed: "2", Package: libssl(1)}}}, []string{"image-vulnerable-critical high"}},
	"high, no repair":  {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.High, Package: libssl(1)}}}, nil},
	"medium and fixed": {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.Medium, Fixed: "2", Package: libssl(0)}}}, nil},
	"unrated":          {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Fixed: "2", Package: libssl(0)}}}, []string{"image-vulnerable-critical medium"}},
	"minor":            {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.Critical, Fixed: "2", Minor: true, Package: libssl(0)}}}, nil},
	"from the base":    {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.High, Package: libssl(0)}}}, []string{"image-vulnerable-from-base high"}},
	"exploited":        {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Exploited: today.AddDate(-1, 0, 0), Probability: 0.9, Package: libssl(1)}}}, []string{"image-vulnerable-known-exploited critical"}},
	"likely":           {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Probability: 0.11, Package: libssl(1)}}}, []string{"image-vulnerable-likely-exploited high"}},
	"unlikely":         {vulnerability.Result{Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Probability: 0.09, Package: libssl(1)}}}, nil},
	"no data":          {vulnerability.Result{NoData: []vulnerability.NoData{{What: "Debian 12", Reason: vulnerability.NotDownloaded, Packages: 3}}}, []string{"image-never-scanned low"}},
	"none published":   {vulnerability.Result{NoData: []vulnerability.NoData{{What: "Gentoo", Reason: vulnerability.NotPublished, Packages: 3}}}, []string{"image-never-scanned info"}},
	"stale":            {vulnerability.Result{Sources: []vulnerability.Info{{Name: "Debian", Published: today.AddDate(0, 0, -8)}}}, []string{"image-scan-stale low"}},
	"fresh":            {vulnerability.Result{Sources: []vulnerability.Info{{Name: "Debian", Published: today.AddDate(0, 0, -6)}}}, nil},
}

func TestVulnerable(t *testing.T) {
	for name, test := range vulnerableCases {
		t.Run(name, func(t *testing.T) {
			i := &Image{Now: today, Files: &layers.Summary{}, Known: &test.known, Base: &Base{Name: "debian:12", Layers: []string{"sha256:1"}, Source: "label"}}
			if got := vulnerable(i); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := vulnerable(&Image{Now: today}); !slices.Equal(got, []string{"image-never-scanned low"}) {
		t.Errorf("an image that was not read: %q", got)
	}
}

// TestQuickLook: what a quick look says counts until anything says more, and is
// never all there is to say.
func TestQuickLook(t *testing.T) {
	bad := vulnerability.Result{Packages: 9, Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.High, Fixed: "2", Package: libssl(-1)}}}
	base := &Base{Name: "debian:12", Layers: []string{"sha256:1"}, Source: "label"}
	for name, test := range map[string]struct {
		image Image
		want  []string
	}{
		"nothing found":     {Image{Quick: &Quick{Known: &vulnerability.Result{Packages: 9}}}, []string{"image-never-scanned low"}},
		"found":             {Image{Quick: &Quick{Known: &bad}}, []string{"image-vulnerable-critical high", "image-never-scanned low"}},
		"no place for any":  {Image{Quick: &Quick{}}, []string{"image-never-scanned low"}},
		"the layers say no": {Image{Quick: &Quick{Known: &bad}, Files: &layers.Summary{}, Known: &vulnerability.Result{Packages: 9}}, nil},
		"another scanner":   {*(&Image{Quick: &Quick{Known: &bad}}).WithScans([]vulnerability.Scan{{Scanner: "trivy"}}), nil},
		"one that failed":   {*(&Image{Quick: &Quick{Known: &bad}}).WithScans([]vulnerability.Scan{{Scanner: "trivy", Problem: &checks.Problem{}}}), []string{"image-vulnerable-critical high", "image-never-scanned low"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := test.image
			i.Now, i.Base = today, base
			if got := vulnerable(&i); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// vulnerable returns the findings about vulnerabilities of i.
func vulnerable(i *Image) []string {
	var out []string
	for _, f := range checks.Run(i, Checks(), nil).Findings {
		if id := f.Check.ID; strings.HasPrefix(id, "image-vulnerable-") || id == "image-never-scanned" || id == "image-scan-stale" {
			out = append(out, fmt.Sprintf("%s %s", id, f.Severity))
		}
	}
	return out
}

// TestManyVulnerabilities: a finding names the worst, and says how many more.
func TestManyVulnerabilities(t *testing.T) {
	r := &vulnerability.Result{}
	for n := range 100 {
		r.Vulnerabilities = append(r.Vulnerabilities, vulnerability.Vulnerability{ID: fmt.Sprintf("CVE-%d", n), Severity: checks.High, Fixed: "2"})
	}
	for _, f := range checks.Run(&Image{Known: r}, []*checks.Check{vulnerableCritical}, nil).Findings {
		if n := len(f.Evidence); n != fewEvidence+1 || f.Evidence[n-1].Detail != "+88" {
			t.Errorf("%d pieces of evidence, the last %v", n, f.Evidence[n-1])
		}
	}
}
