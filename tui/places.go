package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
)

// A spot is where a problem can be met: in a Dockerfile, in an image made from
// it, in a container of that, or in the compose file that runs it.
type spot struct {
	subject *subject
	finding *checks.Finding // of the same problem there; nil when none was reported
	line    int             // of a file; 0 when not known
	layer   string          // of an image, in words; "" when not known
	sure    bool            // for a Dockerfile: that the image was made from it
}

func (p *spot) row() findingRow { return findingRow{finding: p.finding, subject: p.subject} }

// A trail is one problem at all its places, from its cause to its effects.
type trail struct {
	places []spot
	cause  int // index of the place where a fix cures the others, -1 when not known
	cured  int // containers that a fix there cures
}

type trailKey struct {
	finding  findingKey
	version  int // of the world
	language assets.Language
}

// trailOf follows a finding to where it comes from and where it leads.
func (m *Model) trailOf(r findingRow) *trail {
	if key := (trailKey{r.key(), m.version, m.language}); m.followed == nil || m.followedFor != key {
		t := m.follow(r)
		m.followed, m.followedFor = &t, key
	}
	return m.followed
}

func (m *Model) follow(r findingRow) trail {
	family := m.kin.Of(&r.subject.Item, m.world.items())
	t := trail{cause: -1}
	add := func(item *inventory.Item, p spot) {
		if p.subject = m.world.subjects[identity{item.Ref.Kind, item.Ref.ID}]; p.subject == nil {
			return
		}
		if slices.ContainsFunc(t.places, func(o spot) bool { return o.subject == p.subject }) {
			return
		}
		p.finding = sameProblem(p.subject, r)
		// What is wrong with a file or an image goes down to all that is made of
		// it. What is wrong with a container concerns those that have it too.
		if p.finding == nil && r.subject.Ref.Kind == checks.Container && item.Ref.Kind != checks.Compose {
			return
		}
		if p.finding != nil && p.finding.Line > 0 {
			p.line = p.finding.Line
		}
		if p.finding != nil && t.cause < 0 && p.subject.Ref.Kind != checks.Container {
			t.cause = len(t.places)
		}
		t.places = append(t.places, p)
	}
	for _, o := range family.Origins {
		line := 0
		if row, ok := historyRow(r); ok && o.Image.Ref.ID == r.subject.Ref.ID {
			line = o.LineOf(row)
		}
		add(o.Item, spot{line: line, sure: o.Declared || o.Match.Known == o.Match.Of})
	}
	for _, i := range family.Images {
		add(i, spot{layer: m.layerOf(i, r, &t, family.Origins)})
	}
	for _, s := range family.Services {
		add(s.Item, spot{line: s.Line})
	}
	affected := 0
	for _, c := range family.Containers {
		add(c, spot{})
		if len(t.places) > 0 && t.places[len(t.places)-1].finding != nil {
			affected++
		}
	}
	if t.cured = affected; affected == 0 {
		t.cured = len(family.Containers) // containers carry what is wrong with their image
	}
	return t
}

// String tells one trail from another.
func (t *trail) String() string {
	var b strings.Builder
	for _, s := range t.places {
		fmt.Fprint(&b, s.subject.identity(), s.finding != nil, s.line, s.layer, s.sure, "\n")
	}
	fmt.Fprint(&b, t.cause, t.cured)
	return b.String()
}

// sameProblem returns the finding on s that sees what r does, r itself if it is
// there.
func sameProblem(s *subject, r findingRow) *checks.Finding {
	if s == r.subject {
		return r.finding
	}
	for i := range s.Report.Findings {
		if f := &s.Report.Findings[i]; inventory.SameCause(f.Check, r.finding.Check) && (f.Key == r.finding.Key || f.Key == "" || r.finding.Key == "" || f.Check.Kind != r.finding.Check.Kind) {
			return f
		}
	}
	return nil
}

// historyRow returns the row of the history, the newest first, that a finding
// of an image speaks of.
func historyRow(r findingRow) (row int, ok bool) {
	i, isImage := r.subject.Subject.(*image.Image)
	if !isImage {
		return 0, false
	}
	for _, e := range r.finding.Evidence {
		var step int
		if n, _ := fmt.Sscanf(e.Source, "history, step %d", &step); n == 1 && step > 0 && step <= len(i.History) {
			return len(i.History) - step, true
		}
	}
	return 0, false
}

// layerOf says which row of the history of an image the line of the problem
// made.
func (m *Model) layerOf(item *inventory.Item, r findingRow, t *trail, origins []inventory.Origin) string {
	i, ok := item.Subject.(*image.Image)
	if !ok {
		return ""
	}
	row, known := historyRow(r)
	var size int64
	for n, o := range origins {
		if o.Image.Ref.ID != item.Ref.ID || n >= len(t.places) || t.places[n].line == 0 {
			continue
		}
		if l, ok := o.Match.Layers[instructionAt(o.File, t.places[n].line)]; ok {
			row, known, size = l.Row, true, l.Size
		}
	}
	if !known || row >= len(i.History) {
		return ""
	}
	if size > 0 {
		return m.T("step %d of %d of its history, %.1f MB", len(i.History)-row, len(i.History), float64(size)/1e6)
	}
	return m.T("step %d of %d of its history", len(i.History)-row, len(i.History))
}

// instructionAt returns the first line of the instruction that holds a line.
func instructionAt(f *dockerfile.File, line int) int {
	for _, in := range f.Instructions {
		if in.Line <= line && line <= in.EndLine {
			return in.Line
		}
	}
	return line
}

// printTrail shows where a finding comes from and where it leads, if that is
// known.
func (m *Model) printTrail(p *printer, r findingRow) {
	t := m.trailOf(r)
	if len(t.places) < 2 {
		return
	}
	p.heading(m.T("The same at other places"))
	const shown = 6
	for i := range t.places[:min(shown, len(t.places))] {
		at := &t.places[i]
		look, mark := ink(""), "  "
		if at.subject == r.subject {
			look, mark = m.theme.strong, "▸ "
		}
		p.hanging(look, m.theme.accent, mark, m.placeText(at))
	}
	if n := len(t.places) - shown; n > 0 {
		p.text(m.theme.dim, m.N(checks.Msg("  … and %d more"), checks.Msg("  … and %d more"), n))
	}
	m.printCause(p, t)
	p.hanging(m.theme.dim, m.theme.key, "o ", m.T("goes there"))
}

func (m *Model) printCause(p *printer, t *trail) {
	if t.cause < 0 {
		return
	}
	cause := &t.places[t.cause]
	text := m.T("The cause is in %s.", m.placeName(cause))
	if t.cured > 0 {
		text += " " + m.N(
			checks.Msg("A fix there cures %d container, once it is built and started anew."),
			checks.Msg("A fix there cures %d containers, once they are built and started anew."), t.cured)
	}
	p.text("", text)
}

// placeName names a place with its line.
func (m *Model) placeName(p *spot) string {
	if p.line > 0 {
		return fmt.Sprintf("%s:%d", p.subject.name, p.line)
	}
	return p.subject.name
}

// placeText describes a place.
func (m *Model) placeText(p *spot) string {
	parts := []string{m.kindOne(p.subject.Ref.Kind) + " " + m.placeName(p)}
	if p.layer != "" {
		parts = append(parts, p.layer)
	}
	if p.subject.Ref.Kind == checks.Dockerfile && !p.sure {
		parts = append(parts, m.T("changed since it was built"))
	}
	if p.finding != nil {
		parts = append(parts, p.finding.Check.ID)
	}
	return strings.Join(parts, " · ")
}

// kindOne names one subject of a kind.
func (m *Model) kindOne(k checks.Kind) string {
	switch k {
	case checks.Dockerfile:
		return m.T("Dockerfile")
	case checks.Compose:
		return m.T("Compose file")
	case checks.Image:
		return m.T("Image")
	}
	return m.T("Container")
}

func (m *Model) whyNoPlaces() checks.Message {
	r, ok := m.findings.current()
	if !ok {
		return checks.Msg("no finding is selected")
	}
	if len(m.trailOf(r).places) < 2 {
		return checks.Msg("nothing else here is known to have to do with it")
	}
	return checks.Message{}
}

// openPlaces goes to the other place of a finding, or asks to which of several.
func (m *Model) openPlaces() tea.Cmd {
	r, _ := m.findings.current()
	t := *m.trailOf(r)
	d := &placesPage{m: m, trail: t}
	for i := range t.places {
		if t.places[i].subject == r.subject {
			d.cursor = (i + 1) % len(t.places)
		}
	}
	m.show(d)
	return nil
}

// A placesPage lists the places of one finding and jumps to one of them.
type placesPage struct {
	window
	m      *Model
	trail  trail
	cursor int
}

// key implements dialog.
func (d *placesPage) key(_ *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc", "q":
		return closeDialog{}
	case "up", "k":
		d.cursor = max(0, d.cursor-1)
	case "down", "j", "o":
		d.cursor = min(len(d.trail.places)-1, d.cursor+1)
	case "enter":
		at := &d.trail.places[d.cursor]
		if at.finding != nil {
			d.m.goTo(at.row())
		} else {
			d.m.goToSubject(at.subject)
		}
		return closeDialog{}
	}
	d.reveal(d.cursor)
	return nil
}

// goToSubject selects a subject, whatever was filtered before.
func (m *Model) goToSubject(s *subject) {
	m.sieve = sieve{chapter: -1}
	m.wanted, m.wantedFinding = s.Ref, findingKey{}
	m.refreshSubjects()
	m.setFocus(findingsPane)
}

// draw implements dialog.
func (d *placesPage) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	for i := range d.trail.places {
		base, mark := ink(""), " "
		if i == d.cursor {
			base, mark = u.theme.selected, "▌"
		}
		l := newLine(p.width, base)
		l.add(u.theme.accent, mark)
		l.add("", d.m.placeText(&d.trail.places[i]))
		p.lines = append(p.lines, l.end())
	}
	p.blank()
	d.m.printCause(p, &d.trail)
	return sheet{title: u.T("The same at other places"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("go there")}, {key: "esc", label: u.T("close")},
	}}
}
