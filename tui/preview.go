package tui

import (
	"fmt"
	"image"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// draw implements dialog.
func (d *fixDialog) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	s := sheet{window: &d.window}
	switch d.stage {
	case planning:
		s.title = u.T("Planning")
		mark := "  "
		if u.now().Sub(d.since) > spinAfter {
			mark = spinner(d.since, u.now()) + " "
		}
		p.hanging("", u.theme.accent, mark, u.T("trying the fix on a copy …"))
		s.buttons = []button{{key: "esc", label: u.T("cancel")}}
	case preview:
		s.title = u.say(d.plan.Title)
		s.cursor = d.printPlan(p)
		apply := button{key: "enter", label: u.T("apply"), off: d.whyNotApply(u) != ""}
		if d.plan.Fetch != "" {
			apply.label = u.T("fetch, then show what changes")
		}
		if d.into != nil {
			apply = button{key: "enter", label: u.T("back")}
			if d.edited {
				apply = button{key: "enter", label: u.T("take over"), off: d.stale || d.form.problem != ""}
			}
		}
		s.buttons = []button{apply, {key: "esc", label: u.T("cancel")}}
		if len(d.form.entries) > 0 {
			s.buttons = append(s.buttons, button{key: "tab", label: u.T("change values")})
		}
		commands := u.T("show commands")
		if d.commands {
			commands = u.T("hide commands")
		}
		if d.provable() {
			s.buttons = append(s.buttons, button{key: "b", label: u.T("prove by building"), off: d.whyNotProve(u) != ""})
		}
		s.buttons = append(s.buttons, button{key: "d", label: commands, off: len(d.plan.Steps) == 0},
			button{key: "y", label: u.T("copy"), off: len(d.plan.Commands()) == 0})
	case fetching:
		s.title = u.say(d.plan.Title)
		d.run.print(p, d.plan.Steps[:1])
		s.buttons = []button{{key: "esc", label: u.T("cancel"), off: d.run.cancelling}}
	case applying:
		s.title = u.say(d.plan.Title)
		d.run.print(p, d.plan.Steps)
		s.buttons = []button{{key: "esc", label: u.T("cancel and put back"), off: d.run.cancelling}}
	case done:
		s.title = u.T("Done")
		d.printReceipt(p)
		s.buttons = []button{{key: "enter", label: u.T("close")}, {key: "u", label: u.T("undo")}}
		if len(d.plan.Deploy) > 0 {
			s.buttons = append(s.buttons, button{key: "c", label: u.deployLabel(d.subject.Ref().Kind)})
		}
		if d.temporary() {
			s.buttons = append(s.buttons, button{key: "w", label: u.T("write it in the compose file")})
		}
	case failed:
		s.title = u.T("Not done")
		printFailure(p, d.err)
		s.buttons = []button{{key: "enter", label: u.T("close")}}
	}
	s.lines = p.lines
	return s
}

// printPlan draws the preview: what changes, why, and what comes of it.
func (d *fixDialog) printPlan(p *printer) (cursor *image.Point) {
	t, plan := &p.theme, d.plan
	if !plan.Blocked.IsZero() {
		p.hanging(t.bad, t.bad, "✗ ", p.say(plan.Blocked))
		p.blank()
	}
	p.text(t.dim, p.mechanism(plan)+p.effectText(d.effect))
	if f := d.proof.proof(); f != nil {
		p.blank()
		p.verdict(f)
	}
	if len(d.form.entries) > 0 {
		p.blank()
		cursor = d.form.print(p)
		if d.stale && d.form.problem == "" {
			p.text(t.dim, p.T("planning with the new values …"))
		}
	}
	for i := range plan.Files {
		p.file(&plan.Files[i])
	}
	p.changes(plan.Changes)
	if plan.Card != nil {
		p.card(plan.Card)
	}
	if plan.Fetch != "" {
		p.blank()
		p.hanging("", t.accent, "↓ ", p.T("What %s changes is known once the engine has it. That leaves everything that runs, and the tag, as they are.", plain(plan.Fetch)))
	}
	for i, n := range plan.Notes {
		if i == 0 {
			p.blank()
		}
		p.hanging("", t.warn, "! ", p.say(n))
	}
	p.findings(p.N(checks.Msg("Cures %d finding"), checks.Msg("Cures %d findings"), len(plan.Cures)), "✓ ", t.good, plan.Cures)
	p.effect(d.effect)
	p.findings(p.N(checks.Msg("Leaves %d finding"), checks.Msg("Leaves %d findings"), len(plan.Leaves)), "· ", t.dim, plan.Leaves)
	if d.commands {
		p.steps(plan.Steps)
	}
	return cursor
}

// mechanism says how the plan changes the world and whether that can be undone.
func (u *ui) mechanism(plan *fixes.Plan) string {
	text := ""
	switch plan.Mechanism {
	case fixes.Patch:
		text = u.N(checks.Msg("Changes %d file"), checks.Msg("Changes %d files"), len(plan.Files))
	case fixes.Update:
		text = u.T("Changes the running container, no restart")
	case fixes.Tag:
		text = u.T("Gives the image one more name")
	case fixes.Service:
		text = u.T("Updates the Swarm service; it goes back by itself when a task fails")
	case fixes.Quarantine:
		text = u.T("Isolates the container and keeps evidence")
		return text + " · " + u.T("can be undone")
	case fixes.Recreate:
		text = u.T("Replaces the container; the old one is kept until the new one is proved")
		if plan.OnlyTags() {
			text = u.T("Moves the tag; docker compose makes the containers anew when it is asked to")
		}
		if n := len(plan.Members); n > 0 {
			text = u.N(checks.Msg("Replaces %d container; the old one is kept"), checks.Msg("Replaces %d containers, one after the other; the old ones are kept"), n)
		}
	}
	if plan.Downtime > 0 {
		text += " · " + u.T("away for about %s", u.duration(plan.Downtime))
	}
	if n := len(plan.Cures); n > 0 {
		text += " · " + u.T("cures %d", n)
	}
	if n := len(plan.Leaves); n > 0 {
		text += " · " + u.T("leaves %d", n)
	}
	return text + " · " + u.T("can be undone")
}

// file draws the changed lines of a file with their reasons.
func (p *printer) file(c *fixes.FileChange) {
	t := &p.theme
	name := plain(c.Name)
	if c.Created {
		name += " " + p.T("(new)")
	}
	p.heading(name)
	for i, h := range c.Hunks() {
		if i > 0 {
			p.text(t.hunk, "⋯")
		}
		for _, line := range h.Lines {
			p.diffLine(line)
		}
	}
}

func (p *printer) diffLine(line fixes.Line) {
	t := &p.theme
	look, number := ink(""), line.New
	switch line.Kind {
	case '+':
		look = t.added
	case '-':
		look, number = t.removed, line.Old
	}
	parts := []string{line.Text}
	if line.Kind != ' ' { // nothing of what changes may be out of sight
		parts = strings.Split(ansi.Hardwrap(line.Text, max(4, p.room()-7), true), "\n")
	}
	for i, part := range parts {
		l := newLine(p.room(), "")
		if i == 0 {
			l.add(t.dim, fmt.Sprintf("%4d ", number))
		} else {
			l.add("", "     ")
		}
		l.add(look, string(rune(line.Kind))+" "+part)
		p.raw(l.end(), p.room())
	}
	if line.Kind == '-' {
		return // the reason is with what takes its place
	}
	for _, why := range line.Reasons {
		p.hanging(t.dim, t.dim, "       ↳ ", p.say(why))
	}
}

// changes draws a table of settings before and after.
func (p *printer) changes(changes []fixes.Change) {
	t := &p.theme
	for i, c := range changes {
		if i == 0 {
			p.blank()
		}
		p.text(t.strong, plain(c.Field))
		before, after := plain(c.Before), plain(c.After)
		if cells(before)+cells(after)+6 <= p.room() {
			l := newLine(p.room(), "")
			l.add("", "  ")
			l.add(t.removed, before)
			l.add(t.dim, " → ")
			l.add(t.added, after)
			p.raw(l.end(), p.room())
		} else {
			p.hanging(t.removed, t.removed, "  - ", before)
			p.hanging(t.added, t.added, "  + ", after)
		}
		if why := p.say(c.Why); why != "" {
			p.hanging(t.dim, t.dim, "  ↳ ", why)
		}
	}
}

// findings lists findings under a heading; none, no heading.
func (p *printer) findings(heading, mark string, markLook ink, findings []checks.Finding) {
	if len(findings) == 0 {
		return
	}
	p.heading(heading)
	for i := range findings {
		f := &findings[i]
		text := plain(p.format(f.Check.Title))
		if f.Key != "" {
			text += " (" + plain(f.Key) + ")"
		}
		p.hanging("", markLook, mark+symbols[f.Severity]+p.letter(f.Severity)+" ", text)
	}
}

// steps lists what will be done, in order, with the equivalent commands.
func (p *printer) steps(steps []fixes.Step) {
	p.heading(p.T("Steps"))
	for i := range steps {
		p.hanging("", p.theme.dim, fmt.Sprintf("%2d. ", i+1), stepText(p.ui, &steps[i]))
		if c := steps[i].Command; c != "" {
			p.hanging(p.theme.code, p.theme.dim, "    $ ", plain(c))
		}
	}
}

// printReceipt draws the proof of an applied plan.
func (d *fixDialog) printReceipt(p *printer) {
	t, r := &p.theme, d.receipt
	p.hanging(t.strong, t.good, "✓ ", p.say(d.plan.Title))
	if r == nil {
		return
	}
	took := p.T("took %s", p.duration(r.Took))
	if r.Away > 0 {
		took += " · " + p.T("the container was away for %s, %s of it to stop", p.duration(r.Away), p.duration(r.Stopping))
	}
	p.text(t.dim, took)
	if d.temporary() {
		p.hanging(t.warn, t.warn, "! ", p.T("temporary until it is written in the compose file: the next docker compose up takes it back"))
	}
	if len(d.plan.Deploy) > 0 {
		printDeploy(p, d.plan.Deploy)
	}
	for _, m := range r.Reminders {
		p.hanging(t.warn, t.warn, "! ", p.say(m))
	}
	if len(r.Proof) > 0 {
		p.heading(p.T("Verified"))
	}
	for _, proof := range r.Proof {
		p.hanging("", t.good, "✓ ", p.say(proof))
	}
	p.findings(p.N(checks.Msg("Cured %d finding"), checks.Msg("Cured %d findings"), len(r.Cured)), "✓ ", t.good, r.Cured)
	p.findings(p.N(checks.Msg("%d finding is left"), checks.Msg("%d findings are left"), len(r.Left)), "· ", t.dim, r.Left)
}
