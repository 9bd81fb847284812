package watch

import (
	"context"
	"testing"
	"time"
)

// Whoever begins or ends looking is heard also while the watcher has no time:
// it would look for ever otherwise, or never.
func TestAttendIsNotLost(t *testing.T) {
	w := New(Options{Looking: true})
	busy, stop := context.WithTimeout(t.Context(), time.Millisecond) // nobody runs it
	defer stop()
	if !w.look.always.Load() {
		t.Fatal("what was asked for at the start is lost")
	}
	w.Attend(busy, false)
	if w.look.always.Load() {
		t.Error("it goes on looking")
	}
	w.Attend(busy, true)
	if !w.look.always.Load() {
		t.Error("it does not look")
	}
}
