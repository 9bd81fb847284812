package inventory

import (
	"maps"
	"time"

	"plimsoll/checks"
)

// A subject that was quiet before is read at once; one that goes on changing
// waits for quiet again, but never longer than the ceiling. Reads of many
// subjects that change one after the other keep a distance, so that a thousand
// containers do not cost a look at all of them each.
const (
	quiet    = 150 * time.Millisecond
	ceiling  = time.Second
	distance = 30 * time.Millisecond
)

// dirty is the set of subjects that may have changed since they were read. It
// is a set and not a queue: a subject that changes a hundred times is read once.
type dirty struct {
	waiting map[identity]change
	order   []identity             // first come, first read
	marked  map[identity]time.Time // when each was last marked; forgotten after quiet
	due     time.Time              // of the first that waits, or earlier; zero: nothing does
	taken   time.Time              // when the set was last read
}

// change is why a subject has to be read again, and when.
type change struct {
	ref        checks.Ref
	first, due time.Time
}

// mark adds refs and returns when the set should be read.
func (d *dirty) mark(now time.Time, refs ...checks.Ref) time.Time {
	if d.waiting == nil {
		d.waiting, d.marked = map[identity]change{}, map[identity]time.Time{}
	}
	for _, ref := range refs {
		key := identify(ref)
		c, ok := d.waiting[key]
		last, recent := d.marked[key]
		switch {
		case !ok && (!recent || now.Sub(last) > quiet):
			c.first, c.due = now, now
		case !ok:
			c.first, c.due = now, now.Add(quiet)
		case c.due.After(c.first): // not one that is read at once
			c.due = earlier(now.Add(quiet), c.first.Add(ceiling))
		}
		if !ok {
			d.order = append(d.order, key)
		}
		c.ref = ref
		d.waiting[key], d.marked[key] = c, now
		if d.due.IsZero() || c.due.Before(d.due) {
			d.due = c.due
		}
	}
	return d.next()
}

// next returns when the set should be read; zero: there is nothing to read.
func (d *dirty) next() time.Time {
	if soonest := d.taken.Add(distance); !d.due.IsZero() && d.due.Before(soonest) {
		return soonest
	}
	return d.due
}

// take removes what is due by now.
func (d *dirty) take(now time.Time) []checks.Ref {
	var refs []checks.Ref
	var later []identity
	d.due = time.Time{}
	for _, key := range d.order {
		c, ok := d.waiting[key]
		switch {
		case !ok: // it was forgotten, or stands twice in the order
		case !c.due.After(now):
			refs = append(refs, c.ref)
			delete(d.waiting, key)
		default:
			later = append(later, key)
			if d.due.IsZero() || c.due.Before(d.due) {
				d.due = c.due
			}
		}
	}
	d.order = later
	if len(refs) > 0 {
		d.taken = now
	}
	maps.DeleteFunc(d.marked, func(_ identity, last time.Time) bool { return now.Sub(last) > quiet })
	return refs
}

// forget drops a subject that is gone.
func (d *dirty) forget(ref checks.Ref) { delete(d.waiting, identify(ref)) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
