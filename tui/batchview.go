package tui

import (
	"fmt"
	"time"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// draw implements dialog.
func (d *batchDialog) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	s := sheet{window: &d.window, title: u.T("One plan")}
	switch d.stage {
	case planning:
		s.title = u.T("Planning")
		mark := "  "
		if u.now().Sub(d.since) > spinAfter {
			mark = spinner(d.since, u.now()) + " "
		}
		p.hanging("", u.theme.accent, mark, u.N(checks.Msg("trying the fixes of %d subject on copies …"), checks.Msg("trying the fixes of %d subjects on copies …"), len(d.asks)))
		s.buttons = []button{{key: "esc", label: u.T("cancel")}}
	case preview:
		s.title = u.T("One plan for everything chosen")
		d.printPlan(p)
		s.buttons = d.previewButtons(u)
	case fetching:
		d.run.print(p, []fixes.Step{{Op: "pull"}})
		s.buttons = []button{{key: "esc", label: u.T("cancel"), off: d.run.cancelling}}
	case applying:
		d.printRun(p)
		label := u.T("stop, keep what is done")
		if d.policy == fixes.TakeBack {
			label = u.T("stop and take back")
		}
		s.buttons = []button{{key: "esc", label: label, off: d.run.cancelling}}
	case done:
		s.title = u.T("Done")
		d.printReceipt(p)
		s.buttons = d.endButtons(u)
	case failed:
		s.title = u.T("Not all done")
		if d.receipt == nil {
			s.title = u.T("Not done")
			printFailure(p, d.err)
		} else {
			d.printStopped(p)
			d.printReceipt(p)
		}
		s.buttons = d.endButtons(u)
	}
	s.lines = p.lines
	return s
}

func (d *batchDialog) previewButtons(u *ui) []button {
	b, part := d.chosen(), d.part()
	apply := button{key: "enter", label: u.T("apply"), off: b.Applicable() == 0}
	if waiting(b) {
		apply.label = u.T("fetch, then show what changes")
	}
	leave := button{key: "space", label: u.T("leave out"), off: part == nil || !part.Applicable()}
	if part != nil && d.out(part) {
		leave.label = u.T("take in")
	}
	return []button{apply, {key: "esc", label: u.T("cancel")}, {key: "o", label: u.T("open part"), off: part == nil || part.Plan == nil}, leave,
		{key: "t", label: u.T("when one fails"), off: b.Applicable() < 2}, {key: "y", label: u.T("copy"), off: len(b.Commands()) == 0}}
}

func (d *batchDialog) endButtons(u *ui) []button {
	buttons := []button{{key: "enter", label: u.T("close")}}
	if d.receipt != nil && d.receipt.Done() > 0 {
		buttons = append(buttons, button{key: "u", label: u.T("undo all")})
	}
	if len(d.deploys()) > 0 {
		buttons = append(buttons, button{key: "c", label: u.T("docker compose up")})
	}
	return buttons
}

// printPlan draws the parts and what they come to.
func (d *batchDialog) printPlan(p *printer) {
	t, b := &p.theme, d.chosen()
	n := b.Applicable()
	text := p.N(checks.Msg("%d part"), checks.Msg("%d parts, one after the other"), n) + " · " + p.T("cures %d", len(b.Cures()))
	if away := b.Downtime(); away > 0 {
		text += " · " + p.T("away for about %s in all", p.duration(away))
	} else if n > 0 {
		text += " · " + p.T("nothing is away")
	}
	p.text(t.strong, text+p.effectText(d.effect))
	if n > 1 {
		p.hanging(t.dim, t.dim, "", p.whenOneFails(d.policy))
	}
	p.blank()
	number := 0
	for i := range d.batch.Parts {
		part := &d.batch.Parts[i]
		first := len(p.lines)
		if i == 0 {
			first = 0 // with what all come to
		}
		if part.Applicable() && !d.out(part) {
			number++
		}
		d.printPart(p, part, number, i == d.cursor)
		if i == d.cursor && d.moved {
			d.n = max(d.n, len(p.lines))
			d.reveal(len(p.lines) - 1)
			d.reveal(first)
			d.moved = false
		}
	}
	p.effect(d.effect)
}

// whenOneFails says what becomes of the parts before one that fails.
func (u *ui) whenOneFails(policy fixes.OnFailure) string {
	if policy == fixes.TakeBack {
		return u.T("When one fails it is put back, and all before it are taken back.")
	}
	return u.T("When one fails it is put back, and what was done before it stays.")
}

// printPart draws the row of a part, and below it why it cannot be carried out,
// or, under the cursor, what it does.
func (d *batchDialog) printPart(p *printer, part *fixes.Part, number int, selected bool) {
	t := &p.theme
	base, mark := ink(""), " "
	if selected {
		base, mark = t.selected, "▌"
	}
	l := newLine(p.width, base)
	l.add(t.accent, mark)
	tail := ""
	switch {
	case !part.Applicable():
		l.add(t.bad, " ✗      "+fit(p.T("not done"), 12)+" ")
	case d.out(part):
		l.add(t.dim, "[ ]     ")
	default:
		l.add(t.good, "[x]")
		l.add(t.dim, fmt.Sprintf("%3d. ", number))
	}
	if part.Applicable() {
		tail = p.T("cures %d", len(part.Plan.Cures))
		if part.Plan.Downtime > 0 {
			tail += " · " + p.T("away %s", p.duration(part.Plan.Downtime))
		}
		l.add(t.dim, fit(p.partKind(part.Plan), 12)+" ")
	}
	name := plain(part.Subject().Name)
	room := max(8, l.room-cells(tail)-2)
	l.add(t.strong, shorten(name, min(room, max(8, l.room)), part.Subject().Kind))
	l.gap(cells(tail) + 1)
	l.add(t.dim, tail)
	p.lines = append(p.lines, l.end())
	switch {
	case part.Err != nil:
		p.hanging(t.dim, t.dim, "        ", p.err(part.Err))
	case !part.Plan.Blocked.IsZero():
		p.hanging(t.dim, t.dim, "        ", p.say(part.Plan.Blocked))
	case selected:
		d.printCures(p, part)
	}
}

// mostCures is how many cures are named below a part.
const mostCures = 6

func (d *batchDialog) printCures(p *printer, part *fixes.Part) {
	t := &p.theme
	if len(part.For) > 0 {
		p.hanging("", t.dim, "        · ", p.T("for %s: docker compose makes them from this file", refNames(part.For)))
	}
	for i := range part.Plan.Cures {
		f := &part.Plan.Cures[i]
		if i == mostCures {
			p.hanging(t.dim, t.dim, "        ", p.N(checks.Msg("… and %d more"), checks.Msg("… and %d more"), len(part.Plan.Cures)-mostCures))
			break
		}
		text := plain(p.format(f.Check.Title))
		if key := telling(f.Check.Kind, f.Key); key != "" {
			text += " (" + key + ")"
		}
		p.hanging("", t.good, "        ✓ "+symbols[f.Severity]+p.letter(f.Severity)+" ", text)
	}
	for _, c := range part.Plan.Choices {
		if c.Example != "" && c.Value == "" {
			p.hanging("", t.warn, "        ! ", p.T("waits for an answer, open it with o: %s", p.say(c.Label)))
		}
	}
	if len(part.Plan.Members) > 0 && part.Plan.Subject.Kind == checks.Container {
		p.hanging("", t.warn, "        ! ", p.T("replaced together, all or none: %s", refNames(part.Plan.Members)))
	}
}

// partKind says in one or two words how a part changes the world.
func (u *ui) partKind(plan *fixes.Plan) string {
	switch plan.Mechanism {
	case fixes.Patch:
		return u.T("file")
	case fixes.Update:
		return u.T("live")
	case fixes.Tag:
		return u.T("tag")
	case fixes.Quarantine:
		return u.T("isolate")
	}
	if plan.OnlyTags() {
		return u.T("tag")
	}
	return u.T("replace")
}

func refNames(refs []checks.Ref) string {
	text := ""
	for i, r := range refs {
		if i > 0 {
			text += ", "
		}
		text += plain(r.Name)
	}
	return text
}

// printRun draws how far the parts are.
func (d *batchDialog) printRun(p *printer) {
	t, r := &p.theme, &d.run
	turning := spinner(r.started, p.now())
	if r.progress.Undoing || r.cancelling {
		p.hanging(t.warn, t.warn, turning+" ", p.T("stopping: the part under way is put back …"))
		p.blank()
	}
	for i := range d.batch.Parts {
		part := &d.batch.Parts[i]
		if !part.Applicable() {
			continue
		}
		look, mark, markLook := t.dim, "· ", t.dim
		switch {
		case i < r.progress.Part:
			look, mark, markLook = "", "✓ ", t.good
		case i == r.progress.Part && r.progress.Undoing:
			mark, markLook = "✗ ", t.bad
		case i == r.progress.Part:
			look, mark, markLook = t.strong, turning+" ", t.accent
		}
		if i == r.progress.Part {
			r.line = len(p.lines)
		}
		p.hanging(look, markLook, mark, p.partKind(part.Plan)+" "+plain(part.Subject().Name)+" – "+p.say(part.Plan.Title))
		if steps := part.Plan.Steps; i == r.progress.Part && r.progress.Step < len(steps) {
			step := &steps[r.progress.Step]
			p.hanging(t.dim, t.dim, "  ", fmt.Sprintf("%d/%d ", r.progress.Step+1, len(steps))+stepText(p.ui, step))
			r.printNow(p, step)
		}
	}
	p.blank()
	p.text(t.dim, p.T("%s so far", p.duration(p.now().Sub(r.started).Truncate(100*time.Millisecond))))
}

// printStopped says where it stopped and what that leaves.
func (d *batchDialog) printStopped(p *printer) {
	t, r := &p.theme, d.receipt
	name := ""
	if r.Failed >= 0 {
		name = plain(d.batch.Parts[r.Failed].Subject().Name)
	}
	p.hanging(t.strong, t.bad, "✗ ", p.T("Stopped at %s, which is as it was.", name))
	p.text("", p.err(d.err))
	p.blank()
	if r.Undone > 0 {
		p.hanging("", t.warn, "! ", p.N(checks.Msg("%d part that was done before it was taken back"), checks.Msg("%d parts that were done before it were taken back"), r.Undone))
	}
	if n := d.notBegun(); n > 0 {
		p.hanging("", t.warn, "! ", p.N(checks.Msg("%d part was not begun"), checks.Msg("%d parts were not begun"), n))
	}
}

// printReceipt draws what was done, part by part.
func (d *batchDialog) printReceipt(p *printer) {
	t, r := &p.theme, d.receipt
	if r == nil {
		return
	}
	var away time.Duration
	for _, one := range r.Receipts {
		if one != nil {
			away += one.Away
		}
	}
	text := p.T("%d of %d parts are done", r.Done(), d.batch.Applicable()) + " · " + p.T("took %s", p.duration(r.Took))
	if away > 0 {
		text += " · " + p.T("away for %s in all", p.duration(away))
	}
	p.text(t.strong, text)
	for i, one := range r.Receipts {
		if one == nil {
			continue
		}
		part := &d.batch.Parts[i]
		line := plain(part.Subject().Name) + " – " + p.say(part.Plan.Title) + " · " + p.N(checks.Msg("cured %d"), checks.Msg("cured %d"), len(one.Cured))
		if one.Away > 0 {
			line += " · " + p.T("away %s", p.duration(one.Away))
		}
		p.hanging("", t.good, "✓ ", line)
		for _, m := range one.Reminders {
			p.hanging(t.warn, t.warn, "  ! ", p.say(m))
		}
	}
	for _, plan := range d.batch.Deploys() {
		if len(d.deploys()) > 0 {
			printDeploy(p, plan.Deploy)
		}
	}
	for i := range d.batch.Parts {
		if part := &d.batch.Parts[i]; !part.Applicable() {
			why := ""
			if part.Err != nil {
				why = p.err(part.Err)
			} else {
				why = p.say(part.Plan.Blocked)
			}
			p.hanging(t.dim, t.dim, "· ", p.T("%s was left out: %s", plain(part.Subject().Name), why))
		}
	}
	if r.Done() > 0 {
		p.blank()
		p.text(t.dim, p.T("Each is a change of its own in the list of changes (U), and can be undone by itself."))
	}
}
