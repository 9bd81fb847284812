package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/attack"
)

// A pathsPage lists the attack paths, the worst first, each as a story with the
// fix that cuts it best. It follows what changes while it is open.
type pathsPage struct {
	window
	m      *Model
	wanted string // path under the cursor, across updates
	cursor int
	moved  bool // the cursor did, so that its story comes into sight

	cuts    []attack.Cut // of the path under the cursor, the best first
	cutsFor cutsKey
}

// A cutsKey is everything that cuts depend on.
type cutsKey struct {
	path    string
	changes int // of facts
	version int // of the world: what can be fixed
}

func (m *Model) openPaths() { m.show(&pathsPage{m: m, moved: true}) }

// paths returns the paths and puts the cursor back on the one it was on.
func (d *pathsPage) paths() []attack.Path {
	all := d.m.world.attack.Paths()
	if d.cursor < len(all) && all[d.cursor].ID == d.wanted {
		return all
	}
	for i := range all {
		if all[i].ID == d.wanted {
			d.cursor = i
			return all
		}
	}
	d.to(d.cursor)
	return all
}

func (d *pathsPage) to(row int) {
	all := d.m.world.attack.Paths()
	d.cursor, d.wanted, d.moved = max(0, min(row, len(all)-1)), "", true
	if d.cursor < len(all) {
		d.wanted = all[d.cursor].ID
	}
}

// best returns what the best fix of the path under the cursor does.
func (d *pathsPage) best(all []attack.Path) (attack.Cut, bool) {
	if d.cursor >= len(all) {
		return attack.Cut{}, false
	}
	p := &all[d.cursor]
	if key := (cutsKey{p.ID, d.m.world.attack.Changes(), d.m.version}); key != d.cutsFor {
		d.cutsFor = key
		d.cuts = d.m.world.attack.Cuts(p, func(g attack.Ground) bool {
			r, ok := d.m.findingOf(g)
			return ok && r.finding.Fixable()
		})
	}
	if len(d.cuts) == 0 {
		return attack.Cut{}, false
	}
	return d.cuts[0], true
}

// findingOf returns the finding that a step rests on, if a check reported it.
func (m *Model) findingOf(g attack.Ground) (findingRow, bool) {
	s, ok := m.world.subjects[identity{g.Subject.Kind, g.Subject.ID}]
	if !ok {
		return findingRow{}, false
	}
	f := g.Finding(&s.Report)
	return findingRow{finding: f, subject: s}, f != nil
}

// key implements dialog.
func (d *pathsPage) key(u *ui, k tea.KeyPressMsg) action {
	all := d.paths()
	switch k.String() {
	case "esc", "q", "a":
		return closeDialog{}
	case "up", "k":
		d.to(d.cursor - 1)
	case "down", "j":
		d.to(d.cursor + 1)
	case "home", "g":
		d.to(0)
	case "end", "G":
		d.to(len(all) - 1)
	case "pgdown", "space":
		d.scrollBy(max(1, d.h-1))
	case "pgup":
		d.scrollBy(-max(1, d.h-1))
	case "f":
		return d.fix(u, all)
	case "enter":
		return d.visit(u, all)
	case "e":
		if d.cursor < len(all) {
			return openDialog{newStepsPage(d.m, all[d.cursor])}
		}
	}
	return nil
}

// fix plans the fix that cuts the path best.
func (d *pathsPage) fix(u *ui, all []attack.Path) action {
	cut, ok := d.best(all)
	r, reported := d.m.findingOf(cut.Ground)
	if !ok || !reported {
		return say{u.T("no finding leads to a fix here: e says what to do by hand"), true}
	}
	if why := d.m.whyNotFixable(r); !why.IsZero() {
		return say{u.T("%s: %s", "f", u.told(why)), true}
	}
	d.m.goTo(r)
	return actions{closeDialog{}, pressKey{d.m.bound("f")}}
}

// visit leaves for the finding that is to be fixed.
func (d *pathsPage) visit(u *ui, all []attack.Path) action {
	cut, ok := d.best(all)
	r, reported := d.m.findingOf(cut.Ground)
	if !ok || !reported {
		return say{u.T("no finding leads to a fix here: e says what to do by hand"), true}
	}
	d.m.goTo(r)
	return closeDialog{}
}

// goTo selects a finding, whatever was filtered before.
func (m *Model) goTo(r findingRow) {
	m.sieve = sieve{chapter: -1}
	m.wanted, m.wantedFinding = r.subject.Ref, r.key()
	m.refreshSubjects()
	m.setFocus(findingsPane)
}

// draw implements dialog.
func (d *pathsPage) draw(u *ui, width int) sheet {
	all := d.paths()
	p := newPrinter(u, width)
	if len(all) == 0 {
		p.hanging("", u.theme.good, "✓ ", u.T("No attack path: what other machines can reach leads no further, as far as it shows."))
		if !d.m.world.complete {
			p.text(u.theme.dim, u.T("reading …"))
		}
	}
	first, last := 0, 0
	for i := range all {
		if i == d.cursor {
			first = len(p.lines)
		}
		d.drawPath(p, &all[i], i == d.cursor)
		if i == d.cursor {
			d.drawStory(p, all)
			last = len(p.lines) - 1
		}
	}
	if d.moved && d.h > 0 {
		d.n, d.moved = len(p.lines), false
		d.reveal(last)
		d.reveal(first)
	}
	cut, ok := d.best(all)
	r, reported := d.m.findingOf(cut.Ground)
	return sheet{title: u.T("Attack paths"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "f", label: u.T("fix"), off: !ok || !reported || !d.m.whyNotFixable(r).IsZero()},
		{key: "enter", label: u.T("to the finding"), off: !ok || !reported},
		{key: "e", label: u.T("explain"), off: len(all) == 0},
		{key: "esc", label: u.T("close")},
	}}
}

// drawPath draws the row of a path.
func (d *pathsPage) drawPath(p *printer, path *attack.Path, selected bool) {
	t := &p.theme
	base, mark := ink(""), " "
	if selected {
		base, mark = t.selected, "▌"
	}
	l := newLine(p.width, base)
	l.add(t.accent, mark)
	l.add(t.severity[path.Severity], symbols[path.Severity]+p.letter(path.Severity)+" ")
	l.add("", p.told(path.What()))
	l.add(t.dim, "  "+d.from(path))
	p.lines = append(p.lines, l.end())
}

// from says where a path begins, and in which file if it only would.
func (d *pathsPage) from(path *attack.Path) string {
	from := d.m.told(path.From())
	if path.Planned {
		from += " · " + shorten(plain(path.Through().Ref.Name), 24, checks.Compose)
	}
	return from
}

// drawStory draws what is below the row of the path under the cursor.
func (d *pathsPage) drawStory(p *printer, all []attack.Path) {
	path := &all[d.cursor]
	inner := newPrinter(p.ui, p.width-3)
	t := &p.theme
	inner.text(t.title, path.Equation(p.format))
	for i, s := range path.Steps() {
		d.drawStep(inner, fmt.Sprintf("%d ", i+1), s)
	}
	for _, s := range path.Also() {
		d.drawStep(inner, p.T("or")+" ", s)
	}
	if cut, ok := d.best(all); ok {
		d.drawCut(inner, &cut, len(all))
	}
	for _, s := range inner.lines {
		p.lines = append(p.lines, "   "+s)
	}
	p.lines = append(p.lines, strings.Repeat(" ", p.width))
}

// drawStep draws one step with what it rests on.
func (d *pathsPage) drawStep(p *printer, mark string, s attack.Step) {
	t := &p.theme
	p.hanging("", t.accent, mark, p.told(s.Message))
	for _, g := range s.Grounds {
		text := plain(g.Evidence.String())
		if r, ok := d.m.findingOf(g); ok {
			text += " · " + p.format(r.finding.Check.Title)
		}
		p.hanging(t.dim, t.dim, "  • ", text)
	}
}

// drawCut draws the fix that cuts a path best and what it leaves.
func (d *pathsPage) drawCut(p *printer, cut *attack.Cut, total int) {
	t := &p.theme
	what := p.told(cut.Ground.Label)
	if r, ok := d.m.findingOf(cut.Ground); ok {
		what = fmt.Sprintf("%s: %s", r.subject.name, plain(p.format(r.finding.Check.Title)))
		if r.finding.Fixable() {
			what += " – " + p.say(r.finding.Fixes[0].Title)
		}
	} else if what == "" {
		what = plain(cut.Ground.Evidence.String())
	}
	heading := p.T("What cuts it best")
	if !cut.Ends {
		heading = p.T("What helps most; no single fix ends it")
	}
	p.hanging(t.strong, t.good, "→ ", heading+": "+what)
	switch left := len(cut.Left); {
	case left == 0:
		p.hanging("", t.good, "  ", p.T("Nothing is left after it."))
	default:
		p.hanging("", t.dim, "  ", p.T("%d of %d paths are left after it, such as:", left, max(total, left)))
		for i := range cut.Left[:min(3, left)] {
			o := &cut.Left[i]
			p.hanging("", t.severity[o.Severity], "  "+symbols[o.Severity]+p.letter(o.Severity)+" ", p.told(o.What())+"  "+d.from(o))
		}
	}
}

// newStepsPage explains the rules that a path follows.
func newStepsPage(m *Model, path attack.Path) *page {
	return &page{title: checks.Msg("How this attack works"), print: func(p *printer) {
		seen := map[string]bool{}
		for _, s := range append(path.Steps(), path.Also()...) {
			e, ok := m.o.Explain(m.language, s.Rule.ID)
			if !ok || seen[s.Rule.ID] {
				continue
			}
			seen[s.Rule.ID] = true
			p.heading(plain(p.format(s.Rule.Title)))
			p.text(m.theme.dim, s.Rule.ID+" · MITRE ATT&CK "+strings.Join(s.Rule.Refs, ", "))
			for _, section := range e.Sections {
				if section.Text != "" {
					p.heading(section.Heading)
					p.markdown(section.Text)
				}
			}
		}
	}}
}
