package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"plimsoll/checks/runtime"
)

// On the engine's own machine it costs next to nothing to find out whether
// other processes run in a container than a moment ago: one small file says so.
// Where they do, processes and listeners are looked at at once. What was
// written only the engine can tell, which takes its time, and is asked in its
// turn: see [looks].

// beat is how often that is found out, while somebody looks.
const beat = 250 * time.Millisecond

// A pulse is which processes run in each container.
type pulse struct {
	sums map[string]uint64 // of their numbers, by container
	stop func()            // of the timer; nil: none is set
	busy bool
}

func newPulse() pulse { return pulse{sums: map[string]uint64{}} }

func (p *pulse) gone(id string) {
	delete(p.sums, id)
}

// plan sets the timer for the next beat.
func (p *pulse) plan(w *Watcher) {
	switch wanted := w.o.Local && w.look.always.Load(); {
	case p.stop != nil && !wanted:
		p.stop()
		p.stop = nil
	case p.stop == nil && wanted && !p.busy:
		done := make(chan struct{})
		stopTimer := w.o.Clock.AfterFunc(beat, func() {
			select {
			case w.inbox <- func(ctx context.Context) { p.stop = nil; w.feel(ctx) }:
			case <-done:
			}
		})
		p.stop = func() { close(done); stopTimer() }
	}
}

// feel finds out where processes have begun or ended, and looks there.
func (w *Watcher) feel(ctx context.Context) {
	p := &w.look.pulse
	var facts []*runtime.Facts
	for _, id := range slices.Sorted(maps.Keys(w.look.running)) {
		f := w.facts[id]
		if f == nil || !f.Running || w.look.cost[id] != procCosts {
			continue // not looked at yet, or /proc does not tell
		}
		sum, ok := stir(w.o.Proc, f)
		if before, known := p.sums[id]; ok && known && before != sum {
			facts = append(facts, f)
		}
		p.sums[id] = sum
	}
	if len(facts) == 0 {
		return
	}
	p.busy = true
	go func() {
		for _, f := range facts {
			l := runtime.Look{At: w.o.Clock.Now(), Source: runtime.Proc, CPU: -1}
			if _, ok := lookInside(w.o.Proc, f, &l); ok {
				w.post(ctx, func(context.Context) {
					if w.look.running[f.ID] {
						w.seen(f, l)
					}
				})
			}
		}
		w.post(ctx, func(context.Context) { p.busy = false })
	}()
}
