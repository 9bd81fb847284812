package tui

import (
	"fmt"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
)

// printFinding explains one finding: what, how we know, where, why and what to
// do about it.
func (m *Model) printFinding(p *printer, r findingRow) {
	t, f := &m.theme, r.finding
	mark := symbols[f.Severity] + m.letter(f.Severity) + " "
	p.hanging(t.strong, t.severity[f.Severity], mark, plain(m.format(f.Check.Title)))
	p.text(t.dim, fmt.Sprintf("%s · %s · %s", m.severity(f.Severity), m.chapterName(f.Check.Chapter), f.Check.ID))
	if when := m.noveltyOf(r); when != "" {
		p.text(t.accent, when)
	}
	if r.ignored != nil {
		p.suppression(r.ignored)
	}
	p.blank()
	p.text("", m.told(f.Message))
	if len(f.Evidence) > 0 {
		p.heading(m.T("How we know"))
		for _, e := range f.Evidence {
			p.hanging("", t.dim, "• ", plain(e.String()))
		}
	}
	m.printSource(p, r)
	m.printTrail(p, r)
	p.heading(m.T("What can be done"))
	if !f.Fixable() {
		p.text("", m.T("No automatic fix: a person has to decide. The explanation says how."))
	}
	for i := range f.Fixes {
		x := &f.Fixes[i]
		p.hanging("", t.good, "f ", m.say(x.Title))
		if !x.Caution.IsZero() {
			p.hanging(t.warn, t.warn, "  ! ", m.say(x.Caution))
		}
	}
	explanation, explained := m.o.Explain(m.language, f.Check.ID)
	for _, s := range explanation.Sections {
		if s.Text != "" {
			p.heading(s.Heading)
			p.markdown(s.Text)
		}
	}
	if !explained && len(f.Check.Refs) > 0 {
		p.heading(m.T("The same rule elsewhere"))
		p.text(t.dim, strings.Join(f.Check.Refs, " · "))
	}
}

// printAbout describes a subject, a kind or everything when there is no finding
// to explain.
func (m *Model) printAbout(p *printer, r subjectRow) {
	if r.subject == nil {
		m.printOverview(p, r)
		return
	}
	s, t := r.subject, &m.theme
	p.text(t.strong, s.name)
	p.text(t.dim, m.kind(s.Ref.Kind))
	p.blank()
	fact := func(name, value string) {
		if value != "" {
			p.hanging("", t.dim, fit(name, 12)+" ", plain(value))
		}
	}
	state, _ := m.state(s)
	if state == "" && s.Status.State == "running" {
		state = m.T("running")
	}
	fact(m.T("state"), state)
	fact(m.T("image"), s.Status.Image)
	fact(m.T("health"), s.Status.Health)
	fact(m.T("project"), s.Status.Project)
	if s.Status.Size > 0 {
		fact(m.T("size"), fmt.Sprintf("%.1f MB", float64(s.Status.Size)/1e6))
	}
	if !s.Status.Created.IsZero() {
		fact(m.T("created at"), s.Status.Created.Local().Format("2006-01-02 15:04"))
	}
	if s.judged() {
		fact(m.T("posture of it"), fmt.Sprintf("%d/100", points(s.score)))
	}
	m.printErrors(p, s)
	if noted, ok := s.Subject.(checks.Noted); ok && len(noted.Notes()) > 0 {
		p.heading(m.T("Not looked at"))
		for _, note := range noted.Notes() {
			p.hanging("", t.dim, "· ", m.say(note))
		}
	}
}

// printErrors says what could not be judged.
func (m *Model) printErrors(p *printer, s *subject) {
	if len(s.Report.Errors) == 0 {
		return
	}
	p.heading(m.T("Could not be judged"))
	for _, err := range s.Report.Errors {
		p.hanging("", m.theme.warn, "! ", m.err(err))
	}
}

// printOverview tells how things stand as a whole.
func (m *Model) printOverview(p *printer, r subjectRow) {
	t := &m.theme
	p.text(t.strong, m.selectedName())
	p.text(t.dim, m.N(checks.Msg("%d subject"), checks.Msg("%d subjects"), r.number))
	if r.kind == "" && m.world.scores.judged > 0 {
		score := m.world.scores.all
		p.hanging("", m.scoreInk(score), fmt.Sprintf("%d/100 ", points(score)), m.T("posture; S shows how it is computed"))
	}
	p.heading(m.T("First steps"))
	for _, key := range []string{"enter", "/", "f", "S", "?"} {
		b := m.bound(key)
		p.hanging("", t.key, fit(key, 6), m.told(b.does))
	}
}

// noFindings fills the middle pane when there is nothing in it.
func (m *Model) noFindings() []string {
	t := &m.theme
	p := newPrinter(&m.ui, m.findings.w)
	at, _ := m.subjects.current()
	p.lines = append(p.lines, strings.Repeat(" ", m.findings.w))
	switch {
	case m.sieve.active() || m.sieve.text[findingsPane] != "" || m.sieve.text[subjectsPane] != "" && at.number == 0 && at.subject == nil:
		p.text(t.dim, m.T("Nothing passes the filters. esc shows everything again."))
	case at.subject != nil && !at.subject.judged() && len(at.subject.Report.Errors) == 0:
		p.text(t.dim, m.T("reading …"))
	case at.subject != nil && len(at.subject.Report.Errors) > 0:
		m.printErrors(p, at.subject)
	case at.subject != nil:
		p.hanging(t.good, t.good, "✓ ", m.T("Nothing found."))
		p.text(t.dim, m.T("Every check of the profile was applied and none had anything to say."))
	case m.world.engine.Phase == inventory.Connecting && at.kind != checks.Dockerfile && at.kind != checks.Compose:
		p.text(t.dim, m.T("Connecting to the Docker Engine …"))
	case m.world.disconnected() && at.kind != checks.Dockerfile && at.kind != checks.Compose:
		m.printNoEngine(p)
	case at.number == 0 && m.world.complete:
		p.text(t.dim, m.T("There is nothing here to check."))
	case !m.world.complete:
		p.text(t.dim, m.T("reading …"))
	default:
		p.hanging(t.good, t.good, "✓ ", m.T("Nothing found."))
	}
	return p.lines
}

// printNoEngine says why there is no engine and what to do.
func (m *Model) printNoEngine(p *printer) {
	t, e := &m.theme, m.world.engine
	title := m.T("No Docker Engine")
	if e.Phase == inventory.Lost {
		title = m.T("The connection to the Docker Engine was lost")
	}
	p.hanging(t.strong, t.warn, "! ", title)
	if e.Endpoint != "" {
		p.text(t.dim, plain(e.Endpoint))
	}
	p.blank()
	if e.Err != nil {
		p.text("", m.err(e.Err))
		p.blank()
	}
	p.text("", m.T("Dockerfiles and compose files are checked all the same. Images and containers appear as soon as the engine answers."))
	if m.o.DemoHint != "" && !m.o.Demo {
		p.blank()
		p.text("", m.T("To look around without an engine:"))
		p.text(t.code, "  "+m.o.DemoHint)
	}
}
