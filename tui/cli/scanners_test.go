package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/packages"
	"plimsoll/checks/suite"
	"plimsoll/checks/vulnerability"
	"plimsoll/tui/cli/report"
)

// scannedImage is an image that ours and two other scanners looked at, of which
// one could not.
func scannedImage() inventory.Item {
	pkg := packages.Package{Type: packages.Deb, Name: "apt", Version: "2.6.1"}
	i := &image.Image{Known: &vulnerability.Result{Packages: 1, Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Severity: checks.High, Fixed: "2", Package: pkg}}}}
	i.Inspect.ID, i.Inspect.RepoTags = "sha256:1", []string{"shop:1"}
	i = i.WithScans([]vulnerability.Scan{
		{Scanner: "trivy", Version: "0.74.0", Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-1", Package: pkg}, {ID: "CVE-2", Severity: checks.Critical, Fixed: "3", Package: pkg}}},
		{Scanner: "grype", Version: "0.1\x1b[2J", Problem: &checks.Problem{What: checks.Msg("%s has no advisories on this machine", "grype"), Do: checks.Msg("download them with %s", "grype db update")}},
	})
	return inventory.Item{Ref: i.Ref(), Subject: i, Report: checks.Run(i, suite.All(), nil)}
}

func TestScannersSideBySide(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, err: &out}
	a.speak(assets.German)
	d := &report.Document{Items: []inventory.Item{scannedImage()}, Language: a.language, Explain: a.explain}
	if err := a.writeTable(d, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 bekannte hohe oder kritische Schwachstellen",
		"plimsoll                Schwachstellen: 1, von niemandem sonst gefunden: 0",
		"trivy     0.74.0        Schwachstellen: 2, von niemandem sonst gefunden: 1",
		"grype hat auf diesem Rechner keine Sicherheitshinweise: laden mit grype db update",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := a.writeJSON(d, &out); err != nil {
		t.Fatal(err)
	}
	var document struct{ Subjects []jsonSubject }
	if err := json.Unmarshal(out.Bytes(), &document); err != nil || strings.Contains(out.String(), `\u001b`) {
		t.Fatalf("%v: %s", err, out.String())
	}
	s := document.Subjects[0].Scanners
	if len(s) != 3 || s[1].Found != 2 || s[1].Only != 1 || s[2].Error == "" || s[0].Scanner != "plimsoll" {
		t.Errorf("%+v", s)
	}
}
