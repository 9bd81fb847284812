package tui

import (
	"context"
	"errors"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// lookedQuickly is the fixture with an image whose layers nobody read.
func lookedQuickly() inventory.Update {
	u := fixture()
	for n := range u.Items {
		if i, ok := u.Items[n].Subject.(*image.Image); ok {
			with := *i
			with.Files, with.Known = nil, nil
			with.Quick = &image.Quick{Known: &vulnerability.Result{
				Packages: 145,
				Vulnerabilities: []vulnerability.Vulnerability{{ID: "CVE-2023-0286", Severity: checks.High, Score: 7.4, Fixed: "3.0.8-1", Summary: "X.400 address type confusion",
					Package: packages.Package{Type: packages.Deb, Name: "libssl3", Version: "3.0.7-1", Path: "var/lib/dpkg/status", Layer: -1}}},
				Sources: []vulnerability.Info{{Name: "Debian", Published: noon.AddDate(0, 0, -1)}},
			}}
			u.Items[n].Subject = &with
		}
	}
	return u
}

func TestQuickLook(t *testing.T) {
	var looked []checks.Ref
	var fails error
	m := newModel(t, Options{QuickLook: func(_ context.Context, ref checks.Ref) error {
		looked = append(looked, ref)
		return fails
	}}, 120, 40)
	u := lookedQuickly()
	unread := fixture()
	for n := range unread.Items {
		if i, ok := unread.Items[n].Subject.(*image.Image); ok {
			with := *i
			with.Files, with.Known = nil, nil
			unread.Items[n].Subject = &with
		}
	}
	drive(m, updateMsg(unread))
	press(m, "P")
	shows(t, m, "select an image first")
	choose(t, m, "shop/web:1.4")
	press(m, "V")
	shows(t, m, "P looks at the packages")
	press(m, "esc", "P")
	if len(looked) != 1 || looked[0].Name != "shop/web:1.4" {
		t.Errorf("looked at %v", looked)
	}
	drive(m, updateMsg(u))
	shows(t, m, "quick: packages of the distribution only")
	shows(t, m, "CVE-2023-0286")
	fails = errors.New("no space left on the engine")
	press(m, "P")
	shows(t, m, "no space left on the engine")
	press(m, "esc", "esc")
	drive(m, updateMsg(fixture())) // the layers were read
	press(m, "P")
	if len(looked) != 2 {
		t.Error("an image whose layers were read is looked at")
	}
	shows(t, m, "which says more")
	none := lookedQuickly()
	for n := range none.Items {
		if i, ok := none.Items[n].Subject.(*image.Image); ok {
			i.Quick = &image.Quick{Known: &vulnerability.Result{}}
		}
	}
	empty := newModel(t, Options{}, 120, 40)
	drive(empty, updateMsg(none))
	choose(t, empty, "shop/web:1.4")
	press(empty, "V")
	shows(t, empty, "What else it holds is not known.")
	readOnly := newModel(t, Options{ReadOnly: true, QuickLook: func(context.Context, checks.Ref) error { t.Error("looked"); return nil }}, 120, 40)
	drive(readOnly, updateMsg(unread))
	choose(t, readOnly, "shop/web:1.4")
	press(readOnly, "P")
	shows(t, readOnly, "read-only")
	readOnly.press(readOnly.bound("V"))
	press(readOnly, "P")
}
