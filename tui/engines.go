package tui

import (
	"context"
	"fmt"
	"image"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/inventory"
	"plimsoll/fixes/fixer"
)

// Engines are the engines that the user may turn to.
type Engines interface {
	// List returns those that the docker command knows.
	List() ([]engine.Known, error)

	// Find returns the engine at an address that was typed.
	Find(address string) (engine.Target, error)

	// Survey reads and judges everything of an engine once. It changes nothing.
	Survey(ctx context.Context, t engine.Target) (Survey, error)

	// Open turns the updates to an engine and returns what changes it.
	Open(ctx context.Context, t engine.Target) (Tools, error)
}

// Tools are what changes one engine, as in [Options].
type Tools struct {
	Fixer  fixer.Fixer
	Prover Prover
}

// A Survey is how one engine stands.
type Survey struct {
	Name, Version string // of the engine
	Podman        bool   // it is not Docker's
	Score         int    // 0 to 100
	Counts        map[checks.Severity]int
	Subjects      int // that were read
	Gaps          int // that could not be read

	scores []float64
}

// Sum returns how the subjects of an engine stand.
func Sum(items []inventory.Item) Survey {
	s := Survey{Counts: map[checks.Severity]int{}}
	for _, item := range items {
		subject := newSubject(item)
		if !subject.judged() {
			s.Gaps++
			continue
		}
		s.Subjects++
		s.scores = append(s.scores, subject.score)
		for severity, n := range subject.counts {
			if n > 0 {
				s.Counts[checks.Severity(severity)] += n
			}
		}
	}
	s.Score = points(posture(s.scores))
	return s
}

// Total returns how several engines stand together.
func Total(surveys []Survey) Survey {
	all := Survey{Counts: map[checks.Severity]int{}}
	for _, s := range surveys {
		all.Subjects += s.Subjects
		all.Gaps += s.Gaps
		all.scores = append(all.scores, s.scores...)
		for severity, n := range s.Counts {
			all.Counts[severity] += n
		}
	}
	all.Score = points(posture(all.scores))
	return all
}

// An enginesPage shows all engines with how they stand, and turns to one.
type enginesPage struct {
	window
	m      *Model
	cancel context.CancelFunc
	ctx    context.Context // of the surveys, which end with the page
	since  time.Time
	listed bool
	err    error
	rows   []engineRow
	cursor int
	typed  *field // address being typed, else nil
}

// An engineRow is an engine and what is known of it by now.
type engineRow struct {
	engine.Known
	asking bool
	survey *Survey
	err    error // why it could not be surveyed
}

type (
	enginesListed struct {
		by   *enginesPage
		rows []engine.Known
		err  error
	}
	surveyed struct {
		by     *enginesPage
		title  string
		survey Survey
		err    error
	}
	engineFound struct {
		by     *enginesPage
		target engine.Target
		err    error
	}
	turned struct { // to another engine
		title string
		tools Tools
		err   error
	}
)

func (m *Model) whyNoEngines() checks.Message {
	switch {
	case m.o.Engines == nil:
		return checks.Msg("there is one engine here only")
	case m.turning:
		return checks.Msg("plimsoll is turning to another engine")
	}
	return checks.Message{}
}

func (m *Model) openEngines() tea.Cmd {
	d := &enginesPage{m: m, since: m.now()}
	d.ctx, d.cancel = context.WithCancel(m.crew.ctx)
	m.show(d)
	engines := m.o.Engines
	return func() tea.Msg {
		rows, err := engines.List()
		return enginesListed{d, rows, err}
	}
}

// here reports whether t is the engine that the screen shows.
func (m *Model) here(t engine.Target) bool {
	e := m.world.engine
	return t.Host == e.Endpoint && (t.Context == e.Context || e.Context == "" || t.Context == "")
}

// hear implements listener.
func (d *enginesPage) hear(u *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case enginesListed:
		if msg.by != d {
			return nil, false
		}
		d.listed, d.err, d.rows = true, msg.err, nil
		for _, k := range msg.rows {
			d.rows = append(d.rows, engineRow{Known: k})
		}
		d.addCurrent()
		return d.surveyAll(), true
	case surveyed:
		if msg.by != d {
			return nil, false
		}
		for i := range d.rows {
			if d.rows[i].Title() == msg.title {
				d.rows[i].asking, d.rows[i].err = false, msg.err
				if msg.err == nil {
					d.rows[i].survey = &msg.survey
				}
			}
		}
		return nil, true
	case engineFound:
		if msg.by != d {
			return nil, false
		}
		if msg.err != nil {
			return say{u.err(msg.err), true}, true
		}
		return d.turn(msg.target), true
	}
	return nil, false
}

// addCurrent puts the engine that is shown first when no context names it, and
// the cursor on it.
func (d *enginesPage) addCurrent() {
	e := d.m.world.engine
	if e.Endpoint == "" {
		return
	}
	for i := range d.rows {
		if d.rows[i].Err == nil && d.m.here(d.rows[i].Target) {
			d.cursor = i
			return
		}
	}
	d.rows = append([]engineRow{{Known: engine.Known{Target: engine.Target{Host: e.Endpoint, Context: e.Context}, Name: e.Endpoint}}}, d.rows...)
}

// surveyAll asks every engine but the one that is shown, which is known.
func (d *enginesPage) surveyAll() tea.Cmd {
	var cmds []tea.Cmd
	for i := range d.rows {
		r := &d.rows[i]
		if r.Err != nil || d.m.here(r.Target) || r.asking {
			continue
		}
		r.asking = true
		engines, ctx, t := d.m.o.Engines, d.ctx, r.Target
		cmds = append(cmds, func() tea.Msg {
			survey, err := engines.Survey(ctx, t)
			return surveyed{d, t.Title(), survey, err}
		})
	}
	return tea.Batch(cmds...)
}

// busy implements busy.
func (d *enginesPage) busy() bool {
	for i := range d.rows {
		if d.rows[i].asking {
			return true
		}
	}
	return !d.listed
}

// turn closes the page and turns to an engine.
func (d *enginesPage) turn(t engine.Target) action {
	d.cancel()
	return actions{closeDialog{}, d.m.turnTo(t)}
}

// turnTo makes another engine the one that is shown. Nothing can be changed
// until it answers.
func (m *Model) turnTo(t engine.Target) tea.Cmd {
	before := Tools{m.crew.fixer, m.crew.prover}
	m.turning, m.crew.fixer, m.crew.prover = true, nil, nil
	m.status = status{text: m.T("turning to %s", plain(t.Title()))}
	engines, ctx := m.o.Engines, m.crew.ctx
	return func() tea.Msg {
		tools, err := engines.Open(ctx, t)
		if err != nil {
			tools = before
		}
		return turned{t.Title(), tools, err}
	}
}

// hasTurned takes in that another engine is shown.
func (m *Model) hasTurned(msg turned) tea.Cmd {
	m.turning, m.crew.fixer, m.crew.prover = false, msg.tools.Fixer, msg.tools.Prover
	if msg.err != nil {
		m.status = status{m.T("%s: %s", plain(msg.title), m.err(msg.err)), true}
		return nil
	}
	return m.findInterrupted()
}

// key implements dialog.
func (d *enginesPage) key(u *ui, k tea.KeyPressMsg) action {
	name := k.String()
	if d.typed != nil {
		switch name {
		case "esc":
			d.typed = nil
		case "enter":
			engines, text := d.m.o.Engines, strings.TrimSpace(d.typed.text())
			d.typed = nil
			return tea.Cmd(func() tea.Msg {
				t, err := engines.Find(text)
				return engineFound{d, t, err}
			})
		default:
			d.typed.key(k)
		}
		return nil
	}
	switch name {
	case "esc", "q", "E":
		d.cancel()
		return closeDialog{}
	case "up", "k":
		d.cursor = max(0, d.cursor-1)
	case "down", "j":
		d.cursor = max(0, min(d.cursor+1, len(d.rows)-1))
	case "r":
		return d.surveyAll()
	case "a":
		d.typed = newField("ssh://")
	case "enter":
		if d.cursor >= len(d.rows) {
			return nil
		}
		r := &d.rows[d.cursor]
		switch {
		case r.Err != nil:
			return say{u.err(r.Err), true}
		case d.m.here(r.Target):
			d.cancel()
			return closeDialog{}
		}
		return d.turn(r.Target)
	}
	d.reveal(2*d.cursor + 3)
	d.reveal(2*d.cursor + 2)
	return nil
}

// paste implements paster.
func (d *enginesPage) paste(_ *ui, text string) action {
	if d.typed != nil {
		d.typed.insert(text)
	}
	return nil
}

// draw implements dialog.
func (d *enginesPage) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	t := &u.theme
	s := sheet{title: u.T("Engines"), window: &d.window, buttons: []button{
		{key: "enter", label: u.T("turn to it")}, {key: "a", label: u.T("type an address")}, {key: "r", label: u.T("read again")}, {key: "esc", label: u.T("close")},
	}}
	switch {
	case d.typed != nil:
		l := newLine(width, "")
		text, cursor := d.typed.show(max(4, width-4))
		l.add(t.key, " › ")
		l.add("", text)
		p.lines = append(p.lines, l.end())
		s.cursor = &image.Point{X: 3 + cursor}
		s.buttons = []button{{key: "enter", label: u.T("turn to it")}, {key: "esc", label: u.T("cancel")}}
	case !d.listed:
		p.text(t.dim, spinner(d.since, u.now())+" "+u.T("looking for engines …"))
	default:
		p.lines = append(p.lines, d.together(width))
	}
	if d.err != nil {
		p.hanging(t.bad, t.bad, "! ", u.err(d.err))
	}
	p.blank()
	for i := range d.rows {
		d.print(p, i)
	}
	s.lines = p.lines
	return s
}

// together is the posture over all engines that have answered.
func (d *enginesPage) together(width int) string {
	u := &d.m.ui
	all, answered := Survey{}, 0
	var surveys []Survey
	for i := range d.rows {
		if s := d.survey(i); s != nil {
			surveys, answered = append(surveys, *s), answered+1
		}
	}
	all = Total(surveys)
	l := newLine(width, "")
	l.add("", " "+u.T("together: %d of %d answer", answered, len(d.rows))+"   ")
	if answered > 0 {
		d.m.addSurvey(l, &all)
	}
	return l.end()
}

// survey returns how an engine stands: for the one that is shown, by the
// screen itself.
func (d *enginesPage) survey(i int) *Survey {
	r := &d.rows[i]
	e := d.m.world.engine
	if r.Err != nil || !d.m.here(r.Target) {
		return r.survey
	}
	if e.Phase != inventory.Connected {
		return nil
	}
	var items []inventory.Item
	for _, s := range d.m.world.subjects {
		if s.Ref.Kind == checks.Container || s.Ref.Kind == checks.Image || s.Ref.Kind == checks.Host {
			items = append(items, s.Item)
		}
	}
	s := Sum(items)
	s.Name, s.Version, s.Podman = e.Name, e.Version, e.Podman
	return &s
}

// print draws an engine on two lines: what it is, and how it stands.
func (d *enginesPage) print(p *printer, i int) {
	r, t, u := &d.rows[i], &p.theme, p.ui
	base, mark := ink(""), " "
	if i == d.cursor && d.typed == nil {
		base, mark = t.selected, "▌"
	}
	here := r.Err == nil && d.m.here(r.Target)
	l := newLine(p.width, base)
	l.add(t.accent, mark)
	if here {
		l.add(t.good, "● ")
	} else {
		l.add("", "  ")
	}
	l.add(t.strong, plain(r.Name))
	if r.Host != "" && r.Host != r.Name {
		l.add(t.dim, "  "+plain(r.Host))
	}
	if r.Remote() {
		l.add(t.dim, "  "+u.T("remote"))
	}
	p.lines = append(p.lines, l.end())
	l = newLine(p.width, base)
	l.add(t.accent, mark)
	l.add("", "    ")
	survey := d.survey(i)
	err := r.err
	switch {
	case r.Err != nil:
		err = r.Err
	case here && d.m.world.engine.Phase != inventory.Connected:
		err = d.m.world.engine.Err
	}
	switch {
	case r.asking:
		l.add(t.dim, spinner(d.since, u.now())+" "+u.T("reading …"))
	case survey != nil:
		d.m.addSurvey(l, survey)
		text := plain(survey.Name)
		if survey.Version != "" {
			text += " · " + u.product(survey.Podman, survey.Version)
		}
		l.add(t.dim, "  "+text)
	case err != nil:
		l.add(t.bad, "✗ "+strings.ReplaceAll(u.err(err), "\n", " "))
	default:
		l.add(t.dim, u.T("connecting …"))
	}
	p.lines = append(p.lines, l.end())
}

// addSurvey draws a score and the numbers of findings.
func (m *Model) addSurvey(l *line, s *Survey) {
	l.add(m.scoreInk(float64(s.Score)), fmt.Sprintf("%3d/100  ", s.Score))
	for _, severity := range checks.Severities {
		n := s.Counts[severity]
		look := m.theme.severity[severity]
		if n == 0 {
			look = m.theme.dim
		}
		l.add(look, fmt.Sprintf("%s%d ", m.letter(severity), n))
	}
}
