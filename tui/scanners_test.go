package tui

import (
	"context"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
)

// saidByOthers is of one scanner that looked, one that could not, and one whose
// words are hostile.
func saidByOthers() []vulnerability.Scan {
	return []vulnerability.Scan{
		{Scanner: "trivy", Version: "0.74.0", Taken: noon, Vulnerabilities: []vulnerability.Vulnerability{
			{ID: "CVE-2021-44228", Severity: checks.Critical, Package: packages.Package{Type: packages.Maven, Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1", Layer: -1}},
			{ID: "CVE-2024-9999", Severity: checks.High, Fixed: "2", Summary: "only \x1b[2Jhere", Package: packages.Package{Type: packages.NPM, Name: "thing", Version: "1", Layer: -1}},
		}},
		{Scanner: "grype", Version: "0.121.2", Problem: &checks.Problem{What: checks.Msg("%s has no advisories on this machine", "grype"), Do: checks.Msg("download them with %s", "grype db update")}},
	}
}

// consulted is the fixture after other scanners looked at its image.
func consulted() inventory.Update {
	u := fixture()
	for n := range u.Items {
		if i, ok := u.Items[n].Subject.(*image.Image); ok {
			u.Items[n].Subject = i.WithScans(saidByOthers())
		}
	}
	return u
}

func TestOtherScanners(t *testing.T) {
	var asked []checks.Ref
	m := newModel(t, Options{Scanners: func(_ context.Context, ref checks.Ref, progress func(fixes.Progress)) error {
		asked = append(asked, ref)
		progress(fixes.Progress{Message: checks.Msg("saving the image for them"), Ratio: 0.5})
		return nil
	}}, 120, 45)
	drive(m, updateMsg(fixture()))
	choose(t, m, "shop/web:1.4")
	press(m, "V", "s")
	if len(asked) != 1 || asked[0].Name != "shop/web:1.4" {
		t.Errorf("asked about %v", asked)
	}
	press(m, "esc")
	drive(m, updateMsg(consulted()))
	shows(t, m, "5 found  4 only here")
	shows(t, m, "2 found  1 only here")
	shows(t, m, "download them with grype db update")
	shows(t, m, "CVE-2024-9999")
	press(m, "G")
	shows(t, m, "plimsoll")
	none := newModel(t, Options{}, 120, 45)
	drive(none, updateMsg(fixture()))
	choose(t, none, "shop/web:1.4")
	press(none, "V", "s")
	shows(t, none, "no other scanner can look")
}
