package tui

import "testing"

// An original is removed only after it was shown what goes, and only of a
// change that keeps one.
func TestDiscard(t *testing.T) {
	f := &fakeFixer{entries: changes()}
	m := shop(t, f)
	press(m, "U")
	shows(t, m, "remove the original")
	press(m, "d")
	shows(t, m, "for good?", ".plimsoll-old-", "12MiB", "cannot be undone any more")
	press(m, "esc")
	if len(f.discarded) > 0 {
		t.Fatalf("removed without a yes: %v", f.discarded)
	}
	press(m, "U", "d", "enter")
	if len(f.discarded) != 1 || f.discarded[0] != f.entries[0].ID {
		t.Errorf("removed %v", f.discarded)
	}
}

func TestDiscardReadOnly(t *testing.T) {
	f := &fakeFixer{entries: changes()}
	m := newModel(t, Options{Fixer: f, ReadOnly: true}, 120, 40)
	drive(m, updateMsg(fixture()))
	press(m, "U", "d", "enter")
	if len(f.discarded) > 0 {
		t.Errorf("removed %v", f.discarded)
	}
}
