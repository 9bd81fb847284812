package inventory

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/quicklook"
)

// patience is how long the engine may take to answer the first question.
const patience = 10 * time.Second

// followEngine keeps a session with the engine until ctx ends: it connects,
// reads everything, follows events, and starts over when the connection breaks.
func (v *Inventory) followEngine(ctx context.Context, x *images) {
	var wait backoff
	for {
		err := v.session(ctx, x, func() { wait = backoff{} })
		if ctx.Err() != nil {
			return
		}
		pause := wait.next()
		problem := v.target.Load().Explain(err)
		v.post(ctx, func(w *world) {
			e := &w.out.engine
			e.Phase = Absent
			if e.Version != "" {
				e.Phase = Lost
			}
			e.Err, e.Retry = problem, time.Now().Add(pause)
			w.out.pending = true
			w.listed(&w.engineListed) // without an engine, what is there is all there is
		})
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// backoff is how long to wait between attempts: from half a second to thirty,
// spread so that many clients do not knock at once.
type backoff struct{ tries int }

func (b *backoff) next() time.Duration {
	d := min(500*time.Millisecond<<min(b.tries, 6), 30*time.Second)
	b.tries++
	return d/2 + rand.N(d/2+1)
}

// followed are the events after which something may look different. Health
// checks alone would otherwise send three exec events a second each.
var followed = client.Filters{}.
	Add("type", "container", "image", "network", "volume", "daemon", "service", "node", "secret", "config").
	Add("event", "create", "start", "die", "pause", "unpause", "rename", "update", "destroy", "oom", "health_status",
		"connect", "disconnect", "tag", "untag", "delete", "pull", "load", "import", "reload", "remove")

// session reads everything and follows events until the connection breaks.
func (v *Inventory) session(ctx context.Context, x *images, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := v.target.Load().Client()
	if err != nil {
		return err
	}
	defer c.Close()
	hello, stop := context.WithTimeout(ctx, patience)
	_, err = c.Ping(hello, client.PingOptions{NegotiateAPIVersion: true})
	stop()
	if err != nil {
		return err
	}
	// Events come first, so that nothing falls between the lists and them.
	stream := c.Events(ctx, client.EventsListOptions{Filters: followed})
	v.client.Store(c)
	if err := v.readAll(ctx, c, x); err != nil {
		return err
	}
	connected()
	slow := time.NewTicker(5 * time.Minute) // for whatever sent no event
	defer slow.Stop()
	for {
		select {
		case e := <-stream.Messages:
			v.happened(ctx, c, x, e)
		case err := <-stream.Err:
			if err == nil {
				err = io.EOF
			}
			return err
		case <-slow.C:
			if err := v.readAll(ctx, c, x); err != nil {
				return err
			}
		case <-v.engineAgain:
			if err := v.readAll(ctx, c, x); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readAll lists containers and images and the engine, and marks all as dirty.
func (v *Inventory) readAll(ctx context.Context, c *client.Client, x *images) error {
	var (
		containers client.ContainerListResult
		looks      []container.Summary // the same, with what quick looks have made
		info       engine.Info
	)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		containers, err = c.ContainerList(groupCtx, client.ContainerListOptions{All: true})
		if err == nil {
			looks = slices.Clone(containers.Items)
			containers.Items = slices.DeleteFunc(containers.Items, quicklook.Made)
			v.show(ctx, containers.Items)
		}
		return err
	})
	group.Go(func() error { _, _, err := x.list(groupCtx, c); return err })
	group.Go(func() (err error) { info, err = engine.Ask(groupCtx, c); return err })
	if err := group.Wait(); err != nil {
		return err
	}
	if v.maySweep() {
		_ = quicklook.Sweep(ctx, c, looks, clock(info)) // what is still there is tried again the next time
	}
	v.post(ctx, func(w *world) {
		e := &w.out.engine
		e.Phase, e.Err, e.Retry = Connected, nil, time.Time{}
		e.Name, e.Version, e.API = info.Name, info.ServerVersion, c.ClientVersion()
		e.Podman = info.Podman
		w.engine = info
		present := map[identity]bool{}
		var stale []checks.Ref
		keep := func(ref checks.Ref, s Status) {
			present[identify(ref)] = true
			if _, known := w.items[identify(ref)]; !known {
				w.put(Item{Ref: ref, Status: s})
			}
			stale = append(stale, ref)
		}
		keep(checks.Ref{Kind: checks.Host, ID: info.ID, Name: info.Name}, Status{})
		for _, s := range runningFirst(containers.Items) {
			ref := checks.Ref{Kind: checks.Container, ID: s.ID, Name: name(s.Names)}
			keep(ref, listedStatus(s))
			if _, known := w.attached[identify(ref)]; !known {
				w.attached[identify(ref)] = host.Listed(s)
			}
			w.users[identify(ref)] = s.ImageID
		}
		for _, id := range x.all() {
			keep(imageRef(x, id))
		}
		for key, item := range w.items {
			if !present[key] && fromEngine(key.kind) {
				w.remove(item.Ref)
			}
		}
		for _, item := range w.items {
			if !fromEngine(item.Ref.Kind) {
				stale = append(stale, item.Ref) // the images that it names may be known now
			}
		}
		w.out.pending = true
		w.stale = wholeHost
		w.mark(stale...)
		w.listed(&w.engineListed)
	})
	return nil
}

// show puts the containers that are new on the screen, before anything else is
// known of the engine.
func (v *Inventory) show(ctx context.Context, listed []container.Summary) {
	v.post(ctx, func(w *world) {
		for _, s := range runningFirst(listed) {
			ref := checks.Ref{Kind: checks.Container, ID: s.ID, Name: name(s.Names)}
			if _, known := w.items[identify(ref)]; !known {
				w.put(Item{Ref: ref, Status: listedStatus(s)})
			}
		}
	})
}

func fromEngine(k checks.Kind) bool {
	return k == checks.Container || k == checks.Image || k == checks.Host
}

// runningFirst orders containers so that what matters most is read first.
func runningFirst(all []container.Summary) []container.Summary {
	out := make([]container.Summary, 0, len(all))
	for _, s := range all {
		if s.State == container.StateRunning {
			out = append(out, s)
		}
	}
	for _, s := range all {
		if s.State != container.StateRunning {
			out = append(out, s)
		}
	}
	return out
}

// happened marks what e may have changed. Events are hints only: state is read.
func (v *Inventory) happened(ctx context.Context, c *client.Client, x *images, e events.Message) {
	switch e.Type {
	case events.ContainerEventType:
		ref := checks.Ref{Kind: checks.Container, ID: e.Actor.ID, Name: e.Actor.Attributes["name"]}
		v.post(ctx, func(w *world) {
			if e.Action == events.ActionDestroy {
				w.remove(ref)
				w.hostSees()
				w.imagesSee()
				w.neighbours()
				return
			}
			if e.Action == events.ActionCreate && e.Actor.Attributes[quicklook.Label] != "" {
				return // for a second, and it never runs
			}
			// The engine answers no question about a container while it starts it.
			if _, known := w.items[identify(ref)]; !known && e.Action == events.ActionCreate {
				w.put(Item{Ref: ref, Status: Status{State: string(container.StateCreated), Image: e.Actor.Attributes["image"], Project: e.Actor.Attributes[project], Created: time.Unix(0, e.TimeNano)}})
			}
			w.mark(ref)
		})
	case events.NetworkEventType:
		if id := e.Actor.Attributes["container"]; id != "" {
			v.post(ctx, func(w *world) { w.mark(checks.Ref{Kind: checks.Container, ID: id}) })
			return // which networks there are has not changed
		}
		v.post(ctx, func(w *world) { w.markHost(partNetworks) })
	case events.ImageEventType:
		changed, gone, err := x.list(ctx, c)
		if err != nil {
			return // the stream will say that the connection is gone
		}
		v.post(ctx, func(w *world) { w.imagesChanged(changed, gone) })
	default:
		v.post(ctx, func(w *world) { w.markHost(concerned(e.Type)) })
	}
}
