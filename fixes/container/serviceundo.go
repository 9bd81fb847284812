package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// canUndoService returns why the service of j cannot be made what it was, or nil.
func (m *Mechanic) canUndoService(ctx context.Context, j *serviceJournal) error {
	kept, err := m.specs(j)
	if errors.Is(err, fs.ErrNotExist) {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the record of how the service %s was is gone: it cannot be brought back", clean(j.Name)))
	}
	if err != nil {
		return err
	}
	s, err := m.serviceNow(ctx, j.Service)
	switch {
	case errdefs.IsNotFound(err):
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the service %s was removed", clean(j.Name)))
	case errdefs.IsUnavailable(err):
		return errdefs.ErrUnavailable.WithMessage("this engine is no manager of a swarm any more")
	case err != nil:
		return err
	}
	if busy := s.busy(); !busy.IsZero() {
		return errdefs.ErrFailedPrecondition.WithMessage(busy.String())
	}
	if field := changedSince(kept.After, s.Spec); field != "" && changedSince(kept.Before, s.Spec) != "" {
		return failed("the service %s was changed again since, and undo would overwrite that (%s): undo the later change first", clean(j.Name), clean(field))
	}
	return nil
}

// undoService makes a service what it was. When its tasks do not work so any
// more, the change stands.
func (m *Mechanic) undoService(ctx context.Context, entry ledger.Entry, record fixer.Record, progress func(fixes.Progress)) error {
	j, err := decodeService(entry)
	if err != nil {
		return err
	}
	if err := m.canUndoService(ctx, &j); err != nil {
		return err
	}
	kept, err := m.specs(&j)
	if err != nil {
		return err
	}
	j.Stage = returning
	if err := record(entry.Step, j); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	say := undoing(entry.Step, progress)
	say(checks.Msg("the service becomes what it was"), -1)
	if now, err := m.serviceNow(ctx, j.Service); err != nil {
		return err
	} else if changedSince(kept.Before, now.Spec) != "" {
		if _, err := m.updateService(ctx, j.Service, kept.After, kept.Before); err != nil {
			return err
		}
	}
	if err := m.settled(ctx, j.Service, kept.Before, say); err != nil {
		if again := m.goOn(ctx, &j, kept, say); again != nil {
			return errors.Join(err, broken(again, "the service %s works neither as it was nor as it was made", clean(j.Name)))
		}
		return err
	}
	m.clearService(ctx, &j)
	return nil
}

// undoing tells progress of a change that is taken back.
func undoing(step int, progress func(fixes.Progress)) func(checks.Message, float64) {
	return func(m checks.Message, ratio float64) {
		progress(fixes.Progress{Step: step, Message: m, Ratio: ratio, Undoing: true})
	}
}

// goOn makes a service what the change was to make of it.
func (m *Mechanic) goOn(ctx context.Context, j *serviceJournal, kept specs, say func(checks.Message, float64)) error {
	now, err := m.serviceNow(ctx, j.Service)
	if err != nil {
		return err
	}
	if changedSince(kept.After, now.Spec) != "" {
		if _, err := m.updateService(ctx, j.Service, kept.Before, kept.After); err != nil {
			return err
		}
	}
	if err := m.settled(ctx, j.Service, kept.After, say); err != nil {
		return err
	}
	if len(j.Secrets) > 0 { // it forgets how it was before
		if _, err := m.updateService(ctx, j.Service, kept.After, kept.After); err != nil {
			return err
		}
	}
	return m.stillServes(ctx, j)
}

// recoverService ends the change of a service that a crash interrupted.
func (m *Mechanic) recoverService(ctx context.Context, entry ledger.Entry, finish bool, progress func(fixes.Progress)) (ledger.State, error) {
	j, err := decodeService(entry)
	if err != nil {
		return "", err
	}
	say := undoing(entry.Step, progress)
	var failure error
	if finish && j.begun() {
		kept, err := m.specs(&j)
		if err == nil {
			err = m.goOn(ctx, &j, kept, func(m checks.Message, ratio float64) {
				progress(fixes.Progress{Step: entry.Step, Message: m, Ratio: ratio})
			})
		}
		if err == nil {
			return ledger.Applied, nil
		}
		failure = err
	}
	if err := m.serviceBack(ctx, &j, say); err != nil {
		return ledger.Broken, errors.Join(failure, err)
	}
	return ledger.RolledBack, failure
}
