package container

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// A transaction replaces one container.
type transaction struct {
	m        *Mechanic
	j        journal
	record   fixer.Record
	progress func(fixes.Progress)

	plan *fixes.Plan
	d    *detail
	step int
	held bool // the original was stopped before, because of another that it needs

	// before is called before each stage; nil for nothing to do then.
	before func(context.Context, stage) error

	copier *copier // that read what the original wrote; nil for none

	begun bool                   // something was recorded, so that there is something to go back from
	image *image.InspectResponse // that the replacement runs
	body  body

	warnings    []string
	down, up    time.Time            // the way of the name through being away
	stopped     time.Time            // between them: the program had ended
	replacement *api.InspectResponse // as created
}

// Apply implements [fixer.Mechanic].
func (m *Mechanic) Apply(ctx context.Context, id string, plan *fixes.Plan, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	if d, ok := plan.Detail.(*quarantineDetail); ok && plan.Blocked.IsZero() && !m.o.Plain {
		return m.applyQuarantine(ctx, id, plan, d, record, progress)
	}
	if _, ok := plan.Detail.(*groupDetail); ok {
		return NewGroup(m).Apply(ctx, id, plan, record, progress)
	}
	d, ok := plan.Detail.(*detail)
	if !ok {
		return nil, errdefs.ErrInvalidArgument.WithMessage("not a plan for a container")
	}
	if m.o.Plain || !plan.Blocked.IsZero() {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(plan.Blocked.String())
	}
	if plan.Mechanism == fixes.Update {
		return m.applyLive(ctx, id, plan, d, record, progress)
	}
	if plan.Mechanism == fixes.Service {
		return m.applyService(ctx, id, plan, d, record, progress)
	}
	t := &transaction{m: m, record: record, progress: progress, plan: plan, d: d, j: journal{Tx: id, Name: d.world.name(), Old: d.world.inspect().ID}}
	return t.run(ctx)
}

// unchanged returns the container id if it is still what a plan was made from.
func (m *Mechanic) unchanged(ctx context.Context, id, print string) (*api.InspectResponse, error) {
	c, err := m.inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	if fingerprint(c) != print {
		return nil, fmt.Errorf("%s: %w", clean(containerName(c)), fixes.ErrChanged)
	}
	return c, nil
}

// unchanged returns the original if it is still what the plan was made from,
// but for having been stopped where that was done before.
func (t *transaction) unchanged(ctx context.Context) (*api.InspectResponse, error) {
	if !t.held {
		return t.m.unchanged(ctx, t.j.Old, t.plan.Fingerprint)
	}
	c, err := t.m.inspect(ctx, t.j.Old)
	if err != nil {
		return nil, err
	}
	before, state := *c, *c.State
	before.State, state.Running = &state, t.j.Baseline.Running
	if fingerprint(&before) != t.plan.Fingerprint {
		return nil, fmt.Errorf("%s: %w", clean(containerName(c)), fixes.ErrChanged)
	}
	return c, nil
}

func (m *Mechanic) inspect(ctx context.Context, id string) (*api.InspectResponse, error) {
	result, err := m.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", short(id), err)
	}
	c := &result.Container
	if c.Config == nil || c.HostConfig == nil || c.State == nil || c.NetworkSettings == nil {
		return nil, errdefs.ErrDataLoss.WithMessage("the engine's answer about a container is incomplete")
	}
	return c, nil
}

func (t *transaction) run(ctx context.Context) (*fixes.Receipt, error) {
	receipt, err := t.forward(ctx)
	if err != nil && t.begun {
		return nil, t.fail(ctx, err)
	}
	return receipt, err
}

// forward replaces the container. After an error it is left to the caller to go
// back.
func (t *transaction) forward(ctx context.Context) (*fixes.Receipt, error) {
	began := t.m.o.Now()
	old, err := t.unchanged(ctx)
	if err != nil {
		return nil, err
	}
	t.image = t.d.world.target(t.d)
	t.j.Policy, t.j.NewPolicy = old.HostConfig.RestartPolicy, t.d.want.Host.RestartPolicy
	if !t.held {
		t.j.Baseline = t.m.baseline(old)
	}
	if health(old) == "" && t.d.asksHealth() {
		t.j.Baseline.Health = api.Healthy // a check that is new has to succeed before it is kept
	}
	for _, s := range t.d.want.Secrets {
		t.j.Secrets = append(t.j.Secrets, shelter{s.Path, s.Variable})
	}
	switch t.j.Written = t.d.written; t.d.written {
	case saved:
		t.j.File = savedFile(t.d.world.saved, t.j.Name, t.j.Tx)
	case baked:
		t.j.Image = &madeImage{Ref: bakedRef(t.j.Name, t.j.Tx)}
	}
	t.begun = true
	for i, s := range t.d.stages {
		t.step, t.j.Stage = i, s
		t.j.Held = t.j.Held || s == baking // what follows is done before stopping, too
		if s == tagging {
			if t.j.Tag, err = t.m.moving(ctx, t.d.world.reference(), t.image); err != nil {
				return nil, err
			}
		}
		if err = t.record(i, t.j); err == nil {
			t.say(t.plan.Steps[i].Why, -1)
			if t.before != nil {
				err = t.before(ctx, s)
			}
		}
		if err == nil {
			err = t.do(ctx, s)
		}
		if err != nil {
			return nil, t.explained(ctx, err)
		}
	}
	receipt, err := t.receipt(ctx)
	if err != nil {
		return nil, err
	}
	receipt.Took = t.m.o.Now().Sub(began)
	// Undo starts from here. If this cannot be written, the entry says that
	// the replacement was being verified, from where it can be finished too.
	t.j.Stage = committed
	_ = t.record(t.step, t.j)
	return receipt, nil
}

// fail goes back after err, whatever the caller's context has become.
func (t *transaction) fail(ctx context.Context, err error) error {
	ctx = context.WithoutCancel(ctx)
	t.progress(fixes.Progress{Step: t.step, Message: checks.Msg("it failed: everything is put back"), Ratio: -1, Undoing: true})
	return errors.Join(err, t.m.goBack(ctx, &t.j, false))
}

// explained adds to err what the replacement said last.
func (t *transaction) explained(ctx context.Context, err error) error {
	if t.j.touched() {
		if tail := t.m.lastWords(context.WithoutCancel(ctx), t.j.New); tail != "" {
			return fmt.Errorf("%w; its last output: %s", err, tail)
		}
	}
	return err
}

func (t *transaction) say(m checks.Message, ratio float64) {
	t.progress(fixes.Progress{Step: t.step, Message: m, Ratio: ratio})
}

// do carries out one stage.
func (t *transaction) do(ctx context.Context, s stage) (err error) {
	switch s {
	case pulling:
		return t.pull(ctx)
	case tagging:
		return t.m.tag(ctx, t.j.Tag.To, t.j.Tag.Ref)
	case keeping:
		return t.keepSecret()
	case networking:
		said, err := t.m.createNetwork(ctx, t.plan.Steps[t.step].Target, t.j.Tx)
		t.warnings = append(t.warnings, said...)
		return err
	case creating:
		return t.create(ctx)
	case connecting:
		return t.connect(ctx)
	case comparing:
		return t.compare(ctx)
	case stopping:
		// The last look before the point of touching it.
		if _, err := t.unchanged(ctx); err != nil {
			if !t.held {
				t.j.Stage = comparing // so that going back leaves the original alone
			}
			return err
		}
		if !t.held {
			t.down = t.m.o.Now()
		}
		err = t.m.stop(ctx, t.j.Old)
		t.stopped = t.m.o.Now()
		return err
	case carrying:
		t.copier, err = t.m.carry(ctx, &t.j, t.say)
	case saving:
		t.copier, err = t.m.save(ctx, &t.j, t.say)
	case baking:
		return t.bake(ctx)
	case clearing:
		return t.m.remove(ctx, t.j.New)
	case remaking:
		return t.createFrom(ctx, t.j.Image.Ref)
	case shelving:
		return t.m.rename(ctx, t.j.Old, t.j.shelf())
	case naming:
		return t.m.rename(ctx, t.j.New, t.j.Name)
	case disarming:
		return t.m.policy(ctx, t.j.Old, api.RestartPolicy{Name: api.RestartPolicyDisabled})
	case starting:
		err = t.m.start(ctx, t.j.New)
		t.up = t.m.o.Now()
		return err
	case verifying:
		return t.m.verify(ctx, t.j.New, t.j.Baseline, t.say)
	}
	return err
}

// create makes the replacement under the name that is the lock.
func (t *transaction) create(ctx context.Context) error {
	w := t.d.world
	ref := (&planner{w: w, d: t.d}).createReference(t.image)
	if t.d.update {
		ref = w.reference()
	}
	return t.createFrom(ctx, ref)
}

// createFrom makes the replacement from the image that ref names, which is the
// one of t.
func (t *transaction) createFrom(ctx context.Context, ref string) error {
	w := t.d.world
	t.body = w.body(t.d.want, t.image, ref, t.j.Tx)
	t.d.mark(t.body)
	result, err := t.m.engine.ContainerCreate(ctx, t.body.options)
	if errdefs.IsConflict(err) {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("another change of %s is under way, or was interrupted: there is a container %s", clean(t.j.Name), clean(t.j.lock())))
	}
	if err != nil {
		return fmt.Errorf("create the replacement: %w", err)
	}
	t.j.New = result.ID
	t.warnings = append(t.warnings, result.Warnings...)
	return nil
}

// connect adds the network that this step names.
func (t *transaction) connect(ctx context.Context) error {
	for _, e := range t.body.connect {
		if clean(e.network) == t.plan.Steps[t.step].Target {
			_, err := t.m.engine.NetworkConnect(ctx, e.network, client.NetworkConnectOptions{Container: t.j.New, EndpointConfig: e.settings})
			if err != nil {
				return fmt.Errorf("connect the replacement to %s: %w", clean(e.network), err)
			}
		}
	}
	return nil
}

func (t *transaction) compare(ctx context.Context) error {
	got, err := t.m.inspect(ctx, t.j.New)
	if err != nil {
		return err
	}
	t.replacement = got
	w := t.d.world
	if lost := w.unexpected(w.wanted(t.body), got, t.image); len(lost) > 0 {
		return errdefs.ErrFailedPrecondition.WithMessage("the replacement would differ in more than what was asked for: " + clean(strings.Join(lost, ", ")))
	}
	return nil
}

func (m *Mechanic) stop(ctx context.Context, id string) error {
	if _, err := m.engine.ContainerStop(ctx, id, client.ContainerStopOptions{}); err != nil {
		return fmt.Errorf("stop %s: %w", short(id), err)
	}
	return nil
}

func (m *Mechanic) start(ctx context.Context, id string) error {
	if _, err := m.engine.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start %s: %w", short(id), err)
	}
	return nil
}

func (m *Mechanic) rename(ctx context.Context, id, name string) error {
	if _, err := m.engine.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: name}); err != nil {
		return fmt.Errorf("rename %s to %s: %w", short(id), clean(name), err)
	}
	return nil
}

func (m *Mechanic) policy(ctx context.Context, id string, p api.RestartPolicy) error {
	if p.Name == "" {
		p.Name = api.RestartPolicyDisabled // an empty one means no change
	}
	if _, err := m.engine.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &p}); err != nil {
		return fmt.Errorf("set the restart policy of %s: %w", short(id), err)
	}
	return nil
}

// remove removes a container, never its volumes.
func (m *Mechanic) remove(ctx context.Context, id string) error {
	_, err := m.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove %s: %w", short(id), err)
	}
	return nil
}
