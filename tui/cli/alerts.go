package cli

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"plimsoll/checks/container"
	"plimsoll/checks/engine"
	"plimsoll/checks/runtime"
	"plimsoll/checks/runtime/watch"
	"plimsoll/tui/timeline"
)

// timeline returns where alerts are kept, nil when the user keeps nothing.
func (a *app) timeline(s *session) *timeline.Store {
	if s.state == "" || a.config.History != nil && !*a.config.History {
		return nil
	}
	return timeline.NewStore(filepath.Join(s.state, "alerts"))
}

// past returns what containers of an engine did before this start.
func (a *app) past(s *session, target *engine.Target) ([]runtime.Alert, error) {
	store := a.timeline(s)
	if store == nil {
		return nil, nil
	}
	return store.Load(target.Title(), time.Now())
}

// writeAfter is how long alerts are gathered before they are written.
const writeAfter = 2 * time.Second

// A recorder keeps alerts for later starts. A nil one keeps none.
type recorder struct {
	store   *timeline.Store
	engine  string
	trouble func(error)

	mu      sync.Mutex
	pending []runtime.Alert
	wake    chan struct{}
}

func (a *app) recorder(s *session, target *engine.Target, trouble func(error)) *recorder {
	store := a.timeline(s)
	if store == nil || a.readOnly {
		return nil
	}
	return &recorder{store: store, engine: target.Title(), trouble: trouble, wake: make(chan struct{}, 1)}
}

func (r *recorder) add(a runtime.Alert) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.pending = append(r.pending, a)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run writes what is added until ctx ends.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(writeAfter):
		case <-ctx.Done():
			return
		}
		r.flush()
	}
}

// flush writes what was added.
func (r *recorder) flush() {
	if r == nil {
		return
	}
	r.mu.Lock()
	pending := r.pending
	r.pending = nil
	r.mu.Unlock()
	r.trouble(r.store.Save(r.engine, pending, time.Now()))
}

// A glance is what one look tells of containers: what is going on in them now,
// and what they did not long ago.
type glance struct {
	a *app
	s *session

	once    sync.Once
	past    map[string][]runtime.Alert // by container
	local   bool
	mu      sync.Mutex // of the monitor
	monitor *runtime.Monitor
}

// of returns the alerts about a container.
func (g *glance) of(ctx context.Context, c *client.Client, seen *container.Container) []runtime.Alert {
	target := g.s.inventory.Target()
	if target == nil || seen.Inspect == nil {
		return nil
	}
	g.once.Do(func() {
		g.local = !target.Remote() && !g.a.demo
		g.past = map[string][]runtime.Alert{}
		all, _ := g.a.past(g.s, target) // what cannot be read is replaced by the next who watches
		for _, alert := range all {
			g.past[alert.Container] = append(g.past[alert.Container], alert)
		}
		normals, _ := g.a.normals(g.s, target)
		g.monitor = runtime.NewMonitor(runtime.Options{Learn: time.Duration(g.a.config.Runtime.Learn), Normals: normals})
	})
	alerts := g.past[seen.Inspect.ID]
	if s := seen.Inspect.State; s != nil && s.Running && !s.Paused {
		g.mu.Lock()
		defer g.mu.Unlock()
		alerts = append(alerts, watch.Once(ctx, c, g.monitor, g.local, *seen.Inspect, seen.Processes)...)
	}
	return alerts
}
