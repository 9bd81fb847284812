package inventory

import (
	"testing"
	"time"

	"plimsoll/checks"
)

func TestDirtyCoalesces(t *testing.T) {
	ref := func(id string) checks.Ref { return checks.Ref{Kind: checks.Container, ID: id} }
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var d dirty
	if due := d.mark(start, ref("a")); !due.Equal(start) {
		t.Errorf("the first change waits %v, want none", due.Sub(start))
	}
	d.take(start)
	now := start.Add(20 * time.Millisecond)
	if due := d.mark(now, ref("a")); due.Sub(now) != quiet {
		t.Errorf("a change in a burst waits %v, want %v", due.Sub(now), quiet)
	}
	burst := now
	for now.Sub(burst) < 2*ceiling { // never quiet
		now = now.Add(10 * time.Millisecond)
		if now.Sub(burst) >= ceiling {
			break
		}
		d.mark(now, ref("a"))
		if got := d.take(now); len(got) != 0 {
			t.Fatalf("took %v after %v, before it was quiet", got, now.Sub(burst))
		}
	}
	if got := d.take(now); len(got) != 1 || got[0] != ref("a") {
		t.Errorf("took %v at the ceiling, want a", got)
	}
	if due := d.next(); !due.IsZero() {
		t.Errorf("nothing waits, but is due at %v", due)
	}
	d.mark(now, ref("a"), ref("b"))
	d.forget(ref("a"))
	if got := d.take(now.Add(ceiling)); len(got) != 1 || got[0] != ref("b") {
		t.Errorf("took %v, want only b", got)
	}
}

// What was quiet is read at once, whatever else goes on; but a burst of many
// subjects is read in steps.
func TestDirtyHoldsNoOtherUp(t *testing.T) {
	ref := func(id string) checks.Ref { return checks.Ref{Kind: checks.Container, ID: id} }
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var d dirty
	d.mark(now, ref("busy"))
	d.take(now)
	d.mark(now.Add(time.Millisecond), ref("busy"))
	if due := d.mark(now.Add(5*time.Millisecond), ref("new")); due.Sub(now) != distance {
		t.Errorf("a new subject beside a busy one waits until %v after the last read, want %v", due.Sub(now), distance)
	}
	now = now.Add(distance)
	if got := d.take(now); len(got) != 1 || got[0] != ref("new") {
		t.Errorf("took %v, want only new", got)
	}
	if due := d.next(); due.Before(now.Add(100 * time.Millisecond)) {
		t.Errorf("busy is due %v later, though it is not quiet", due.Sub(now))
	}
	reads := 0
	for range 1000 { // subjects, one a millisecond
		now = now.Add(time.Millisecond)
		if due := d.mark(now, ref(now.String())); !due.After(now) {
			d.take(now)
			reads++
		}
	}
	if reads > int(time.Second/distance)+1 {
		t.Errorf("a burst of a second was read %d times", reads)
	}
}

func TestDirtyTakesNewestName(t *testing.T) {
	var d dirty
	d.mark(time.Now(), checks.Ref{Kind: checks.Container, ID: "x", Name: "old"})
	d.mark(time.Now(), checks.Ref{Kind: checks.Container, ID: "x", Name: "new"})
	if got := d.take(time.Now()); len(got) != 1 || got[0].Name != "new" {
		t.Errorf("took %v, want one ref called new", got)
	}
}
