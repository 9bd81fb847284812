package fixer

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// An Assembler is a mechanic whose subjects may need each other: it plans many
// of them from one look at the world.
type Assembler interface {
	// PlanAll returns parts for asks, all of different subjects, in the order in
	// which they have to be carried out. Those that cannot be changed without
	// each other become one part. It reads only.
	PlanAll(ctx context.Context, asks []fixes.Ask) []fixes.Part
}

// PlanBatch implements [Fixer].
func (d *Dispatcher) PlanBatch(ctx context.Context, asks []fixes.Ask) (*fixes.Batch, error) {
	a := &assembly{d: d}
	together := map[checks.Kind][]fixes.Ask{}
	for _, ask := range merged(asks) {
		ref := ask.Subject.Ref()
		m, err := d.mechanic(ref)
		_, assembles := m.(Assembler)
		switch {
		case err != nil:
			a.parts = append(a.parts, fixes.Part{Asks: []fixes.Ask{ask}, Err: err})
		case isFile(ref):
			a.file(ask)
		case asksSource(ask.Request):
			a.atSource(ctx, ask)
		case assembles:
			together[ref.Kind] = append(together[ref.Kind], ask)
		default:
			a.parts = append(a.parts, d.part(ctx, fixes.Part{Asks: []fixes.Ask{ask}}))
		}
	}
	for kind, asks := range together {
		a.assemble(ctx, d.o.Mechanics[kind].(Assembler), asks)
	}
	for _, file := range a.files {
		a.parts = append(a.parts, d.part(ctx, file))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	a.onlyOnce()
	slices.SortStableFunc(a.parts, func(x, y fixes.Part) int { return cmp.Compare(rank(&x), rank(&y)) })
	return &fixes.Batch{ID: ledger.NewID(d.o.Now()), Parts: a.parts}, nil
}

// rank is when in a batch a part has its turn: what takes nothing away first,
// and last what cannot be carried out.
func rank(p *fixes.Part) int {
	switch {
	case p.Err != nil:
		return 9
	case !p.Applicable():
		return 8
	case p.Plan.Mechanism == fixes.Patch:
		return 0
	case p.Plan.Mechanism == fixes.Update, p.Plan.Mechanism == fixes.Tag:
		return 1
	case p.Plan.Subject.Kind == checks.Image:
		return 3
	}
	return 2
}

// merged returns asks with those about one subject made into one for each way in
// which it is changed.
func merged(asks []fixes.Ask) []fixes.Ask {
	var out []fixes.Ask
	for _, all := range asks {
		for _, ask := range byWay(all) {
			same := func(o fixes.Ask) bool {
				return samePlace(o.Subject.Ref(), ask.Subject.Ref()) && wayOf(o.Request) == wayOf(ask.Request)
			}
			if i := slices.IndexFunc(out, same); i >= 0 {
				out[i].Request = out[i].Request.And(ask.Request)
			} else {
				out = append(out, ask)
			}
		}
	}
	return out
}

// samePlace reports whether two references are of one subject, whatever it is
// called.
func samePlace(a, b checks.Ref) bool { return a.Kind == b.Kind && a.ID == b.ID }

// part plans p, which asks about one subject, by itself.
func (d *Dispatcher) part(ctx context.Context, p fixes.Part) fixes.Part {
	ask := p.Asks[0]
	if p.Plan, p.Err = d.Plan(ctx, ask.Subject, ask.Request); p.Err == nil {
		p.Asks = []fixes.Ask{{Subject: ask.Subject, Request: ask.Request.Decided(p.Plan)}}
	}
	return p
}

// An assembly is a batch that is being planned.
type assembly struct {
	d     *Dispatcher
	parts []fixes.Part
	files []fixes.Part // that are planned last, when it is known what else goes into them
}

// file asks for a change of a file, on behalf of containers.
func (a *assembly) file(ask fixes.Ask, behalf ...checks.Ref) {
	if f := a.ofFile(ask.Subject.Ref()); f != nil {
		f.Asks[0].Request = f.Asks[0].Request.And(ask.Request)
		f.For = append(f.For, behalf...)
		return
	}
	a.files = append(a.files, fixes.Part{Asks: []fixes.Ask{ask}, For: behalf})
}

// atSource asks for the change of the file that builds an image. One that is to be
// written anew is a part of its own.
func (a *assembly) atSource(ctx context.Context, ask fixes.Ask) {
	file, request, err := a.d.source(ctx, ask.Subject, ask.Request)
	if err == nil && !isNew(file) {
		a.file(fixes.Ask{Subject: file, Request: request}, ask.Subject.Ref())
		return
	}
	part := fixes.Part{Asks: []fixes.Ask{ask}, Err: err}
	if err == nil {
		part = a.d.part(ctx, part)
	}
	a.parts = append(a.parts, part)
}

func (a *assembly) ofFile(ref checks.Ref) *fixes.Part {
	for i := range a.files {
		if samePlace(a.files[i].Asks[0].Subject.Ref(), ref) {
			return &a.files[i]
		}
	}
	return nil
}

// assemble plans what m has to plan together. What belongs into a file goes
// there: what cannot be done otherwise, and what a change of that file would take
// back.
func (a *assembly) assemble(ctx context.Context, m Assembler, asks []fixes.Ask) {
	var fresh []fixes.Ask
	for _, part := range a.d.refreshed(ctx, asks) {
		switch ask := part.Asks[0]; {
		case part.Err != nil:
			a.parts = append(a.parts, part)
		case ask.Request.WriteBack:
			file, there, err := a.d.source(ctx, ask.Subject, ask.Request)
			if part.Err = err; err != nil {
				a.parts = append(a.parts, part)
				continue
			}
			a.file(fixes.Ask{Subject: file, Request: there}, ask.Subject.Ref())
		default:
			fresh = append(fresh, ask)
		}
	}
	var live []fixes.Part
	for _, part := range m.PlanAll(ctx, fresh) {
		if part.Err == nil {
			part.Plan.ID = ledger.NewID(a.d.o.Now())
			part.Plan.Engine, part.Err = a.d.engine(ctx, part.Plan.Subject)
		}
		switch {
		case part.Err == nil && a.d.belongsToFile(part.Plan, part.Asks[0].Request) && a.toFile(ctx, &part, false):
		case part.Applicable() && part.Plan.Mechanism == fixes.Update:
			live = append(live, part)
		default:
			a.parts = append(a.parts, part)
		}
	}
	for _, part := range live {
		if len(a.files) == 0 || !a.toFile(ctx, &part, true) {
			a.parts = append(a.parts, part)
		}
	}
}

// toFile has the change of part made in the file that decides about its
// container, if there is one that can take it, and, where known is set, that is
// changed anyway.
func (a *assembly) toFile(ctx context.Context, part *fixes.Part, known bool) bool {
	ask := part.Asks[0]
	file, there, err := a.d.source(ctx, ask.Subject, ask.Request)
	if err != nil || known && (a.ofFile(file.Ref()) == nil || len(there.Findings) < len(ask.Request.Findings)) {
		return false // why not is what the part says
	}
	a.file(fixes.Ask{Subject: file, Request: there}, ask.Subject.Ref())
	return true
}

// onlyOnce keeps containers that move to another image from being replaced once
// more.
func (a *assembly) onlyOnce() {
	for i := range a.parts {
		if !a.parts[i].Applicable() || a.parts[i].Plan.Subject.Kind != checks.Image {
			continue
		}
		update := a.parts[i].Plan
		for k := range a.parts {
			p := &a.parts[k]
			if k == i || !p.Applicable() || p.Plan.Subject.Kind == checks.Image {
				continue
			}
			if slices.ContainsFunc(append([]checks.Ref{p.Plan.Subject}, p.Plan.Members...), func(r checks.Ref) bool { return slices.Contains(update.Members, r) }) {
				p.Plan.Blocked = checks.Msg("%s moves to another image in the same plan: harden it after that", name(p.Plan.Subject))
			}
		}
	}
}

// refreshed reads the subjects of asks again, several at a time.
func (d *Dispatcher) refreshed(ctx context.Context, asks []fixes.Ask) []fixes.Part {
	parts := make([]fixes.Part, len(asks))
	limit := make(chan struct{}, 8)
	var reading sync.WaitGroup
	for i, ask := range asks {
		limit <- struct{}{}
		reading.Go(func() {
			defer func() { <-limit }()
			subject, request, err := d.refresh(ctx, ask.Subject, moved(ask.Request))
			if err == nil {
				ask = fixes.Ask{Subject: subject, Request: request}
			}
			parts[i] = fixes.Part{Asks: []fixes.Ask{ask}, Err: err}
		})
	}
	reading.Wait()
	return parts
}
