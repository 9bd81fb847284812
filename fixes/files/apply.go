package files

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

var _ fixer.Mechanic = (*Mechanic)(nil)

// Apply carries plan out; see package fixer.
func (m *Mechanic) Apply(ctx context.Context, id string, plan *fixes.Plan, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	p, ok := plan.Detail.(*patch)
	if !ok {
		return nil, errdefs.ErrInvalidArgument.WithMessage("the plan was not made by this program")
	}
	project, err := openProject(p.dir)
	if err != nil {
		return nil, err
	}
	defer project.Close()
	if err := p.current(project, plan.Fingerprint); err != nil {
		return nil, err
	}
	inv, removed := p.invert(id, project)
	receipt, err := p.carryOut(ctx, project, plan, inv, removed, record, progress)
	if err != nil {
		progress(fixes.Progress{Ratio: -1, Undoing: true, Message: checks.Msg("putting everything back")})
		if restored := inv.restore(project, id); restored != nil {
			return nil, errors.Join(err, restored)
		}
		return nil, errors.Join(err, inv.forget())
	}
	return receipt, nil
}

// current fails unless every file is what the plan was made from.
func (p *patch) current(project *project, fingerprint string) error {
	for i := range p.targets {
		t := &p.targets[i]
		for _, id := range []identity{t.source, t.old} {
			if err := project.unchanged(id); err != nil {
				return err
			}
		}
	}
	if p.fingerprint() != fingerprint {
		return fixes.ErrChanged
	}
	return p.placed(project)
}

// carryOut does every step. When it fails, something may have been done.
func (p *patch) carryOut(ctx context.Context, project *project, plan *fixes.Plan, inv inverse, removed map[string]string, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	step := -1
	begin := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		step++
		progress(fixes.Progress{Step: step, Message: plan.Steps[step].Why, Ratio: -1})
		return record(step, inv)
	}
	if err := begin(); err != nil {
		return nil, err
	}
	for file, text := range removed {
		if err := p.vault.keep(file, text); err != nil {
			return nil, fmt.Errorf("keep what undo needs: %w", err)
		}
	}
	for _, d := range p.deposits {
		if err := p.keep(project, d, inv); err != nil {
			return nil, fmt.Errorf("keep the secret %s: %w", d.ID, err)
		}
		if err := begin(); err != nil {
			return nil, err
		}
	}
	// Everything that can run out of space does so before the first rename.
	for n, t := range p.targets {
		if err := project.prepare(inv.Files[n].Temp, t.after, t.attributes); err != nil {
			return nil, fmt.Errorf("write %s: %w", t.change.Name, err)
		}
	}
	for n, t := range p.targets {
		if n > 0 {
			if err := begin(); err != nil {
				return nil, err
			}
		}
		if err := project.put(inv.Files[n].Temp, t.old); err != nil {
			return nil, fmt.Errorf("write %s: %w", t.change.Name, err)
		}
	}
	if err := begin(); err != nil {
		return nil, err
	}
	return p.verify(project, plan)
}

// verify reads back what was written and judges it once more.
func (p *patch) verify(project *project, plan *fixes.Plan) (*fixes.Receipt, error) {
	receipt := &fixes.Receipt{Cured: plan.Cures, Left: plan.Leaves, Reminders: p.reminders()}
	content := map[string][]byte{} // by the name of the file that it was made from
	for _, t := range p.targets {
		data, now, err := project.read(t.old.Name)
		if err != nil {
			return nil, err
		}
		if now.Sum != sum(t.after) {
			return nil, fmt.Errorf("%s does not hold what was written: %w", t.change.Name, fixes.ErrChanged)
		}
		content[t.source.Name] = data
		receipt.Proof = append(receipt.Proof, checks.Msg("%s holds exactly what was planned, %d bytes", t.change.Name, len(data)))
	}
	if p.proof == nil {
		return receipt, nil
	}
	before := p.proof.before
	source, ok := content[filepath.Base(before.file.text().path)]
	if !ok {
		source = before.file.text().source
	}
	after := &trial{mechanic: before.mechanic, project: project}
	var err error
	after.file, err = before.file.with(source, func(path string) ([]byte, bool) {
		data, ok := content[path]
		return data, ok
	})
	if err != nil {
		return nil, err
	}
	if err := after.judge(); err != nil {
		return nil, err
	}
	cured := map[key]int{}
	for _, f := range plan.Cures {
		twins := keyOf(&f).twins()
		if cured[twins]++; after.count[twins] > before.count[twins]-cured[twins] {
			return nil, fmt.Errorf("%s was not cured", f.Check.ID)
		}
	}
	if k, ok := after.worse(before, before.mayBring(plan.Cures)); ok {
		return nil, fmt.Errorf("%s is new", k.check)
	}
	receipt.Proof = append(receipt.Proof, checks.Msg("parsed and checked again: %d cured, none new", len(plan.Cures)))
	for _, d := range p.deposits {
		receipt.Proof = append(receipt.Proof, checks.Msg("the secret %s is in %s, for you alone", d.ID, terminal.Line(p.path(d))))
	}
	return receipt, nil
}
