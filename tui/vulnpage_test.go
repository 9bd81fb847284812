package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
)

// knownVulnerabilities has one of every kind, one with a hostile text.
func knownVulnerabilities() *vulnerability.Result {
	deb := func(name, version string, layer int) packages.Package {
		return packages.Package{Type: packages.Deb, Name: name, Version: version, Path: "var/lib/dpkg/status", Layer: layer}
	}
	return &vulnerability.Result{
		Packages: 145,
		Vulnerabilities: []vulnerability.Vulnerability{
			{ID: "CVE-2021-44228", Aliases: []string{"GHSA-jfh8-c2jp-5v3q"}, Severity: checks.Critical, Score: 10, Fixed: "2.15.0", Exploited: time.Date(2021, 12, 10, 0, 0, 0, 0, time.UTC), Probability: 0.94,
				Summary: "Remote code injection in Log4j", Package: packages.Package{Type: packages.Maven, Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1", Path: "app/shop.jar", Layer: 3}},
			{ID: "CVE-2023-0286", Severity: checks.High, Score: 7.4, Fixed: "3.0.8-1", Probability: 0.12, Summary: "X.400 address \x1b[2Jtype confusion", Package: deb("libssl3", "3.0.7-1", 0)},
			{ID: "CVE-2022-3715", Severity: checks.Medium, Score: 6.6, Package: deb("bash", "5.2.15-2", 0)},
			{ID: "DSA-5000-1", Fixed: "1.2", Package: deb("unrated", "1.0", 1)},
			{ID: "CVE-2011-3374", Severity: checks.Low, Minor: true, Package: deb("apt", "2.6.1", 0)},
		},
		Sources: []vulnerability.Info{{Name: "Debian", Published: noon.AddDate(0, 0, -1)}, {Name: "Maven", Published: noon.AddDate(0, 0, -2)}},
		NoData:  []vulnerability.NoData{{What: "npm", Packages: 12, Reason: vulnerability.NotDownloaded}},
	}
}

func TestVulnerabilityPage(t *testing.T) {
	asked := 0
	m := newModel(t, Options{Advisories: func(_ context.Context, progress func(fixes.Progress)) error {
		asked++
		progress(fixes.Progress{Message: checks.Msg("downloading %s", "Debian"), Ratio: 0.5})
		return errors.New("no route to anywhere")
	}}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "V")
	shows(t, m, "select an image first")
	choose(t, m, "shop/web:1.4")
	press(m, "V")
	shows(t, m, "CVE-2021-44228")
	shows(t, m, "2.14.1 → 2.15.0")
	shows(t, m, "12 packages: the advisories for npm")
	shows(t, m, "Remote code injection")
	press(m, "j")
	shows(t, m, "type confusion")
	if strings.Contains(m.View().Content, "\x1b[2J") {
		t.Error("an advisory clears the screen")
	}
	press(m, "G")
	shows(t, m, "There is no repaired version yet.")
	press(m, "d")
	if asked != 1 {
		t.Errorf("downloaded %d times", asked)
	}
	shows(t, m, "no route to anywhere")
	press(m, "esc")
	// The list follows the world, and the cursor stays within it.
	u := fixture()
	for i := range u.Items {
		if img, ok := m.imageOf(u.Items[i].Ref); ok {
			with := *img
			with.Known = &vulnerability.Result{Packages: 145}
			u.Items[i].Subject = &with
		}
	}
	drive(m, updateMsg(inventory.Update{Engine: u.Engine, Complete: true, Items: u.Items}))
	shows(t, m, "No advisory speaks of any of the 145 packages")
	press(m, "j", "G", "y")
}
