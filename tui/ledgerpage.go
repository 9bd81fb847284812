package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// A ledgerPage lists what was changed, the newest first.
type ledgerPage struct {
	window
	crew     *crew
	readOnly bool
	entries  []ledger.Entry
	ready    bool
	err      error
	cursor   int
}

// ledgerRead is the ledger as it is on disk.
type ledgerRead struct {
	by      *ledgerPage
	entries []ledger.Entry
	err     error
}

// kept is the original that an entry keeps.
type kept struct {
	by       *ledgerPage
	entry    ledger.Entry
	original fixes.Original
	err      error
}

// undoable is whether an entry can be undone now.
type undoable struct {
	by    *ledgerPage
	entry ledger.Entry
	err   error
}

func newLedgerPage(c *crew, readOnly bool) *ledgerPage {
	return &ledgerPage{crew: c, readOnly: readOnly}
}

// read reads the ledger.
func (d *ledgerPage) read() tea.Cmd {
	f := d.crew.fixer
	return func() tea.Msg {
		entries, err := f.Entries()
		return ledgerRead{d, entries, err}
	}
}

// hear implements listener.
func (d *ledgerPage) hear(u *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case ledgerRead:
		if msg.by != d {
			return nil, false
		}
		d.ready, d.entries, d.err = true, msg.entries, msg.err
		d.cursor = max(0, min(d.cursor, len(d.entries)-1))
		return nil, true
	case kept:
		if msg.by != d {
			return nil, false
		}
		if msg.err != nil {
			return say{u.err(msg.err), true}, true
		}
		return replaceWith{&discardQuestion{crew: d.crew, entry: msg.entry, original: msg.original}}, true
	case undoable:
		if msg.by != d {
			return nil, false
		}
		if msg.err != nil {
			return say{u.T("undo: %s", u.err(msg.err)), true}, true
		}
		return replaceWith{newUndoQuestion(d.crew, msg.entry, othersOf(msg.entry, d.entries))}, true
	}
	return nil, false
}

// key implements dialog.
func (d *ledgerPage) key(u *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc", "q", "U":
		return closeDialog{}
	case "up", "k":
		d.cursor = max(0, d.cursor-1)
	case "down", "j":
		d.cursor = max(0, min(d.cursor+1, len(d.entries)-1))
	case "home", "g":
		d.cursor = 0
	case "end", "G":
		d.cursor = max(0, len(d.entries)-1)
	case "pgdown", "space":
		d.scrollBy(max(1, d.h-1))
	case "pgup":
		d.scrollBy(-max(1, d.h-1))
	case "y":
		if e, ok := d.current(); ok {
			return copyText(u, e.Commands)
		}
	case "s":
		if len(d.entries) > 0 {
			return actions{tea.SetClipboard(ledger.Script(d.entries)), say{u.T("script copied, if your terminal allows it; plimsoll undo --script prints it"), false}}
		}
	case "u", "enter":
		return d.act(u)
	case "d":
		return d.discard(u)
	case "c":
		if e, ok := d.current(); ok && len(e.Trailing()) > 0 && !d.readOnly {
			return d.crew.deploy(u, e.ID)
		}
		return say{u.T("what runs is as this change says"), true}
	}
	return nil
}

// discard asks what the entry keeps, in order to remove it.
func (d *ledgerPage) discard(u *ui) action {
	e, ok := d.current()
	if !ok || e.State != ledger.Applied {
		return say{u.T("only an applied change keeps an original"), true}
	}
	if why := d.whyNot(u, e); why != "" {
		return say{why, true}
	}
	f, ctx := d.crew.fixer, d.crew.ctx
	return tea.Cmd(func() tea.Msg {
		o, err := f.Kept(ctx, e.ID)
		return kept{d, e, o, err}
	})
}

func (d *ledgerPage) current() (ledger.Entry, bool) {
	if d.cursor < len(d.entries) {
		return d.entries[d.cursor], true
	}
	return ledger.Entry{}, false
}

// act undoes an applied entry or recovers an interrupted one.
func (d *ledgerPage) act(u *ui) action {
	e, ok := d.current()
	if !ok {
		return nil
	}
	if why := d.whyNot(u, e); why != "" {
		return say{why, true}
	}
	if e.State.Unfinished() {
		return replaceWith{newRecovery(d.crew, e, d.entries)}
	}
	f, ctx := d.crew.fixer, d.crew.ctx
	rest := othersOf(e, d.entries)
	return tea.Cmd(func() tea.Msg {
		err := f.CanUndo(ctx, e.ID)
		if err != nil && len(rest) > 0 {
			err = f.CanUndoBatch(ctx, e.Batch.ID) // with what came after it
		}
		return undoable{d, e, err}
	})
}

// whyNot says why nothing can be done with an entry, or "".
func (d *ledgerPage) whyNot(u *ui, e ledger.Entry) string {
	switch {
	case d.readOnly:
		return u.T("read-only: plimsoll was started to show, not to change")
	case e.State == ledger.RolledBack:
		return u.T("this change was put back already")
	case e.State == ledger.Undone:
		return u.T("this change was undone already")
	case e.State == ledger.Final:
		return u.T("this change is final: its original was removed on request")
	case e.State == ledger.Broken:
		return u.T("this change needs a person; its error says what to do")
	}
	return ""
}

// draw implements dialog.
func (d *ledgerPage) draw(u *ui, width int) sheet {
	t := &u.theme
	p := newPrinter(u, width)
	switch {
	case d.err != nil:
		p.hanging("", t.bad, "✗ ", u.err(d.err))
	case !d.ready:
		p.text(t.dim, u.T("reading …"))
	case len(d.entries) == 0:
		p.text(t.dim, u.T("Nothing was changed yet. Every fix is listed here with its proof and can be undone."))
	}
	for i := range d.entries {
		e := &d.entries[i]
		first := len(p.lines)
		base, mark := ink(""), " "
		if i == d.cursor {
			base, mark = t.selected, "▌"
		}
		l := newLine(width, base)
		l.add(t.accent, mark)
		l.add(t.dim, e.Time.Local().Format("01-02 15:04 "))
		l.add(d.stateInk(t, e.State), fit(u.entryState(e.State), 15)+" ")
		if e.Batch != nil {
			l.add(t.accent, fmt.Sprintf("%d/%d ", e.Batch.N, e.Batch.Of))
		}
		l.add("", plain(e.Title))
		l.add(t.dim, fmt.Sprintf("  %s", terminal.Line(e.Subject.Name)))
		p.lines = append(p.lines, l.end())
		if i == d.cursor {
			inner := newPrinter(u, width-4)
			printEntry(inner, e)
			for _, s := range inner.lines {
				p.lines = append(p.lines, "    "+s)
			}
			d.n = max(d.n, len(p.lines))
			d.reveal(len(p.lines) - 1)
			d.reveal(first)
		}
	}
	label := u.T("undo")
	e, ok := d.current()
	if ok && e.State.Unfinished() {
		label = u.T("finish or take back")
	}
	buttons := []button{{key: "u", label: label, off: !ok || d.whyNot(u, e) != ""}}
	if ok && len(e.Trailing()) > 0 {
		buttons = append(buttons, button{key: "c", label: u.deployLabel(e.Subject.Kind), off: d.readOnly})
	}
	return sheet{title: u.T("Changes"), lines: p.lines, window: &d.window, buttons: append(buttons,
		button{key: "d", label: u.T("remove the original"), off: !ok || e.State != ledger.Applied || d.readOnly},
		button{key: "y", label: u.T("copy commands"), off: len(e.Commands) == 0},
		button{key: "s", label: u.T("copy all as a script"), off: len(d.entries) == 0},
		button{key: "esc", label: u.T("close")},
	)}
}

func (d *ledgerPage) stateInk(t *theme, s ledger.State) ink {
	switch s {
	case ledger.Applied:
		return t.good
	case ledger.Running, ledger.Undoing:
		return t.warn
	case ledger.Broken:
		return t.bad
	}
	return t.dim
}
