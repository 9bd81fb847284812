package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// An observation follows what one running container uses: limits and hardening
// are proposed by what was seen. The engine sends a sample a second, for half a
// percent of a CPU, so that only what somebody chose is followed.

// between is how many samples pass between two looks at processes and files,
// which cost the engine more.
const between = 5

// observe follows container c, with what it was seen to use before, until ctx
// ends or the container does. told gets it anew with each sample.
func (r reader) observe(ctx context.Context, c *container.Container, told func(*container.Container)) error {
	result, err := r.client.ContainerStats(ctx, c.Inspect.ID, client.ContainerStatsOptions{Stream: true})
	if err != nil {
		return fmt.Errorf("what %s uses: %w", c.Settings.Name, err)
	}
	defer result.Body.Close()
	samples := json.NewDecoder(result.Body)
	var o container.Observed
	if c.Observed != nil {
		o = *c.Observed
	}
	for n := 0; ; n++ {
		var s api.StatsResponse
		if err := samples.Decode(&s); err != nil {
			if ctx.Err() != nil || err == io.EOF {
				return nil
			}
			return fmt.Errorf("what %s uses: %w", c.Settings.Name, err)
		}
		if s.PidsStats.Current == 0 && s.MemoryStats.Usage == 0 {
			return nil // it has stopped
		}
		if o.Since.IsZero() {
			o.Since = s.Read
		}
		o.Add(&s)
		if n%between == 0 {
			c = r.look(ctx, c)
			o.Ran(c.Processes)
		}
		next, seen := *c, o
		next.Observed = &seen
		told(&next)
	}
}

// Observe begins to follow what the container ref uses, or ends that. What was
// seen stays with it until it is started anew.
func (v *Inventory) Observe(ctx context.Context, ref checks.Ref, on bool) {
	v.post(ctx, func(w *world) {
		key := identify(ref)
		stop, running := w.observing[key]
		switch {
		case running && !on:
			stop()
		case !running && on:
			w.observe(ctx, key)
		}
	})
}

func (w *world) observe(ctx context.Context, key identity) {
	item := w.items[key]
	c, ok := item.Subject.(*container.Container)
	now := w.v.client.Load()
	if !ok || item.Status.State != string(api.StateRunning) || now == nil {
		return
	}
	asking, stop := context.WithCancel(w.v.follow.engine(ctx))
	w.observing[key] = stop
	r := w.v.reader(asking, w.images, now)
	w.observed(key, c)
	go w.v.guard(ctx, func() {
		defer stop()
		err := r.observe(asking, c, func(seen *container.Container) {
			w.v.post(asking, func(w *world) { w.observed(key, seen) })
		})
		w.v.post(ctx, func(w *world) {
			delete(w.observing, key)
			if item, there := w.items[key]; there {
				item.Status.Observed = false
				if err != nil && asking.Err() == nil {
					item.Report.Errors = append(item.Report.Errors[:len(item.Report.Errors):len(item.Report.Errors)], err)
				}
				w.put(item)
			}
		})
	})
}

// observed replaces a subject by what was seen of it.
func (w *world) observed(key identity, seen *container.Container) {
	item, there := w.items[key]
	now, ok := item.Subject.(*container.Container)
	if !there || !ok {
		return
	}
	item.Status.Observed = true
	if next := inherit(now, seen); next != now {
		next.Around, next.Alerts = now.Around, now.Alerts
		item.Subject = next
	}
	w.rejudge(item)
}

// Watched returns item, of a running container, with what it was seen to use
// for a while; progress gets it with each sample.
func (v *Inventory) Watched(ctx context.Context, item Item, d time.Duration, progress func(*container.Container)) (Item, error) {
	c, ok := item.Subject.(*container.Container)
	if !ok || c.Inspect.State == nil || !c.Inspect.State.Running {
		return item, &checks.Problem{What: checks.Msg("only a running container can be watched")}
	}
	x := &images{}
	engine, err := v.connect(ctx, x, true)
	if err != nil {
		return item, err
	}
	defer engine.Close()
	limited, stop := context.WithTimeout(ctx, d)
	defer stop()
	err = v.reader(ctx, x, engine).observe(limited, c, func(seen *container.Container) {
		c = seen
		progress(seen)
	})
	if err == nil {
		err = ctx.Err()
	}
	item.Subject = c
	item.Report = v.judge(c)
	return item, err
}
