package history

import (
	"path/filepath"
	"slices"
	"sync"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// PlaceOf returns where a subject is; files are told from root.
func PlaceOf(root string, ref checks.Ref) Place {
	name := ref.Name
	if ref.Kind == checks.Dockerfile || ref.Kind == checks.Compose {
		name = filepath.ToSlash(ref.ID)
		if rel, err := filepath.Rel(root, ref.ID); err == nil && filepath.IsLocal(rel) {
			name = filepath.ToSlash(rel)
		}
	}
	return Place{ref.Kind, terminal.Line(secret.Redact(name))}
}

// KnownOf returns f as it is recognised over time.
func KnownOf(root string, f *checks.Finding) Known {
	return known(PlaceOf(root, f.Subject), f)
}

func known(place Place, f *checks.Finding) Known {
	k := Known{Place: place, Check: f.Check.ID, Severity: f.Severity}
	if f.Key != "" {
		k.Key = terminal.Line(secret.Redact(f.Key))
	}
	return k
}

// Observe notes what was found in item. Findings of checks that ran says were
// not asked, or of a subject that could not be judged entirely, are left as
// they were, and so are those in layers, while these are not read. What a check
// finds the first time that it is asked at all is not new in the world, only to
// the reader; neither is what the layers hold of an image that was there before.
func (b *Book) Observe(root string, item *inventory.Item, ran func(check string) bool, now time.Time) {
	if item.Subject == nil || item.Status.Kept || item.Status.Past {
		return
	}
	at, place := now.Unix(), PlaceOf(root, item.Ref)
	b.note(Change{Op: Present, At: at, Known: Known{Place: place}})
	there, covered := map[id]bool{}, map[string]bool{}
	unread, before := false, false
	if i, ok := item.Subject.(*image.Image); ok {
		unread, before = i.Files == nil, b.precedes(place)
	}
	note := func(f *checks.Finding) {
		for _, check := range f.Check.Covers {
			covered[check] = true // not reported, and not fixed either
		}
		k := known(place, f)
		there[k.id()] = true
		if f.Check.Layers && unread {
			return
		}
		b.note(Change{Op: Appeared, At: at, Known: k, Initial: b.began == 0 || !b.checks[f.Check.ID] || f.Check.Layers && before})
	}
	for i := range item.Report.Findings {
		note(&item.Report.Findings[i])
	}
	for i := range item.Report.Suppressed {
		note(&item.Report.Suppressed[i].Finding)
	}
	if len(item.Report.Errors) > 0 {
		return
	}
	for key, r := range b.at(place) {
		if r.times.open() && !there[key] && !covered[key.check] && ran(key.check) && !(unread && ofLayers()[key.check]) {
			b.note(Change{Op: Fixed, At: at, Known: Known{place, key.check, key.key, r.severity}})
		}
	}
}

// ofLayers are the checks of what only layers tell.
var ofLayers = sync.OnceValue(func() map[string]bool {
	ids := map[string]bool{}
	for _, c := range image.Checks() {
		ids[c.ID] = c.Layers
	}
	return ids
})

// precedes reports whether an image was there before anybody looked, and its
// layers were not read since.
func (b *Book) precedes(place Place) bool {
	first := false
	for key, r := range b.at(place) {
		if ofLayers()[key.check] {
			return false
		}
		first = first || r.times[0] == 0
	}
	return first
}

// at returns the records of a place.
func (b *Book) at(place Place) map[id]record {
	if b.byPlace == nil {
		b.byPlace = map[Place]map[id]struct{}{}
		for key := range b.records {
			b.index(key)
		}
	}
	out := map[id]record{}
	for key := range b.byPlace[place] {
		out[key] = b.records[key]
	}
	return out
}

func (b *Book) index(key id) {
	if b.byPlace == nil {
		return
	}
	if b.byPlace[key.place] == nil {
		b.byPlace[key.place] = map[id]struct{}{}
	}
	b.byPlace[key.place][key] = struct{}{}
}

// Gone notes that a subject was removed. Its findings are not fixed: should it
// return, they go on.
func (b *Book) Gone(place Place, now time.Time) {
	if len(b.at(place)) > 0 {
		b.note(Change{Op: Removed, At: now.Unix(), Known: Known{Place: place}})
	}
}

// Looked notes that everything of kinds was looked at by checks, and that
// places are all that is there.
func (b *Book) Looked(kinds []checks.Kind, places map[Place]bool, ids []string, now time.Time) {
	b.at(Place{}) // so that there is an index
	for place := range b.byPlace {
		if slices.Contains(kinds, place.Kind) && !places[place] {
			b.Gone(place, now)
		}
	}
	b.note(Change{Op: Looked, At: now.Unix(), Checks: ids})
}

// Score notes the posture of the day of now: of all, then by chapter.
func (b *Book) Score(posture []float64, now time.Time) {
	b.note(Change{Op: Scored, At: now.Unix(), Day: now.Format(time.DateOnly), Posture: posture})
}
