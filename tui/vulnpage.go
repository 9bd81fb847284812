package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
)

// A vulnerabilityPage lists the known vulnerabilities of an image, and what is
// not known of it. It follows what changes while it is open.
type vulnerabilityPage struct {
	window
	m      *Model
	ref    checks.Ref // of the image
	cursor int
	moved  bool // the cursor did, so that its row comes into sight

	drawn    []string // for drawnFor
	drawnFor vulnerabilityView
}

// A vulnerabilityView is everything that the lines depend on.
type vulnerabilityView struct {
	known         *vulnerability.Result
	scans         *vulnerability.Scan // the first, nil without any
	cursor, width int
	dark          bool
	language      string
}

// whyNoVulnerabilities says why there is no page.
func (m *Model) whyNoVulnerabilities() checks.Message {
	if _, ok := m.selectedImage(); !ok {
		return checks.Msg("select an image first")
	}
	return checks.Message{}
}

// selectedImage returns the image that is selected, by itself or by a finding.
func (m *Model) selectedImage() (*image.Image, bool) {
	ref := m.wanted
	if r, ok := m.findings.current(); ok && r.subject != nil {
		ref = r.subject.Ref
	}
	return m.imageOf(ref)
}

func (m *Model) imageOf(ref checks.Ref) (*image.Image, bool) {
	s, ok := m.world.subjects[identity{ref.Kind, ref.ID}]
	if !ok {
		return nil, false
	}
	i, ok := s.Subject.(*image.Image)
	return i, ok
}

func (m *Model) openVulnerabilities() {
	if i, ok := m.selectedImage(); ok {
		m.show(&vulnerabilityPage{m: m, ref: i.Ref(), moved: true})
	}
}

// image returns what is known of the image now; an empty one when it is gone.
func (d *vulnerabilityPage) image() *image.Image {
	if i, ok := d.m.imageOf(d.ref); ok {
		return i
	}
	return &image.Image{}
}

func (d *vulnerabilityPage) to(row int) {
	n := len(d.image().Vulnerabilities())
	d.cursor, d.moved = max(0, min(row, n-1)), true
}

// key implements dialog.
func (d *vulnerabilityPage) key(u *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc", "q", "V":
		return closeDialog{}
	case "up", "k":
		d.to(d.cursor - 1)
	case "down", "j":
		d.to(d.cursor + 1)
	case "home", "g":
		d.to(0)
	case "end", "G":
		d.to(1 << 30)
	case "pgdown", "space":
		d.to(d.cursor + max(1, d.h-2))
	case "pgup":
		d.to(d.cursor - max(1, d.h-2))
	case "y":
		if v, ok := d.current(); ok {
			return copyText(u, []string{v.ID})
		}
	case "d":
		if d.m.o.Advisories == nil {
			return say{u.T("advisories are downloaded by plimsoll db update"), true}
		}
		w, cmd := newWork(u, d.m.crew, checks.Msg("Download advisories"), d.m.o.Advisories)
		return actions{openDialog{w}, cmd}
	case "P":
		if why := d.m.whyNoLookAt(d.image()); !why.IsZero() {
			return say{u.told(why), true}
		}
		return d.m.lookAt(u, d.ref)
	case "s":
		if d.m.o.Scanners == nil {
			return say{u.T("no other scanner can look at this world"), true}
		}
		w, cmd := newWork(u, d.m.crew, checks.Msg("Ask other scanners"), func(ctx context.Context, progress func(fixes.Progress)) error {
			return d.m.o.Scanners(ctx, d.ref, progress)
		})
		return actions{openDialog{w}, cmd}
	}
	return nil
}

func (d *vulnerabilityPage) current() (*vulnerability.Vulnerability, bool) {
	if all := d.image().Vulnerabilities(); d.cursor < len(all) {
		return &all[d.cursor], true
	}
	return nil, false
}

// draw implements dialog.
func (d *vulnerabilityPage) draw(u *ui, width int) sheet {
	i := d.image()
	view := vulnerabilityView{known: i.LookedUp(), cursor: d.cursor, width: width, dark: u.dark, language: string(u.language)}
	if len(i.Scans) > 0 {
		view.scans = &i.Scans[0]
	}
	if view != d.drawnFor || d.drawn == nil || d.moved {
		d.drawn, d.drawnFor = d.lines(u, width, i), view
	}
	_, some := d.current()
	var buttons []button
	if i.Files == nil && i.Known == nil {
		buttons = append(buttons, button{key: "P", label: u.T("quick look"), off: !d.m.whyNoLookAt(i).IsZero()})
	}
	return sheet{title: u.T("Known vulnerabilities of %s", plain(d.ref.Name)), lines: d.drawn, window: &d.window, buttons: append(buttons, []button{
		{key: "d", label: u.T("download advisories"), off: d.m.o.Advisories == nil},
		{key: "s", label: u.T("other scanners"), off: d.m.o.Scanners == nil},
		{key: "y", label: u.T("copy the id"), off: !some},
		{key: "esc", label: u.T("close")},
	}...)}
}

func (d *vulnerabilityPage) lines(u *ui, width int, i *image.Image) []string {
	p := newPrinter(u, width)
	t := &u.theme
	known, all := i.LookedUp(), i.Vulnerabilities()
	if known == nil && len(i.Scans) == 0 {
		p.text("", u.T("The layers of this image were not read yet, or there is no place to keep advisories."))
		if d.m.whyNoLookAt(i).IsZero() {
			p.blank()
			p.text(t.dim, u.T("P looks at the packages of its distribution in a second, by making a container that never starts and is removed again."))
		}
		d.moved = false
		return p.lines
	}
	if i.Quickly() {
		p.hanging(t.strong, t.warn, "! ", u.T("quick: packages of the distribution only"))
		p.hanging("", "", "  ", u.T("Packages of programming languages, and all that layers tell, were not looked at; x reads them."))
	}
	d.drawSummary(p, known, all, i.Quickly())
	d.drawScanners(p, i)
	p.blank()
	first, last := 0, 0
	for n := range all {
		v := &all[n]
		if n == d.cursor {
			first = len(p.lines)
		}
		d.drawRow(p, v, n == d.cursor)
		if n == d.cursor {
			d.drawDetail(p, v)
			last = len(p.lines) - 1
		}
	}
	switch {
	case len(all) > 0 || known == nil || known.Packages == 0:
	case i.Quickly():
		p.hanging("", t.dim, "· ", u.T("No advisory speaks of any of the %d packages of the distribution; of the rest nothing is known.", known.Packages))
	default:
		p.hanging("", t.good, "✓ ", u.T("No advisory speaks of any of the %d packages that were looked up.", known.Packages))
	}
	if d.moved && d.h > 0 {
		d.n, d.moved = len(p.lines), false
		d.reveal(last)
		d.reveal(first)
	}
	return p.lines
}

// drawSummary draws how many there are, how old the knowledge is, and what is
// not known.
func (d *vulnerabilityPage) drawSummary(p *printer, known *vulnerability.Result, all []vulnerability.Vulnerability, quickly bool) {
	t := &p.theme
	count := map[checks.Severity]int{}
	for i := range all {
		count[all[i].Severity]++
	}
	l := newLine(p.width, "")
	for _, s := range checks.Severities {
		if count[s] > 0 {
			l.add(t.severity[s], fmt.Sprintf("%s%s %d %s  ", symbols[s], p.letter(s), count[s], p.format(s.String())))
		}
	}
	if count[0] > 0 {
		l.add(t.dim, p.T("%d not rated", count[0])+"  ")
	}
	if known == nil {
		p.lines = append(p.lines, l.end())
		return
	}
	if known.Packages > 0 {
		l.add(t.dim, p.T("of %d packages", known.Packages))
		p.lines = append(p.lines, l.end())
	} else if len(known.NoData) == 0 && quickly {
		p.text("", p.T("No database of a package manager was found in this image. What else it holds is not known."))
	} else if len(known.NoData) == 0 {
		p.text("", p.T("No list of packages was found in this image, and no program that names its libraries: there is nothing to look up."))
	}
	var sources []string
	for _, s := range known.Sources {
		sources = append(sources, s.Name+" "+s.Published.Local().Format(time.DateOnly))
	}
	if len(sources) > 0 {
		p.hanging(t.dim, t.dim, "", p.T("advisories as of: %s", plain(strings.Join(sources, ", "))))
	}
	for _, n := range known.NoData {
		p.hanging("", t.warn, "? ", d.noData(p, n))
	}
}

// drawScanners sets side by side how much each scanner found, or says why one
// found nothing.
func (d *vulnerabilityPage) drawScanners(p *printer, i *image.Image) {
	t := &p.theme
	for _, c := range vulnerability.Tally(i.Together, i.Known, i.Scans) {
		l := newLine(p.width, "")
		l.add(t.strong, fit(plain(c.Scanner), 9)+" ")
		l.add(t.dim, fit(plain(c.Version), 12)+" ")
		if c.Problem != nil {
			p.hanging("", t.warn, "! ", d.m.err(c.Problem))
			continue
		}
		l.add("", p.T("%d found", c.Found))
		if c.Only > 0 {
			l.add(t.warn, "  "+p.T("%d only here", c.Only))
		}
		p.lines = append(p.lines, l.end())
	}
}

func (d *vulnerabilityPage) noData(p *printer, n vulnerability.NoData) string {
	what := plain(n.What)
	switch n.Reason {
	case vulnerability.NotDownloaded:
		return p.T("nothing is known of %d packages: the advisories for %s are not on this machine", n.Packages, what)
	case vulnerability.UnknownSystem:
		return p.T("nothing is known of %d packages: the image does not say which distribution it is", n.Packages)
	}
	return p.T("nothing is known of %d packages: there are no advisories for %s", n.Packages, what)
}

// drawRow draws one vulnerability.
func (d *vulnerabilityPage) drawRow(p *printer, v *vulnerability.Vulnerability, selected bool) {
	t := &p.theme
	base, mark := ink(""), " "
	if selected {
		base, mark = t.selected, "▌"
	}
	l := newLine(p.width, base)
	l.add(t.accent, mark)
	if v.Severity > 0 {
		l.add(t.severity[v.Severity], symbols[v.Severity]+p.letter(v.Severity)+" ")
	} else {
		l.add(t.dim, "?  ")
	}
	l.add("", fit(plain(v.ID), 20)+" ")
	l.add(t.strong, plain(v.Package.Name)+" ")
	l.add(t.dim, plain(v.Package.Version))
	if v.Fixed != "" {
		l.add(t.good, " → "+plain(v.Fixed))
	}
	switch {
	case !v.Exploited.IsZero():
		l.add(t.bad, "  "+p.T("exploited"))
	case v.Probability >= 0.01:
		l.add(t.warn, fmt.Sprintf("  EPSS %.0f %%", 100*v.Probability))
	case v.Minor:
		l.add(t.dim, "  "+p.T("minor"))
	}
	if len(v.Found) > 0 {
		l.add(t.dim, "  "+strings.Join(v.Found, " "))
	}
	p.lines = append(p.lines, l.end())
}

// drawDetail draws what is below the row under the cursor.
func (d *vulnerabilityPage) drawDetail(p *printer, v *vulnerability.Vulnerability) {
	t := &p.theme
	inner := newPrinter(p.ui, p.width-3)
	if v.Summary != "" {
		inner.text("", plain(v.Summary))
	}
	if v.Score > 0 {
		inner.text(t.dim, fmt.Sprintf("CVSS %.1f", v.Score))
	}
	if !v.Exploited.IsZero() {
		inner.text(t.bad, p.T("known to be exploited since %s", v.Exploited.Format(time.DateOnly)))
	}
	if v.Fixed == "" {
		inner.text(t.dim, p.T("There is no repaired version yet."))
	}
	switch {
	case v.Package.Path != "" && v.Package.Layer >= 0:
		inner.text(t.dim, p.T("/%s, layer %d", plain(v.Package.Path), v.Package.Layer+1))
	case v.Package.Path != "":
		inner.text(t.dim, "/"+plain(v.Package.Path))
	}
	if aliases := slices.DeleteFunc(slices.Clone(v.Aliases), func(id string) bool { return id == v.ID }); len(aliases) > 0 {
		inner.text(t.dim, plain(strings.Join(aliases, ", ")))
	}
	for _, s := range inner.lines {
		p.lines = append(p.lines, "   "+s)
	}
}
