// Package fixer makes plans, applies them, undoes them and recovers them.
package fixer

import (
	"context"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// A Fixer is what the screen and the command line see of package fixes.
type Fixer interface {
	// Plan returns what would be done, proved on a copy. It reads only.
	Plan(ctx context.Context, subject checks.Subject, request fixes.Request) (*fixes.Plan, error)

	// Fetch gets the image that plan.Fetch names and returns its id, for a request
	// to go on with. The engine has one image more then, and nothing runs it or
	// has its name.
	Fetch(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (image string, err error)

	// Apply carries plan out. Progress is called from one goroutine. After an
	// error everything was put back, unless the error says otherwise.
	Apply(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (*fixes.Receipt, error)

	// PlanBatch returns one plan for many subjects: a part for each file and each
	// container that has to be changed, whatever was asked in how many ways. What
	// cannot be planned is a part that says why. It reads only.
	PlanBatch(ctx context.Context, asks []fixes.Ask) (*fixes.Batch, error)

	// ApplyBatch carries the parts out one after the other. Each is planned again
	// just before, and is done only as it was shown. It stops at the first that
	// fails, which is put back by itself; what becomes of those before was chosen.
	// The receipt says what was done, also beside an error.
	ApplyBatch(ctx context.Context, batch *fixes.Batch, o fixes.BatchOptions, progress func(fixes.Progress)) (*fixes.BatchReceipt, error)

	// CanUndoBatch returns why what is left of a batch cannot be undone now, or nil.
	CanUndoBatch(ctx context.Context, id string) error

	// UndoBatch takes what is left of a batch back, the last part first. It stops
	// where a part cannot be, and says so.
	UndoBatch(ctx context.Context, id string, progress func(fixes.Progress)) error

	// Deploy runs the command of an entry that makes what runs be as the file says
	// that it changed, or put back when it was undone. Progress gets each line that
	// the command prints.
	Deploy(ctx context.Context, id string, progress func(fixes.Progress)) error

	// Entries lists the ledger, the newest first.
	Entries() ([]ledger.Entry, error)

	// CanUndo returns why an entry cannot be undone now, or nil.
	CanUndo(ctx context.Context, id string) error

	// Undo takes an applied entry back.
	Undo(ctx context.Context, id string, progress func(fixes.Progress)) error

	// Kept returns the original that an applied entry keeps as its way back, or
	// why there is none.
	Kept(ctx context.Context, id string) (fixes.Original, error)

	// Discard removes it for good, volumes excepted: the entry cannot be undone
	// any more.
	Discard(ctx context.Context, id string) error

	// Interrupted lists entries that a crash left unfinished on this engine.
	Interrupted(ctx context.Context) ([]ledger.Entry, error)

	// Recover finishes an interrupted entry, or takes it back, so that exactly
	// one working container, or one whole file, is left.
	Recover(ctx context.Context, id string, finish bool, progress func(fixes.Progress)) error
}
