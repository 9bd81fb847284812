package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"
	"github.com/docker/go-units"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// A discardQuestion asks whether the original that a change keeps may go.
type discardQuestion struct {
	window
	guard
	crew     *crew
	entry    ledger.Entry
	original fixes.Original
}

// key implements dialog.
func (d *discardQuestion) key(u *ui, k tea.KeyPressMsg) action {
	if d.guard.holds(u.now()) {
		return nil
	}
	switch name := k.String(); name {
	case "enter":
		id, fixer := d.entry.ID, d.crew.fixer
		return d.crew.begin(u, d.entry.Subject.Kind, checks.Msg("Remove the original"), func(ctx context.Context, _ func(fixes.Progress)) error {
			return fixer.Discard(ctx, id)
		})
	case "esc", "q", "n":
		return closeDialog{}
	default:
		d.scrollKey(name)
	}
	return nil
}

// draw implements dialog.
func (d *discardQuestion) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	p.text("", u.T("Remove %s for good?", plain(d.original.Name)))
	p.blank()
	p.hanging("", u.theme.dim, "· ", u.T("kept for %s, it takes %s besides its image", u.duration(u.now().Sub(d.original.Kept)), units.BytesSize(float64(d.original.Size))))
	p.hanging("", u.theme.warn, "! ", u.T("this change cannot be undone any more; volumes stay"))
	p.blank()
	printEntry(p, &d.entry)
	return sheet{title: u.T("Remove the original"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("remove")}, {key: "esc", label: u.T("cancel")},
	}}
}
