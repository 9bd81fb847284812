package inventory

import (
	"context"
	"errors"
	"io/fs"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/semaphore"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/registry"
	"plimsoll/checks/runtime"
	"plimsoll/checks/scanner"
	"plimsoll/checks/signature"
	"plimsoll/checks/suppress"
	"plimsoll/checks/vulnerability"
)

// Options say what an inventory is of.
type Options struct {
	Roots    []string       // directories and files; none: no files
	From     string         // directory that paths are shown from; "": the working directory
	Target   *engine.Target // nil: no engine
	Absent   error          // why Target is nil, when the user would expect an engine
	Demo     bool
	Site     Site // where files about the engine and its user are; zero: this machine
	Suite    []*checks.Check
	Policy   *checks.Policy
	ReadOnly bool         // nothing is made on the engine, not even to look into it
	Keys     string       // file that remembers since when keys of swarms are the same; "": none
	Layers   layers.Mode  // whose layers are read without being asked for
	Cache    layers.Cache // of what layers hold

	Advisories *vulnerability.Store // nil: nothing is looked up

	Registry *registry.Client // nil: no registry is asked by us
	Ask      registry.Mode    // about which images; also says whether the engine may ask

	Signatures *signature.Policy // which have to be signed, and by whom; nil: none

	Scanners []scanner.Name // of others, that look at what is read as well
	Scans    scanner.Cache  // of what they said

	// Alerts returns what a container did, as far as somebody remembers or can
	// tell at once, for [Inventory.Gather]; nil: nobody does. It is called by
	// several goroutines.
	Alerts func(ctx context.Context, c *client.Client, seen *container.Container) []runtime.Alert

	// Saw is told what was seen of running containers, by goroutines of its
	// own; nil: nobody wants to know.
	Saw func(*container.Container)
}

// An Inventory knows everything there is to check. Its methods may be called
// from any goroutine.
type Inventory struct {
	options  Options
	policy   atomic.Pointer[checks.Policy]
	inbox    chan func(*world)
	target   atomic.Pointer[engine.Target] // nil without an engine
	client   atomic.Pointer[client.Client] // of the session, nil before the first
	asked    registries
	verdicts verdicts
	follow   follower

	engineAgain, filesAgain chan struct{} // asks a source to list everything again
}

// New returns an inventory that has not read anything yet.
func New(o Options) *Inventory {
	v := &Inventory{options: o, inbox: make(chan func(*world)), engineAgain: make(chan struct{}, 1), filesAgain: make(chan struct{}, 1)}
	v.policy.Store(o.Policy)
	v.target.Store(o.Target)
	return v
}

// world is what the inventory knows. It belongs to the goroutine of [Inventory.Watch]; all
// others send it functions through the inbox.
type world struct {
	v       *Inventory
	out     *outbox
	items   map[identity]Item
	dirty   dirty
	due     <-chan time.Time
	reading map[identity]bool // being read; true: changed again meanwhile
	images  *images

	era         int                        // counts engines: what was read of an earlier one is history
	attached    map[identity]host.Attached // what each container uses of the host
	stale       hostParts                  // of the host, since it was read
	users       map[identity]string        // image of each container, by id
	builders    bool                       // Dockerfiles or compose files changed since images were told
	scans       scans
	inquiry     inquiry
	remembering remembering

	observing map[identity]context.CancelFunc // containers whose use is followed

	engineListed, filesListed bool // everything of this source has been listed once
	engine                    engine.Info

	looks  looks
	alerts map[string][]runtime.Alert // by container id, the oldest first
}

// readers is how many subjects are read at once: more gains nothing on a real
// engine.
const readers = 4

// Watch keeps the inventory current until ctx ends and returns the channel of
// updates: lists first, details as they are read. It may be called once.
func (v *Inventory) Watch(ctx context.Context) <-chan Update {
	updates := make(chan Update)
	w := &world{v: v, out: newOutbox(), items: map[identity]Item{}, reading: map[identity]bool{}, images: &images{}, attached: map[identity]host.Attached{}, users: map[identity]string{}, scans: newScans(), inquiry: newInquiry(), observing: map[identity]context.CancelFunc{}}
	w.looks.at, w.alerts = map[identity]time.Time{}, map[string][]runtime.Alert{}
	w.out.engine = EngineState{Phase: Absent, Demo: v.options.Demo, Err: v.options.Absent}
	w.out.pending = true
	v.follow.ctx = ctx
	t := v.target.Load()
	w.engineListed, w.filesListed = t == nil, len(v.options.Roots) == 0
	if t != nil {
		w.out.engine = v.connecting(t)
		v.follow.start(ctx, v, w.images)
	}
	if !w.filesListed {
		go v.guard(ctx, func() { v.followFiles(ctx) })
	}
	w.settled()
	go v.guard(ctx, func() { w.run(ctx, updates) })
	return updates
}

// guard turns a panic of a background goroutine into a visible state instead
// of a raw terminal.
func (v *Inventory) guard(ctx context.Context, f func()) {
	defer func() {
		if r := recover(); r != nil {
			stack := debug.Stack()
			v.post(ctx, func(w *world) {
				w.out.engine.Err = &checks.Problem{What: checks.Msg("plimsoll has a defect (%v); restart it and report this: %s", r, string(stack))}
				w.out.pending = true
			})
		}
	}()
	f()
}

// post runs f on the world, soon.
func (v *Inventory) post(ctx context.Context, f func(*world)) {
	select {
	case v.inbox <- f:
	case <-ctx.Done():
	}
}

func (w *world) run(ctx context.Context, updates chan<- Update) {
	defer close(updates)
	slots := semaphore.NewWeighted(readers)
	for {
		w.scanNext(ctx)
		var out chan<- Update // nil, and so never chosen, when nothing changed
		var update Update
		if w.out.pending {
			out, update = updates, w.out.peek()
		}
		select {
		case <-ctx.Done():
			return
		case f := <-w.v.inbox:
			f(w)
			w.look(ctx)
			w.ask(ctx)
			w.lookUpBases(ctx)
		case <-w.due:
			w.read(ctx, slots)
		case out <- update:
			w.out.clear()
		}
	}
}

// mark notes that refs may have changed.
func (w *world) mark(refs ...checks.Ref) {
	if len(refs) == 0 {
		return
	}
	w.wake(w.dirty.mark(time.Now(), refs...))
}

// wake has the dirty subjects read when they are due; zero: never.
func (w *world) wake(due time.Time) {
	w.due = nil
	if !due.IsZero() {
		w.due = time.After(max(0, time.Until(due)))
	}
}

// read reads the dirty subjects that are due, several at once, and judges them.
func (w *world) read(ctx context.Context, slots *semaphore.Weighted) {
	var batch []checks.Ref
	var host checks.Ref
	changed := w.dirty.take(time.Now())
	w.wake(w.dirty.next())
	for _, ref := range changed {
		if _, busy := w.reading[identify(ref)]; busy {
			w.reading[identify(ref)] = true
			continue
		}
		w.reading[identify(ref)] = false
		batch = append(batch, ref)
		if ref.Kind == checks.Host {
			host = ref
		}
	}
	if len(batch) == 0 {
		return
	}
	asking := w.v.follow.engine(ctx) // ends with the engine, whose connections would stay otherwise
	r, era := w.v.reader(asking, w.images, w.v.client.Load()), w.era
	known := w.engine
	r.lists.info = sync.OnceValues(func() (engine.Info, error) { return known.Again(asking, r.client) })
	facts := factsOf(known)
	r.facts = func() engineFacts { return facts }
	if host.Kind != "" {
		r.known, r.parts = w.takeStale(host)
	}
	go w.v.guard(ctx, func() {
		// One batch of a thousand should show as it goes, and not cost a
		// message each.
		var wait sync.WaitGroup
		for part := range slices.Chunk(batch, max(1, min(32, len(batch)/readers))) {
			if slots.Acquire(ctx, 1) != nil {
				break
			}
			wait.Go(func() {
				defer slots.Release(1)
				w.v.guard(ctx, func() { w.v.readPart(ctx, asking, r, era, part) })
			})
		}
		wait.Wait()
	})
}

func (v *Inventory) readPart(ctx, asking context.Context, r reader, era int, part []checks.Ref) {
	type result struct {
		ref    checks.Ref
		item   Item
		gone   bool
		failed error
	}
	policy := v.policy.Load()
	results := make([]result, len(part))
	for i, ref := range part {
		subject, err := r.read(asking, ref)
		results[i] = result{ref: ref}
		switch {
		case err == nil:
			results[i].item = v.judged(subject)
		case errdefs.IsNotFound(err) || errors.Is(err, fs.ErrNotExist):
			results[i].gone = true
		default:
			results[i].failed = err
		}
	}
	v.post(ctx, func(w *world) {
		if era != w.era {
			return // all of it has been asked for anew
		}
		for _, res := range results {
			w.builders = w.builders || !fromEngine(res.ref.Kind)
			again := w.reading[identify(res.ref)]
			delete(w.reading, identify(res.ref))
			switch {
			case res.gone:
				w.remove(res.ref)
			case res.failed != nil && ctx.Err() == nil && v.client.Load() == r.client:
				item := w.items[identify(res.ref)]
				item.Ref = res.ref
				item.Report = checks.Report{Subject: res.ref, Errors: []error{res.failed}}
				w.put(item)
				if res.ref.Kind == checks.Host {
					w.stale = wholeHost
				}
			case res.failed == nil:
				w.put(w.renewed(w.withFiles(res.item)))
				w.baseRead(res.item)
				if v.policy.Load() != policy { // it changed while this was read
					w.rejudge(w.items[identify(res.ref)])
				}
				if c, ok := res.item.Subject.(*container.Container); ok {
					w.attached[identify(c.Ref())] = host.Inspected(*c.Inspect)
					w.users[identify(c.Ref())] = c.Inspect.Image
				}
			}
			if again {
				w.mark(res.ref)
			}
		}
		w.hostSees()
		w.imagesSee()
		w.neighbours()
		w.settled()
	})
}

// judged judges a subject that nobody else has seen yet.
func (v *Inventory) judged(s checks.Subject) Item {
	item := Item{Ref: s.Ref(), Status: status(s), Subject: s, Report: v.judge(s)}
	if f, ok := s.(*dockerfile.File); ok {
		f.Forget()
	}
	return item
}

func (v *Inventory) judge(s checks.Subject) checks.Report {
	policy := v.policy.Load()
	report := checks.Run(s, v.options.Suite, policy)
	return suppress.Apply(report, Rules(s, v.options.Suite), v.options.Suite, policy, time.Now())
}

// reader returns a reader by client, nil without an engine, for one round of
// questions.
func (v *Inventory) reader(ctx context.Context, x *images, c *client.Client) reader {
	l := listsOf(ctx, c, v.maySweep())
	facts := func() engineFacts {
		info, err := l.info()
		if err != nil {
			return engineFacts{}
		}
		return factsOf(info)
	}
	r := reader{client: c, lists: l, facts: sync.OnceValue(facts), images: x, registry: &v.asked, direct: v.options.Registry, verdicts: &v.verdicts, ask: v.options.Ask, project: projectRules(v.policy.Load()), keys: keyRecord{v.options.Keys}}
	if !v.options.Demo {
		if r.site = v.options.Site; r.site.Root == nil {
			r.site = here()
		}
	}
	r.rules = imageRules(v.policy.Load())
	if t := v.target.Load(); t != nil {
		r.endpoint, r.local = t.Host, !t.Remote() && !v.options.Demo
		if t.Plain() {
			r.keys = keyRecord{} // keys do not travel where others listen
		}
	}
	return r
}

func (w *world) put(i Item) {
	w.items[identify(i.Ref)] = i
	w.out.put(i)
}

func (w *world) remove(ref checks.Ref) {
	w.dirty.forget(ref)
	if _, busy := w.reading[identify(ref)]; busy {
		w.reading[identify(ref)] = true // what is being read is already history
	}
	delete(w.alerts, ref.ID)
	if _, known := w.items[identify(ref)]; known {
		delete(w.items, identify(ref))
		w.out.remove(ref)
	}
}

// listed notes in source that everything of it has been listed.
func (w *world) listed(source *bool) {
	*source = true
	w.settled()
}

// settled notes when everything that exists has been read.
func (w *world) settled() {
	if !w.out.complete && w.engineListed && w.filesListed && len(w.reading) == 0 && len(w.dirty.waiting) == 0 {
		w.out.complete, w.out.pending = true, true
		w.imagesSee()
	}
}

// Judge judges everything anew by policy, without reading anything.
func (v *Inventory) Judge(ctx context.Context, policy *checks.Policy) {
	v.policy.Store(policy)
	v.post(ctx, func(w *world) {
		for _, item := range w.items {
			if i, ok := item.Subject.(*image.Image); ok {
				ruled := *i
				ruled.Rules = imageRules(policy)
				item.Subject = &ruled
			}
			w.rejudge(item)
		}
	})
}

func (w *world) rejudge(item Item) {
	if item.Subject != nil {
		item.Report = w.v.judge(item.Subject)
		w.put(item)
	}
}

// Refresh reads everything again.
func (v *Inventory) Refresh() {
	for _, again := range []chan struct{}{v.engineAgain, v.filesAgain} {
		select {
		case again <- struct{}{}:
		default: // it was asked already
		}
	}
}
