package tui

import (
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
}

func newRecovery(c *crew, e ledger.Entry) *recovery { return &recovery{crew: c, entry: e} }

// key implements dialog.
func (d *recovery) key(u *ui, k tea.KeyPressMsg) action {
	if d.guard.holds(u.now()) {
		return nil
	}
	switch name := k.String(); name {
	case "f":
		return d.crew.begin(u, d.entry.Subject.Kind, checks.Msg("Finish"), recovering(d.crew, d.entry.ID, true))
	case "t":
		return d.crew.begin(u, d.entry.Subject.Kind, checks.Msg("Take back"), recovering(d.crew, d.entry.ID, false))
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
}

func newUndoQuestion(c *crew, e ledger.Entry) *undoQuestion { return &undoQuestion{crew: c, entry: e} }

// key implements dialog.
func (d *undoQuestion) key(u *ui, k tea.KeyPressMsg) action {
	if d.guard.holds(u.now()) {
		return nil
	}
	switch name := k.String(); name {
	case "enter", "u":
		return d.crew.undo(u, d.entry)
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
	return sheet{title: u.T("Undo"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("undo")}, {key: "esc", label: u.T("cancel")},
	}}
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
