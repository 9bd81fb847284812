package container

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

var _ fixer.Assembler = (*Mechanic)(nil)

// PlanAll implements [fixer.Assembler]. A container that others are joined to or
// linked to is replaced together with them, also with those that nobody asked to
// change: they would be left in a namespace that leads nowhere.
func (m *Mechanic) PlanAll(ctx context.Context, asks []fixes.Ask) []fixes.Part {
	if len(asks) == 0 {
		return nil
	}
	s := several{m: m}
	var err error
	if s.around, err = m.survey(ctx); err != nil {
		var parts []fixes.Part
		for _, ask := range asks {
			parts = append(parts, fixes.Part{Asks: []fixes.Ask{ask}, Err: err})
		}
		return parts
	}
	s.look(ctx, oneOfEach(asks))
	s.join(ctx)
	return s.parts()
}

// several containers that are planned with one look at the engine.
type several struct {
	m      *Mechanic
	around surroundings
	all    []*asked
}

// An asked container, with its plan for itself.
type asked struct {
	ask   fixes.Ask
	world *world
	plan  *fixes.Plan
	err   error
	with  *fixes.Part // of which it has become a part
}

// look plans each container by itself, several at a time.
func (s *several) look(ctx context.Context, asks []fixes.Ask) {
	s.all = make([]*asked, len(asks))
	limit := make(chan struct{}, 8)
	var looking sync.WaitGroup
	for i, ask := range asks {
		a := &asked{ask: ask}
		s.all[i] = a
		limit <- struct{}{}
		looking.Go(func() {
			defer func() { <-limit }()
			c, ok := ask.Subject.(*subject.Container)
			if !ok || c.Inspect == nil {
				a.err = errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("not a container of an engine: %s", clean(ask.Subject.Ref().Name)))
				return
			}
			if a.world, a.err = s.m.lookWithin(ctx, c, s.around); a.err == nil {
				a.plan, a.err = s.m.planFor(ctx, a.world, ask.Request)
			}
		})
	}
	looking.Wait()
}

// join makes one part of each container that others need, and of these.
func (s *several) join(ctx context.Context) {
	for _, a := range s.all {
		if a.err != nil || a.with != nil || a.plan.Mechanism != fixes.Recreate || a.plan.Blocked.IsZero() || len(a.world.dependants()) == 0 {
			continue
		}
		members, err := s.company(ctx, a)
		if err != nil {
			a.err = err
			continue
		}
		part, why := s.together(a, members)
		if part == nil {
			a.plan.Blocked = why
			continue
		}
		for _, one := range members {
			one.with = part
		}
	}
}

// company returns a with all that need it, and those that need these, in the
// order in which they can be replaced.
func (s *several) company(ctx context.Context, a *asked) ([]*asked, error) {
	members := []*asked{a}
	for i := 0; i < len(members); i++ {
		for k := range s.around.all {
			c := &s.around.all[k]
			if shelved(containerName(c)) || !dependsOn(c.HostConfig, members[i].world.inspect()) ||
				slices.ContainsFunc(members, func(o *asked) bool { return o.world.inspect().ID == c.ID }) {
				continue
			}
			at := slices.IndexFunc(s.all, func(o *asked) bool { return o.world != nil && o.world.inspect().ID == c.ID })
			if at >= 0 {
				members = append(members, s.all[at])
				continue
			}
			w, err := s.m.lookWithin(ctx, subject.New(*c, nil, "", s.m.o.Now()), s.around)
			if err != nil {
				return nil, err
			}
			members = append(members, &asked{ask: fixes.Ask{Subject: w.container}, world: w})
		}
	}
	var worlds []*world
	for _, one := range members {
		worlds = append(worlds, one.world)
	}
	worlds = ordered(worlds)
	slices.SortFunc(members, func(a, b *asked) int { return slices.Index(worlds, a.world) - slices.Index(worlds, b.world) })
	return members, nil
}

// together plans the replacement of members as one, or says why that is not
// possible.
func (s *several) together(first *asked, members []*asked) (*fixes.Part, checks.Message) {
	ids := map[string]bool{}
	for _, one := range members {
		ids[one.world.inspect().ID] = true
	}
	d, part := &groupDetail{}, &fixes.Part{}
	for _, one := range members {
		if one.with != nil || one.ask.Request.Update || one.ask.Request.Pull || one.ask.Request.Quarantine {
			return nil, checks.Msg("%s can only be replaced together with %s, which has other plans: do that first", clean(first.world.name()), clean(one.world.name()))
		}
		w := *one.world
		w.together, w.joins = ids, true
		plan, err := w.plan(one.ask.Request)
		switch {
		case err != nil:
			return nil, checks.Msg("%s can only be replaced together with %s, which cannot be: %s", clean(first.world.name()), clean(w.name()), clean(err.Error()))
		case one == first && !plan.Blocked.IsZero():
			return nil, plan.Blocked
		case !plan.Blocked.IsZero():
			return nil, checks.Msg("%s can only be replaced together with %s, which cannot be: %s", clean(first.world.name()), clean(w.name()), plan.Blocked)
		}
		d.members = append(d.members, plan)
		if len(one.ask.Request.Findings) > 0 {
			part.Asks = append(part.Asks, fixes.Ask{Subject: one.ask.Subject, Request: one.ask.Request.Decided(plan)})
		}
	}
	part.Plan = s.m.joint(first.world, d)
	return part, checks.Message{}
}

// joint describes the replacement of the members of d as one.
func (m *Mechanic) joint(first *world, d *groupDetail) *fixes.Plan {
	p := &fixes.Plan{Mechanism: fixes.Recreate, Subject: first.container.Ref(), Detail: d}
	var names []string
	for _, one := range d.members {
		w := one.Detail.(*detail).world
		name := clean(w.name())
		names = append(names, name)
		for _, c := range one.Changes {
			c.Field = name + ": " + c.Field
			p.Changes = append(p.Changes, c)
		}
		p.Members = append(p.Members, w.container.Ref())
		p.Cures, p.Leaves, p.After = append(p.Cures, one.Cures...), append(p.Leaves, one.Leaves...), append(p.After, one.After...)
		for _, c := range one.Choices {
			if c.Key != fateKey {
				p.Choices = append(p.Choices, c)
			}
		}
		p.Steps = append(p.Steps, one.Steps...)
		p.Downtime += one.Downtime
		for _, note := range one.Notes {
			if text := note.String(); !slices.ContainsFunc(p.Notes, func(o checks.Message) bool { return o.String() == text }) {
				p.Notes = append(p.Notes, note)
			}
		}
		p.Fingerprint += one.Fingerprint
	}
	if c := fateOfAll(d.members); c != nil {
		p.Choices = append(p.Choices, *c)
	}
	p.Title = checks.Msg("Harden %s and replace what needs it: %s", clean(first.name()), strings.Join(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == clean(first.name()) }), ", "))
	p.Notes = append([]checks.Message{checks.Msg("one after the other, all or none, since they cannot do without each other: %s", strings.Join(names, ", "))}, p.Notes...)
	return p
}

// parts returns what was planned, each after what it needs.
func (s *several) parts() []fixes.Part {
	var worlds []*world
	for _, a := range s.all {
		if a.world != nil {
			worlds = append(worlds, a.world)
		}
	}
	worlds = ordered(worlds)
	slices.SortStableFunc(s.all, func(a, b *asked) int { return slices.Index(worlds, a.world) - slices.Index(worlds, b.world) })
	var parts []fixes.Part
	told := map[*fixes.Part]bool{}
	for _, a := range s.all {
		switch {
		case a.with != nil:
			if !told[a.with] {
				parts = append(parts, *a.with)
			}
			told[a.with] = true
		case a.err != nil:
			parts = append(parts, fixes.Part{Asks: []fixes.Ask{a.ask}, Err: a.err})
		default:
			ask := fixes.Ask{Subject: a.ask.Subject, Request: a.ask.Request.Decided(a.plan)}
			parts = append(parts, fixes.Part{Asks: []fixes.Ask{ask}, Plan: a.plan})
		}
	}
	return parts
}
