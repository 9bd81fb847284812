package inventory

import (
	"slices"
	"strings"

	"plimsoll/checks"
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
		}
	}
}

func (w *world) basesMoved(f *dockerfile.File, changed []string) bool {
	return slices.ContainsFunc(f.BaseImages(), func(ref string) bool {
		id := w.images.resolve(ref)
		return id != f.Bases[ref].ID || slices.Contains(changed, id)
	})
}

// hostSees tells the host's subject which containers run.
func (w *world) hostSees() {
	var running []host.Running
	for _, item := range w.items {
		if item.Ref.Kind == checks.Container && item.Status.State == "running" {
			running = append(running, host.Running{Name: item.Ref.Name, Image: item.Status.Image})
		}
	}
	slices.SortFunc(running, func(a, b host.Running) int { return strings.Compare(a.Name, b.Name) })
	for _, item := range w.items {
		if h, ok := item.Subject.(*host.Host); ok && !slices.Equal(h.Containers, running) {
			seen := *h
			seen.Containers = running
			item.Subject = &seen
			w.rejudge(item)
		}
	}
}
