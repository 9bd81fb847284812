package inventory

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"plimsoll/checks/container"
)

// An inspection costs half a millisecond; what a container does costs more:
// its processes about 10 ms, a sample of its stats a second. That is looked at
// for running containers only, one after the other once everything is listed,
// and again slowly.
const lookAgain = 15 * time.Minute

// look returns c with what can be seen of a running container from outside.
// What cannot be seen stays unknown.
func (r reader) look(ctx context.Context, c *container.Container) *container.Container {
	if c.Inspect == nil || c.Inspect.State == nil || !c.Inspect.State.Running || c.Kept() {
		return c
	}
	seen := *c
	id := c.Inspect.ID
	if top, err := r.client.ContainerTop(ctx, id, client.ContainerTopOptions{Arguments: container.TopColumns}); err == nil {
		seen.Processes = container.Processes(api.TopResponse{Titles: top.Titles, Processes: top.Processes})
	}
	if diff, err := r.client.ContainerDiff(ctx, id, client.ContainerDiffOptions{}); err == nil {
		seen.Changed = append([]api.FilesystemChange{}, diff.Changes...)
	}
	if r.local {
		seen.Places = places(c.Inspect.Mounts)
	}
	return &seen
}

// inherit takes over what was seen of the same run of a container before.
func inherit(c, before *container.Container) *container.Container {
	if before.Inspect == nil || before.Inspect.State == nil || c.Inspect.State == nil || c.Inspect.State.StartedAt != before.Inspect.State.StartedAt {
		return c
	}
	with := *c
	with.Processes, with.Changed, with.Places = before.Processes, before.Changed, before.Places
	with.Observed, with.Served, with.Around = before.Observed, before.Served, before.Around
	return &with
}

// Bounds of what is looked at behind one mount.
const (
	mostEntries = 2000
	fewRoots    = 5           // files of root that are named
	patienceFor = time.Second // a file server that is gone does not answer
)

// places looks at what stands behind mounts. It follows no link.
func places(mounts []api.MountPoint) map[string]container.Place {
	found := map[string]container.Place{}
	for _, m := range mounts {
		if m.Source == "" || m.Type != mount.TypeBind && m.Type != mount.TypeVolume {
			continue
		}
		answer := make(chan container.Place, 1)
		go func() {
			if p, ok := place(m.Source, m.RW); ok {
				answer <- p
			}
			close(answer)
		}()
		select {
		case p, ok := <-answer:
			if ok {
				found[m.Destination] = p
			}
		case <-time.After(patienceFor):
			return found
		}
	}
	return found
}

// place looks at one file or directory, and below it when that matters.
func place(source string, below bool) (p container.Place, ok bool) {
	info, err := os.Lstat(source)
	if err != nil {
		return p, false
	}
	p.Mode, p.Newest, p.Entries = info.Mode(), info.ModTime(), 1
	if !info.IsDir() || !below {
		return p, true
	}
	p.Entries = 0
	err = filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p.Entries++; p.Entries > mostEntries {
			return fs.SkipAll
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(p.Newest) {
			p.Newest = info.ModTime()
		}
		if uid, _, known := systemOwner(info); known && uid == 0 && info.Mode().Perm()&0o002 == 0 && info.Mode().Type() != fs.ModeSymlink {
			if p.RootCount++; len(p.Roots) < fewRoots {
				below, _ := filepath.Rel(source, path) // path is below it
				p.Roots = append(p.Roots, below)
			}
		}
		return nil
	})
	p.Partial = err != nil || p.Entries > mostEntries
	p.Entries-- // not the directory itself
	return p, true
}

const mostSamples = 24 // of stats for one [Inventory.Gather]: a second each, several at once

// closer adds what costs time to what [reader.look] sees: a sample of its use,
// when it has limits, and what the registry serves for its tag.
func (r reader) closer(ctx context.Context, c *container.Container) *container.Container {
	seen := *r.look(ctx, c)
	h := c.Settings.Host
	running := c.Inspect != nil && c.Inspect.State != nil && c.Inspect.State.Running && !c.Inspect.State.Paused
	if running && h != nil && (h.Memory > 0 || h.PidsLimit != nil && *h.PidsLimit > 0) && r.samples.Add(1) <= mostSamples {
		if s, err := r.sample(ctx, c.Inspect.ID); err == nil {
			seen.Observed = &container.Observed{Since: c.Now}
			seen.Observed.Add(s)
		}
	}
	if running && c.Image != nil && len(c.Image.RepoDigests) > 0 && !strings.Contains(c.Settings.Image, "sha256:") {
		seen.Served = r.serves(ctx, &seen)
	}
	return &seen
}

func (r reader) sample(ctx context.Context, id string) (*api.StatsResponse, error) {
	result, err := r.client.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return nil, err
	}
	defer result.Body.Close()
	s := new(api.StatsResponse)
	return s, json.NewDecoder(io.LimitReader(result.Body, 1<<20)).Decode(s)
}

// registries are what registries were asked about containers.
type registries struct {
	mu     sync.Mutex
	served map[string]string // digest by reference, "" when the registry did not say
	failed int
}

const (
	mostFailures = 2 // before no registry is asked any more
	registryWait = 5 * time.Second
)

// ask returns the digest that the registry has for ref. Each reference is
// asked for once, and none once registries turn out to be out of reach.
func (x *registries) ask(ctx context.Context, c *client.Client, ref string) string {
	x.mu.Lock()
	defer x.mu.Unlock() // one question at a time is polite
	if digest, ok := x.served[ref]; ok || x.failed >= mostFailures {
		return digest
	}
	ctx, stop := context.WithTimeout(ctx, registryWait)
	defer stop()
	result, err := c.DistributionInspect(ctx, ref, client.DistributionInspectOptions{})
	if err != nil {
		x.failed++
	}
	if x.served == nil {
		x.served = map[string]string{}
	}
	x.served[ref] = result.Descriptor.Digest.String()
	return x.served[ref]
}

// forget lets every registry be asked again: another engine may reach others.
func (x *registries) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.served, x.failed = nil, 0
}

// known is [registries.ask] without asking.
func (x *registries) known(ref string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.served[ref]
}

// looks are when each running container was looked at.
type looks struct {
	at    map[identity]time.Time
	busy  bool
	timer *time.Timer // for when the oldest look is too old
}

// look looks at the next running container, once everything has been read.
func (w *world) look(ctx context.Context) {
	if w.looks.busy || !w.out.complete || w.out.engine.Phase != Connected || len(w.reading) > 0 {
		return
	}
	var next *container.Container
	oldest := time.Now()
	for key, item := range w.items {
		c, ok := item.Subject.(*container.Container)
		if !ok || item.Status.State != "running" || item.Status.Kept {
			continue
		}
		if at := w.looks.at[key]; next == nil || at.Before(oldest) {
			next, oldest = c, at
		}
	}
	if next == nil {
		return
	}
	if wait := time.Until(oldest.Add(lookAgain)); wait > 0 {
		if w.looks.timer == nil {
			w.looks.timer = time.AfterFunc(wait, func() { w.v.post(ctx, func(w *world) { w.looks.timer = nil }) })
		}
		return
	}
	w.looks.busy = true
	asking := w.v.follow.engine(ctx)
	r := w.v.reader(asking, w.images, w.v.client.Load())
	go w.v.guard(ctx, func() {
		seen := r.look(asking, next)
		w.v.post(ctx, func(w *world) { w.looked(seen) })
		if saw := w.v.options.Saw; saw != nil {
			saw(seen)
		}
	})
}

// looked replaces a subject by what was seen of it.
func (w *world) looked(seen *container.Container) {
	w.looks.busy = false
	key := identify(seen.Ref())
	item, ok := w.items[key]
	if !ok {
		delete(w.looks.at, key)
		return
	}
	w.looks.at[key] = time.Now()
	now, ok := item.Subject.(*container.Container)
	if !ok {
		return
	}
	around, alerts, observed := now.Around, now.Alerts, now.Observed
	item.Subject = inherit(now, seen)
	if c := item.Subject.(*container.Container); c != now {
		c.Around, c.Alerts, c.Observed = around, alerts, observed
	} else {
		delete(w.looks.at, key) // it was started anew meanwhile
	}
	w.rejudge(item)
}

// renewed returns what was just read, with what had been seen before.
func (w *world) renewed(item Item) Item {
	c, ok := item.Subject.(*container.Container)
	if !ok {
		return item
	}
	key := identify(item.Ref)
	_, item.Status.Observed = w.observing[key]
	with := c
	if before, ok := w.items[key].Subject.(*container.Container); ok {
		if with = inherit(c, before); with == c {
			delete(w.looks.at, key)
		}
	}
	if with = w.alerted(with); with != c {
		item.Subject = with
		item.Report = w.v.judge(with)
	}
	return item
}
