package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks/runtime/sysdig"
)

// A sysdigPage lists what sysdig can tell of a container, with the commands, and
// has it tell one for a moment. That changes nothing.
type sysdigPage struct {
	window
	m         *Model
	id, name  string // of the container
	tool      *sysdig.Tool
	questions []sysdig.Question
	cursor    int
	moved     bool
	cancel    context.CancelFunc // of what is being asked, nil when nothing is
	since     time.Time          // when it was asked
	answer    *sysdig.Answer     // of the question under the cursor, nil when it was not asked
	err       error
}

type (
	toolMsg struct { // what the sysdig of this machine is
		by   *sysdigPage
		tool sysdig.Tool
	}
	answerMsg struct { // what it said
		by     *sysdigPage
		answer sysdig.Answer
		err    error
	}
)

func (m *Model) openSysdig(s *subject) action {
	d := &sysdigPage{m: m, id: s.Ref.ID, name: s.name, questions: sysdig.Questions(), moved: true}
	lookout, ctx := m.o.Lookout, m.crew.ctx
	return actions{openDialog{d}, tea.Cmd(func() tea.Msg { return toolMsg{d, lookout.Sysdig(ctx)} })}
}

// hear implements listener.
func (d *sysdigPage) hear(_ *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case toolMsg:
		if msg.by == d {
			d.tool = &msg.tool
			return nil, true
		}
	case answerMsg:
		if msg.by == d {
			d.cancel, d.moved = nil, true
			if !errors.Is(msg.err, context.Canceled) {
				d.answer, d.err = &msg.answer, msg.err
			}
			return nil, true
		}
	}
	return nil, false
}

func (d *sysdigPage) busy() bool { return d.cancel != nil }

// ask has sysdig answer the question under the cursor.
func (d *sysdigPage) ask() action {
	tool, question, id := *d.tool, d.questions[d.cursor].ID, d.id
	cmd, cancel := d.m.crew.aside(func(ctx context.Context) tea.Msg {
		answer, err := tool.Ask(ctx, question, id, sysdig.Lasting)
		return answerMsg{d, answer, err}
	})
	d.cancel, d.since, d.answer, d.err = cancel, d.m.now(), nil, nil
	return cmd
}

func (d *sysdigPage) to(row int) {
	d.cursor, d.moved = max(0, min(row, len(d.questions)-1)), true
	d.answer, d.err = nil, nil
}

// key implements dialog.
func (d *sysdigPage) key(u *ui, k tea.KeyPressMsg) action {
	name := k.String()
	if d.cancel != nil { // one at a time
		if name == "esc" || name == "q" {
			d.cancel()
		}
		return nil
	}
	switch name {
	case "esc", "q", "s":
		return closeDialog{}
	case "up", "k":
		d.to(d.cursor - 1)
	case "down", "j":
		d.to(d.cursor + 1)
	case "enter":
		if d.tool != nil {
			return d.ask()
		}
	case "c":
		if d.tool != nil {
			return copyText(u, []string{d.tool.Command(&d.questions[d.cursor], d.id)})
		}
	default:
		d.scrollKey(name)
	}
	return nil
}

// draw implements dialog.
func (d *sysdigPage) draw(u *ui, width int) sheet {
	p, t := newPrinter(u, width), &u.theme
	d.drawTool(p)
	first, last := 0, 0
	for i := range d.questions {
		if i != d.cursor {
			p.hanging("", "", "  ", u.say(d.questions[i].Asks))
			continue
		}
		first = len(p.lines)
		p.hanging(t.selected, t.accent, "▌ ", u.say(d.questions[i].Asks))
		d.drawQuestion(p, &d.questions[i])
		last = len(p.lines) - 1
	}
	if d.moved && d.h > 0 {
		d.n, d.moved = len(p.lines), false
		d.reveal(min(last, first+d.h-1))
		d.reveal(first)
	}
	running := d.cancel != nil
	end := u.T("close")
	if running {
		end = u.T("stop")
	}
	return sheet{title: u.T("What sysdig tells of %s", plain(d.name)), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("ask for %d seconds", int(sysdig.Lasting/time.Second)), off: d.tool == nil || running},
		{key: "c", label: u.T("copy the command"), off: d.tool == nil || running},
		{key: "esc", label: end},
	}}
}

// drawTool says which sysdig there is, and why it may not answer.
func (d *sysdigPage) drawTool(p *printer) {
	t := &p.theme
	switch {
	case d.tool == nil:
		p.text(t.dim, p.T("looking for sysdig …"))
	case d.tool.Away:
		p.hanging(t.dim, t.warn, "! ", p.T("The engine is not on this machine, so sysdig cannot be run from here. Copy a command and run it over there."))
	case d.tool.Path == "":
		p.hanging(t.dim, t.warn, "! ", p.T("sysdig is not installed. These are the commands for when it is."))
	default:
		p.hanging(t.dim, t.good, "✓ ", p.T("sysdig %s looks on and changes nothing; it needs the rights of root and a driver in the kernel", plain(d.tool.Version)))
	}
	p.blank()
}

// drawQuestion draws what the question under the cursor is about, the command
// for it and the answer.
func (d *sysdigPage) drawQuestion(p *printer, q *sysdig.Question) {
	t := &p.theme
	p.hanging(t.dim, "", "    ", p.say(q.Says))
	if d.tool != nil {
		p.hanging(t.code, "", "    ", plain(d.tool.Command(q, d.id)))
	}
	switch {
	case d.cancel != nil:
		p.hanging(t.accent, t.accent, "    "+spinner(d.since, p.now())+" ", p.T("sysdig looks on for %d seconds …", int(sysdig.Lasting/time.Second)))
	case d.err != nil:
		p.hanging("", t.warn, "  ! ", plain(p.err(d.err)))
	case d.answer != nil && len(d.answer.Lines) == 0:
		p.hanging("", t.good, "  ✓ ", p.T("nothing of the kind happened in that time"))
	case d.answer != nil:
		p.blank()
		for _, line := range d.answer.Lines {
			p.codeLine(plain(line))
		}
		if d.answer.Cut {
			p.hanging("", t.warn, "  ! ", p.T("there was more than is shown"))
		}
	}
	p.blank()
}
