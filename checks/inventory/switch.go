package inventory

import (
	"context"
	"sync"
	"time"

	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/runtime"
)

// A follower is the goroutine that follows the engine.
type follower struct {
	ctx context.Context // of Watch, which bounds every engine that is followed

	mu   sync.Mutex
	now  context.Context // of the engine that is followed
	stop context.CancelFunc
	done chan struct{}
}

// start follows the engine that v means now, until ctx ends or stop is called.
func (f *follower) start(ctx context.Context, v *Inventory, x *images) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, f.stop = context.WithCancel(ctx)
	f.now = ctx
	f.done = make(chan struct{})
	done := f.done
	go func() {
		defer close(done)
		v.guard(ctx, func() { v.followEngine(ctx, x) })
	}()
}

// end stops following and waits until nothing is left of it.
func (f *follower) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop != nil {
		f.stop()
		<-f.done
		f.now = nil
	}
}

// engine returns the context of what is asked of the engine that is followed,
// within ctx when there is none.
func (f *follower) engine(ctx context.Context) context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		return ctx
	}
	return f.now
}

// connecting is the state of an engine that was not reached yet.
func (v *Inventory) connecting(t *engine.Target) EngineState {
	return EngineState{Phase: Connecting, Endpoint: t.Host, Context: t.Context, Remote: t.Remote(), Demo: v.options.Demo}
}

// Switch turns to another engine: everything of the one before is removed, its
// connection closed; the files stay and are judged with what the new one knows.
// It returns when the old engine is not talked to any more. It must be called
// after [Inventory.Watch], and by one goroutine at a time.
func (v *Inventory) Switch(ctx context.Context, t engine.Target) {
	v.follow.end()
	v.client.Store(nil)
	v.target.Store(&t)
	v.asked.forget()
	x := &images{}
	turned := make(chan struct{})
	v.post(ctx, func(w *world) {
		defer close(turned)
		w.leave(x)
		w.out.engine = v.connecting(&t)
	})
	select {
	case <-turned:
		v.follow.start(v.follow.ctx, v, x)
	case <-ctx.Done():
	}
}

// leave forgets everything that the engine told, and what is being read of it.
func (w *world) leave(x *images) {
	w.era++
	w.images = x
	w.looks.at, w.alerts = map[identity]time.Time{}, map[string][]runtime.Alert{}
	w.engine, w.stale = engine.Info{}, 0
	w.attached, w.users, w.scans, w.inquiry = map[identity]host.Attached{}, map[identity]string{}, newScans(), newInquiry()
	for key, item := range w.items {
		delete(w.reading, key)
		if fromEngine(key.kind) {
			w.remove(item.Ref)
		} else {
			w.mark(item.Ref) // what its base or its images are is another question now
		}
	}
	w.engineListed, w.out.complete, w.out.pending = false, false, true
}
