package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/containerd/errdefs"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// fixMany makes one plan of many requests and carries it out when the user agrees.
func (a *app) fixMany(cmd *cobra.Command, s *session, asks []fixes.Ask, o fixOptions) error {
	ctx := cmd.Context()
	batch, err := s.fixer.PlanBatch(ctx, asks)
	if err != nil {
		return err
	}
	if !a.readOnly {
		fetched, err := a.fetchAll(ctx, s, batch, o)
		if err != nil || fetched == nil {
			return err
		}
		batch = fetched
	}
	if err := unusedByAll(batch, asks[0].Request.Values); err != nil {
		return err
	}
	if err := a.writeBatch(a.out, batch, o); err != nil {
		return err
	}
	if o.prove {
		a.proveAll(ctx, s, batch)
	}
	if o.dryRun {
		return nil
	}
	left := a.leftOut(batch)
	if batch.Applicable() == 0 {
		return left
	}
	if !o.yes {
		agreed, err := a.ask(a.T("Apply all of this?"))
		if err != nil || !agreed {
			return err
		}
	}
	if may, err := a.mayChange(s, batch.Kind(o.deploy), o.yes); err != nil || !may {
		return err
	}
	receipt, err := s.fixer.ApplyBatch(ctx, batch, fixes.BatchOptions{OnFailure: o.onFailure, Deploy: o.deploy}, a.batchProgress(a.out, batch))
	return errors.Join(a.writeBatchReceipt(a.out, batch, receipt, err), err, left)
}

// fetchAll gets the images that parts wait for, and plans again with them. It
// returns nil when nobody agreed.
func (a *app) fetchAll(ctx context.Context, s *session, b *fixes.Batch, o fixOptions) (*fixes.Batch, error) {
	var asks []fixes.Ask
	var refused []fixes.Part // what cannot be fetched is left out
	got := false
	for _, part := range b.Parts {
		if part.Applicable() && part.Plan.Fetch != "" {
			var id string
			if id, part.Err = a.fetch(ctx, s, part.Plan, o); part.Err != nil && ctx.Err() == nil && (o.yes || a.isTerminal) {
				refused = append(refused, part)
				continue
			}
			if part.Err != nil || id == "" && !o.dryRun {
				return nil, part.Err
			}
			for k := range part.Asks {
				part.Asks[k].Request.Fetched = id
			}
			got = got || id != ""
		}
		asks = append(asks, part.Asks...)
	}
	if !got && len(refused) == 0 {
		return b, nil
	}
	again, err := s.fixer.PlanBatch(ctx, asks)
	if err == nil {
		again.Parts = append(again.Parts, refused...)
	}
	return again, err
}

// unusedByAll refuses a --set that no choice of any part knows.
func unusedByAll(b *fixes.Batch, values checks.Values) error {
	known := map[string]bool{}
	for i := range b.Parts {
		p := &b.Parts[i]
		if p.Plan == nil || p.Plan.Fetch != "" {
			return nil // there may be more choices than can be seen
		}
		for _, c := range p.Plan.Choices {
			_, ofService, _ := strings.Cut(c.Key, ".")
			known[c.Key], known[ofService] = true, true
		}
	}
	for key := range values {
		if !known[key] {
			return fmt.Errorf("--set %s: no part of this plan has such a choice", key)
		}
	}
	return nil
}

// proveAll builds the Dockerfiles of a batch. One that is not proved is not
// changed.
func (a *app) proveAll(ctx context.Context, s *session, b *fixes.Batch) {
	for i := range b.Parts {
		p := &b.Parts[i]
		if file, ok := p.Asks[0].Subject.(*dockerfile.File); ok && p.Applicable() {
			p.Err = a.prove(ctx, s, file, p.Plan)
		}
	}
}

// leftOut returns why parts cannot be carried out; nil if all can.
func (a *app) leftOut(b *fixes.Batch) error {
	var errs []error
	for i := range b.Parts {
		if p := &b.Parts[i]; !p.Applicable() && !errdefs.IsNotModified(p.Err) {
			errs = append(errs, fmt.Errorf("%s: %s", terminal.Line(p.Subject().Name), a.whyLeftOut(p)))
		}
	}
	return errors.Join(errs...)
}

func (a *app) whyLeftOut(p *fixes.Part) string {
	if p.Err != nil {
		return a.explain(p.Err)
	}
	return p.Plan.Blocked.In(a.translate)
}

// writeBatch prints what a batch would do, part by part.
func (a *app) writeBatch(w io.Writer, b *fixes.Batch, o fixOptions) error {
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	say := func(text string) error {
		_, err := lipgloss.Fprintln(w, text)
		return err
	}
	n := b.Applicable()
	for i := range b.Parts {
		p := &b.Parts[i]
		if !p.Applicable() {
			continue
		}
		head := a.T("Part %d of %d: %s", i+1, n, terminal.Line(p.Plan.Subject.Name))
		if err := say(bold.Render("── "+head+" ──") + faint.Render(" "+a.mechanism(p.Plan))); err != nil {
			return err
		}
		if len(p.For) > 0 {
			if err := say(faint.Render(a.T("for %s: docker compose makes them from this file", names(p.For)))); err != nil {
				return err
			}
		}
		plan := *p.Plan
		if plan.Leaves = nil; len(p.Plan.Leaves) > 0 { // of so many subjects the number says enough
			plan.Notes = append(slices.Clone(plan.Notes), checks.Msg("leaves %d findings", len(p.Plan.Leaves)))
		}
		if err := a.writePlan(w, &plan); err != nil {
			return err
		}
	}
	var text []string
	if n < len(b.Parts) {
		text = append(text, bold.Render(a.T("Not part of it")))
		for i := range b.Parts {
			if p := &b.Parts[i]; !p.Applicable() {
				text = append(text, "  "+terminal.Line(p.Subject().Name)+": "+a.whyLeftOut(p))
			}
		}
	}
	if n > 0 {
		text = append(text, bold.Render(a.T("Altogether")), "  "+a.T("%d parts, one after the other, cure %d findings", n, len(b.Cures())))
		if away := b.Downtime(); away > 0 {
			text = append(text, "  "+a.T("expected downtime: %s in all", away.Round(100*time.Millisecond)))
		}
		if deploys := b.Deploys(); o.deploy && len(deploys) > 0 {
			for _, p := range deploys {
				text = append(text, "  "+a.T("at the end: %s", terminal.Line(fixes.Command(p.Deploy))))
			}
		}
		if n > 1 {
			text = append(text, "  "+a.whenOneFails(o.onFailure))
		}
	}
	return say(strings.Join(text, "\n"))
}

// mechanism says in a few words how a plan changes the world.
func (a *app) mechanism(p *fixes.Plan) string {
	switch p.Mechanism {
	case fixes.Patch:
		return a.T("changes files")
	case fixes.Update:
		return a.T("changes it while it runs")
	case fixes.Quarantine:
		return a.T("isolates it")
	case fixes.Tag:
		return a.T("gives it one more name")
	}
	if p.OnlyTags() {
		return a.T("moves the tag")
	}
	return a.T("replaces it; the original is kept")
}

// whenOneFails says what becomes of the parts before it.
func (a *app) whenOneFails(f fixes.OnFailure) string {
	if f == fixes.TakeBack {
		return a.T("when one fails it is put back, and all before it are taken back, the last one first")
	}
	return a.T("when one fails it is put back, and what was done before it stays (--on-failure undo takes that back as well)")
}

func names(refs []checks.Ref) string {
	var out []string
	for _, r := range refs {
		out = append(out, terminal.Line(r.Name))
	}
	return strings.Join(out, ", ")
}

// batchProgress returns a reporter that prints a line per step, and one above for
// each part.
func (a *app) batchProgress(w io.Writer, b *fixes.Batch) func(fixes.Progress) {
	at, n := -1, b.Applicable()
	line := a.progress(w)
	return func(p fixes.Progress) {
		if p.Part != at {
			at, line = p.Part, a.progress(w)
			fmt.Fprintf(w, "%s\n", a.T("Part %d of %d: %s", at+1, n, terminal.Line(b.Parts[at].Plan.Subject.Name)))
		}
		line(p)
	}
}

// writeBatchReceipt prints what was done, and what was not after err.
func (a *app) writeBatchReceipt(w io.Writer, b *fixes.Batch, r *fixes.BatchReceipt, err error) error {
	if r == nil {
		return nil
	}
	var away time.Duration
	for i, one := range r.Receipts {
		if one == nil {
			continue
		}
		away += one.Away
		if err := errors.Join(writeLine(w, terminal.Line(b.Parts[i].Plan.Subject.Name)), a.writeReceipt(w, one)); err != nil {
			return err
		}
	}
	n, done := b.Applicable(), r.Done()
	text := a.T("%d of %d parts are done", done, n)
	if away > 0 {
		text += ", " + a.T("away for %s in all", away.Round(10*time.Millisecond))
	}
	if err != nil && r.Failed >= 0 {
		text += "; " + a.T("stopped at %s", terminal.Line(b.Parts[r.Failed].Subject().Name))
	}
	if r.Undone > 0 {
		text += "; " + a.T("%d were taken back", r.Undone)
	}
	if done > 0 {
		text += "\n" + a.T("undo all with: plimsoll undo %s", r.Batch)
	}
	return writeLine(w, text)
}

func writeLine(w io.Writer, text string) error {
	_, err := fmt.Fprintln(w, text)
	return err
}
