package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A groupJournal is what is needed to take the change of all members back from
// any point. Those that nothing was done to yet are in it too.
type groupJournal struct {
	Tx      string    `json:"tx"`
	Tag     *movedTag `json:"tag,omitempty"`
	Members []journal `json:"members"` // in the order in which they are replaced
}

func decodeGroup(entry ledger.Entry) (groupJournal, error) {
	var j groupJournal
	if err := json.Unmarshal(entry.Inverse, &j); err != nil {
		return j, fmt.Errorf("ledger entry %s: %w", entry.ID, err)
	}
	valid := j.Tx == entry.ID && (len(j.Members) > 0 || j.Tag != nil)
	for _, one := range j.Members {
		valid = valid && one.Tx == j.Tx && one.Name != "" && one.Old != ""
	}
	if !valid {
		return j, fmt.Errorf("ledger entry %s is not the journal of an update of several containers", entry.ID)
	}
	return j, nil
}

// A groupRun applies the plan of a group.
type groupRun struct {
	m        *Mechanic
	d        *groupDetail
	j        groupJournal
	record   fixer.Record
	progress func(fixes.Progress)
	step     int               // of the whole plan
	held     map[int]time.Time // members that were stopped before their turn, since when
	copied   []checks.Message  // what became of what the last one wrote
}

// Apply implements [fixer.Mechanic].
func (g *Group) Apply(ctx context.Context, id string, plan *fixes.Plan, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	d, ok := plan.Detail.(*groupDetail)
	if !ok || len(d.members) == 0 && d.compose == nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage("not a plan for the containers of an image")
	}
	if g.m.o.Plain || !plan.Blocked.IsZero() {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(plan.Blocked.String())
	}
	if d.ref != "" && d.image == nil {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s has to be fetched first", clean(d.ref)))
	}
	r := &groupRun{m: g.m, d: d, record: record, progress: progress, j: groupJournal{Tx: id}, held: map[int]time.Time{}}
	for _, one := range d.members {
		w := one.Detail.(*detail).world
		if _, err := g.m.unchanged(ctx, w.inspect().ID, one.Fingerprint); err != nil {
			return nil, err
		}
		r.j.Members = append(r.j.Members, journal{Tx: id, Name: w.name(), Old: w.inspect().ID, Stage: pulling})
	}
	return r.run(ctx, plan)
}

func (r *groupRun) run(ctx context.Context, plan *fixes.Plan) (*fixes.Receipt, error) {
	began := r.m.o.Now()
	if err := r.moveTag(ctx); err != nil {
		return nil, err
	}
	all := &fixes.Receipt{}
	if d := r.d.compose; d != nil {
		all.Proof = append(all.Proof, checks.Msg("%s names the image %s, from which docker compose makes %s when it is asked to", clean(r.d.ref), shortImage(r.d.image.ID), d.names()))
	}
	r.step = len(plan.Steps)
	for _, one := range r.d.members {
		r.step -= len(one.Steps)
	}
	for i, one := range r.d.members {
		got, err := r.replace(ctx, i, one)
		if err == nil && i == 0 && len(r.d.members) > 1 {
			err = r.m.watch(ctx, r.j.Members[0].New, r.m.o.Grace, func(m checks.Message, ratio float64) {
				r.progress(fixes.Progress{Step: r.step + len(one.Steps) - 1, Message: m, Ratio: ratio})
			})
		}
		if err != nil {
			return nil, r.fail(ctx, fmt.Errorf("%s: %w", clean(r.j.Members[i].Name), err))
		}
		r.step += len(one.Steps)
		all.Files = append(all.Files, got.Files...)
		all.Cured, all.Left = append(all.Cured, got.Cured...), append(all.Left, got.Left...)
		all.Away, all.Stopping = max(all.Away, got.Away), max(all.Stopping, got.Stopping)
		all.Proof, all.Reminders = append(all.Proof, r.proof(i, got)...), append(all.Reminders, got.Reminders...)
	}
	all.Took = r.m.o.Now().Sub(began)
	return all, nil
}

// moveTag lets the tag name what the members are moved to, if they are.
func (r *groupRun) moveTag(ctx context.Context) (err error) {
	if r.d.ref == "" {
		return nil
	}
	if r.j.Tag, err = r.m.moving(ctx, r.d.ref, r.d.image); err != nil {
		return err
	}
	if err = r.record(0, r.j); err == nil {
		err = r.m.tag(ctx, r.j.Tag.To, r.j.Tag.Ref)
	}
	if err != nil {
		return r.fail(ctx, err)
	}
	return nil
}

// proof says what was verified of the member i: of an update what it came to, of
// changes that are not the same everything.
func (r *groupRun) proof(i int, got *fixes.Receipt) (all []checks.Message) {
	j := &r.j.Members[i]
	if r.d.ref != "" {
		return append(r.copied, checks.Msg("%s runs the image %s and works; it was away for %s, its original is kept as %s",
			clean(j.Name), shortImage(r.d.image.ID), got.Away.Round(10*time.Millisecond).String(), clean(j.shelf())))
	}
	for _, proof := range got.Proof {
		all = append(all, checks.Msg("%s: %s", clean(j.Name), proof))
	}
	return all
}

// replace replaces the member i. Those that were in a namespace of one that was
// replaced before join its replacement.
func (r *groupRun) replace(ctx context.Context, i int, plan *fixes.Plan) (*fixes.Receipt, error) {
	d := plan.Detail.(*detail)
	for _, before := range r.j.Members[:i] {
		follow(d.want.Host, before.Old, before.New)
	}
	t := &transaction{m: r.m, d: d, plan: plan, j: r.j.Members[i]}
	t.down, t.held = r.held[i], !r.held[i].IsZero()
	t.before = func(ctx context.Context, s stage) error {
		if s != stopping {
			return nil
		}
		return r.hold(ctx, i)
	}
	t.record = func(_ int, inverse any) error {
		r.j.Members[i] = inverse.(journal)
		return r.record(r.step+t.step, r.j)
	}
	t.progress = func(p fixes.Progress) {
		p.Step += r.step
		r.progress(p)
	}
	receipt, err := t.forward(ctx)
	r.j.Members[i] = t.j // also what it had no time to record
	r.copied = t.copied()
	return receipt, err
}

// hold stops the members that are in a namespace of the member i, before that
// is stopped: they would run on in one that leads nowhere.
func (r *groupRun) hold(ctx context.Context, i int) error {
	for k := i + 1; k < len(r.j.Members); k++ {
		one := &r.j.Members[k]
		w := r.d.members[k].Detail.(*detail).world
		if !shares(w.inspect().HostConfig, r.j.Members[i].Old) || !w.inspect().State.Running {
			continue
		}
		c, err := r.m.unchanged(ctx, one.Old, r.d.members[k].Fingerprint)
		if err != nil {
			return err
		}
		one.Policy, one.Baseline, one.Stage, one.Held = c.HostConfig.RestartPolicy, r.m.baseline(c), stopping, true
		if err := r.record(r.step, r.j); err != nil {
			return err
		}
		r.held[k] = r.m.o.Now()
		if err := r.m.stop(ctx, one.Old); err != nil {
			return err
		}
	}
	return nil
}

// shares reports whether a container with the settings h is in a namespace of
// the container id.
func shares(h *api.HostConfig, id string) bool {
	return h.NetworkMode.ConnectedContainer() == id || h.IpcMode.Container() == id || h.PidMode.Container() == id
}

// follow makes h share the namespaces of the container new instead of old.
func follow(h *api.HostConfig, old, new string) {
	if h.NetworkMode.ConnectedContainer() == old {
		h.NetworkMode = api.NetworkMode("container:" + new)
	}
	if h.IpcMode.Container() == old {
		h.IpcMode = api.IpcMode("container:" + new)
	}
	if h.PidMode.Container() == old {
		h.PidMode = api.PidMode("container:" + new)
	}
}

// fail takes everything back after err.
func (r *groupRun) fail(ctx context.Context, err error) error {
	r.progress(fixes.Progress{Step: r.step, Message: checks.Msg("it failed: everything is put back"), Ratio: -1, Undoing: true})
	return errors.Join(err, r.m.allBack(context.WithoutCancel(ctx), &r.j))
}

// allBack makes the originals of all members the ones of their names again, in
// the order in which they need each other, and puts the tag back. What goes
// wrong with one does not keep the others from it.
func (m *Mechanic) allBack(ctx context.Context, j *groupJournal) error {
	var failed []error
	back := make([]*api.InspectResponse, len(j.Members))
	for i := range j.Members {
		var err error
		if back[i], err = m.bringBack(ctx, &j.Members[i], false); err != nil {
			failed = append(failed, err)
			back[i] = nil // it may be all that is left
		}
	}
	for i := range j.Members {
		failed = append(failed, m.discard(ctx, &j.Members[i], back[i]))
	}
	if err := m.untag(ctx, j.Tag); err != nil {
		failed = append(failed, broken(err, "the tag %s names another image than before", clean(j.Tag.Ref)))
	}
	return errors.Join(failed...)
}

// watch makes sure that the container id stays alive for a time.
func (m *Mechanic) watch(ctx context.Context, id string, long time.Duration, say func(checks.Message, float64)) error {
	c, err := m.inspect(ctx, id)
	if err != nil || !c.State.Running || health(c) == "" { // without a health check it was watched already
		return err
	}
	began, started := m.o.Now(), c.State.StartedAt
	for {
		passed := m.o.Now().Sub(began)
		if passed >= long {
			return nil
		}
		say(checks.Msg("watching the first one before the others follow"), passed.Seconds()/long.Seconds())
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(m.o.Poll):
		}
		if c, err = m.inspect(ctx, id); err != nil {
			return err
		}
		if err := alive(c, started); err != nil {
			return err
		}
		if health(c) == api.Unhealthy {
			return failed("the health check fails%s", colon(lastProbe(c)))
		}
	}
}

// CanUndo implements [fixer.Mechanic].
func (g *Group) CanUndo(ctx context.Context, entry ledger.Entry) error {
	if g.m.o.Plain {
		return errdefs.ErrPermissionDenied.WithMessage("the connection to this engine is not encrypted: use ssh:// or TLS to change anything")
	}
	j, err := decodeGroup(entry)
	if err != nil {
		return err
	}
	for i := range j.Members {
		if err := g.m.canBringBack(ctx, &j.Members[i]); err != nil {
			return err
		}
	}
	if t := j.Tag; t != nil && len(j.Members) == 0 && t.From != "" { // nothing else keeps the image
		if was, err := g.m.image(ctx, t.From); err != nil {
			return err
		} else if was == nil {
			return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the image that %s named before was removed, by docker image prune perhaps: it cannot be brought back", clean(t.Ref)))
		}
	}
	return nil
}

// Undo implements [fixer.Mechanic]. The replacements are there until all
// originals work again: when one does not, all stay replaced.
func (g *Group) Undo(ctx context.Context, entry ledger.Entry, record fixer.Record, progress func(fixes.Progress)) error {
	j, err := decodeGroup(entry)
	if err != nil {
		return err
	}
	if err := g.CanUndo(ctx, entry); err != nil {
		return err
	}
	for i := range j.Members {
		j.Members[i].Stage = returning
	}
	if err := record(entry.Step, j); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	replaced := make([]*api.InspectResponse, len(j.Members))
	for i := range j.Members {
		one := &j.Members[i]
		progress(fixes.Progress{Step: entry.Step, Message: checks.Msg("bringing the original of %s back", clean(one.Name)), Ratio: float64(i) / float64(len(j.Members)), Undoing: true})
		if replaced[i], err = g.m.bringBack(ctx, one, true); err == nil {
			continue
		}
		err = fmt.Errorf("%s: %w", clean(one.Name), err)
		for k := range j.Members[:i] {
			if again := g.m.goForward(ctx, &j.Members[k], nil, quiet); again != nil {
				err = errors.Join(err, broken(again, "neither the original nor the replacement of %s works", clean(j.Members[k].Name)))
			}
		}
		return err
	}
	var failed []error
	for i := range j.Members {
		failed = append(failed, g.m.discard(ctx, &j.Members[i], replaced[i]))
	}
	if err := g.m.untag(ctx, j.Tag); err != nil {
		failed = append(failed, broken(err, "the originals work, but the tag %s names another image than before", clean(j.Tag.Ref)))
	}
	return errors.Join(failed...)
}

// Recover implements [fixer.Mechanic]. A change that had not come to all members
// cannot be finished, since what was planned for the others is lost: all go back.
func (g *Group) Recover(ctx context.Context, entry ledger.Entry, finish bool, record fixer.Record, progress func(fixes.Progress)) (ledger.State, error) {
	ctx = context.WithoutCancel(ctx)
	j, err := decodeGroup(entry)
	if err != nil {
		return "", err
	}
	var failure error
	if finish {
		var waiting []string
		for _, one := range j.Members {
			if !one.touched() {
				waiting = append(waiting, clean(one.Name))
			}
		}
		if len(waiting) > 0 {
			failure = fmt.Errorf("it had not come to all containers and cannot be finished: %s", strings.Join(waiting, ", "))
		}
		for i := 0; failure == nil && i < len(j.Members); i++ {
			progress(fixes.Progress{Message: checks.Msg("finishing the change of %s", clean(j.Members[i].Name)), Ratio: -1})
			failure = g.m.goForward(ctx, &j.Members[i], func(_ int, inverse any) error {
				j.Members[i] = *inverse.(*journal)
				return record(entry.Step, j)
			}, quiet)
		}
		if failure == nil && len(j.Members) == 0 {
			failure = g.m.tag(ctx, j.Tag.To, j.Tag.Ref)
		}
		if failure == nil {
			return ledger.Applied, nil
		}
	}
	progress(fixes.Progress{Message: checks.Msg("bringing the originals back"), Ratio: -1, Undoing: true})
	if err := g.m.allBack(ctx, &j); err != nil {
		return ledger.Broken, errors.Join(failure, err)
	}
	return ledger.RolledBack, failure
}
