package fixer

import (
	"context"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// A Mechanic knows one way of changing the world: files, or containers.
// The fixer keeps the ledger; mechanics say what is in it.
type Mechanic interface {
	// Plan reads only. Plan.ID and the fixer's own fields are set by the fixer.
	Plan(ctx context.Context, subject checks.Subject, request fixes.Request) (*fixes.Plan, error)

	// Apply carries plan out under the ledger entry id. Before each step it
	// calls record, which has stored step and inverse durably when it returns.
	// When Apply fails it has put everything back, or the error wraps
	// [fixes.ErrBroken] and says by name what is left.
	Apply(ctx context.Context, id string, plan *fixes.Plan, record Record, progress func(fixes.Progress)) (*fixes.Receipt, error)

	// CanUndo returns why entry cannot be undone now, or nil.
	CanUndo(ctx context.Context, entry ledger.Entry) error

	// Undo takes an applied entry back; it is planned from entry.Inverse alone.
	// When it fails the change stands as before, or the error wraps
	// [fixes.ErrBroken].
	Undo(ctx context.Context, entry ledger.Entry, record Record, progress func(fixes.Progress)) error

	// Recover ends an entry that a crash left [ledger.Running] or
	// [ledger.Undoing]. It returns the state that was reached: Applied (when
	// finish was asked for and the result verifies), RolledBack or Broken.
	// It is not called when nothing was recorded, as then nothing was begun.
	Recover(ctx context.Context, entry ledger.Entry, finish bool, record Record, progress func(fixes.Progress)) (ledger.State, error)
}

// An Adopter is a mechanic that finds what it left unfinished without the
// ledger, which may be lost.
type Adopter interface {
	// Orphans returns an entry, [ledger.Running], for each unfinished change on
	// the engine whose id known denies. The fixer stores it and fills in Engine.
	Orphans(ctx context.Context, known func(id string) bool) ([]ledger.Entry, error)
}

// A Keeper is a mechanic that keeps originals on the engine as the way back.
type Keeper interface {
	// Kept returns the original of an applied entry. It fails unless what took
	// its place works.
	Kept(ctx context.Context, entry ledger.Entry) (fixes.Original, error)

	// Discard removes it, and no volume.
	Discard(ctx context.Context, entry ledger.Entry) error
}

// A Fetcher is a mechanic some of whose plans need an image first.
type Fetcher interface {
	Fetch(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (image string, err error)
}

// A Reader reads subjects as they are now, with all that was observed of them.
type Reader interface {
	Read(ctx context.Context, ref checks.Ref) (checks.Subject, error)
}

// A Source returns the file that decides about subject, and request in terms of
// that; nil where none does.
type Source func(ctx context.Context, subject checks.Subject, request fixes.Request) (checks.Subject, fixes.Request, error)

// Record stores durably that step is about to begin, and what would be needed
// to put the world back from there.
type Record func(step int, inverse any) error
