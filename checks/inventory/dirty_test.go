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
	d.take()
	now := start.Add(20 * time.Millisecond)
	if due := d.mark(now, ref("a")); due.Sub(now) != quiet {
		t.Errorf("a change in a burst waits %v, want %v", due.Sub(now), quiet)
	}
	burst := now
	for range 200 { // never quiet
		now = now.Add(10 * time.Millisecond)
		if due := d.mark(now, ref("a"), ref("b")); due.Sub(burst) > ceiling {
			t.Fatalf("a change waits %v, want at most %v", due.Sub(burst), ceiling)
		}
	}
	if got := d.take(); len(got) != 2 || got[0] != ref("a") || got[1] != ref("b") {
		t.Errorf("took %v, want a and b once each", got)
	}
	d.mark(now, ref("a"), ref("b"))
	d.forget(ref("a"))
	if got := d.take(); len(got) != 1 || got[0] != ref("b") {
		t.Errorf("took %v, want only b", got)
	}
}

func TestDirtyTakesNewestName(t *testing.T) {
	var d dirty
	d.mark(time.Now(), checks.Ref{Kind: checks.Container, ID: "x", Name: "old"})
	d.mark(time.Now(), checks.Ref{Kind: checks.Container, ID: "x", Name: "new"})
	if got := d.take(); len(got) != 1 || got[0].Name != "new" {
		t.Errorf("took %v, want one ref called new", got)
	}
}
