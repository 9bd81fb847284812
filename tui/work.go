package tui

import (
	"context"
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// A workDialog watches an undo or a recovery, whose steps are not known before.
type workDialog struct {
	watch
	crew  *crew
	title checks.Message
	brief bool // it closes itself when all went well

	undone []ledger.Entry // the changes as they are once this went well; none for other work
	rest   []ledger.Entry // of the batch of a change that was recovered: what was done before it
}

// Work is what a workDialog carries out.
type work func(context.Context, func(fixes.Progress)) error

func undoing(c *crew, entry string) work {
	f := c.fixer
	return func(ctx context.Context, progress func(fixes.Progress)) error { return f.Undo(ctx, entry, progress) }
}

func deploying(c *crew, entry string) work {
	f := c.fixer
	return func(ctx context.Context, progress func(fixes.Progress)) error { return f.Deploy(ctx, entry, progress) }
}

func recovering(c *crew, entry string, finish bool) work {
	f := c.fixer
	return func(ctx context.Context, progress func(fixes.Progress)) error {
		return f.Recover(ctx, entry, finish, progress)
	}
}

// newWork starts w and returns the dialog that watches it.
func newWork(u *ui, c *crew, title checks.Message, w work) (*workDialog, tea.Cmd) {
	job, cmd := c.start(func(ctx context.Context, progress func(fixes.Progress)) (*fixes.Receipt, error) {
		return nil, w(ctx, progress)
	})
	return &workDialog{watch: watching(u, job), crew: c, title: title}, cmd
}

// begin starts w in place of the dialog in front, after the engine was
// unlocked.
func (c *crew) begin(u *ui, kind checks.Kind, title checks.Message, w work) action {
	return c.unlocked(u, kind, func(u *ui) action {
		d, cmd := newWork(u, c, title, w)
		return actions{replaceWith{d}, cmd}
	})
}

// undo takes e back in place of the dialog in front.
func (c *crew) undo(u *ui, e ledger.Entry) action {
	return c.unlocked(u, e.Subject.Kind, func(u *ui) action {
		d, cmd := newWork(u, c, checks.Msg("Undo"), undoing(c, e.ID))
		e.State = ledger.Undone
		d.undone = []ledger.Entry{e}
		return actions{replaceWith{d}, cmd}
	})
}

// undoBatch takes back what is left of a batch, in place of the dialog in front.
func (c *crew) undoBatch(u *ui, kind checks.Kind, id string, entries ...ledger.Entry) action {
	f := c.fixer
	return c.unlocked(u, kind, func(u *ui) action {
		d, cmd := newWork(u, c, checks.Msg("Undo"), func(ctx context.Context, progress func(fixes.Progress)) error {
			return f.UndoBatch(ctx, id, progress)
		})
		for _, e := range entries {
			e.State = ledger.Undone
			d.undone = append(d.undone, e)
		}
		return actions{replaceWith{d}, cmd}
	})
}

// deployAll brings what several changes made, or put back, to what runs.
func (c *crew) deployAll(u *ui, entries []string) action {
	f := c.fixer
	return c.begin(u, checks.Container, checks.Msg("Bring it to what runs"), func(ctx context.Context, progress func(fixes.Progress)) error {
		for _, id := range entries {
			if err := f.Deploy(ctx, id, progress); err != nil {
				return err
			}
		}
		return nil
	})
}

// recover ends what was interrupted, in place of the question about it.
func (c *crew) recover(u *ui, title checks.Message, q *recovery, finish bool) action {
	return c.unlocked(u, q.entry.Subject.Kind, func(u *ui) action {
		d, cmd := newWork(u, c, title, recovering(c, q.entry.ID, finish))
		d.rest = q.rest
		return actions{replaceWith{d}, cmd}
	})
}

// deploy brings what e changed, or put back, to what runs.
func (c *crew) deploy(u *ui, entry string) action {
	return c.begin(u, checks.Container, checks.Msg("Bring it to what runs"), deploying(c, entry))
}

func (d *workDialog) working() bool { return !d.over }

// key implements dialog.
func (d *workDialog) key(u *ui, k tea.KeyPressMsg) action {
	switch name := k.String(); {
	case d.guard.holds(u.now()):
	case name == "c" && len(d.trailing()) > 0:
		var ids []string
		for _, e := range d.trailing() {
			ids = append(ids, e.ID)
		}
		return d.crew.deployAll(u, ids)
	case name == "u" && d.over && d.err == nil && len(d.rest) > 0:
		return d.crew.undoBatch(u, changedBy(d.rest), d.rest[0].Batch.ID, d.rest...)
	}
	return d.watch.key(u, k)
}

// trailing returns the changes that were undone and have something left to do.
func (d *workDialog) trailing() []ledger.Entry {
	var out []ledger.Entry
	if d.over && d.err == nil {
		for _, e := range d.undone {
			if len(e.Trailing()) > 0 {
				out = append(out, e)
			}
		}
	}
	return out
}

// changedBy returns the kind that has to be unlocked to change entries.
func changedBy(entries []ledger.Entry) checks.Kind {
	for _, e := range entries {
		if e.Engine != "" || e.Subject.Kind == checks.Host {
			return checks.Container
		}
	}
	return checks.Compose
}

// hear implements listener.
func (d *workDialog) hear(u *ui, msg tea.Msg) (action, bool) {
	a, mine := d.watch.hear(u, msg)
	if mine && d.brief && d.over && d.err == nil {
		return closeDialog{}, true
	}
	return a, mine
}

// draw implements dialog.
func (d *workDialog) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	s := sheet{title: u.told(d.title), window: &d.window}
	switch {
	case !d.over:
		d.run.print(p, nil)
		s.buttons = []button{{key: "esc", label: u.T("cancel"), off: d.run.cancelling}}
	case d.err != nil:
		s.title += " – " + u.T("Not done")
		printFailure(p, d.err)
		s.buttons = []button{{key: "enter", label: u.T("close")}}
	default:
		p.hanging(u.theme.strong, u.theme.good, "✓ ", u.T("Done"))
		for _, text := range d.run.log {
			p.hanging("", u.theme.good, "✓ ", text)
		}
		s.buttons = []button{{key: "enter", label: u.T("close")}}
		for i := range d.undone {
			switch e := &d.undone[i]; {
			case len(e.Trailing()) > 0:
				printDeploy(p, e.Trailing())
			case e.Deployed && e.Subject.Kind == checks.Host:
				p.hanging("", u.theme.warn, "! ", u.T("the engine takes it in when it is started the next time"))
			}
		}
		if trailing := d.trailing(); len(trailing) > 0 {
			s.buttons = append([]button{{key: "c", label: u.deployLabel(trailing[0].Subject.Kind)}}, s.buttons...)
		}
		if len(d.rest) > 0 {
			printRest(p, d.rest)
			s.buttons = append(s.buttons, button{key: "u", label: u.T("undo these too")})
		}
	}
	s.lines = p.lines
	return s
}

// deployLabel names what brings a changed file of a kind to what runs.
func (u *ui) deployLabel(kind checks.Kind) string {
	if kind == checks.Host {
		return u.T("let the engine take it in")
	}
	return u.T("docker compose up")
}

// printDeploy says that what runs is not as the file says, and what changes that.
func printDeploy(p *printer, argv []string) {
	p.hanging("", p.theme.warn, "! ", p.T("what runs stays as it is until: %s", plain(fixes.Command(argv))))
}

// printFailure says why something was not done, and in what state that leaves
// the world.
func printFailure(p *printer, err error) {
	t := &p.theme
	switch {
	case errors.Is(err, fixes.ErrBroken):
		p.hanging(t.strong, t.bad, "✗ ", p.T("It failed and could not be put back entirely. A person is needed:"))
	case errors.Is(err, fixes.ErrPartly):
		p.hanging(t.strong, t.bad, "✗ ", p.T("It failed. Some was taken back before, the rest is as it was; the list of changes (U) shows which."))
	case errors.Is(err, fixes.ErrDeploy):
		p.hanging(t.strong, t.bad, "✗ ", p.T("It failed. What was changed before stays so; docker compose ps shows what runs."))
	case errors.Is(err, fixes.ErrChanged):
		p.hanging(t.strong, t.warn, "! ", p.T("Something has changed since the plan was made. Nothing was done; plan again."))
	case errdefs.IsNotModified(err):
		p.hanging(t.strong, t.good, "✓ ", p.T("There is nothing to change."))
	case errors.Is(err, context.Canceled):
		p.hanging(t.strong, t.warn, "! ", p.T("Cancelled. Everything is as it was."))
		return
	default:
		p.hanging(t.strong, t.bad, "✗ ", p.T("It failed. Everything is as it was."))
	}
	p.blank()
	for _, l := range strings.Split(terminal.Text(p.err(err)), "\n") {
		p.text("", l)
	}
}
