package container

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// abandoned is how old a replacement has to be before its transaction is taken
// for lost: a plimsoll elsewhere, with a ledger of its own, may be at work on
// the same engine.
const abandoned = 15 * time.Minute

// Orphans implements [fixer.Adopter]: it returns unfinished replacements whose
// journal is lost. The labels of the replacement tell enough to end it, but for
// two things that have to be assumed: that the original ran, and, when that was
// disarmed already, that its restart policy was the replacement's.
func (m *Mechanic) Orphans(ctx context.Context, known func(id string) bool) ([]ledger.Entry, error) {
	list, err := m.engine.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelTx, labelReplaces, labelName),
	})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var out []ledger.Entry
	for _, c := range list.Items {
		made := time.Unix(c.Created, 0)
		if known(c.Labels[labelTx]) || m.o.Now().Sub(made) < abandoned {
			continue
		}
		j := journal{Tx: c.Labels[labelTx], Name: c.Labels[labelName], Old: c.Labels[labelReplaces], New: c.ID}
		if f := fate(c.Labels[labelWritten]); f == moved || f == baked {
			j.Written = f
		}
		if j.Written == baked {
			j.Image = &madeImage{Ref: bakedRef(j.Name, j.Tx)}
		}
		p, err := m.pair(ctx, &j)
		if err != nil {
			return nil, err
		}
		if !p.complete(&j) {
			continue
		}
		inverse, err := json.Marshal(j)
		if err != nil {
			return nil, fmt.Errorf("journal of %s: %w", clean(j.Name), err)
		}
		out = append(out, ledger.Entry{
			ID:        j.Tx,
			Time:      made,
			Title:     "Replace " + clean(j.Name),
			Mechanism: string(fixes.Recreate),
			Subject:   checks.Ref{Kind: checks.Container, ID: j.Old, Name: j.Name},
			State:     ledger.Running,
			Inverse:   inverse,
			Commands:  []string{},
			Checks:    []string{},
		})
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
