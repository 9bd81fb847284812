package tui

import (
	"fmt"
	"image"
	"slices"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// A form holds the decisions of a plan: text to type and options to step
// through.
type form struct {
	entries []formEntry
	at      int    // index of the entry in focus plus one; 0 for none
	line    int    // of the entry in focus, in the dialog
	problem string // why the values cannot be used
}

// A formEntry is one decision.
type formEntry struct {
	choice fixes.Choice
	field  *field
	// finding and alternatives are set for the choice between several fixes.
	finding      checks.FindingID
	alternatives []checks.Fix
}

func (f *form) focused() bool { return f.at > 0 }

// update takes over the choices of a new plan. What is being typed stays.
func (f *form) update(r fixes.Request, plan *fixes.Plan) {
	focus := ""
	if f.focused() {
		focus = f.entries[f.at-1].choice.Key
	}
	old := f.entries
	f.entries, f.at, f.problem = nil, 0, ""
	for i := range r.Findings {
		if x := &r.Findings[i]; len(x.Fixes) > 1 {
			f.entries = append(f.entries, alternativesOf(x, r))
		}
	}
	for _, c := range plan.Choices {
		e := formEntry{choice: c, field: newField(c.Value)}
		if i := slices.IndexFunc(old, func(o formEntry) bool { return o.choice.Key == c.Key && o.field.text() == c.Value }); i >= 0 {
			e.field = old[i].field // keeps the cursor
		}
		f.entries = append(f.entries, e)
	}
	for i := range f.entries {
		if focus != "" && f.entries[i].choice.Key == focus {
			f.at = i + 1
		}
	}
}

// alternativesOf is the choice between the fixes of a finding.
func alternativesOf(x *checks.Finding, r fixes.Request) formEntry {
	e := formEntry{finding: x.ID(), alternatives: x.Fixes}
	e.choice.Key = "fix " + x.Check.ID + " " + x.Key
	for _, fix := range x.Fixes {
		e.choice.Options = append(e.choice.Options, fix.ID)
	}
	value := r.Fix[x.ID()]
	if value == "" {
		value = x.Fixes[0].ID
	}
	e.field = newField(value)
	return e
}

// next moves the focus; past the last entry nothing has it.
func (f *form) next(forward bool) {
	n := len(f.entries) + 1
	if forward {
		f.at = (f.at + 1) % n
	} else {
		f.at = (f.at + n - 1) % n
	}
}

// key edits the entry in focus.
func (f *form) key(k tea.KeyPressMsg) (changed, handled bool) {
	e := &f.entries[f.at-1]
	switch k.String() {
	case "tab", "down":
		f.next(true)
	case "shift+tab", "up":
		f.next(false)
	case "enter", "esc":
		f.at = 0
	case "left", "right", "space":
		if len(e.choice.Options) == 0 {
			return e.field.key(k), true
		}
		return e.step(k.String() != "left"), true
	default:
		if len(e.choice.Options) > 0 {
			return false, true
		}
		return e.field.key(k), true
	}
	return false, true
}

// step takes the next option.
func (e *formEntry) step(forward bool) bool {
	n := len(e.choice.Options)
	i := slices.Index(e.choice.Options, e.field.text())
	if forward {
		i = (i + 1) % n
	} else {
		i = (i + n - 1) % n
	}
	e.field.set(e.choice.Options[i])
	return n > 1
}

func (f *form) paste(text string) bool {
	if !f.focused() || len(f.entries[f.at-1].choice.Options) > 0 {
		return false
	}
	f.entries[f.at-1].field.insert(text)
	return true
}

// check returns why a value cannot be used, or "".
func (f *form) check() string {
	for i := range f.entries {
		e := &f.entries[i]
		if valid := e.choice.Valid; valid != nil && (e.choice.Example == "" || e.field.text() != "") {
			if err := valid(e.field.text()); err != nil {
				return plain(err.Error())
			}
		}
	}
	return ""
}

// request returns r with the values of the form.
func (f *form) request(r fixes.Request) fixes.Request {
	values, alternatives := checks.Values{}, map[checks.FindingID]string{}
	for i := range f.entries {
		if e := &f.entries[i]; e.alternatives != nil {
			alternatives[e.finding] = e.field.text()
		} else {
			values[e.choice.Key] = e.field.text()
		}
	}
	r.Values, r.Fix = values, alternatives
	return r
}

// print draws the form. It returns where typed text goes on, or nil.
func (f *form) print(p *printer) (cursor *image.Point) {
	t := &p.theme
	column := 8
	for i := range f.entries {
		column = max(column, cells(f.entries[i].label(p.ui)))
	}
	column = min(column, p.room()*3/5)
	for i := range f.entries {
		e := &f.entries[i]
		focus := f.at == i+1
		label := fit(e.label(p.ui), column)
		l := newLine(p.room(), "")
		mark, look := "  ", t.field
		if focus {
			f.line, mark, look = len(p.lines), "▸ ", t.fieldFocus
		}
		l.add(t.accent, mark)
		l.add("", label+" ")
		at := p.room() - l.room
		if len(e.choice.Options) > 0 {
			l.add(look, fmt.Sprintf(" ‹ %s › ", e.value(p.ui)))
			if n := len(e.choice.Options); n > 1 {
				l.add(t.dim, fmt.Sprintf(" %d/%d", 1+slices.Index(e.choice.Options, e.field.text()), n))
			}
		} else {
			width := max(4, min(40, l.room))
			text, c := e.field.show(width)
			l.add(look, fit(text, width))
			if focus {
				cursor = &image.Point{X: at + c + 1, Y: len(p.lines)}
			}
		}
		p.raw(l.end(), p.room())
		if why := p.say(e.choice.Why); why != "" {
			p.hanging(t.dim, "", "    ", why)
		}
		if e.choice.Example != "" && e.field.text() == "" {
			p.hanging(t.dim, "", "    ", p.T("for example %s", plain(e.choice.Example)))
		}
	}
	if f.problem != "" {
		p.hanging(t.bad, t.bad, "✗ ", f.problem)
	}
	return cursor
}

// label is what an entry decides.
func (e *formEntry) label(u *ui) string {
	if e.alternatives != nil {
		return u.T("fix")
	}
	return u.say(e.choice.Label)
}

// value is what an option is called.
func (e *formEntry) value(u *ui) string {
	for _, fix := range e.alternatives {
		if fix.ID == e.field.text() {
			return u.say(fix.Title)
		}
	}
	if i := slices.Index(e.choice.Options, e.field.text()); i >= 0 && i < len(e.choice.Names) {
		return u.say(e.choice.Names[i])
	}
	return plain(e.field.text())
}
