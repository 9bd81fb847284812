package inventory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/distribution/reference"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/registry"
)

// Whether the base of a Dockerfile is vulnerable follows from what was seen of
// the image on this engine: its layers, read at some time, or a quick look.
// Nothing is read for a file's sake.

// verdicts are what is known of images to which Dockerfiles may build on.
type verdicts struct {
	mu sync.Mutex
	of map[string]verdict // by image id
}

// A verdict is what is known of one image.
type verdict struct {
	image.Repairs
	known bool // somebody has looked; else nothing is remembered of it
}

func (v *verdicts) get(id string) (verdict, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.of[id]
	return found, ok
}

// set notes what is known of an image, and reports whether that is news.
func (v *verdicts) set(id string, now verdict) (news bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil {
		v.of = map[string]verdict{}
	}
	before := v.of[id]
	v.of[id] = now
	return now.known != before.known || !now.Repairs.Equal(before.Repairs)
}

// forget forgets everything, since advisories have changed.
func (v *verdicts) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.of)
}

// verdict notes what was seen of an image, and reports whether that is news.
func (v *Inventory) verdict(i *image.Image) (news bool) {
	repairs, known := i.Repairs()
	return known && v.verdicts.set(i.Inspect.ID, verdict{repairs, true})
}

// remember looks what the cache says of an image that nobody has looked at in
// this run, and reports whether there is something.
func (v *Inventory) remember(id string) bool {
	if _, done := v.verdicts.get(id); done {
		return false
	}
	files, ok := v.options.Cache.Known(id)
	if !ok {
		v.verdicts.set(id, verdict{})
		return false
	}
	i := (&image.Image{Now: time.Now()}).WithFiles(files, nil)
	i.Inspect.ID = id
	i.Known, i.KnownErr = v.lookUp(files)
	if v.verdict(i) {
		return true
	}
	v.verdicts.set(id, verdict{})
	return false
}

// mostSiblings is how many other images of a repository are looked at.
const mostSiblings = 16

// siblings returns the ids of the images on this engine that are in the
// repository of ref, with their tags there.
func (x *images) siblings(ref string) map[string][]string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil
	}
	out := map[string][]string{}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, other := range slices.Sorted(maps.Keys(x.byRepository[reference.FamiliarName(named)])) {
		if id := x.ids[other]; id != "" && (len(out) < mostSiblings || out[id] != nil) {
			out[id] = append(out[id], other[len(reference.FamiliarName(named))+1:])
		}
	}
	return out
}

// relatives returns the ids of b and of the images that it could be exchanged
// for.
func (r reader) relatives(ref string, b *dockerfile.Base) []string {
	return append(slices.Sorted(maps.Keys(r.images.siblings(ref))), b.ID)
}

// vulnerable adds to b, which a Dockerfile calls ref, what is known of its
// vulnerabilities, and the tags that have fewer. A tag counts only where at
// least as much is known of it, so that less was not merely seen.
func (r reader) vulnerable(ctx context.Context, ref string, b *dockerfile.Base) error {
	if r.thorough != nil {
		for _, id := range r.relatives(ref, b) {
			r.thorough(id)
		}
	}
	b.Fixable, b.Unrated, b.Better = nil, false, nil
	b.Beyond, b.Repaired, b.Manager = nil, nil, ""
	own, _ := r.verdicts.get(b.ID)
	if !own.known || len(own.IDs) == 0 {
		return nil
	}
	b.Fixable, b.Unrated = own.IDs, own.Unrated
	b.Beyond, b.Repaired, b.Manager = own.Beyond, own.Packages, own.Manager
	mine, err := r.images.inspect(ctx, r.client, b.ID)
	if err != nil || mine == nil {
		return err
	}
	type choice struct {
		tag string
		of  image.Repairs
	}
	var better []choice
	for id, tags := range r.images.siblings(ref) {
		v, _ := r.verdicts.get(id)
		if id == b.ID || !v.known || v.Ended || v.Compare(own.Repairs) >= 0 || !v.SeesAsMuchAs(own.Repairs) {
			continue
		}
		other, err := r.images.inspect(ctx, r.client, id)
		if err != nil {
			return err
		}
		if other == nil || other.Os != mine.Os || other.Architecture != mine.Architecture {
			continue
		}
		for _, tag := range tags {
			if !registry.Before(tag, tagOf(ref)) {
				better = append(better, choice{tag, v.Repairs})
			}
		}
	}
	slices.SortFunc(better, func(a, b choice) int { return cmp.Or(a.of.Compare(b.of), cmp.Compare(a.tag, b.tag)) })
	for _, c := range better {
		b.Better = append(b.Better, c.tag)
	}
	return nil
}

// tagOf returns the tag of a reference, "" without one.
func tagOf(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if tagged, ok := named.(reference.Tagged); ok && err == nil {
		return tagged.Tag()
	}
	return ""
}

// baseRead has the bases of a Dockerfile that was read looked up, which nobody
// has looked at.
func (w *world) baseRead(item Item) {
	f, ok := item.Subject.(*dockerfile.File)
	if !ok {
		return
	}
	r := reader{images: w.images}
	for ref, b := range f.Bases {
		for _, id := range r.relatives(ref, &b) {
			if _, done := w.v.verdicts.get(id); !done {
				if w.remembering.ids == nil {
					w.remembering.ids = map[string]bool{}
				}
				w.remembering.ids[id] = true
			}
		}
	}
}

// remembering are images whose vulnerabilities are looked up in what is
// remembered, since Dockerfiles build on them.
type remembering struct {
	ids  map[string]bool
	busy bool
}

// lookUpBases looks them up, once everything has been read.
func (w *world) lookUpBases(ctx context.Context) {
	if w.remembering.busy || len(w.remembering.ids) == 0 || !w.out.complete || len(w.reading) > 0 {
		return
	}
	ids := slices.Collect(maps.Keys(w.remembering.ids))
	clear(w.remembering.ids)
	w.remembering.busy = true
	go w.v.guard(ctx, func() {
		var found []string
		for _, id := range ids {
			if ctx.Err() == nil && w.v.remember(id) {
				found = append(found, id)
			}
		}
		w.v.post(ctx, func(w *world) {
			w.remembering.busy = false
			for _, id := range found {
				w.baseJudged(id)
			}
		})
	})
}

// baseJudged has the Dockerfiles read again that build on the image called id, or
// on another of its repositories.
func (w *world) baseJudged(id string) {
	summary, ok := w.images.summary(id)
	if !ok {
		return
	}
	repositories := map[string]bool{}
	for _, tag := range summary.RepoTags {
		if named, err := reference.ParseNormalizedNamed(tag); err == nil {
			repositories[named.Name()] = true
		}
	}
	var again []checks.Ref
	for _, item := range w.items {
		f, ok := item.Subject.(*dockerfile.File)
		if !ok {
			continue
		}
		for ref, b := range f.Bases {
			if named, err := reference.ParseDockerRef(ref); b.ID == id || err == nil && repositories[named.Name()] {
				again = append(again, item.Ref)
				break
			}
		}
	}
	w.mark(again...)
}
