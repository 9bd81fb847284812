package fixer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// ApplyBatch implements [Fixer].
func (d *Dispatcher) ApplyBatch(ctx context.Context, b *fixes.Batch, o fixes.BatchOptions, progress func(fixes.Progress)) (*fixes.BatchReceipt, error) {
	if d.o.ReadOnly {
		return nil, errReadOnly
	}
	r := &batchRun{d: d, b: b, o: o, progress: quiet(progress), receipt: &fixes.BatchReceipt{Batch: b.ID, Receipts: make([]*fixes.Receipt, len(b.Parts)), Failed: -1}}
	began := d.o.Now()
	err := r.run(ctx)
	r.receipt.Took = d.o.Now().Sub(began)
	return r.receipt, err
}

// A batchRun carries out one batch.
type batchRun struct {
	d        *Dispatcher
	b        *fixes.Batch
	o        fixes.BatchOptions
	progress func(fixes.Progress)
	receipt  *fixes.BatchReceipt
}

func (r *batchRun) run(ctx context.Context) error {
	of := r.b.Applicable()
	for i := range r.b.Parts {
		part := &r.b.Parts[i]
		if !part.Applicable() {
			continue
		}
		one, err := r.part(ctx, part, &ledger.Part{ID: r.b.ID, N: i + 1, Of: of}, r.of(i))
		if one != nil { // also where only the ledger does not say so
			r.receipt.Receipts[i] = one
		}
		if err != nil {
			r.receipt.Failed = i
			return r.stopped(ctx, fmt.Errorf("%s: %w", name(part.Subject()), err))
		}
	}
	if !r.o.Deploy {
		return nil
	}
	for _, plan := range r.b.Deploys() {
		i := slices.IndexFunc(r.b.Parts, func(p fixes.Part) bool { return p.Plan == plan })
		if err := r.d.Deploy(ctx, plan.ID, r.of(i)); err != nil {
			r.receipt.Failed = i
			return r.stopped(ctx, err)
		}
		r.receipt.Deployed++
	}
	return nil
}

// part carries one part out, after having planned it again: what came before may
// have changed what it was made from.
func (r *batchRun) part(ctx context.Context, part *fixes.Part, place *ledger.Part, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	now, err := r.d.again(ctx, part)
	if err != nil {
		return nil, err
	}
	if !now.Keeps(part.Plan) {
		return nil, fmt.Errorf("it would not be changed as it was shown: %w", fixes.ErrChanged)
	}
	now.ID = part.Plan.ID
	return r.d.apply(ctx, now, place, progress)
}

// of returns the reporter for a part.
func (r *batchRun) of(part int) func(fixes.Progress) {
	return func(p fixes.Progress) { p.Part = part; r.progress(p) }
}

// again plans a part as the world is now.
func (d *Dispatcher) again(ctx context.Context, part *fixes.Part) (*fixes.Plan, error) {
	if len(part.Asks) == 1 && len(part.Plan.Members) == 0 || part.Plan.Subject.Kind == checks.Image {
		return d.Plan(ctx, part.Asks[0].Subject, part.Asks[0].Request)
	}
	b, err := d.PlanBatch(ctx, part.Asks)
	if err != nil {
		return nil, err
	}
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Err != nil {
			return nil, p.Err
		} else if p.Plan.Subject == part.Plan.Subject {
			return p.Plan, nil
		}
	}
	return nil, fixes.ErrChanged
}

// stopped does with what was carried out what was chosen before, after err. What
// runs becomes what the files say again, where it was not any more.
func (r *batchRun) stopped(ctx context.Context, err error) error {
	if r.o.OnFailure != fixes.TakeBack {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	for i, receipt := range slices.Backward(r.receipt.Receipts) {
		if receipt == nil {
			continue
		}
		back := func(p fixes.Progress) { p.Undoing = true; r.of(i)(p) }
		if undo := r.d.Undo(ctx, receipt.Entry, back); undo != nil {
			err = errors.Join(err, fmt.Errorf("%s stays changed, it could not be taken back: %w", name(r.b.Parts[i].Subject()), undo))
			continue
		}
		r.receipt.Receipts[i] = nil
		r.receipt.Undone++
		if e, read := r.d.o.Ledger.Entry(receipt.Entry); read == nil && len(e.Trailing()) > 0 {
			err = errors.Join(err, r.d.Deploy(ctx, receipt.Entry, back))
		}
	}
	return err
}

// CanUndoBatch implements [Fixer].
func (d *Dispatcher) CanUndoBatch(ctx context.Context, id string) error {
	entries, err := d.toUndo(id)
	if err != nil {
		return err
	}
	var failed []error
	seen := map[string]bool{}
	for _, e := range entries {
		// What an earlier part left in a folder is there again once a later one
		// was taken back.
		if place := lockName(e.Subject, e.Engine); !isFile(e.Subject) || !seen[place] {
			failed = append(failed, d.CanUndo(ctx, e.ID))
			seen[place] = true
		}
	}
	return errors.Join(failed...)
}

// UndoBatch implements [Fixer].
func (d *Dispatcher) UndoBatch(ctx context.Context, id string, progress func(fixes.Progress)) error {
	if err := d.CanUndoBatch(ctx, id); err != nil {
		return err
	}
	entries, err := d.toUndo(id)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else {
			quiet(progress)(fixes.Progress{Step: i, Message: checks.Msg("%d of %d: %s", i+1, len(entries), plain(e.Title)), Ratio: -1, Undoing: true})
			err = d.Undo(ctx, e.ID, progress)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name(e.Subject), err)
			if i > 0 {
				err = fmt.Errorf("%w: %d of %d: %w", fixes.ErrPartly, i, len(entries), err)
			}
			return err
		}
	}
	return nil
}

// toUndo returns the entries of a batch that are to be taken back, the last one
// first.
func (d *Dispatcher) toUndo(id string) ([]ledger.Entry, error) {
	entries, err := d.Entries()
	if err != nil {
		return nil, err
	}
	all := ledger.BatchOf(entries, id)
	if len(all) == 0 {
		return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no changes called %s in the ledger", id))
	}
	var out []ledger.Entry
	for _, e := range slices.Backward(all) {
		switch {
		case e.State.Unfinished():
			return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("the change %s of %s was interrupted: recover it first", e.ID, name(e.Subject)))
		case e.State == ledger.Applied:
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s: nothing of it is left to undo", id))
	}
	return out, nil
}
