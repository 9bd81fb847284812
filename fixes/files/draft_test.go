package files

import (
	"bytes"
	"testing"

	"github.com/aymanbagabas/go-udiff"

	"plimsoll/checks"
)

// FuzzDraft holds that edits made one after the other, each in the text that
// the one before left, come out as one list of edits of the original.
func FuzzDraft(f *testing.F) {
	f.Add("FROM a\nRUN b\n", "x", "yy", 1, 4, 2, 3)
	f.Add("FROM a", "", "\nUSER 1", 0, 6, 0, 0)
	f.Add("", "a", "b", 0, 0, 1, 1)
	f.Add("abc", "", "z", 1, 2, 1, 1)
	f.Fuzz(func(t *testing.T, before, one, two string, a, b, c, d int) {
		want := before
		draft := newDraft([]byte(before), true)
		for _, e := range []checks.Edit{{Start: a, End: b, New: one}, {Start: c, End: d, New: two}, {Start: -1, End: -1, New: one}} {
			next, err := draft.with([]checks.Edit{e})
			if e.Start == -1 && e.End == -1 {
				want += draft.appended(e.New)
			} else if e.Start < 0 || e.End < e.Start || e.End > len(want) {
				if err == nil {
					t.Fatalf("edit %v of %q", e, want)
				}
				return
			} else {
				want = want[:e.Start] + e.New + want[e.End:]
			}
			if err != nil {
				t.Fatal(err)
			}
			if draft = next; string(draft.bytes()) != want {
				t.Fatalf("%q, want %q", draft.bytes(), want)
			}
		}
		at := 0
		var plain []udiff.Edit
		for _, e := range draft.edits() {
			if e.Start < at {
				t.Fatalf("out of order: %v", draft.edits())
			}
			at = e.End
			plain = append(plain, udiff.Edit{Start: e.Start, End: e.End, New: e.New})
		}
		if got, err := udiff.ApplyBytes([]byte(before), plain); err != nil || !bytes.Equal(got, draft.bytes()) {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	})
}

func TestDraftRefusesOverlaps(t *testing.T) {
	d := newDraft([]byte("0123456789"), true)
	if _, err := d.with([]checks.Edit{{Start: 4, End: 8}, {Start: 2, End: 5}}); err != errOverlap {
		t.Errorf("error %v", err)
	}
	got, err := d.with([]checks.Edit{{Start: 5, End: 5, New: "b"}, {Start: 2, End: 5, New: "a"}, {Start: 5, End: 5, New: "c"}})
	if err != nil || string(got.bytes()) != "01abc56789" {
		t.Errorf("%q, %v", got.bytes(), err)
	}
}

// A secret that an edit moves is still known when a later edit removes what
// the first has put in its place.
func TestDraftKeepsSecrets(t *testing.T) {
	d := newDraft([]byte("ENV A=x\nRUN b\n"), true)
	var err error
	for _, e := range []checks.Edit{
		{Start: 0, End: 8, New: "# moved\n", Moved: []checks.MovedSecret{{ID: "a", Value: "x"}}},
		{Start: 0, End: 8},
	} {
		if d, err = d.with([]checks.Edit{e}); err != nil {
			t.Fatal(err)
		}
	}
	if edits := d.edits(); len(edits) != 1 || len(edits[0].Moved) != 1 || string(d.bytes()) != "RUN b\n" {
		t.Errorf("edits %v of %q", edits, d.bytes())
	}
}
