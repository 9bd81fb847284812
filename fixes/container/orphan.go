package container

import (
	"context"
	"fmt"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// An Orphan is an unfinished replacement whose journal is lost. The labels of
// the replacement tell enough to end it, but for two things that have to be
// assumed: that the original ran, and, when that was disarmed already, that
// its restart policy was the replacement's.
type Orphan struct {
	Tx   string // id of the lost ledger entry
	Name string // of the container

	j journal
}

// Orphans returns unfinished replacements that the ledger does not know, as
// known says by their ids.
func (m *Mechanic) Orphans(ctx context.Context, known func(tx string) bool) ([]Orphan, error) {
	list, err := m.engine.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelTx, labelReplaces, labelName),
	})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var out []Orphan
	for _, c := range list.Items {
		if known(c.Labels[labelTx]) {
			continue
		}
		j := journal{Tx: c.Labels[labelTx], Name: c.Labels[labelName], Old: c.Labels[labelReplaces], New: c.ID}
		p, err := m.pair(ctx, &j)
		if err != nil {
			return nil, err
		}
		if p.complete(&j) {
			out = append(out, Orphan{Tx: j.Tx, Name: j.Name, j: j})
		}
	}
	return out, nil
}

// complete fills in j from what is there, and reports whether that is the
// middle of a replacement. Labels are claims, so that names have to agree.
func (p pair) complete(j *journal) bool {
	if p.old == nil || p.new == nil || j.Old == j.New {
		return false
	}
	before, now := containerName(p.old), containerName(p.new)
	unstarted := p.new.State.Status == api.StateCreated
	switch {
	case before == j.Name && now == j.lock() && p.old.State.Running:
		j.Stage = comparing
	case before == j.Name && now == j.lock():
		j.Stage = stopping
	case before == j.shelf() && now == j.lock():
		j.Stage = shelving
	case before == j.shelf() && now == j.Name && unstarted:
		j.Stage = disarming
	default:
		return false
	}
	j.Baseline.Running = p.old.State.Status != api.StateCreated
	j.NewPolicy = p.new.HostConfig.RestartPolicy
	j.Policy = p.old.HostConfig.RestartPolicy
	if j.Policy.IsNone() && j.Stage == disarming {
		j.Policy = j.NewPolicy
	}
	return true
}

// Adopt ends an orphan as [Mechanic.Recover] does an entry of the ledger.
func (m *Mechanic) Adopt(ctx context.Context, o Orphan, finish bool, record fixer.Record, progress func(fixes.Progress)) (ledger.State, error) {
	return m.recover(context.WithoutCancel(ctx), &o.j, finish, record, progress)
}
