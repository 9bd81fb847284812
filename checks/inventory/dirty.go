package inventory

import (
	"time"

	"plimsoll/checks"
)

// A change is read at once when it was quiet before; the rest of a burst waits
// for quiet again, but never longer than the ceiling.
const (
	quiet   = 150 * time.Millisecond
	ceiling = time.Second
)

// dirty is the set of subjects that may have changed since they were read. It
// is a set and not a queue: a subject that changes a hundred times is read once.
type dirty struct {
	refs  map[identity]checks.Ref
	order []identity // first come, first read
	first time.Time  // of the waiting burst
	last  time.Time  // of any mark, also those already taken
}

// mark adds refs and returns when the set should be read.
func (d *dirty) mark(now time.Time, refs ...checks.Ref) time.Time {
	if d.refs == nil {
		d.refs = map[identity]checks.Ref{}
	}
	idle := now.Sub(d.last) > quiet && len(d.refs) == 0
	if len(d.refs) == 0 {
		d.first = now
	}
	d.last = now
	for _, ref := range refs {
		key := identify(ref)
		if _, ok := d.refs[key]; !ok {
			d.order = append(d.order, key)
		}
		d.refs[key] = ref
	}
	if idle {
		return now
	}
	due := now.Add(quiet)
	if latest := d.first.Add(ceiling); due.After(latest) {
		due = latest
	}
	return due
}

// take empties the set.
func (d *dirty) take() []checks.Ref {
	refs := make([]checks.Ref, 0, len(d.order))
	for _, key := range d.order {
		if ref, ok := d.refs[key]; ok {
			refs = append(refs, ref)
			delete(d.refs, key) // it may stand twice in the order
		}
	}
	d.refs, d.order = nil, nil
	return refs
}

// forget drops a subject that is gone.
func (d *dirty) forget(ref checks.Ref) { delete(d.refs, identify(ref)) }
