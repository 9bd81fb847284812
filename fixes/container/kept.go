package container

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// Kept implements [fixer.Keeper]. What is kept of several containers that were
// updated as one is their way back as one, and stays.
func (m *Mechanic) Kept(ctx context.Context, entry ledger.Entry) (fixes.Original, error) {
	var o fixes.Original
	if entry.Mechanism != string(fixes.Recreate) || len(entry.Members) > 0 {
		return o, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s keeps no original that could be removed by itself", entry.ID))
	}
	j, err := decode(entry)
	if err != nil {
		return o, err
	}
	p, err := m.pair(ctx, &j)
	switch {
	case err != nil:
		return o, err
	case p.old == nil:
		return o, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the original of %s was removed already", clean(j.Name)))
	case containerName(p.old) != j.shelf() || p.old.State.Running:
		return o, failed("the original of %s is in use as %s", clean(j.Name), clean(containerName(p.old)))
	case p.new == nil || containerName(p.new) != j.Name:
		return o, failed("what replaced the original of %s is gone: the original is all there is", clean(j.Name))
	case !p.new.State.Running:
		return o, failed("%s does not run: its original is the way back", clean(j.Name))
	}
	o.Name, o.Kept = containerName(p.old), entry.Time
	sized, err := m.engine.ContainerInspect(ctx, j.Old, client.ContainerInspectOptions{Size: true})
	if err == nil && sized.Container.SizeRw != nil {
		o.Size = *sized.Container.SizeRw
	}
	if at, err := time.Parse(time.RFC3339Nano, p.old.State.FinishedAt); err == nil && !at.IsZero() {
		o.Kept = at
	}
	return o, nil
}

// Discard implements [fixer.Keeper].
func (m *Mechanic) Discard(ctx context.Context, entry ledger.Entry) error {
	if m.o.Plain {
		return errdefs.ErrPermissionDenied.WithMessage("the connection to this engine is not encrypted: use ssh:// or TLS to change anything")
	}
	if _, err := m.Kept(ctx, entry); err != nil {
		return err
	}
	j, err := decode(entry)
	if err != nil {
		return err
	}
	return m.remove(ctx, j.Old)
}
