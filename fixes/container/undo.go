package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// CanUndo implements [fixer.Mechanic].
func (m *Mechanic) CanUndo(ctx context.Context, entry ledger.Entry) error {
	if m.o.Plain {
		return errdefs.ErrPermissionDenied.WithMessage("the connection to this engine is not encrypted: use ssh:// or TLS to change anything")
	}
	if entry.Mechanism == string(fixes.Service) {
		j, err := decodeService(entry)
		if err != nil {
			return err
		}
		return m.canUndoService(ctx, &j)
	}
	if len(entry.Members) > 0 {
		return NewGroup(m).CanUndo(ctx, entry)
	}
	switch entry.Mechanism {
	case string(fixes.Quarantine):
		j, err := decodeQuarantine(entry)
		if err != nil {
			return err
		}
		return m.canUndoQuarantine(ctx, j)
	case string(fixes.Update):
		j, err := decodeLive(entry)
		if err != nil {
			return err
		}
		return m.canUndoLive(ctx, j)
	}
	j, err := decode(entry)
	if err != nil {
		return err
	}
	return m.canBringBack(ctx, &j)
}

// canBringBack returns why the original of j cannot take its place again, or nil.
func (m *Mechanic) canBringBack(ctx context.Context, j *journal) error {
	p, err := m.pair(ctx, j)
	switch {
	case err != nil:
		return err
	case p.old == nil:
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the original of %s was removed, by docker container prune perhaps: it cannot be brought back", clean(j.Name)))
	case containerName(p.old) == j.Name:
		return nil // it is back already, only the replacement may be left
	case containerName(p.old) != j.shelf():
		return failed("the original of %s was renamed to %s meanwhile", clean(j.Name), clean(containerName(p.old)))
	}
	owner, err := m.find(ctx, j.Name)
	switch {
	case err != nil:
		return err
	case owner == nil || owner.ID == j.New:
		return nil
	case owner.Config.Labels[labelReplaces] == j.New:
		return failed("a later change replaced %s again: undo that one first", clean(j.Name))
	}
	return failed("another container is called %s now: rename or remove it first", clean(j.Name))
}

func (m *Mechanic) canUndoLive(ctx context.Context, j liveJournal) error {
	c, err := m.find(ctx, j.Container)
	switch {
	case err != nil:
		return err
	case c == nil:
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the container %s was removed", short(j.Container)))
	case shelved(containerName(c)):
		return failed("a later change replaced the container: undo that one first")
	}
	info, err := m.engineInfo(ctx)
	if err != nil {
		return err
	}
	if ignored := limitsOf(c.HostConfig).ignored(j.New, info.SwapLimit); len(ignored) > 0 && limitsOf(c.HostConfig) != j.Old {
		return failed("the limits were changed again meanwhile, undo would overwrite that: %s", ignored[0])
	}
	return nil
}

// Undo implements [fixer.Mechanic].
func (m *Mechanic) Undo(ctx context.Context, entry ledger.Entry, record fixer.Record, progress func(fixes.Progress)) error {
	if entry.Mechanism == string(fixes.Service) {
		return m.undoService(ctx, entry, record, progress)
	}
	if len(entry.Members) > 0 {
		return NewGroup(m).Undo(ctx, entry, record, progress)
	}
	if entry.Mechanism == string(fixes.Quarantine) {
		j, err := decodeQuarantine(entry)
		if err != nil {
			return err
		}
		return m.undoQuarantine(context.WithoutCancel(ctx), j, progress)
	}
	if entry.Mechanism == string(fixes.Update) {
		j, err := decodeLive(entry)
		if err != nil {
			return err
		}
		_, err = m.undoLive(context.WithoutCancel(ctx), j, progress)
		return err
	}
	j, err := decode(entry)
	if err != nil {
		return err
	}
	if err := m.CanUndo(ctx, entry); err != nil {
		return err
	}
	j.Stage = returning
	if err := record(entry.Step, j); err != nil {
		return err
	}
	progress(fixes.Progress{Step: entry.Step, Message: checks.Msg("bringing the original back"), Ratio: -1, Undoing: true})
	return m.goBack(context.WithoutCancel(ctx), &j, true)
}

// Recover implements [fixer.Mechanic].
func (m *Mechanic) Recover(ctx context.Context, entry ledger.Entry, finish bool, record fixer.Record, progress func(fixes.Progress)) (ledger.State, error) {
	ctx = context.WithoutCancel(ctx)
	if entry.Mechanism == string(fixes.Service) {
		return m.recoverService(ctx, entry, finish, progress)
	}
	if len(entry.Members) > 0 {
		return NewGroup(m).Recover(ctx, entry, finish, record, progress)
	}
	if entry.Mechanism == string(fixes.Quarantine) {
		j, err := decodeQuarantine(entry)
		if err != nil {
			return "", err
		}
		return m.recoverQuarantine(ctx, j, finish, progress)
	}
	if entry.Mechanism == string(fixes.Update) {
		j, err := decodeLive(entry)
		if err != nil {
			return "", err
		}
		return m.recoverLive(ctx, j, finish, progress)
	}
	j, err := decode(entry)
	if err != nil {
		return "", err
	}
	return m.recover(ctx, &j, finish, record, progress)
}

// recover ends the transaction j. Before the original was touched there is
// only one way: the replacement was not compared with it yet, or is a trial.
func (m *Mechanic) recover(ctx context.Context, j *journal, finish bool, record fixer.Record, progress func(fixes.Progress)) (ledger.State, error) {
	var failure error
	if finish && j.finishable() {
		progress(fixes.Progress{Message: checks.Msg("finishing the change"), Ratio: -1})
		failure = m.goForward(ctx, j, record, func(msg checks.Message, ratio float64) {
			progress(fixes.Progress{Message: msg, Ratio: ratio})
		})
		if failure == nil {
			return ledger.Applied, nil
		}
		if tail := m.lastWords(ctx, j.New); tail != "" {
			failure = fmt.Errorf("%w; its last output: %s", failure, tail)
		}
	}
	progress(fixes.Progress{Message: checks.Msg("bringing the original back"), Ratio: -1, Undoing: true})
	if err := m.goBack(ctx, j, false); err != nil {
		return ledger.Broken, errors.Join(failure, err)
	}
	return ledger.RolledBack, failure
}
