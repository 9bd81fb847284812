package history

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// New reports whether k appeared after a time. What was there before anybody
// looked is never new.
func (b *Book) New(k Known, after time.Time) bool {
	r, ok := b.records[k.id()]
	return ok && r.times.open() && r.times.last().After(after)
}

// Since returns when k appeared the last time, the zero time when that was
// before anybody looked, and how often it had been fixed before.
func (b *Book) Since(k Known) (at time.Time, fixed int, known bool) {
	r, ok := b.records[k.id()]
	return r.times.last(), (len(r.times) - 1) / 2, ok && r.times.open()
}

// An Event is what happened to a finding.
type Event struct {
	At    time.Time
	Op    Op // Appeared, Fixed or Removed
	Again bool
	Known Known
}

// Events returns what happened after a time, the latest first.
func (b *Book) Events(after time.Time) []Event {
	var all []Event
	for key, r := range b.records {
		k := Known{key.place, key.check, key.key, r.severity}
		for i, t := range r.times {
			if t == 0 || !time.Unix(t, 0).After(after) {
				continue
			}
			op := Appeared
			if i%2 == 1 {
				op = Fixed
			}
			all = append(all, Event{time.Unix(t, 0), op, op == Appeared && i > 0, k})
		}
		if at := b.removed[key.place]; at != 0 && r.times.open() && time.Unix(at, 0).After(after) {
			all = append(all, Event{At: time.Unix(at, 0), Op: Removed, Known: k})
		}
	}
	slices.SortFunc(all, func(x, y Event) int {
		return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.Known.Place.Kind, y.Known.Place.Kind), cmp.Compare(x.Known.Place.Name, y.Known.Place.Name),
			cmp.Compare(y.Known.Severity, x.Known.Severity), cmp.Compare(x.Known.Check, y.Known.Check), cmp.Compare(x.Known.Key, y.Known.Key), cmp.Compare(x.Op, y.Op))
	})
	return all
}

// Fixed returns what was fixed after a time and is fixed still.
func (b *Book) Fixed(after time.Time) []Known {
	var all []Known
	for key, r := range b.records {
		if len(r.times) > 0 && !r.times.open() && r.times.last().After(after) {
			all = append(all, Known{key.place, key.check, key.key, r.severity})
		}
	}
	slices.SortFunc(all, func(x, y Known) int {
		return cmp.Or(cmp.Compare(x.Place.Kind, y.Place.Kind), cmp.Compare(x.Place.Name, y.Place.Name), cmp.Compare(x.Check, y.Check), cmp.Compare(x.Key, y.Key))
	})
	return all
}

// A Day is the posture of one day: of all, then by chapter.
type Day struct {
	Date    string // 2026-11-24
	Posture []float64
}

// Days returns the last n days on which somebody looked, the latest last.
func (b *Book) Days(n int) []Day {
	var all []Day
	for date, posture := range b.postures {
		all = append(all, Day{date, posture})
	}
	slices.SortFunc(all, func(x, y Day) int { return cmp.Compare(x.Date, y.Date) })
	return all[max(0, len(all)-n):]
}

// ParseSince reads a duration before now ("36h", "2d", "1w"), "today",
// "yesterday", a day or a moment ("2026-11-24", RFC 3339).
func ParseSince(text string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for unit, days := range map[string]int{"d": 1, "w": 7} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			if n, err := strconv.ParseUint(number, 10, 12); err == nil {
				return now.AddDate(0, 0, -days*int(n)), nil
			}
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: use a duration (36h, 2d, 1w), today, yesterday, a day (2026-11-24) or last", text)
}
