package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// A chooser lists what can be done for a subject, to be ticked.
type chooser struct {
	window
	crew    *crew
	subject *subject
	items   []chosen
	cursor  int

	round int              // counts moves of the cursor
	known map[int][]whatIf // by item: what its fixes do
}

// chosen is one line of a chooser: the fix of a finding, or an option.
type chosen struct {
	on      bool
	finding *checks.Finding // nil for options
	fix     int             // index of the alternative
	option  option
}

// An option is something to do that cures no finding of its own.
type option int

const (
	newerImage option = iota + 1
	pullImage
	besideFile
)

// newChooser offers every fix of s, ticked, and the options of its kind, not
// ticked. The preview, the proof and undo are there for what may break.
func newChooser(c *crew, s *subject) *chooser {
	d := &chooser{crew: c, subject: s, known: map[int][]whatIf{}}
	for i := range s.Report.Findings {
		if f := &s.Report.Findings[i]; f.Fixable() {
			d.items = append(d.items, chosen{finding: f, on: true})
		}
	}
	switch s.Ref.Kind {
	case checks.Container:
		d.items = append(d.items, chosen{option: newerImage}, chosen{option: pullImage})
	case checks.Image:
		d.items = append(d.items, chosen{option: newerImage}, chosen{option: pullImage, on: true})
	case checks.Dockerfile:
		d.items = append(d.items, chosen{option: besideFile})
	}
	return d
}

// request returns what was ticked; ok is false if that is nothing.
func (d *chooser) request() (r fixes.Request, ok bool) {
	r.Fix = map[checks.FindingID]string{}
	for _, it := range d.items {
		switch {
		case !it.on:
		case it.finding != nil:
			r.Findings = append(r.Findings, *it.finding)
			r.Fix[it.finding.ID()] = it.finding.Fixes[it.fix].ID
		case it.option == newerImage:
			r.Update = true
		case it.option == pullImage:
			r.Update, r.Pull = true, true
		case it.option == besideFile:
			r.Beside = true
		}
	}
	return r, len(r.Findings) > 0 || r.Update
}

// key implements dialog.
func (d *chooser) key(u *ui, k tea.KeyPressMsg) action {
	at := d.cursor
	if a := d.handle(u, k); a != nil || at == d.cursor {
		return a
	}
	return d.rest()
}

func (d *chooser) handle(u *ui, k tea.KeyPressMsg) action {
	switch name := k.String(); name {
	case "esc", "q":
		return closeDialog{}
	case "up", "k":
		d.cursor = max(0, d.cursor-1)
	case "down", "j":
		d.cursor = max(0, min(d.cursor+1, len(d.items)-1))
	case "home", "g":
		d.cursor = 0
	case "end", "G":
		d.cursor = max(0, len(d.items)-1)
	case "space", "x":
		if d.cursor < len(d.items) {
			d.items[d.cursor].on = !d.items[d.cursor].on
		}
	case "left", "right", "h", "l":
		if it := &d.items[d.cursor]; it.finding != nil {
			n := len(it.finding.Fixes)
			step := 1
			if name == "left" || name == "h" {
				step = n - 1
			}
			it.fix = (it.fix + step) % n
		}
	case "a":
		all := !slices.ContainsFunc(d.items, func(it chosen) bool { return it.finding != nil && !it.on })
		for i := range d.items {
			if d.items[i].finding != nil {
				d.items[i].on = !all
			}
		}
	case "enter":
		r, ok := d.request()
		if !ok {
			return say{u.T("nothing is ticked"), true}
		}
		fix, cmd := newFixDialog(u, d.crew, d.subject.Subject, r)
		return actions{replaceWith{fix}, cmd}
	}
	return nil
}

// draw implements dialog.
func (d *chooser) draw(u *ui, width int) sheet {
	t := &u.theme
	p := newPrinter(u, width)
	for i, it := range d.items {
		if it.finding == nil && (i == 0 || d.items[i-1].finding != nil) {
			p.blank()
		}
		first := len(p.lines)
		base, mark := ink(""), " "
		if i == d.cursor {
			base, mark = t.selected, "▌"
		}
		l := newLine(width, base)
		l.add(t.accent, mark)
		if it.on {
			l.add(t.good, "[x] ")
		} else {
			l.add(t.dim, "[ ] ")
		}
		if it.finding == nil {
			l.add("", d.optionText(u, it.option))
			p.lines = append(p.lines, l.end())
			if i == d.cursor {
				p.whatIf(d.known[i], nil, 0)
			}
			d.show(i, first, len(p.lines))
			continue
		}
		f := it.finding
		l.add(t.severity[f.Severity], symbols[f.Severity]+u.letter(f.Severity)+" ")
		text := plain(u.format(f.Check.Title))
		if key := telling(f.Check.Kind, f.Key); key != "" {
			text += " (" + key + ")"
		}
		l.add("", text)
		p.lines = append(p.lines, l.end())
		fix := &f.Fixes[it.fix]
		what := u.say(fix.Title)
		if len(f.Fixes) > 1 {
			what = "‹ " + what + " ›"
		}
		p.hanging(t.dim, t.dim, "       → ", what)
		if !fix.Caution.IsZero() && i == d.cursor {
			p.hanging(t.warn, t.warn, "       ! ", u.say(fix.Caution))
		}
		if i == d.cursor {
			p.whatIf(d.known[i], f, it.fix)
		}
		d.show(i, first, len(p.lines))
	}
	return sheet{title: u.T("Fix %s", d.subject.name), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("plan")}, {key: "space", label: u.T("tick")}, {key: "a", label: u.T("all")}, {key: "esc", label: u.T("cancel")},
	}}
}

// show keeps the lines of the item under the cursor in the window.
func (d *chooser) show(item, first, end int) {
	if item == d.cursor {
		d.n = max(d.n, end)
		d.reveal(end - 1)
		d.reveal(first)
	}
}

func (d *chooser) optionText(u *ui, o option) string {
	ofImage := d.subject.Ref.Kind == checks.Image
	switch o {
	case newerImage:
		if ofImage {
			return u.T("move all its containers to the image that their tag names now")
		}
		return u.T("move to the image that its tag names now")
	case pullImage:
		return u.T("ask the registry for a newer image of the tag first")
	}
	return u.T("write beside, as %s.hardened, and leave the file alone", d.subject.name)
}
