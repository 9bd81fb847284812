package inventory

import (
	"context"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/runtime"
)

// mostAlerts is how many alerts of one container are kept, the latest.
const mostAlerts = 50

// Alert takes in what a container was seen to do: it becomes a finding of the
// container, and part of the next update.
func (v *Inventory) Alert(ctx context.Context, a runtime.Alert) {
	v.post(ctx, func(w *world) {
		w.out.alerts = append(w.out.alerts, a)
		if over := len(w.out.alerts) - 10*mostAlerts; over > 0 {
			w.out.alerts = w.out.alerts[over:] // a receiver that never comes
		}
		w.out.pending = true
		if a.Container == "" {
			return
		}
		all := append(w.alerts[a.Container], a)
		w.alerts[a.Container] = all[max(0, len(all)-mostAlerts):]
		item, ok := w.items[identity{checks.Container, a.Container}]
		if c, read := item.Subject.(*container.Container); ok && read {
			item.Subject = w.alerted(c)
			w.rejudge(item)
		}
	})
}

// alerted returns c with the alerts that were raised about it.
func (w *world) alerted(c *container.Container) *container.Container {
	alerts := w.alerts[c.Ref().ID]
	if len(alerts) == 0 {
		return c
	}
	with := *c
	with.Alerts = append([]runtime.Alert{}, alerts...)
	return &with
}

// Known returns the inspection of a container as it was last read, nil when it
// was not yet.
func (v *Inventory) Known(ctx context.Context, id string) *api.InspectResponse {
	answer := make(chan *api.InspectResponse, 1)
	v.post(ctx, func(w *world) {
		c, _ := w.items[identity{checks.Container, id}].Subject.(*container.Container)
		_, busy := w.reading[identity{checks.Container, id}]
		_, stale := w.dirty.waiting[identity{checks.Container, id}]
		if c == nil || busy || stale {
			answer <- nil // what is known may be of an earlier run
			return
		}
		answer <- c.Inspect
	})
	select {
	case i := <-answer:
		return i
	case <-ctx.Done():
		return nil
	}
}
