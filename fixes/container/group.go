package container

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	imagechecks "plimsoll/checks/image"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// A Group is the mechanic for an image: it moves all containers that were
// created from a tag of it to what the tag names, or what the registry has for
// it. One of them goes first, and is watched before the others follow; each waits
// for those that it needs. When one fails all go back, and undo takes all back:
// it is one change, whose parts are the replacements that a [Mechanic] makes.
type Group struct{ m *Mechanic }

var (
	_ fixer.Mechanic = (*Group)(nil)
	_ fixer.Fetcher  = (*Group)(nil)
)

// NewGroup returns the mechanic for the images whose containers m changes.
func NewGroup(m *Mechanic) *Group { return &Group{m} }

// A groupDetail is what applying a plan needs beyond what is shown.
type groupDetail struct {
	ref     string                 // that they are moved along; "" where each keeps its image
	image   *image.InspectResponse // that they are moved to; nil before it was fetched
	members []*fixes.Plan          // in the order in which they are replaced
	compose *deployment            // what docker compose does afterwards; nil for nothing
}

// first is the plan that shows what the image changes.
func (d *groupDetail) first() *fixes.Plan {
	if len(d.members) == 0 {
		return d.compose.plans[0]
	}
	return d.members[0]
}

// Plan implements [fixer.Mechanic].
func (g *Group) Plan(ctx context.Context, s checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	i, ok := s.(*imagechecks.Image)
	if !ok {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("not an image of an engine: %s", clean(s.Ref().Name)))
	}
	if !request.Update && !request.Pull || len(request.Findings) > 0 {
		return nil, errdefs.ErrNotImplemented.WithMessage("an image is changed where it is built: its containers can only be moved to a newer one")
	}
	ref, worlds, err := g.find(ctx, i, request.Tag)
	if err != nil {
		return nil, err
	}
	d := &groupDetail{ref: ref}
	if request.Fetched != "" {
		if d.image, err = g.m.image(ctx, request.Fetched); err == nil && d.image == nil {
			err = errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the image %s that was fetched is gone", shortImage(request.Fetched)))
		}
	} else if !request.Pull {
		d.image, err = g.m.image(ctx, ref)
	}
	if err != nil {
		return nil, err
	}
	return g.plan(ctx, d, worlds, request)
}

// find returns the tag of i that is meant, or that most containers were created
// from, and these.
func (g *Group) find(ctx context.Context, i *imagechecks.Image, tag string) (string, []*world, error) {
	around, err := g.m.survey(ctx)
	if err != nil {
		return "", nil, err
	}
	all := around.all
	byRef := map[string][]*world{}
	for n := range all {
		c := &all[n]
		name := containerName(c)
		if c.Config == nil || shelved(name) || strings.HasSuffix(name, newSuffix) {
			continue
		}
		ref := (&world{container: &subject.Container{Inspect: c}}).reference()
		if c.Image != i.Inspect.ID && !slices.ContainsFunc(i.Inspect.RepoTags, func(t string) bool { return full(t) == full(ref) }) || !movable(ref) {
			continue
		}
		w, err := g.m.lookWithin(ctx, subject.New(*c, nil, "", g.m.o.Now()), around)
		if errdefs.IsNotFound(err) {
			continue // it has gone since
		}
		if err != nil {
			return "", nil, err
		}
		w.service = nil // one of its tasks does not move without the others
		byRef[full(ref)] = append(byRef[full(ref)], w)
	}
	if tag != "" {
		byRef = map[string][]*world{full(tag): byRef[full(tag)]}
	}
	refs := sortedKeys(byRef)
	if len(refs) == 0 || len(byRef[refs[0]]) == 0 {
		return "", nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("no container was created from a tag of %s", clean(i.Ref().Name)))
	}
	best := slices.MaxFunc(refs, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(byRef[a]), len(byRef[b])), cmp.Compare(b, a))
	})
	return byRef[best][0].reference(), ordered(byRef[best]), nil
}

// full returns ref as it is written in full, with registry and tag.
func full(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ref
	}
	return named.String()
}

// ordered returns the worlds so that each comes after those that its container
// needs; the running ones first otherwise, since the first is to prove something.
func ordered(worlds []*world) []*world {
	slices.SortFunc(worlds, func(a, b *world) int {
		running := func(w *world) int {
			if w.inspect().State.Running {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(running(a), running(b)), strings.Compare(a.name(), b.name()))
	})
	var out []*world
	seen := map[*world]bool{}
	var visit func(*world)
	visit = func(w *world) {
		if seen[w] {
			return
		}
		seen[w] = true
		for _, other := range worlds {
			if dependsOn(w.inspect().HostConfig, other.inspect()) || w.startsAfter(other) {
				visit(other)
			}
		}
		out = append(out, w)
	}
	for _, w := range worlds {
		visit(w)
	}
	return out
}

// plan makes the plans of the members and one of all.
func (g *Group) plan(ctx context.Context, d *groupDetail, worlds []*world, request fixes.Request) (*fixes.Plan, error) {
	p := &fixes.Plan{Mechanism: fixes.Recreate, Detail: d}
	left, blocked := map[string]checks.Message{}, map[string]*fixes.Plan{}
	for { // until nobody has to be left out any more
		together := map[string]bool{}
		for _, w := range worlds {
			if left[w.name()].IsZero() {
				together[w.inspect().ID] = true
			}
		}
		d.members = nil
		changed := false
		for _, w := range worlds {
			if !left[w.name()].IsZero() {
				continue
			}
			w.fetched, w.together = d.image, together
			one, err := w.plan(fixes.Request{Update: true, Pull: d.image == nil, Values: request.Values})
			switch {
			case errdefs.IsFailedPrecondition(err):
				left[w.name()], changed = checks.Msg("it runs that image already"), true
			case err != nil:
				return nil, err
			case !one.Blocked.IsZero():
				left[w.name()], blocked[w.name()], changed = one.Blocked, one, true
			default:
				d.members = append(d.members, one)
			}
		}
		if !changed {
			break
		}
	}
	p.Title = checks.Msg("Update the containers of %s", clean(d.ref))
	if d.compose = compose(worlds, blocked); d.compose != nil && d.image != nil && !moves(worlds[0].tag, d.image) {
		d.compose = nil // the tag would not move, so that undo could not bring them back
	}
	if d.compose != nil {
		for _, w := range d.compose.worlds {
			delete(left, w.name())
		}
	}
	if len(d.members) == 0 && d.compose == nil {
		return g.none(p, d, worlds, left)
	}
	g.describe(p, d)
	g.decide(p, d, request.Values)
	for _, w := range worlds {
		if why := left[w.name()]; !why.IsZero() {
			p.Notes = append(p.Notes, checks.Msg("the container %s is left as it is: %s", clean(w.name()), why))
		}
	}
	if p.Card != nil {
		first := d.first()
		g.m.compareImages(ctx, first.Detail.(*detail).world, first)
		g.m.cool(p, d.image, request.Values)
	}
	return p, nil
}

// moves reports whether a tag that names the image from comes to name another.
func moves(from, to *image.InspectResponse) bool { return from == nil || from.ID != to.ID }

// none says why no container would be changed.
func (g *Group) none(p *fixes.Plan, d *groupDetail, worlds []*world, left map[string]checks.Message) (*fixes.Plan, error) {
	for _, w := range worlds {
		if d.image == nil || w.inspect().Image != d.image.ID {
			p.Blocked = checks.Msg("none of its containers can be moved; %s: %s", clean(w.name()), left[w.name()])
			return p, nil
		}
	}
	return nil, errdefs.ErrNotModified.WithMessage(fmt.Sprintf("all containers of %s run its newest image already", clean(d.ref)))
}

// describe fills in what is shown of the members together.
func (g *Group) describe(p *fixes.Plan, d *groupDetail) {
	first := d.first()
	p.Changes, p.Card = first.Changes, first.Card
	var names []string
	running := false
	for _, one := range d.members {
		w := one.Detail.(*detail).world
		p.Members = append(p.Members, w.container.Ref())
		names = append(names, clean(w.name()))
		p.Cures, p.Leaves = append(p.Cures, one.Cures...), append(p.Leaves, one.Leaves...)
		p.After = append(p.After, one.After...)
		running = running || w.inspect().State.Running
	}
	if running {
		p.Downtime = away
	}
	note := func(m checks.Message) { p.Notes = append(p.Notes, m) }
	if len(names) > 1 {
		note(checks.Msg("one after the other: %s", strings.Join(names, ", ")))
		note(checks.Msg("%s goes first and is watched for %s before the others follow; when one of them fails, all go back", names[0], g.m.o.Grace.String()))
	}
	if d.compose != nil {
		p.Deploy, p.Redeploy = d.compose.command(), d.compose.command()
		note(d.compose.note())
		for _, w := range d.compose.worlds { // which keeps no original
			if paths := w.written(); len(paths) > 0 {
				note(checks.Msg("%s: what it wrote outside of volumes is gone when docker compose makes it anew: %d paths, %s: %s", clean(w.name()), len(paths), bytes(w.size), some(paths)))
			}
		}
	}
	for _, one := range d.members {
		if m := one.Detail.(*detail).becomes(); !m.IsZero() {
			note(m)
		}
	}
	note(checks.Msg("settings that equal the defaults of the old image follow the new image"))
	if len(names) > 0 {
		note(checks.Msg("the originals are kept, stopped, with their logs; they still hold every old setting"))
	}

	if d.image == nil {
		p.Fetch = clean(d.ref)
		p.Steps = []fixes.Step{{Op: "pull", Target: clean(d.ref), Why: checks.Msg("ask the registry for the newest image of the tag"), Command: shellLine([]string{"docker", "pull", d.ref})}}
		return
	}
	if moves(first.Detail.(*detail).world.tag, d.image) {
		p.Steps = []fixes.Step{{Op: "tag", Target: clean(d.ref), Why: checks.Msg("from here on the tag names what was pulled; it goes back when anything fails"), Command: shellLine([]string{"docker", "tag", d.image.ID, d.ref})}}
	}
	for _, one := range d.members {
		p.Steps = append(p.Steps, one.Steps...)
	}
}

// decide offers once what can become of what members wrote, and blocks p where
// none of them can do as values ask.
func (g *Group) decide(p *fixes.Plan, d *groupDetail, values checks.Values) {
	all := fateOfAll(d.members)
	var refused checks.Message
	for _, one := range d.members {
		if why := one.Detail.(*detail).refused; !why.IsZero() {
			refused = why
			p.Notes = append(p.Notes, checks.Msg("%s: %s", clean(one.Subject.Name), why))
		}
	}
	if all == nil {
		return
	}
	if given, ok := values[fateKey]; ok && !slices.Contains(all.Options, given) {
		all.Value, p.Blocked = given, refused
	}
	p.Choices = append(p.Choices, *all)
}

// fateOfAll returns the one choice about what members wrote, with what any of
// them can do; nil where none wrote anything.
func fateOfAll(members []*fixes.Plan) (all *fixes.Choice) {
	for _, one := range members {
		for _, c := range one.Choices {
			if c.Key == fateKey && (all == nil || len(c.Options) > len(all.Options) || len(c.Options) == len(all.Options) && c.Value != c.Default) {
				all = &c
			}
		}
	}
	return all
}

// Fetch implements [fixer.Fetcher].
func (g *Group) Fetch(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (string, error) {
	d, ok := plan.Detail.(*groupDetail)
	if !ok || g.m.o.Plain {
		return "", errdefs.ErrInvalidArgument.WithMessage("not a plan for containers that can be changed")
	}
	got, err := g.m.fetch(ctx, d.ref, func(now *fixes.Transfer) {
		progress(fixes.Progress{Message: checks.Msg("pulling %s", clean(d.ref)), Ratio: now.Ratio, Transfer: now})
	})
	if err != nil {
		return "", err
	}
	return got.ID, nil
}
