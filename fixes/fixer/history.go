package fixer

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// Entries implements [Fixer].
func (d *Dispatcher) Entries() ([]ledger.Entry, error) {
	entries, _, err := d.o.Ledger.Entries()
	return entries, err
}

// Damaged says which files of the ledger cannot be read, and why. They are
// ignored and left alone.
func (d *Dispatcher) Damaged() ([]error, error) {
	_, damaged, err := d.o.Ledger.Entries()
	return damaged, err
}

// CanUndo implements [Fixer].
func (d *Dispatcher) CanUndo(ctx context.Context, id string) error {
	entry, err := d.o.Ledger.Entry(id)
	if err != nil {
		return err
	}
	m, _, release, err := d.begin(ctx, entry.Subject, entry.Members...)
	if err != nil {
		return err
	}
	defer release()
	return d.undoable(ctx, m, entry)
}

func (d *Dispatcher) undoable(ctx context.Context, m Mechanic, entry ledger.Entry) error {
	refuse := func(why string) error {
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s: %s", entry.ID, why))
	}
	switch entry.State {
	case ledger.Applied:
	case ledger.Running, ledger.Undoing:
		return refuse("was interrupted: recover it instead")
	case ledger.RolledBack:
		return refuse("failed and was put back: there is nothing to undo")
	case ledger.Undone:
		return refuse("is undone already")
	case ledger.Final:
		return refuse("is final: its original was removed on request")
	case ledger.Broken:
		return refuse("failed and needs a person: " + entry.Error)
	default:
		return refuse(fmt.Sprintf("is in a state that this version does not know: %q", entry.State))
	}
	if err := d.sameEngine(ctx, entry); err != nil {
		return err
	}
	return m.CanUndo(ctx, entry)
}

func (d *Dispatcher) sameEngine(ctx context.Context, entry ledger.Entry) error {
	engine, err := d.engine(ctx, entry.Subject)
	if err != nil {
		return err
	}
	if engine != entry.Engine {
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s was made on another Docker Engine: connect to that one first", entry.ID))
	}
	return nil
}

// Undo implements [Fixer].
func (d *Dispatcher) Undo(ctx context.Context, id string, progress func(fixes.Progress)) error {
	m, entry, release, err := d.reopen(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	if err := d.undoable(ctx, m, entry); err != nil {
		return err
	}
	entry.State = ledger.Undoing
	if err := d.o.Ledger.Put(entry); err != nil {
		return err
	}
	err = m.Undo(ctx, entry, d.record(&entry), quiet(progress))
	entry.State = ledger.Undone
	if err != nil {
		entry.State = ledger.Applied
	}
	return d.end(&entry, err)
}

// Kept implements [Fixer].
func (d *Dispatcher) Kept(ctx context.Context, id string) (fixes.Original, error) {
	m, entry, release, err := d.reopen(ctx, id)
	if err != nil {
		return fixes.Original{}, err
	}
	defer release()
	keeper, err := d.keeper(ctx, m, entry)
	if err != nil {
		return fixes.Original{}, err
	}
	return keeper.Kept(ctx, entry)
}

// Discard implements [Fixer].
func (d *Dispatcher) Discard(ctx context.Context, id string) error {
	if d.o.ReadOnly {
		return errReadOnly
	}
	m, entry, release, err := d.reopen(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	keeper, err := d.keeper(ctx, m, entry)
	if err != nil {
		return err
	}
	if err := keeper.Discard(ctx, entry); err != nil {
		return err
	}
	entry.State = ledger.Final
	return d.o.Ledger.Put(entry)
}

func (d *Dispatcher) keeper(ctx context.Context, m Mechanic, entry ledger.Entry) (Keeper, error) {
	keeper, ok := m.(Keeper)
	if !ok || entry.State != ledger.Applied {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s keeps no original", entry.ID))
	}
	return keeper, d.sameEngine(ctx, entry)
}

// reopen returns the entry called id as it is once nobody else can change it.
func (d *Dispatcher) reopen(ctx context.Context, id string) (Mechanic, ledger.Entry, func(), error) {
	entry, err := d.o.Ledger.Entry(id)
	if err != nil {
		return nil, entry, nil, err
	}
	m, _, release, err := d.begin(ctx, entry.Subject, entry.Members...)
	if err != nil {
		return nil, entry, nil, err
	}
	if entry, err = d.o.Ledger.Entry(id); err != nil {
		release()
		return nil, entry, nil, err
	}
	return m, entry, release, nil
}

// Interrupted implements [Fixer]. An entry whose lock is held is being worked
// on by a plimsoll that is alive.
func (d *Dispatcher) Interrupted(ctx context.Context) ([]ledger.Entry, error) {
	var out []ledger.Entry
	var failed []error
	if err := d.adopt(ctx); err != nil {
		failed = append(failed, err)
	}
	entries, err := d.Entries()
	if err != nil {
		return nil, errors.Join(append(failed, err)...)
	}
	for _, e := range entries {
		if !e.State.Unfinished() {
			continue
		}
		engine, err := d.engine(ctx, e.Subject)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if engine != e.Engine {
			continue
		}
		release, err := d.o.Ledger.Lock(lockName(e.Subject, e.Engine))
		if errdefs.IsConflict(err) {
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		// It may have ended between the listing and the lock.
		e, err = d.o.Ledger.Entry(e.ID)
		release()
		if err == nil && e.State.Unfinished() {
			out = append(out, e)
		}
	}
	return out, errors.Join(failed...)
}

// adopt puts unfinished changes that the ledger does not know into it.
func (d *Dispatcher) adopt(ctx context.Context) error {
	if d.o.ReadOnly || d.o.Engine == nil {
		return nil
	}
	var failed []error
	for kind, m := range d.o.Mechanics {
		a, ok := m.(Adopter)
		if !ok {
			continue
		}
		engine, err := d.engine(ctx, checks.Ref{Kind: kind})
		if err != nil {
			failed = append(failed, err)
			continue
		}
		orphans, err := a.Orphans(ctx, func(id string) bool {
			_, err := d.o.Ledger.Entry(id)
			return !errdefs.IsNotFound(err) // damaged, or no id at all: hands off
		})
		failed = append(failed, err)
		for _, e := range orphans {
			e.Engine = engine
			failed = append(failed, d.o.Ledger.Put(e))
		}
	}
	return errors.Join(failed...)
}

// Recover implements [Fixer].
func (d *Dispatcher) Recover(ctx context.Context, id string, finish bool, progress func(fixes.Progress)) error {
	m, entry, release, err := d.reopen(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	if !entry.State.Unfinished() {
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s was not interrupted: it is %s", entry.ID, entry.State))
	}
	if err := d.sameEngine(ctx, entry); err != nil {
		return err
	}
	undoing := entry.State == ledger.Undoing
	state := ledger.RolledBack
	if len(entry.Inverse) > 0 && string(entry.Inverse) != "null" {
		state, err = m.Recover(ctx, entry, finish, d.record(&entry), quiet(progress))
		if err != nil && state == "" {
			state = entry.State // it can be tried again
		}
	}
	if undoing && state == ledger.RolledBack {
		state = ledger.Undone
	}
	entry.State = state
	return d.end(&entry, err)
}
