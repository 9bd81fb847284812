package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/runtime"
	"plimsoll/fixes"
)

// mostAlerts is how many alerts are remembered, the latest.
const mostAlerts = 500

// A behaviourPage tells live what containers did that they should not have,
// the latest first. While it is open everything is looked at more often.
type behaviourPage struct {
	window
	m       *Model
	cursor  int
	wanted  *runtime.Alert // under the cursor, while more come; nil: the latest
	moved   bool
	sources []Source
}

// sourcesMsg is what the lookout learns things from.
type sourcesMsg struct {
	by      *behaviourPage
	sources []Source
}

func (m *Model) whyNoBehaviour() checks.Message {
	if m.o.Lookout == nil {
		return checks.Msg("nothing watches containers here")
	}
	return checks.Message{}
}

func (m *Model) openBehaviour() tea.Cmd {
	d := &behaviourPage{m: m, moved: true}
	m.show(d)
	lookout := m.o.Lookout
	return func() tea.Msg {
		lookout.Attend(true)
		return sourcesMsg{d, lookout.Sources()}
	}
}

// close ends the page, and looking more often.
func (d *behaviourPage) close() action {
	lookout := d.m.o.Lookout
	return actions{closeDialog{}, tea.Cmd(func() tea.Msg { lookout.Attend(false); return nil })}
}

// hear implements listener.
func (d *behaviourPage) hear(_ *ui, msg tea.Msg) (action, bool) {
	s, ok := msg.(sourcesMsg)
	if !ok || s.by != d {
		return nil, false
	}
	d.sources = s.sources
	return nil, true
}

// alerts returns those that are known, the latest first, and puts the cursor
// back on the one that it was on.
func (d *behaviourPage) alerts() []*runtime.Alert {
	all := make([]*runtime.Alert, 0, len(d.m.world.alerts))
	for i := len(d.m.world.alerts) - 1; i >= 0; i-- {
		all = append(all, &d.m.world.alerts[i])
	}
	if d.wanted != nil {
		for i, a := range all {
			if a.At.Equal(d.wanted.At) && a.Check == d.wanted.Check && a.Key == d.wanted.Key && a.Container == d.wanted.Container {
				d.cursor = i
			}
		}
	}
	d.cursor = max(0, min(d.cursor, len(all)-1))
	return all
}

func (d *behaviourPage) to(row int) {
	all := d.alerts()
	d.cursor, d.wanted, d.moved = max(0, min(row, len(all)-1)), nil, true
	if d.cursor > 0 && d.cursor < len(all) {
		a := *all[d.cursor]
		d.wanted = &a
	}
}

// subject returns the container of the alert under the cursor.
func (d *behaviourPage) subject(all []*runtime.Alert) (*subject, bool) {
	if d.cursor >= len(all) {
		return nil, false
	}
	s, ok := d.m.world.subjects[identity{checks.Container, all[d.cursor].Container}]
	return s, ok
}

// asked returns the container that sysdig is asked about: that of the alert under
// the cursor, else the one that is selected behind the page.
func (d *behaviourPage) asked(all []*runtime.Alert) *subject {
	if s, here := d.subject(all); here {
		return s
	}
	if s := d.m.quarantined(); s != nil && s.Ref.Kind == checks.Container {
		return s
	}
	return nil
}

// key implements dialog.
func (d *behaviourPage) key(_ *ui, k tea.KeyPressMsg) action {
	all := d.alerts()
	switch k.String() {
	case "esc", "q", "w":
		return d.close()
	case "up", "k":
		d.to(d.cursor - 1)
	case "down", "j":
		d.to(d.cursor + 1)
	case "home", "g":
		d.to(0)
	case "end", "G":
		d.to(len(all) - 1)
	case "pgdown", "space":
		d.to(d.cursor + max(1, d.h-3))
	case "pgup":
		d.to(d.cursor - max(1, d.h-3))
	case "enter":
		if s, ok := d.subject(all); ok {
			d.m.visit(s, all[d.cursor])
			return d.close()
		}
	case "F":
		return d.m.openRules()
	case "s":
		if s := d.asked(all); s != nil {
			return d.m.openSysdig(s)
		}
		return say{d.m.T("select a container first"), true}
	case "Q":
		if s, ok := d.subject(all); ok {
			d.m.visit(s, all[d.cursor])
			return actions{d.close(), pressKey{d.m.bound("Q")}}
		}
	}
	return nil
}

// visit selects the container of an alert, and its finding where there is one.
func (m *Model) visit(s *subject, a *runtime.Alert) {
	m.sieve = sieve{chapter: -1}
	m.wanted, m.wantedFinding = s.Ref, findingKey{}
	for i := range s.Report.Findings {
		if f := &s.Report.Findings[i]; f.Check.ID == a.Check && f.Key == a.Key {
			m.wantedFinding = findingRow{finding: f, subject: s}.key()
		}
	}
	m.refreshSubjects()
	m.setFocus(findingsPane)
}

// draw implements dialog.
func (d *behaviourPage) draw(u *ui, width int) sheet {
	all := d.alerts()
	p := newPrinter(u, width)
	d.drawSources(p)
	if len(all) == 0 {
		p.hanging("", u.theme.good, "✓ ", u.T("Nothing has happened that does not belong, since plimsoll watches."))
	}
	first, last := 0, 0
	for i, a := range all {
		if i == d.cursor {
			first = len(p.lines)
		}
		d.drawAlert(p, a, i == d.cursor)
		if i == d.cursor {
			last = len(p.lines) - 1
		}
	}
	if d.moved && d.h > 0 {
		d.n, d.moved = len(p.lines), false
		d.reveal(last)
		d.reveal(first)
	}
	_, here := d.subject(all)
	return sheet{title: u.T("What containers do"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("to the container"), off: !here},
		{key: "Q", label: u.T("quarantine"), off: !here},
		{key: "s", label: u.T("ask sysdig"), off: d.asked(all) == nil},
		{key: "F", label: u.T("rules for Falco")},
		{key: "esc", label: u.T("close")},
	}}
}

// drawSources says what the page is made from.
func (d *behaviourPage) drawSources(p *printer) {
	t := &p.theme
	for _, s := range d.sources {
		name := strings.TrimSpace(plain(s.Name) + " " + plain(s.Detail))
		switch {
		case s.Err != nil:
			p.hanging(t.dim, t.warn, "! ", name+": "+plain(p.err(s.Err)))
		case s.Name == "sysdig" && s.Present:
			p.hanging(t.dim, t.dim, "· ", p.T("sysdig %s is installed: %s asks it about a container", plain(s.Detail), "s"))
		case s.Present:
			p.hanging(t.dim, t.good, "✓ ", name)
		case s.Name == "Falco":
			p.hanging(t.dim, t.dim, "· ", p.T("Falco: no container runs it; runtime.falco in the configuration says where else its alerts are"))
		}
	}
	if len(d.sources) > 0 {
		p.blank()
	}
}

// drawAlert draws one alert, and what it rests on below the one under the cursor.
func (d *behaviourPage) drawAlert(p *printer, a *runtime.Alert, selected bool) {
	t := &p.theme
	base, mark := ink(""), " "
	if selected {
		base, mark = t.selected, "▌"
	}
	l := newLine(p.width, base)
	l.add(t.accent, mark)
	look := t.severity[a.Severity]
	if a.Past {
		look = t.dim
	}
	at := a.At.In(p.now().Location())
	format := time.TimeOnly
	if at.Format(time.DateOnly) != p.now().Format(time.DateOnly) {
		format = "01-02 15:04"
	}
	l.add(t.dim, at.Format(format)+" ")
	l.add(look, symbols[a.Severity]+p.letter(a.Severity)+" ")
	if a.Past {
		l.add(t.dim, p.T("earlier: ")+plain(p.told(a.Message)))
	} else {
		l.add("", plain(p.told(a.Message)))
	}
	p.lines = append(p.lines, l.end())
	if !selected {
		return
	}
	inner := newPrinter(p.ui, p.width-3)
	for _, e := range a.Evidence {
		inner.hanging(t.dim, t.dim, "• ", plain(e.String()))
	}
	inner.text(t.dim, p.T("concluded from %s", plain(string(a.Source)))+" · "+plain(a.Check))
	for _, s := range inner.lines {
		p.lines = append(p.lines, "   "+s)
	}
}

// quarantined returns the container that Q is about.
func (m *Model) quarantined() *subject {
	s := m.fixSubject()
	if r, ok := m.findings.current(); ok && m.focus != subjectsPane {
		s = r.subject
	}
	return s
}

func (m *Model) whyNoQuarantine() checks.Message {
	if why := m.whyNoChange(); !why.IsZero() {
		return why
	}
	switch s := m.quarantined(); {
	case s == nil || s.Ref.Kind != checks.Container:
		return checks.Msg("select a container first")
	case !s.judged():
		return checks.Msg("the subject is still being read")
	case m.world.engine.Phase != inventory.Connected:
		return checks.Msg("there is no connection to the engine")
	}
	return checks.Message{}
}

// quarantine plans to isolate the selected container.
func (m *Model) quarantine() tea.Cmd {
	d, cmd := newFixDialog(&m.ui, m.crew, m.quarantined().Subject, fixes.Request{Quarantine: true})
	m.show(d)
	return cmd
}
