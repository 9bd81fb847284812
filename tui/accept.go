package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/suppress"
	"plimsoll/fixes"
	"plimsoll/fixes/ignore"
)

// whyNoIgnored says why there is nothing to show of what is ignored.
func (m *Model) whyNoIgnored() checks.Message {
	if m.sieve.ignored {
		return checks.Message{}
	}
	for _, s := range m.world.subjects {
		if len(s.Report.Suppressed) > 0 {
			return checks.Message{}
		}
	}
	return checks.Msg("nothing is ignored here")
}

// filterIgnored shows what is ignored instead of what counts, or that again.
func (m *Model) filterIgnored() {
	m.sieve.ignored = !m.sieve.ignored
	m.refreshSubjects()
}

// suppression says by whose word a finding does not count, why and until when.
func (p *printer) suppression(s *checks.Suppression) {
	t := &p.theme
	where := plain(s.Source)
	switch {
	case !s.InSubject():
		where = p.T("%s, line %d", where, s.Line)
	case s.Line > 0:
		where = p.T("a comment for %s, line %d", where, s.Line)
	}
	until := p.T("for ever")
	if !s.Until.IsZero() {
		until = p.T("until %s", s.Until.Format(time.DateOnly))
	}
	p.text(t.warn, p.T("Ignored")+" · "+until)
	p.text(t.dim, where)
	if s.Reason == "" {
		p.text(t.dim, p.T("no reason is given"))
	} else {
		p.hanging("", t.dim, "» ", plain(s.Reason))
	}
}

func (m *Model) whyNoAccept() checks.Message {
	if why := m.whyNoChange(); !why.IsZero() {
		return why
	}
	r, ok := m.findings.current()
	switch {
	case !ok:
		return checks.Msg("no finding is selected")
	case m.o.Accept == nil:
		return checks.Msg("there is no project to write this to")
	case r.ignored != nil:
		return checks.Msg("this finding is ignored already")
	case !r.subject.judged():
		return checks.Msg("the subject is still being read")
	}
	return checks.Message{}
}

// acceptOne asks why the selected finding is accepted.
func (m *Model) acceptOne() {
	r, _ := m.findings.current()
	m.show(newAcceptDialog(m, r))
}

// An acceptDialog asks for the reason and the last day of an acceptance, and
// goes on to the preview of what is written down.
type acceptDialog struct {
	window
	crew    *crew
	accept  func(ignore.Acceptance) planner
	finding checks.Finding
	subject checks.Subject
	form    form
}

func newAcceptDialog(m *Model, r findingRow) *acceptDialog {
	plan, ui := m.o.Accept, &m.ui
	d := &acceptDialog{crew: m.crew, finding: *r.finding, subject: r.subject.Subject}
	d.accept = func(a ignore.Acceptance) planner {
		return func(ctx context.Context, s checks.Subject, _ fixes.Request) (*fixes.Plan, error) {
			return plan(ctx, s, a)
		}
	}
	entry := func(key string, label, why checks.Message, valid func(string) error) formEntry {
		return formEntry{field: newField(""), choice: fixes.Choice{Choice: checks.Choice{Key: key, Label: label, Why: why, Valid: valid}}}
	}
	d.form = form{at: 1, entries: []formEntry{
		entry("reason", checks.Msg("reason"), checks.Msg("for whoever reads it next"), func(v string) error { return validReason(v) }),
		entry("until", checks.Msg("last day"), checks.Msg("YYYY-MM-DD, after which it counts again; empty for ever"), func(v string) error { return validDay(ui, v) }),
	}}
	return d
}

func validReason(reason string) error {
	if suppress.Reason(reason) == "" {
		return &checks.Problem{What: checks.Msg("a finding is ignored for a reason: write it down")}
	}
	return nil
}

func validDay(u *ui, day string) error {
	if day == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return &checks.Problem{What: checks.Msg("this is not a day: write YYYY-MM-DD")}
	}
	if (checks.Suppression{Until: t}).Expired(u.now()) {
		return &checks.Problem{What: checks.Msg("this day is over already")}
	}
	return nil
}

// acceptance returns what was typed.
func (d *acceptDialog) acceptance() ignore.Acceptance {
	a := ignore.Acceptance{Check: d.finding.Check.ID, Line: d.finding.Line, Reason: d.form.entries[0].field.text()}
	a.Until, _ = time.Parse(time.DateOnly, d.form.entries[1].field.text()) // checked before; "" is for ever
	return a
}

// key implements dialog.
func (d *acceptDialog) key(u *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc":
		return closeDialog{}
	case "enter":
		if d.form.problem = d.problem(u); d.form.problem != "" {
			return nil
		}
		plan, cmd := newPlanDialog(u, d.crew, d.subject, fixes.Request{}, d.accept(d.acceptance()))
		return actions{replaceWith{plan}, cmd}
	case "tab", "shift+tab", "up", "down":
		d.form.at = 3 - d.form.at
	default:
		d.form.entries[d.form.at-1].field.key(k)
		d.form.problem = ""
	}
	return nil
}

// problem says in the user's language what is wrong with what was typed.
func (d *acceptDialog) problem(u *ui) string {
	for i := range d.form.entries {
		e := &d.form.entries[i]
		if err := e.choice.Valid(e.field.text()); err != nil {
			d.form.at = i + 1
			return u.err(err)
		}
	}
	return ""
}

// paste implements paster.
func (d *acceptDialog) paste(_ *ui, text string) action {
	d.form.paste(text)
	return nil
}

// draw implements dialog.
func (d *acceptDialog) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	f := &d.finding
	p.hanging(u.theme.strong, u.theme.severity[f.Severity], symbols[f.Severity]+u.letter(f.Severity)+" ", plain(u.format(f.Check.Title)))
	p.text("", u.told(f.Message))
	p.blank()
	where := p.T("It becomes a comment above the line of the finding.")
	if k := d.subject.Ref().Kind; k != checks.Dockerfile && k != checks.Compose {
		where = p.T("It becomes an entry of %s.", checks.ConfigurationName)
	}
	p.text(u.theme.dim, where)
	p.blank()
	cursor := d.form.print(p)
	return sheet{title: u.T("Ignore %s", f.Check.ID), lines: p.lines, window: &d.window, cursor: cursor, buttons: []button{
		{key: "enter", label: u.T("plan")}, {key: "tab", label: u.T("change values")}, {key: "esc", label: u.T("cancel")},
	}}
}

// tell lets the owner of the world know that a change was made or taken back.
func (m *Model) tell(msg tea.Msg) tea.Cmd {
	done, ok := msg.(finished)
	kept := done.batch != nil && done.batch.Done() > 0 // of one that stopped
	if !ok || done.err != nil && !kept || m.o.Changed == nil {
		return nil
	}
	changed := m.o.Changed
	return func() tea.Msg { changed(); return nil }
}
