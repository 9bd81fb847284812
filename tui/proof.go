package tui

import (
	"context"
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/proof"
)

// A Prover proves plans for Dockerfiles by building; see [proof.Prover].
type Prover interface {
	Prove(ctx context.Context, file *dockerfile.File, plan *fixes.Plan, progress func(fixes.Progress)) (*proof.Proof, error)
}

// A proofDialog watches the proof of a plan and shows what came of it.
type proofDialog struct {
	watch
	made *made // filled in by the job, to be read when that has finished
}

type made struct{ proof *proof.Proof }

// newProof starts the proof of a plan and returns the dialog that watches it.
func newProof(u *ui, c *crew, file *dockerfile.File, plan *fixes.Plan) (*proofDialog, tea.Cmd) {
	prover, made := c.prover, &made{}
	job, cmd := c.start(func(ctx context.Context, progress func(fixes.Progress)) (*fixes.Receipt, error) {
		var err error
		made.proof, err = prover.Prove(ctx, file, plan, progress)
		return nil, err
	})
	return &proofDialog{watching(u, job), made}, cmd
}

// proof returns what came of it, nil before that.
func (d *proofDialog) proof() *proof.Proof {
	if d == nil || !d.over || d.err != nil {
		return nil
	}
	return d.made.proof
}

// draw implements dialog.
func (d *proofDialog) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	s := sheet{title: u.T("Proof by building"), window: &d.window}
	switch {
	case !d.over:
		p.text(u.theme.dim, u.T("The file is built as it is and as it would be, in a sandbox; then both images run for a moment and are compared."))
		p.blank()
		d.run.print(p, nil)
		s.buttons = []button{{key: "esc", label: u.T("cancel"), off: d.run.cancelling}}
	case errors.Is(d.err, context.Canceled):
		p.hanging(u.theme.strong, u.theme.warn, "! ", u.T("Cancelled. Nothing was proved, and nothing is left on the engine."))
		s.buttons = []button{{key: "enter", label: u.T("back")}}
	case d.err != nil:
		p.hanging(u.theme.strong, u.theme.bad, "✗ ", u.T("It could not be tried, so nothing was proved:"))
		p.blank()
		for line := range strings.SplitSeq(terminal.Text(u.err(d.err)), "\n") {
			p.text("", line)
		}
		s.buttons = []button{{key: "enter", label: u.T("back")}}
	default:
		p.proof(d.made.proof)
		s.buttons = []button{{key: "enter", label: u.T("back to the plan")}}
	}
	s.lines = p.lines
	return s
}

// verdict says in one line whether a proof holds.
func (p *printer) verdict(f *proof.Proof) {
	t := &p.theme
	if f.Proved() {
		p.hanging(t.strong, t.good, "✓ ", p.T("Proved by building: the patched image does what the other does"))
	} else {
		p.hanging(t.strong, t.bad, "✗ ", p.T("Not proved by building"))
	}
}

// proof draws a proof: the facts of both images side by side.
func (p *printer) proof(f *proof.Proof) {
	t := &p.theme
	p.verdict(f)
	for _, w := range f.Wrong {
		p.hanging("", t.bad, "  ✗ ", p.say(w))
	}
	p.blank()
	name := 0
	for _, fact := range f.Facts {
		name = max(name, cells(p.say(fact.Name)))
	}
	name = min(name, p.room()/3)
	side := max(4, (p.room()-name-6)/2)
	l := newLine(p.room(), "")
	l.add("", strings.Repeat(" ", name+3))
	l.add(t.dim, fit(p.T("as it is"), side)+" ")
	l.add(t.dim, p.T("patched"))
	p.raw(l.end(), p.room())
	for _, fact := range f.Facts {
		p.fact(fact, name, side)
	}
	p.findings(p.N(checks.Msg("Cures %d finding of the image"), checks.Msg("Cures %d findings of the image"), len(f.Cured)), "✓ ", t.good, f.Cured)
	if f.Log != "" {
		p.heading(p.T("What the build said last"))
		for line := range strings.SplitSeq(f.Log, "\n") {
			p.text(t.dim, plain(line))
		}
	}
	p.blank()
	for _, n := range f.Notes {
		p.hanging(t.dim, t.dim, "· ", p.say(n))
	}
	p.hanging(t.dim, t.dim, "· ", p.T("took %s", p.duration(f.Took)))
}

// fact draws one observation; what does not fit into a column goes on below.
func (p *printer) fact(f proof.Fact, name, side int) {
	t := &p.theme
	look, mark, markLook := t.dim, "  ", t.dim
	switch f.Verdict {
	case proof.Meant:
		look, mark, markLook = "", "≠ ", t.dim
	case proof.Better:
		look, mark, markLook = t.added, "✓ ", t.good
	case proof.NotWell:
		look, mark, markLook = t.removed, "✗ ", t.bad
	}
	names, before, after := wrap(p.say(f.Name), name), wrap(p.say(f.Before), side), wrap(p.say(f.After), side)
	for i := range max(len(names), len(before), len(after)) {
		l := newLine(p.room(), "")
		l.add(markLook, mark)
		l.add("", fit(rowOr(names, i, ""), name)+" ")
		l.add(t.dim, fit(rowOr(before, i, ""), side)+" ")
		l.add(look, rowOr(after, i, ""))
		p.raw(l.end(), p.room())
		mark = "  "
	}
}
