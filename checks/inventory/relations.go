package inventory

import (
	"reflect"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/host"
)

// What one subject says of another is renewed here without reading it again:
// the tag of a container's image, the base of a Dockerfile, the running
// containers of the host.

// imagesChanged follows the engine's list of images. Ids in changed are new or
// have other references than before.
func (w *world) imagesChanged(changed, gone []string) {
	for _, id := range gone {
		w.remove(checks.Ref{Kind: checks.Image, ID: id})
	}
	for _, id := range changed {
		ref, status := imageRef(w.images, id)
		if _, known := w.items[identify(ref)]; !known {
			w.put(Item{Ref: ref, Status: status})
		}
		w.mark(ref)
	}
	for _, item := range w.items {
		switch s := item.Subject.(type) {
		case *container.Container:
			if id := w.images.resolve(s.Settings.Image); id != s.TagID {
				moved := *s
				moved.TagID = id
				item.Subject = &moved
				w.rejudge(item)
			}
		case *dockerfile.File:
			if w.basesMoved(s, changed) {
				w.mark(item.Ref)
			}
		case *compose.File:
			if w.imagesMoved(s, changed) {
				w.mark(item.Ref)
			}
		}
	}
	w.hostSees()
}

func (w *world) basesMoved(f *dockerfile.File, changed []string) bool {
	return slices.ContainsFunc(f.BaseImages(), func(ref string) bool {
		id := w.images.resolve(ref)
		return id != f.Bases[ref].ID || slices.Contains(changed, id)
	})
}

func (w *world) imagesMoved(f *compose.File, changed []string) bool {
	return slices.ContainsFunc(f.Services, func(s *container.Container) bool {
		id := w.images.resolve(s.Settings.Image)
		return id != s.TagID || id != "" && slices.Contains(changed, id)
	})
}

// hostSees tells the host's subject which containers there are, which of them
// run, and what they use, once everything has been read.
func (w *world) hostSees() {
	if len(w.reading) > 0 {
		return
	}
	attached := make([]host.Attached, 0, len(w.attached))
	for key, a := range w.attached {
		item, ok := w.items[key]
		if !ok {
			delete(w.attached, key)
			continue
		}
		if c, read := item.Subject.(*container.Container); read {
			a.Outdated = outdated(c.Inspect.Image, c.Settings.Image, c.TagID)
		}
		attached = append(attached, a)
	}
	for _, item := range w.items {
		h, ok := item.Subject.(*host.Host)
		if !ok {
			continue
		}
		seen := *h
		seen.Attach(attached)
		seen.Usage = w.images.usage(h.Usage, attached)
		if h.Usage != seen.Usage || !reflect.DeepEqual(h.Attached, seen.Attached) {
			item.Subject = &seen
			w.rejudge(item)
		}
	}
}

// outdated reports whether the tag by which a container was made names another
// image by now.
func outdated(image, ref, tagID string) bool {
	return tagID != "" && image != "" && tagID != image && !strings.Contains(ref, "sha256:")
}
