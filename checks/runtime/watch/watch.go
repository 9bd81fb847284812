// Package watch follows what containers do on an engine and hands it to a
// monitor. Events, filtered by the engine, are the main source and cost nothing
// while nothing happens. Processes, changed files, listeners and CPU time are
// looked at shortly after somebody entered a container, and all the time only
// while somebody looks: see [Watcher.Attend].
package watch

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// An Engine is the part of the Docker client that watching needs.
type Engine interface {
	ClientVersion() string
	Dialer() func(context.Context) (net.Conn, error)
	Ping(context.Context, client.PingOptions) (client.PingResult, error)
	Events(context.Context, client.EventsListOptions) client.EventsResult
	ContainerList(context.Context, client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerInspect(context.Context, string, client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerTop(context.Context, string, client.ContainerTopOptions) (client.ContainerTopResult, error)
	ContainerDiff(context.Context, string, client.ContainerDiffOptions) (client.ContainerDiffResult, error)
	ContainerStatPath(context.Context, string, client.ContainerStatPathOptions) (client.ContainerStatPathResult, error)
	ContainerStats(context.Context, string, client.ContainerStatsOptions) (client.ContainerStatsResult, error)
}

// A Clock tells the time and calls functions later; see time.AfterFunc.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func())
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Options say what is watched. Engine, Monitor and Emit are required.
type Options struct {
	Engine  Engine
	Monitor *runtime.Monitor
	Emit    func(runtime.Alert) // called by one goroutine, with cleaned alerts

	// Local says that the engine runs on this machine, so that /proc may tell
	// more, and cheaper. What it tells is used only where it speaks of the same
	// containers.
	Local bool

	// Known returns an inspection that somebody has made already; nil, or a
	// nil answer, inspects.
	Known func(ctx context.Context, id string) *api.InspectResponse

	// Keep stores what was learned, now and then and at the end; nil: it is
	// forgotten with the watcher.
	Keep func(map[string]runtime.Normal)

	Only    func(name string) bool // whether a container is watched; nil: all are
	Looking bool                   // look all the time from the start
	Trouble func(error)            // why nothing is watched right now, nil when it is; may be nil
	Clock   Clock                  // nil: the wall clock
	Proc    string                 // "/proc" when ""
}

// A Watcher watches the containers of one engine.
type Watcher struct {
	o     Options
	inbox chan func(context.Context)
	facts map[string]*runtime.Facts // by container id
	told  map[string]bool           // containers that were told to end
	kept  time.Time                 // when what was learned was stored
	last  int64                     // time of the latest event, in nanoseconds
	look  looks
}

// New returns a watcher that has seen nothing.
func New(o Options) *Watcher {
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	w := &Watcher{o: o, inbox: make(chan func(context.Context)), facts: map[string]*runtime.Facts{}, told: map[string]bool{}}
	w.kept = o.Clock.Now()
	w.look = looks{due: map[string]time.Time{}, cost: map[string]time.Duration{}, used: map[string]usage{}, always: &atomic.Bool{}, pulse: newPulse()}
	w.look.always.Store(o.Looking)
	return w
}

// Run watches until ctx ends. A connection that breaks is made anew, and what
// happened meanwhile is told by the engine, as far as it remembers.
func (w *Watcher) Run(ctx context.Context) {
	defer w.keep()
	for tries := 0; ctx.Err() == nil; tries++ {
		err := w.session(ctx, func() { tries = 0 })
		if ctx.Err() != nil {
			return
		}
		w.trouble(err)
		pause := min(500*time.Millisecond<<min(tries, 6), 30*time.Second)
		wait := time.NewTimer(pause/2 + rand.N(pause/2+1))
		for waiting := true; waiting; {
			select {
			case <-wait.C:
				waiting = false
			case f := <-w.inbox:
				f(ctx)
			case <-ctx.Done():
				waiting = false
			}
		}
		wait.Stop()
	}
}

func (w *Watcher) trouble(err error) {
	if w.o.Trouble != nil {
		w.o.Trouble(err)
	}
}

// followed are the events that tell what containers do. Health checks make
// some of them as well; those of other objects, and the rest of what a health
// check sends, stay with the engine.
var followed = client.Filters{}.Add("type", "container").
	Add("event", "exec_create", "start", "die", "kill", "oom", "rename", "update", "destroy")

// replay is how far back missed events are asked for.
const replay = 10 * time.Minute

func (w *Watcher) session(ctx context.Context, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := w.o.Engine
	if _, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return err
	}
	o := client.EventsListOptions{Filters: followed}
	if now := w.o.Clock.Now(); w.last > now.Add(-replay).UnixNano() {
		o.Since = stamp(w.last + 1)
	}
	stream := c.Events(ctx, o)
	if err := w.list(ctx); err != nil {
		return err
	}
	connected()
	w.trouble(nil)
	for {
		w.look.plan(w)
		w.look.pulse.plan(w)
		select {
		case e := <-stream.Messages:
			w.happened(ctx, e)
		case err := <-stream.Err:
			if err == nil {
				err = io.EOF
			}
			return err
		case f := <-w.inbox:
			f(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// keepEvery is how often what was learned is stored.
const keepEvery = 5 * time.Minute

// keep stores what was learned, if there is anything new.
func (w *Watcher) keep() {
	if w.o.Keep == nil {
		return
	}
	if learned, changed := w.o.Monitor.Learned(); changed {
		w.o.Keep(learned)
	}
	w.kept = w.o.Clock.Now()
}

// stamp writes nanoseconds since 1970 as the engine reads them.
func stamp(at int64) string {
	t := time.Unix(0, at)
	return t.UTC().Format(time.RFC3339Nano)
}

// list forgets what was known of containers, which may have changed while
// nobody listened, and finds those that run.
func (w *Watcher) list(ctx context.Context) error {
	list, err := w.o.Engine.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return err
	}
	w.facts = map[string]*runtime.Facts{}
	w.look.running = map[string]bool{}
	for _, s := range list.Items {
		if w.only(name(s.Names)) {
			w.look.running[s.ID] = true
		}
	}
	return nil
}

func name(names []string) string {
	for _, n := range names {
		if len(n) > 1 && n[0] == '/' {
			return n[1:]
		}
	}
	return ""
}

func (w *Watcher) only(name string) bool { return w.o.Only == nil || w.o.Only(name) }

// post runs f on the watcher's goroutine, soon, or never when ctx ended.
func (w *Watcher) post(ctx context.Context, f func(context.Context)) {
	select {
	case w.inbox <- f:
	case <-ctx.Done():
	}
}

// Attend looks at all containers all the time, or no longer: processes, files,
// listeners and CPU time. It holds also when the watcher has no time for it
// until ctx ends.
func (w *Watcher) Attend(ctx context.Context, always bool) {
	w.look.always.Store(always)
	w.post(ctx, func(context.Context) {}) // so that it notices at once
}

// Standings tells how well the running containers are known that are watched.
func (w *Watcher) Standings(ctx context.Context) ([]runtime.Standing, error) {
	answer := make(chan []runtime.Standing, 1)
	w.post(ctx, func(ctx context.Context) {
		if w.look.running == nil {
			close(answer) // it has not been connected yet
			return
		}
		all := []runtime.Standing{}
		for id := range w.look.running {
			if f := w.factsOf(ctx, id); f != nil && w.only(f.Name) {
				all = append(all, w.o.Monitor.Standing(f))
			}
		}
		answer <- all
	})
	select {
	case all, connected := <-answer:
		if !connected {
			return nil, &checks.Problem{What: checks.Msg("there is no connection to the engine")}
		}
		return all, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Look takes in what somebody else has seen of a container.
func (w *Watcher) Look(ctx context.Context, i api.InspectResponse, l runtime.Look) {
	w.post(ctx, func(context.Context) {
		f := runtime.FactsOf(i)
		if w.only(f.Name) {
			w.seen(&f, l)
		}
	})
}

// Foreign emits what another monitor noticed.
func (w *Watcher) Foreign(ctx context.Context, judge func(facts func(id, name string) *runtime.Facts) (runtime.Alert, bool)) {
	w.post(ctx, func(ctx context.Context) {
		if a, ok := judge(func(id, name string) *runtime.Facts { return w.find(ctx, id, name) }); ok && w.only(a.Name) {
			w.emit([]runtime.Alert{a})
		}
	})
}

// seen judges a look.
func (w *Watcher) seen(f *runtime.Facts, l runtime.Look) {
	w.emit(w.o.Monitor.Seen(f, l))
	if w.o.Clock.Now().Sub(w.kept) >= keepEvery {
		w.keep()
	}
}

func (w *Watcher) emit(alerts []runtime.Alert) {
	for _, a := range alerts {
		w.o.Emit(a.Clean())
	}
}

// happened judges an event.
func (w *Watcher) happened(ctx context.Context, e events.Message) {
	w.last = max(w.last, e.TimeNano)
	id, at := e.Actor.ID, time.Unix(0, e.TimeNano)
	if !w.only(e.Actor.Attributes["name"]) {
		return
	}
	action := string(e.Action)
	switch e.Action {
	case events.ActionStart:
		delete(w.facts, id)
		delete(w.told, id)
		w.look.running[id] = true
	case events.ActionKill:
		w.told[id] = true // docker stop, docker kill, or the engine's own end
	case events.ActionDie:
		f := w.known(ctx, id, e.Actor.Attributes)
		w.emit(w.o.Monitor.Died(f, e.Actor.Attributes["exitCode"], w.told[id], at))
		delete(w.facts, id)
		w.look.gone(id)
	case events.ActionOOM:
		w.emit(w.o.Monitor.OOM(w.known(ctx, id, e.Actor.Attributes), at))
	case events.ActionDestroy:
		w.o.Monitor.Gone(id)
		delete(w.facts, id)
		delete(w.told, id)
		w.look.gone(id)
	case events.ActionRename, events.ActionUpdate:
		delete(w.facts, id)
	default:
		w.entered(ctx, id, action, e.Actor.Attributes, at)
	}
}

// known returns what is known of a container, at least its name.
func (w *Watcher) known(ctx context.Context, id string, attributes map[string]string) *runtime.Facts {
	if f := w.factsOf(ctx, id); f != nil {
		return f
	}
	return &runtime.Facts{ID: id, Name: attributes["name"], Service: attributes["name"], Image: attributes["image"]}
}

// factsOf returns what is known of a container, nil when it is gone.
func (w *Watcher) factsOf(ctx context.Context, id string) *runtime.Facts {
	if f := w.facts[id]; f != nil {
		return f
	}
	var i *api.InspectResponse
	if w.o.Known != nil {
		i = w.o.Known(ctx, id)
	}
	if i == nil {
		result, err := w.o.Engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return nil
		}
		i = &result.Container
	}
	f := runtime.FactsOf(*i)
	w.facts[id] = &f
	return &f
}

// find returns the container with an id, or the beginning of one, or a name.
func (w *Watcher) find(ctx context.Context, id, name string) *runtime.Facts {
	for full := range w.look.running {
		if len(id) >= 12 && len(full) >= len(id) && full[:len(id)] == id {
			return w.factsOf(ctx, full)
		}
	}
	if name == "" {
		return nil
	}
	if f := w.factsOf(ctx, name); f != nil {
		delete(w.facts, name) // by its id only
		return f
	}
	return nil
}
