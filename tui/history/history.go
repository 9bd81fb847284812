// Package history remembers which findings there were: when each appeared, was
// fixed, and came back. It knows checks, names and times, and nothing of what
// findings say, so that no secret can get into it.
//
// What makes a finding the same at different times is its check, its key and
// the place of its subject: the path of a file below its project, the name of a
// container, the reference of an image. So a container that is created anew
// under its name, by a fix or by an update, keeps its history.
package history

import (
	"cmp"
	"slices"
	"time"

	"plimsoll/checks"
)

// A Place is a subject as it is recognised over time.
type Place struct {
	Kind checks.Kind `json:"kind"`
	Name string      `json:"name"` // safe to show
}

// A Known finding is or was somewhere.
type Known struct {
	Place    Place
	Check    string
	Key      string
	Severity checks.Severity
}

func (k Known) id() id { return id{k.Place, k.Check, k.Key} }

type id struct {
	place      Place
	check, key string
}

// Times are when a finding appeared and was gone, in turn; an odd number means
// that it is there. The first is 0 when it was there before anybody looked.
type Times []int64 // seconds since 1970

// open reports whether the finding is there.
func (t Times) open() bool { return len(t)%2 == 1 }

// last returns when the finding appeared or was gone last; the zero time when
// that was before anybody looked.
func (t Times) last() time.Time {
	if len(t) == 0 || t[len(t)-1] == 0 {
		return time.Time{}
	}
	return time.Unix(t[len(t)-1], 0)
}

// most is how many times are remembered of one finding.
const most = 16

// add notes that the finding appeared, or is gone.
func (t Times) add(at int64) Times {
	if len(t) >= most {
		t = slices.Delete(t, 1, 3) // the first stays: it says since when it is known at all
	}
	return append(t, at)
}

// A record is one finding with its times.
type record struct {
	severity checks.Severity
	times    Times
}

// A Book is the history of one scope: an engine, or the files of a project.
type Book struct {
	began    int64 // of the first time that everything was looked at; 0: never yet
	seen     int64 // of the last
	checks   map[string]bool
	records  map[id]record
	removed  map[Place]int64 // subjects that are gone, and since when
	postures map[string][]float64

	byPlace map[Place]map[id]struct{} // keys of records; nil until somebody asks
	pending []Change                  // not yet on disk
}

// NewBook returns a history that knows nothing.
func NewBook() *Book {
	return &Book{checks: map[string]bool{}, records: map[id]record{}, removed: map[Place]int64{}, postures: map[string][]float64{}}
}

// An Op is what a [Change] does.
type Op int

const (
	Appeared Op = iota + 1
	Fixed       // the subject is there, the finding is not
	Removed     // the subject is gone
	Present     // the subject is there (again)
	Looked      // everything was looked at, by Checks
	Scored      // the posture of a day
)

// A Change is one thing that was observed. Applied twice it does no more than
// once, so that two processes that see the same do not disturb each other.
type Change struct {
	Op      Op
	At      int64
	Known   Known     // of Appeared and Fixed; its place alone of Removed and Present
	Initial bool      // of Appeared: it was there before anybody looked
	Checks  []string  // of Looked
	Day     string    // of Scored
	Posture []float64 // of Scored: all, then by chapter
}

// apply takes c into b and reports whether it said anything new.
func (b *Book) apply(c Change) bool {
	key := c.Known.id()
	r := b.records[key]
	switch c.Op {
	case Appeared:
		if r.times.open() {
			if r.severity != c.Known.Severity {
				r.severity = c.Known.Severity
				b.records[key] = r
				return true
			}
			return false
		}
		at := c.At
		if c.Initial && len(r.times) == 0 {
			at = 0
		}
		b.records[key] = record{c.Known.Severity, r.times.add(at)}
		b.index(key)
	case Fixed:
		if !r.times.open() {
			return false
		}
		r.times = r.times.add(c.At)
		b.records[key] = r
	case Removed:
		if b.removed[c.Known.Place] != 0 {
			return false
		}
		b.removed[c.Known.Place] = c.At
	case Present:
		if b.removed[c.Known.Place] == 0 {
			return false
		}
		delete(b.removed, c.Known.Place)
	case Looked:
		if b.began == 0 {
			b.began = c.At
		}
		b.seen = max(b.seen, c.At)
		for _, id := range c.Checks {
			b.checks[id] = true
		}
	case Scored:
		if slices.Equal(b.postures[c.Day], c.Posture) {
			return false
		}
		b.postures[c.Day] = c.Posture
	}
	return true
}

// note applies c and keeps it for the disk.
func (b *Book) note(c Change) {
	if b.apply(c) {
		b.pending = append(b.pending, c)
	}
}

// Pending returns what was observed since the last time it was asked.
func (b *Book) Pending() []Change {
	p := b.pending
	b.pending = nil
	return p
}

// Began returns when everything was looked at first; zero: never yet.
func (b *Book) Began() time.Time { return since(b.began) }

// Seen returns when everything was looked at last; zero: never yet.
func (b *Book) Seen() time.Time { return since(b.seen) }

func since(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Limits of a book: closed records older than keep are forgotten, then the
// oldest until there are no more than capacity.
const (
	keep         = 120 * 24 * time.Hour
	capacity     = 20_000
	keptPostures = 400
)

// trim forgets what is too old or too much.
func (b *Book) trim(now time.Time) {
	old := now.Add(-keep).Unix()
	b.byPlace = nil
	over := func(key id, r record) (int64, bool) { // since when it is over, and whether it is
		if at := b.removed[key.place]; at != 0 {
			return at, true
		}
		return r.times[len(r.times)-1], !r.times.open()
	}
	type past struct {
		key id
		at  int64
	}
	var ended []past
	for key, r := range b.records {
		if at, ok := over(key, r); ok {
			ended = append(ended, past{key, at})
		}
	}
	slices.SortFunc(ended, func(a, b past) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key.place.Name, b.key.place.Name), cmp.Compare(a.key.check, b.key.check), cmp.Compare(a.key.key, b.key.key))
	})
	for _, p := range ended {
		if p.at >= old && len(b.records) <= capacity {
			break
		}
		delete(b.records, p.key)
	}
	held := map[Place]bool{}
	for key := range b.records {
		held[key.place] = true
	}
	for place := range b.removed {
		if !held[place] {
			delete(b.removed, place)
		}
	}
	days := make([]string, 0, len(b.postures))
	for day := range b.postures {
		days = append(days, day)
	}
	slices.Sort(days)
	for _, day := range days[:max(0, len(days)-keptPostures)] {
		delete(b.postures, day)
	}
}
