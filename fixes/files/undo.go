package files

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// CanUndo returns why entry cannot be undone now; see package fixer.
func (m *Mechanic) CanUndo(_ context.Context, entry ledger.Entry) error {
	inv, err := parseInverse(entry)
	if err != nil {
		return err
	}
	project, err := openProject(inv.Dir)
	if err != nil {
		return err
	}
	defer project.Close()
	return inv.undoable(project)
}

// undoable fails unless every file is byte for byte what was written and can
// be made byte for byte what it was.
func (inv *inverse) undoable(project *project) error {
	for i := range inv.Files {
		w := &inv.Files[i]
		data, now, err := project.read(w.Name)
		if err != nil {
			return err
		}
		if now.Sum != w.After {
			return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s is no longer what was written: undo would take back later changes too; edit it by hand", terminal.Line(w.Name)))
		}
		if w.Created {
			continue
		}
		if _, err := inv.original(w, data); err != nil {
			return err
		}
	}
	return nil
}

// Undo takes entry back; see package fixer.
func (m *Mechanic) Undo(ctx context.Context, entry ledger.Entry, record fixer.Record, progress func(fixes.Progress)) error {
	inv, err := parseInverse(entry)
	if err != nil {
		return err
	}
	project, err := openProject(inv.Dir)
	if err != nil {
		return err
	}
	defer project.Close()
	if err := inv.undoable(project); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var done []func() error
	for n := len(inv.Files) - 1; n >= 0; n-- {
		w := &inv.Files[n]
		progress(fixes.Progress{Step: len(inv.Files) - 1 - n, Message: checks.Msg("%s becomes what it was", terminal.Line(w.Name)), Ratio: -1})
		err := record(len(inv.Files)-1-n, inv)
		var again func() error
		if err == nil {
			again, err = w.undo(&inv, project, entry.ID, n)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("undo %s: %w", terminal.Line(w.Name), err), inv.redo(project, entry.ID, done))
		}
		done = append(done, again)
	}
	// The files are what they were. Private text that could not be removed
	// stays private, so that neither makes the undo fail.
	_ = inv.sweep(project, entry.ID)
	for _, name := range inv.takeBack(project) {
		progress(fixes.Progress{Step: len(inv.Files) - 1, Message: checks.Msg("%s was changed meanwhile and stays: remove it yourself when nothing needs it", terminal.Line(name)), Ratio: -1})
	}
	_ = inv.forget()
	return nil
}

// undo puts w back and returns how to write it again.
func (w *written) undo(inv *inverse, project *project, id string, n int) (again func() error, err error) {
	data, now, err := project.read(w.Name)
	if err != nil {
		return nil, err
	}
	if err := w.restore(inv, project, undoTemp(w.Name, id, n)); err != nil {
		return nil, err
	}
	return func() error {
		_, restored, err := project.read(w.Name)
		if err != nil {
			return err
		}
		if err := project.prepare(w.Temp, data, now.attributes); err != nil {
			return err
		}
		return project.put(w.Temp, restored)
	}, nil
}

// redo writes again what an undo that failed half-way had put back.
func (inv *inverse) redo(project *project, id string, done []func() error) error {
	var failed []error
	for _, again := range done {
		failed = append(failed, again())
	}
	failed = append(failed, inv.sweep(project, id))
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("%w: %w", fixes.ErrBroken, err)
	}
	return nil
}

// Recover ends an interrupted entry; see package fixer. A change can be
// finished when all of its new files had been prepared.
func (m *Mechanic) Recover(ctx context.Context, entry ledger.Entry, finish bool, record fixer.Record, progress func(fixes.Progress)) (ledger.State, error) {
	inv, err := parseInverse(entry)
	if err != nil {
		return ledger.Broken, err
	}
	project, err := openProject(inv.Dir)
	if err != nil {
		return "", err
	}
	defer project.Close()
	if err := record(entry.Step, inv); err != nil {
		return "", err
	}
	if finish && inv.finish(project) == nil {
		return ledger.Applied, inv.sweep(project, entry.ID)
	}
	progress(fixes.Progress{Ratio: -1, Undoing: true, Message: checks.Msg("putting everything back")})
	if err := inv.restore(project, entry.ID); err != nil {
		return ledger.Broken, err
	}
	return ledger.RolledBack, inv.forget()
}

// finish moves every prepared file to its place. It fails, with nothing worse
// than before, if one is missing or incomplete.
func (inv *inverse) finish(project *project) error {
	if err := inv.untangle(project); err != nil {
		return err
	}
	var left []func() error
	for _, w := range inv.Files {
		_, now, err := project.read(w.Name)
		switch {
		case err != nil:
			return err
		case now.Exists && now.Sum == w.After:
			continue
		case now.Exists == w.Created, now.Exists && now.Sum != w.Before:
			return fixes.ErrChanged
		}
		_, prepared, err := project.read(w.Temp)
		if err != nil {
			return err
		}
		if prepared.Sum != w.After {
			return errdefs.ErrFailedPrecondition
		}
		left = append(left, func() error { return project.put(w.Temp, now) })
	}
	for _, k := range inv.Kept {
		if _, now, err := project.read(k.Name); err != nil || !now.Exists {
			return errors.Join(err, errdefs.ErrFailedPrecondition)
		}
	}
	for _, put := range left {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}
