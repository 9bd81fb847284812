package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// Going forward and going back start from what is there, so that they lead to
// the same end from wherever a crash, or an error, left the two containers.

// pair is both containers of a transaction as they are now; nil is gone.
type pair struct{ old, new *api.InspectResponse }

func (m *Mechanic) pair(ctx context.Context, j *journal) (pair, error) {
	var p pair
	var err error
	if p.old, err = m.find(ctx, j.Old); err != nil {
		return p, err
	}
	if j.New != "" {
		if p.new, err = m.find(ctx, j.New); err != nil || p.new != nil {
			return p, err
		}
	}
	// It was not noted yet, or was made anew.
	id, err := m.findNew(ctx, j)
	if err == nil && id != "" {
		j.New = id
		p.new, err = m.find(ctx, id)
	}
	return p, err
}

// find inspects a container; nil if there is none.
func (m *Mechanic) find(ctx context.Context, id string) (*api.InspectResponse, error) {
	c, err := m.inspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	return c, err
}

// findNew returns the id of the replacement that j created but had no time to
// note, "" if there is none.
func (m *Mechanic) findNew(ctx context.Context, j *journal) (string, error) {
	list, err := m.engine.ContainerList(ctx, client.ContainerListOptions{
		All:     true,
		Filters: client.Filters{}.Add("label", labelTx+"="+j.Tx, labelReplaces+"="+j.Old),
	})
	if err != nil {
		return "", fmt.Errorf("look for the replacement: %w", err)
	}
	for _, c := range list.Items {
		if c.Labels[labelTx] == j.Tx && c.Labels[labelReplaces] == j.Old && c.ID != j.Old {
			return c.ID, nil
		}
	}
	return "", nil
}

// broken says what a person has to do.
func broken(err error, format string, args ...any) error {
	return errors.Join(fmt.Errorf(format+": %w", append(args, fixes.ErrBroken)...), err)
}

// goBack makes the original the one container of its name again. With
// careful, the replacement is removed only after the original has proved to
// work, and is put back if it does not.
func (m *Mechanic) goBack(ctx context.Context, j *journal, careful bool) error {
	new, err := m.bringBack(ctx, j, careful)
	if err != nil {
		return err
	}
	return m.discard(ctx, j, new)
}

// bringBack is goBack up to where the replacement, which it returns, is only in
// the way.
func (m *Mechanic) bringBack(ctx context.Context, j *journal, careful bool) (new *api.InspectResponse, err error) {
	p, err := m.pair(ctx, j)
	if err != nil {
		return nil, broken(err, "the state of %s is not known; its original is %s", clean(j.Name), short(j.Old))
	}
	if p.old == nil {
		if !j.touched() {
			return p.new, nil
		}
		return nil, broken(nil, "the original %s of %s is gone, nothing was removed", short(j.Old), clean(j.Name))
	}
	if j.touched() {
		if err := m.restore(ctx, j, p); err != nil && careful && p.new != nil {
			return nil, m.forwardAgain(ctx, j, err)
		} else if err != nil {
			return nil, broken(err, "the original of %s is kept as %s", clean(j.Name), clean(containerName(p.old)))
		}
		if careful {
			if err := m.verify(ctx, j.Old, j.Baseline, quiet); err != nil {
				return nil, m.forwardAgain(ctx, j, err)
			}
		}
	}
	return p.new, nil
}

func quiet(checks.Message, float64) {}

// restore gives the original its name, its restart policy and its life back.
func (m *Mechanic) restore(ctx context.Context, j *journal, p pair) error {
	if p.new != nil {
		if err := m.retire(ctx, j, p.new); err != nil {
			return err
		}
	}
	if containerName(p.old) == j.shelf() {
		if err := m.rename(ctx, j.Old, j.Name); err != nil {
			return err
		}
	}
	if !samePolicy(p.old.HostConfig.RestartPolicy, j.Policy) {
		if err := m.policy(ctx, j.Old, j.Policy); err != nil {
			return err
		}
	}
	if j.Baseline.Running && !p.old.State.Running {
		return m.start(ctx, j.Old)
	}
	return nil
}

func samePolicy(a, b api.RestartPolicy) bool {
	return a.IsSame(&b) || a.IsNone() && b.IsNone()
}

// retire takes life and name from the replacement, so that nothing brings it
// up beside the original.
func (m *Mechanic) retire(ctx context.Context, j *journal, c *api.InspectResponse) error {
	if !c.HostConfig.RestartPolicy.IsNone() {
		if err := m.disarm(ctx, c.ID); err != nil {
			return err
		}
	}
	if c.State.Running || c.State.Restarting {
		if err := m.stop(ctx, c.ID); err != nil {
			return err
		}
	}
	if containerName(c) == j.Name {
		return m.rename(ctx, c.ID, j.lock())
	}
	return nil
}

// disarm takes the restart policy from a container that may be starting and
// exiting over and over. In the moment between the two the engine takes it for
// running and cannot change it: then it is stopped first, which ends the loop.
func (m *Mechanic) disarm(ctx context.Context, id string) error {
	never := api.RestartPolicy{Name: api.RestartPolicyDisabled}
	err := m.policy(ctx, id, never)
	if err == nil || errdefs.IsNotFound(err) {
		return err
	}
	if stopped := m.stop(ctx, id); stopped != nil {
		return errors.Join(err, stopped)
	}
	return m.policy(ctx, id, never)
}

// discard removes what the transaction made, and puts the tag back.
func (m *Mechanic) discard(ctx context.Context, j *journal, new *api.InspectResponse) error {
	if new != nil {
		if err := m.remove(ctx, new.ID); err != nil {
			return broken(err, "the original of %s works, but its replacement %s is left", clean(j.Name), short(new.ID))
		}
	}
	m.removeNetwork(ctx, j.Tx)
	m.dropSecrets(ctx, j)
	m.dropFile(j)
	if err := m.unbake(ctx, j); err != nil {
		return broken(err, "the original of %s works, but the image %s is left", clean(j.Name), clean(j.Image.Ref))
	}
	if err := m.untag(ctx, j.Tag); err != nil {
		return broken(err, "the original of %s works, but the tag %s names another image than before", clean(j.Name), clean(j.Tag.Ref))
	}
	return nil
}

// forwardAgain puts the replacement back after the original has turned out not
// to work any more.
func (m *Mechanic) forwardAgain(ctx context.Context, j *journal, cause error) error {
	if err := m.goForward(ctx, j, nil, quiet); err != nil {
		return broken(errors.Join(cause, err), "neither the original nor the replacement of %s works", clean(j.Name))
	}
	return fmt.Errorf("the original could not be brought back to work, the change stands: %w", cause)
}

// goForward makes the replacement the one container of its name, and proves
// that it works.
func (m *Mechanic) goForward(ctx context.Context, j *journal, record fixer.Record, say func(checks.Message, float64)) error {
	p, err := m.pair(ctx, j)
	if err != nil {
		return err
	}
	if p.new == nil {
		return errdefs.ErrNotFound.WithMessage("the replacement is gone")
	}
	do := func(needed bool, s stage, act func() error) {
		if err != nil || !needed {
			return
		}
		if record != nil {
			j.Stage = s
			if err = record(0, j); err != nil {
				return
			}
		}
		err = act()
	}
	there, pending := p.old != nil, j.pending()
	do(there && p.old.State.Running, stopping, func() error { return m.stop(ctx, j.Old) })
	do(there && pending && j.Written == moved, carrying, func() error { _, err := m.carry(ctx, j, say); return err })
	do(there && pending && j.Written == saved, saving, func() error { _, err := m.save(ctx, j, say); return err })
	do(there && containerName(p.old) == j.Name, shelving, func() error { return m.rename(ctx, j.Old, j.shelf()) })
	do(containerName(p.new) != j.Name, naming, func() error { return m.rename(ctx, j.New, j.Name) })
	do(there && !p.old.HostConfig.RestartPolicy.IsNone(), disarming, func() error {
		return m.policy(ctx, j.Old, api.RestartPolicy{Name: api.RestartPolicyDisabled})
	})
	do(!samePolicy(p.new.HostConfig.RestartPolicy, j.NewPolicy), starting, func() error { return m.policy(ctx, j.New, j.NewPolicy) })
	do(j.Baseline.Running && !p.new.State.Running, starting, func() error { return m.start(ctx, j.New) })
	do(true, verifying, func() error { return m.verify(ctx, j.New, j.Baseline, say) })
	return err
}
