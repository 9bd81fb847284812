package inventory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
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

func (s Selection) wantsImages() bool { return s.AllImages || len(s.Images) > 0 }

// Gather reads and judges what selection names. What cannot be read is an item
// whose report has errors. The error is that of the engine, when it was asked
// for and is not there; the files have been gathered all the same.
func (v *Inventory) Gather(ctx context.Context, selection Selection) ([]Item, error) {
	var refs []checks.Ref
	var failed []Item
	for _, path := range selection.Paths {
		t, err := find(ctx, path, v.options.From)
		if err != nil {
			ref := checks.Ref{Kind: checks.Dockerfile, ID: path, Name: path}
			failed = append(failed, broken(ref, err))
		}
		refs = append(refs, t.files...)
	}
	x := &images{}
	c, err := v.connect(ctx, x, selection.wantsEngine() || len(refs) > 0)
	if c != nil {
		defer c.Close()
	}
	if !selection.wantsEngine() {
		err = nil // base images are good to know, not necessary
	}
	var info client.SystemInfoResult
	var infoErr error
	asked := make(chan struct{})
	if c != nil && (selection.AllContainers || len(selection.Containers) > 0 || selection.wantsImages()) {
		go func() {
			defer close(asked)
			info, infoErr = c.Info(ctx, client.InfoOptions{})
		}()
	} else {
		close(asked)
	}
	if c != nil && selection.wantsEngine() {
		more, missing, listErr := v.choose(ctx, c, x, selection)
		refs, failed = append(refs, more...), append(failed, missing...)
		err = listErr
	}
	r := v.reader(x)
	r.client, r.contexts = c, &contexts{}
	if c != nil && (selection.AllContainers || len(selection.Containers) > 0 || selection.wantsImages()) {
		<-asked
		if err = errors.Join(err, infoErr); infoErr == nil {
			r.facts, r.info = factsOf(info.Info), &info.Info
		}
	}
	use, useErr := v.useOf(ctx, c, selection)
	err = errors.Join(err, useErr)
	if selection.Closely {
		r.samples = new(atomic.Int32)
	}
	items := make([]Item, len(refs))
	each := func(do func(i int)) {
		group := new(errgroup.Group)
		group.SetLimit(max(readers, runtime.GOMAXPROCS(0)))
		for i := range refs {
			group.Go(func() error { do(i); return nil }) // failures are in the items
		}
		_ = group.Wait()
	}
	each(func(i int) { items[i] = v.gather(ctx, r, refs[i]) })
	var containers []*container.Container
	for _, item := range items {
		if c, ok := item.Subject.(*container.Container); ok {
			containers = append(containers, c)
		}
	}
	if len(containers) > 0 {
		neighbours, besideErr := r.beside(ctx, containers, selection.AllContainers)
		err = errors.Join(err, besideErr)
		for _, c := range containers {
			if neighbours != nil {
				c.Around = neighbours.Of(c.Settings.Name)
			}
		}
	}
	each(func(i int) {
		switch s := items[i].Subject.(type) {
		case *container.Container:
			items[i] = v.judged(s)
		case *compose.File:
			if s.Running = running(s, containers); len(s.Running) > 0 {
				items[i] = v.judged(s)
			}
		}
	})
	for i := range items {
		h, ok := items[i].Subject.(*host.Host)
		if !ok {
			continue
		}
		if selection.AllContainers && err == nil {
			attachRead(h, items)
		} else if err := r.attach(ctx, h); err != nil {
			items[i] = broken(h.Ref(), err)
			continue
		}
		items[i] = v.judged(h)
	}
	if selection.wantsImages() {
		v.completeImages(ctx, c, items, selection, use)
	}
	return append(items, failed...), err
}

// gather reads a subject and judges it, but for a container and the host, which
// are not judged before all containers are known.
func (v *Inventory) gather(ctx context.Context, r reader, ref checks.Ref) Item {
	subject, err := r.read(ctx, ref)
	if err != nil {
		return broken(ref, err)
	}
	if ref.Kind == checks.Host {
		return Item{Subject: subject}
	}
	if c, ok := subject.(*container.Container); ok {
		if r.samples != nil {
			c = r.closer(ctx, c)
		}
		return Item{Subject: c}
	}
	return v.judged(subject)
}

// attachRead tells h of the containers among items, which are all there are.
func attachRead(h *host.Host, items []Item) {
	h.Attached = []host.Attached{}
	for i := range items {
		c, ok := items[i].Subject.(*container.Container)
		if !ok {
			continue
		}
		a := host.Inspected(*c.Inspect)
		a.Outdated = outdated(c.Inspect.Image, c.Settings.Image, c.TagID)
		h.Attached = append(h.Attached, a)
		if a.Running {
			h.Containers = append(h.Containers, host.Running{Name: a.Name, Image: a.Image})
		}
	}
	slices.SortFunc(h.Attached, func(a, b host.Attached) int { return strings.Compare(a.Name, b.Name) })
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

// choose lists what selection wants of the engine.
func (v *Inventory) choose(ctx context.Context, c *client.Client, x *images, selection Selection) (refs []checks.Ref, missing []Item, err error) {
	if selection.Host { // first: it is several questions, one after the other
		refs = append(refs, checks.Ref{Kind: checks.Host})
	}
	if selection.AllContainers {
		all, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
		if err != nil {
			return nil, nil, fmt.Errorf("listing containers: %w", err)
		}
		for _, s := range runningFirst(all.Items) {
			refs = append(refs, checks.Ref{Kind: checks.Container, ID: s.ID, Name: name(s.Names)})
		}
	}
	for _, name := range selection.Containers {
		refs = append(refs, checks.Ref{Kind: checks.Container, ID: name, Name: name})
	}
	if selection.AllImages {
		for _, id := range x.all() {
			ref, _ := imageRef(x, id)
			refs = append(refs, ref)
		}
	}
	for _, name := range selection.Images {
		id := x.resolve(name)
		if id == "" && !strings.Contains(name, ":") {
			id = x.resolve("sha256:" + name)
		}
		ref := checks.Ref{Kind: checks.Image, ID: id, Name: name}
		if id == "" {
			missing = append(missing, broken(ref, fmt.Errorf("image %s is not on this engine: docker images lists those that are", name)))
			continue
		}
		refs = append(refs, ref)
	}
	return refs, missing, nil
}

// Read returns a fresh snapshot of one subject, for a fix to be planned on or
// proved by.
func (v *Inventory) Read(ctx context.Context, ref checks.Ref) (checks.Subject, error) {
	x := &images{}
	c := v.client.Load()
	var err error
	if c == nil {
		if c, err = v.connect(ctx, x, true); c != nil {
			defer c.Close()
		}
	} else if _, _, err = x.list(ctx, c); err != nil {
		c, err = nil, v.target.Load().Explain(err)
	}
	if err != nil && fromEngine(ref.Kind) {
		return nil, err // a file is read without what the engine knows
	}
	r := v.reader(x)
	r.client = c
	if c != nil && ref.Kind == checks.Container {
		info, err := c.Info(ctx, client.InfoOptions{})
		if err != nil {
			return nil, err
		}
		r.facts = factsOf(info.Info)
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
