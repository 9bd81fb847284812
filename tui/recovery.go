package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes/ledger"
)

// A recovery asks what to do with a change that a crash left unfinished.
type recovery struct {
	window
	guard
	crew  *crew
	entry ledger.Entry
	rest  []ledger.Entry // what was done before it with the same plan
}

func newRecovery(c *crew, e ledger.Entry, all []ledger.Entry) *recovery {
	return &recovery{crew: c, entry: e, rest: othersOf(e, all)}
}

// othersOf returns the applied changes of the batch of e besides it, the last
// first.
func othersOf(e ledger.Entry, all []ledger.Entry) []ledger.Entry {
	if e.Batch == nil {
		return nil
	}
	others := slices.DeleteFunc(ledger.BatchOf(all, e.Batch.ID), func(o ledger.Entry) bool { return o.ID == e.ID || o.State != ledger.Applied })
	slices.Reverse(others)
	return others
}

// printRest says what else was done with one plan.
func printRest(p *printer, rest []ledger.Entry) {
	p.blank()
	p.text("", p.T("It was one of %d parts of one plan. Also done, and still so:", rest[0].Batch.Of))
	for i := range rest {
		p.hanging("", p.theme.good, "✓ ", plain(rest[i].Subject.Name)+" – "+plain(rest[i].Title))
	}
}

// key implements dialog.
func (d *recovery) key(u *ui, k tea.KeyPressMsg) action {
	if d.guard.holds(u.now()) {
		return nil
	}
	switch name := k.String(); name {
	case "f":
		return d.crew.recover(u, checks.Msg("Finish"), d, true)
	case "t":
		return d.crew.recover(u, checks.Msg("Take back"), d, false)
	case "esc", "q":
		return actions{closeDialog{}, say{u.T("left unfinished; U shows it again"), true}}
	default:
		d.scrollKey(name)
	}
	return nil
}

// draw implements dialog.
func (d *recovery) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	p.hanging(u.theme.strong, u.theme.warn, "! ", u.T("plimsoll was interrupted in the middle of a change."))
	p.blank()
	printEntry(p, &d.entry)
	if len(d.rest) > 0 {
		printRest(p, d.rest)
	}
	p.blank()
	p.text("", u.T("Either way exactly one working container, or one whole file, is left."))
	return sheet{title: u.T("Unfinished change"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "f", label: u.T("finish it")}, {key: "t", label: u.T("take it back")}, {key: "esc", label: u.T("later")},
	}}
}

// An undoQuestion asks before a change is taken back.
type undoQuestion struct {
	window
	guard
	crew  *crew
	entry ledger.Entry
	rest  []ledger.Entry // what was done with the same plan and is not undone
}

func newUndoQuestion(c *crew, e ledger.Entry, rest []ledger.Entry) *undoQuestion {
	return &undoQuestion{crew: c, entry: e, rest: rest}
}

// key implements dialog.
func (d *undoQuestion) key(u *ui, k tea.KeyPressMsg) action {
	if d.guard.holds(u.now()) {
		return nil
	}
	switch name := k.String(); name {
	case "enter", "u":
		if len(d.rest) > 0 {
			all := append([]ledger.Entry{d.entry}, d.rest...)
			return d.crew.undoBatch(u, changedBy(all), d.entry.Batch.ID, all...)
		}
		return d.crew.undo(u, d.entry)
	case "o":
		if len(d.rest) > 0 {
			return d.crew.undo(u, d.entry)
		}
	case "esc", "q", "n":
		return closeDialog{}
	default:
		d.scrollKey(name)
	}
	return nil
}

// draw implements dialog.
func (d *undoQuestion) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	p.text("", u.T("Take this change back?"))
	p.blank()
	printEntry(p, &d.entry)
	buttons := []button{{key: "enter", label: u.T("undo")}, {key: "esc", label: u.T("cancel")}}
	if n := len(d.rest); n > 0 {
		printRest(p, d.rest)
		buttons = []button{{key: "enter", label: u.T("undo all %d", n+1)}, {key: "o", label: u.T("only this one")}, buttons[1]}
	}
	return sheet{title: u.T("Undo"), lines: p.lines, window: &d.window, buttons: buttons}
}

// printEntry tells one change of the ledger.
func printEntry(p *printer, e *ledger.Entry) {
	t := &p.theme
	p.text(t.strong, plain(e.Title))
	p.text(t.dim, terminal.Line(e.Subject.Name)+" · "+e.Time.Local().Format("2006-01-02 15:04:05")+" · "+p.entryState(e.State))
	if e.Error != "" {
		p.hanging(t.bad, t.bad, "✗ ", plain(e.Error))
	}
	for _, proof := range e.Proof {
		p.hanging("", t.good, "✓ ", plain(proof))
	}
	if argv := e.Trailing(); len(argv) > 0 {
		printDeploy(p, argv)
	}
	for _, m := range e.Reminders {
		p.hanging("", t.warn, "! ", plain(m))
	}
	if len(e.Checks) > 0 {
		p.hanging(t.dim, t.dim, p.T("cured")+" ", plain(strings.Join(e.Checks, ", ")))
	}
	for _, c := range e.Commands {
		p.hanging(t.code, t.dim, "$ ", plain(c))
	}
}

// entryState is how far a change has come.
func (u *ui) entryState(s ledger.State) string {
	switch s {
	case ledger.Running, ledger.Undoing:
		return u.T("unfinished")
	case ledger.Applied:
		return u.T("applied")
	case ledger.RolledBack:
		return u.T("rolled back")
	case ledger.Broken:
		return u.T("broken")
	case ledger.Final:
		return u.T("final")
	case ledger.Undone:
		return u.T("undone")
	}
	return plain(string(s))
}
