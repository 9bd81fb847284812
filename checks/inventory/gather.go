package inventory

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/engine"
)

// A Selection names what to gather once, without following it.
type Selection struct {
	Paths      []string // files, and directories to look through
	Containers []string // names or ids
	Images     []string // references or ids

	AllContainers, AllImages, Host bool

	// Closely wants what running containers do and use as well, and what
	// registries serve for their tags. That takes seconds when there are many.
	Closely bool
}

// wantsEngine reports whether s cannot be gathered without an engine.
func (s Selection) wantsEngine() bool {
	return len(s.Containers)+len(s.Images) > 0 || s.AllContainers || s.AllImages || s.Host
}

// Gather reads and judges what selection names. What cannot be read is an item
// whose report has errors. The error is that of the engine, when it was asked
// for and is not there; the files have been gathered all the same.
//
// Reading goes as fast as the engine answers: what is known to be wanted is read
// while the rest is still being listed. Judging follows once everything has
// been read, since subjects are judged by what stands around them.
func (v *Inventory) Gather(ctx context.Context, selection Selection) ([]Item, error) {
	files, failed := v.files(ctx, selection.Paths)
	x := &images{}
	c, err := v.connect(ctx, x, selection.wantsEngine() || len(files) > 0)
	if c != nil {
		defer c.Close()
	}
	r := v.reader(ctx, x, c)
	r.contexts, r.thorough = &contexts{}, v.remember
	if selection.Closely {
		r.samples = new(atomic.Int32)
	}
	g := &gathering{v: v, r: r, selection: selection, workers: hire(max(readers, runtime.GOMAXPROCS(0)))}
	defer g.workers.dismiss()
	g.read(ctx, files)
	if c != nil && selection.wantsEngine() {
		failed = append(failed, g.ask(ctx)...)
	}
	g.workers.wait()
	switch {
	case !selection.wantsEngine():
		err = nil // base images are good to know, not necessary
	case c != nil:
		err = g.relate(ctx)
	}
	g.judge()
	items := make([]Item, len(g.items), len(g.items)+len(failed))
	for i, item := range g.items {
		items[i] = *item
	}
	return append(items, failed...), err
}

// A gathering is one run of [Inventory.Gather].
type gathering struct {
	v         *Inventory
	r         reader
	selection Selection
	workers   *workers
	items     []*Item
}

// read begins to read what is called refs.
func (g *gathering) read(ctx context.Context, refs []checks.Ref) {
	for _, ref := range refs {
		item := &Item{Ref: ref}
		g.items = append(g.items, item)
		g.workers.do(func() {
			subject, err := g.r.read(ctx, ref)
			if err != nil {
				*item = broken(ref, err)
				return
			}
			if c, ok := subject.(*container.Container); ok && g.r.samples != nil {
				closer := g.r.closer(ctx, c)
				if alerts := g.v.options.Alerts; alerts != nil {
					closer.Alerts = alerts(ctx, g.r.client, closer)
				}
				subject = closer
			}
			item.Subject = subject
		})
	}
}

// judge judges all that was read, several at once.
func (g *gathering) judge() {
	for _, item := range g.items {
		if item.Subject != nil {
			g.workers.do(func() { *item = g.v.judged(item.Subject) })
		}
	}
	g.workers.wait()
}

// files returns the files that paths stand for.
func (v *Inventory) files(ctx context.Context, paths []string) (refs []checks.Ref, failed []Item) {
	for _, path := range paths {
		t, err := find(ctx, path, v.options.From)
		if err != nil {
			failed = append(failed, broken(checks.Ref{Kind: checks.Dockerfile, ID: path, Name: path}, err))
		}
		refs = append(refs, t.files...)
	}
	return refs, failed
}

func broken(ref checks.Ref, err error) Item {
	return Item{Ref: ref, Report: checks.Report{Subject: ref, Errors: []error{err}}}
}

// connect returns a client of the target with its images listed; nil when
// there is none or nobody wants it.
func (v *Inventory) connect(ctx context.Context, x *images, wanted bool) (*client.Client, error) {
	if !wanted {
		return nil, nil
	}
	if v.target.Load() == nil {
		return nil, v.options.Absent
	}
	c, err := v.target.Load().Client()
	if err != nil {
		return nil, err
	}
	hello, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if _, _, err := x.list(hello, c); err != nil {
		c.Close()
		return nil, v.target.Load().Explain(err)
	}
	return c, nil
}

// ask begins to read what is wanted of the engine: images first, since they are
// listed already, and returns what is not there.
func (g *gathering) ask(ctx context.Context) (missing []Item) {
	go g.r.lists.info()
	go g.r.lists.containers() // takes long on a real engine
	if g.selection.Host {
		g.read(ctx, []checks.Ref{{Kind: checks.Host}}) // several questions, one after the other
	}
	images, missing := g.chosenImages()
	g.read(ctx, images)
	g.read(ctx, g.chosenContainers())
	return missing
}

// chosenContainers returns the containers that are wanted, running ones first.
func (g *gathering) chosenContainers() (refs []checks.Ref) {
	if g.selection.AllContainers {
		all, _ := g.r.lists.containers() // what went wrong is told when they are related
		for _, s := range runningFirst(all) {
			refs = append(refs, checks.Ref{Kind: checks.Container, ID: s.ID, Name: name(s.Names)})
		}
	}
	for _, name := range g.selection.Containers {
		refs = append(refs, checks.Ref{Kind: checks.Container, ID: name, Name: name})
	}
	return refs
}

// chosenImages returns the images that are wanted, and those that are not there.
func (g *gathering) chosenImages() (refs []checks.Ref, missing []Item) {
	if g.selection.AllImages {
		for _, id := range g.r.images.all() {
			ref, _ := imageRef(g.r.images, id)
			refs = append(refs, ref)
		}
	}
	for _, name := range g.selection.Images {
		id := g.r.images.resolve(name)
		if id == "" && !strings.Contains(name, ":") {
			id = g.r.images.resolve("sha256:" + name)
		}
		ref := checks.Ref{Kind: checks.Image, ID: id, Name: name}
		if id == "" {
			missing = append(missing, broken(ref, fmt.Errorf("image %s is not on this engine: docker images lists those that are", name)))
			continue
		}
		refs = append(refs, ref)
	}
	return refs, missing
}

// freshly returns a reader that knows the images that there are now, and what ends
// it. Without an engine it has no client, and the error says why.
func (v *Inventory) freshly(ctx context.Context) (r reader, done func(), err error) {
	x, c := &images{}, v.client.Load()
	done = func() {}
	if c == nil {
		if c, err = v.connect(ctx, x, true); c != nil {
			done = func() { c.Close() }
		}
	} else if _, _, err = x.list(ctx, c); err != nil {
		c, err = nil, v.target.Load().Explain(err)
	}
	r = v.reader(ctx, x, c)
	r.thorough = v.remember
	return r, done, err
}

// Read returns a fresh snapshot of one subject, for a fix to be planned on or
// proved by.
func (v *Inventory) Read(ctx context.Context, ref checks.Ref) (checks.Subject, error) {
	r, done, err := v.freshly(ctx)
	defer done()
	if err != nil && fromEngine(ref.Kind) {
		return nil, err // a file is read without what the engine knows
	}
	if r.client != nil && ref.Kind == checks.Container {
		if _, err := r.lists.info(); err != nil {
			return nil, err
		}
	}
	subject, err := r.read(ctx, ref)
	if c, ok := subject.(*container.Container); ok && err == nil {
		seen := *r.look(ctx, c)
		seen.Served = r.registry.known(c.Settings.Image)
		subject = &seen
	}
	return subject, err
}

// Target returns the engine that the inventory is of, nil without one.
func (v *Inventory) Target() *engine.Target { return v.target.Load() }
