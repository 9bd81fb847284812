package watch

import (
	"context"
	"encoding/json"
	"io"
	"sync/atomic"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/runtime"
)

// How often is looked, while somebody looks: each container once a second, and
// less often where there are so many that looking would take more than a
// sixteenth of the engine's time. Looks are made one after the other.
const (
	often      = time.Second
	part       = 16
	topCosts   = 12 * time.Millisecond // docker top and docker diff, measured
	procCosts  = 2 * time.Millisecond  // docker diff alone
	statEvery  = 30 * time.Second      // CPU time by the engine's stats
	lookWithin = 10 * time.Second      // an engine that does not answer is given up
)

// afterwards is when a container is looked at that somebody entered.
var afterwards = []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second, 30 * time.Second}

// looks is which container is looked at when.
type looks struct {
	running map[string]bool
	always  *atomic.Bool             // set by whoever looks, also while the watcher is busy
	due     map[string]time.Time     // the next look, by container
	extra   map[string][]time.Time   // looks after somebody entered
	cost    map[string]time.Duration // of a look
	busy    bool                     // a look is under way
	used    map[string]usage
	stop    func() // of the timer; nil: none is set
	at      time.Time
	pulse   pulse
}

// usage is CPU time at a moment.
type usage struct {
	at   time.Time
	time time.Duration
}

func (l *looks) gone(id string) {
	delete(l.running, id)
	delete(l.due, id)
	delete(l.extra, id)
	delete(l.cost, id)
	delete(l.used, id)
	l.pulse.gone(id)
}

// soon wants looks at a container in which something was started.
func (l *looks) soon(id string, now time.Time) {
	if l.extra == nil {
		l.extra = map[string][]time.Time{}
	}
	l.extra[id] = nil
	for _, d := range afterwards {
		l.extra[id] = append(l.extra[id], now.Add(d))
	}
}

// interval is how long to wait between looks at one container.
func (l *looks) interval() time.Duration {
	total := time.Duration(0)
	for _, c := range l.cost {
		total += c
	}
	return max(often, total*part)
}

// next returns the container that is to be looked at first, and when.
func (l *looks) next(now time.Time) (id string, at time.Time) {
	consider := func(one string, when time.Time) {
		if id == "" || when.Before(at) {
			id, at = one, when
		}
	}
	if l.always.Load() {
		for one := range l.running {
			when, planned := l.due[one]
			if !planned {
				when = now
			}
			consider(one, when)
		}
	}
	for one, times := range l.extra {
		if len(times) > 0 {
			consider(one, times[0])
		}
	}
	return id, at
}

// plan sets the timer for the next look.
func (l *looks) plan(w *Watcher) {
	now := w.o.Clock.Now()
	id, at := l.next(now)
	if id == "" || l.busy {
		l.cancel()
		return
	}
	if l.stop != nil && l.at.Equal(at) {
		return
	}
	l.cancel()
	l.at = at
	done := make(chan struct{})
	stopTimer := w.o.Clock.AfterFunc(max(0, at.Sub(now)), func() {
		select {
		case w.inbox <- func(ctx context.Context) { l.stop = nil; w.lookNow(ctx) }:
		case <-done:
		}
	})
	l.stop = func() { close(done); stopTimer() }
}

func (l *looks) cancel() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// lookNow begins to look at a container whose time has come. Events are judged
// meanwhile.
func (w *Watcher) lookNow(ctx context.Context) {
	now := w.o.Clock.Now()
	id, at := w.look.next(now)
	if id == "" || at.After(now) {
		return
	}
	if times := w.look.extra[id]; len(times) > 0 && !times[0].After(now) {
		if w.look.extra[id] = times[1:]; len(times) == 1 {
			delete(w.look.extra, id)
		}
	}
	f := w.factsOf(ctx, id)
	if f == nil || !f.Running {
		w.look.gone(id)
		return
	}
	w.look.busy = true
	before := w.look.used[id]
	go func() {
		l, spent := w.see(ctx, f, now, before)
		w.post(ctx, func(context.Context) { w.looked(f, l, spent) })
	}()
}

// looked takes in what was seen.
func (w *Watcher) looked(f *runtime.Facts, l runtime.Look, spent time.Duration) {
	w.look.busy = false
	if !w.look.running[f.ID] {
		return // it has ended meanwhile
	}
	w.look.cost[f.ID] = procCosts
	if l.Source == runtime.Top {
		w.look.cost[f.ID] = topCosts
	}
	w.look.due[f.ID] = w.o.Clock.Now().Add(w.look.interval())
	if spent > 0 {
		w.look.used[f.ID] = usage{l.At, spent}
	}
	if l.Processes != nil || l.Changed != nil {
		w.seen(f, l)
	}
}

// see looks at one container, and at how much CPU time it has spent; 0: unknown.
func (w *Watcher) see(ctx context.Context, f *runtime.Facts, now time.Time, before usage) (l runtime.Look, spent time.Duration) {
	ctx, stop := context.WithTimeout(ctx, lookWithin)
	defer stop()
	l = runtime.Look{At: now, Source: runtime.Proc, CPU: -1}
	inside := false
	if w.o.Local {
		spent, inside = lookInside(w.o.Proc, f, &l)
	}
	if !inside {
		l.Source = runtime.Top
		if top, err := w.o.Engine.ContainerTop(ctx, f.ID, client.ContainerTopOptions{Arguments: runtime.TopColumns}); err == nil {
			l.Processes = runtime.Processes(api.TopResponse{Titles: top.Titles, Processes: top.Processes})
		}
		if !f.CPULimited && now.Sub(before.at) >= statEvery {
			spent = w.spent(ctx, f)
		}
	}
	if diff, err := w.o.Engine.ContainerDiff(ctx, f.ID, client.ContainerDiffOptions{}); err == nil {
		l.Changed = append([]api.FilesystemChange{}, diff.Changes...)
		l.Programs = w.programs(ctx, f, w.fresh(ctx, f, l.Changed))
	}
	if d := now.Sub(before.at); spent > 0 && !before.at.IsZero() && d > 0 && spent >= before.time {
		l.CPU = float64(spent-before.time) / float64(d)
	}
	return l, spent
}

// fresh asks the monitor which changes it does not know.
func (w *Watcher) fresh(ctx context.Context, f *runtime.Facts, changed []api.FilesystemChange) []string {
	answer := make(chan []string, 1)
	w.post(ctx, func(context.Context) { answer <- w.o.Monitor.New(f, changed) })
	select {
	case paths := <-answer:
		return paths
	case <-ctx.Done():
		return nil
	}
}

// spent asks the engine for the CPU time of a container.
func (w *Watcher) spent(ctx context.Context, f *runtime.Facts) time.Duration {
	result, err := w.o.Engine.ContainerStats(ctx, f.ID, client.ContainerStatsOptions{})
	if err != nil {
		return 0
	}
	defer result.Body.Close()
	var s api.StatsResponse
	if json.NewDecoder(io.LimitReader(result.Body, 1<<20)).Decode(&s) != nil {
		return 0
	}
	return time.Duration(s.CPUStats.CPUUsage.TotalUsage)
}

// programs returns which of the paths may be executed, and when they changed.
func (w *Watcher) programs(ctx context.Context, f *runtime.Facts, paths []string) map[string]time.Time {
	programs := map[string]time.Time{}
	for _, p := range paths {
		s, err := w.o.Engine.ContainerStatPath(ctx, f.ID, client.ContainerStatPathOptions{Path: p})
		if err == nil && s.Stat.Mode.IsRegular() && s.Stat.Mode&0o111 != 0 {
			programs[p] = s.Stat.Mtime
		}
	}
	return programs
}
