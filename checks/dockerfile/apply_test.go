package dockerfile

import (
	"errors"
	"math/rand/v2"
	"testing"

	"plimsoll/checks"
)

func ed(start, end int, text string) checks.Edit {
	return checks.Edit{Start: start, End: end, New: text}
}

func TestApply(t *testing.T) {
	const src = "0123456789"
	tests := map[string]struct {
		edits []checks.Edit
		want  string
	}{
		"none":                              {nil, src},
		"any order":                         {[]checks.Edit{ed(8, 9, "b"), ed(1, 2, "a")}, "0a234567b9"},
		"the same twice":                    {[]checks.Edit{ed(1, 2, "a"), ed(1, 2, "a")}, "0a23456789"},
		"the same insertion twice":          {[]checks.Edit{ed(1, 1, "a"), ed(1, 1, "a")}, "0a123456789"},
		"insertions at one place":           {[]checks.Edit{ed(5, 5, "b"), ed(5, 5, "a")}, "01234ab56789"},
		"lines after the rest of a line":    {[]checks.Edit{ed(10, 10, "\nUSER 1"), ed(10, 10, " && x")}, src + " && x\nUSER 1"},
		"a deletion swallows":               {[]checks.Edit{ed(2, 8, ""), ed(3, 4, "x"), ed(5, 5, "y")}, "0189"},
		"an insertion beside a deletion":    {[]checks.Edit{ed(2, 8, ""), ed(2, 2, "<"), ed(8, 8, ">")}, "01<>89"},
		"deletions that overlap":            {[]checks.Edit{ed(2, 5, ""), ed(4, 8, "")}, "0189"},
		"a replacement beside an insertion": {[]checks.Edit{ed(2, 4, "x"), ed(4, 4, "@")}, "01x@456789"},
		"appended":                          {[]checks.Edit{ed(-1, -1, "b"), ed(-1, -1, "a")}, src + "\nab"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				rand.Shuffle(len(test.edits), func(i, j int) { test.edits[i], test.edits[j] = test.edits[j], test.edits[i] })
				got, err := Apply([]byte(src), test.edits)
				if err != nil || string(got) != test.want {
					t.Fatalf("%v: %q, %v; want %q", test.edits, got, err, test.want)
				}
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, edits := range map[string][]checks.Edit{
		"outside":                       {ed(5, 11, "x")},
		"before the start":              {ed(-2, 1, "x")},
		"backwards":                     {ed(5, 4, "x")},
		"two texts for one place":       {ed(1, 2, "a"), ed(1, 2, "b")},
		"replacements that overlap":     {ed(1, 4, "a"), ed(3, 6, "b")},
		"an insertion in a replacement": {ed(1, 4, "a"), ed(2, 2, "b")},
		"a deletion through a change":   {ed(1, 4, ""), ed(3, 6, "b")},
	} {
		if got, err := Apply([]byte("0123456789"), edits); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	var conflict *Conflict
	if _, err := Apply([]byte("0123"), []checks.Edit{ed(0, 2, "a"), ed(1, 3, "b")}); !errors.As(err, &conflict) {
		t.Errorf("%v is not a Conflict", err)
	}
}

func TestSecretsOfSwallowedEditsAreKept(t *testing.T) {
	inner := ed(3, 4, "x")
	inner.Moved = []checks.MovedSecret{{ID: "token", Value: "v"}}
	got, err := Resolve(10, []checks.Edit{ed(2, 8, ""), inner})
	if err != nil || len(got) != 1 || len(got[0].Moved) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCombine(t *testing.T) {
	groups := [][]checks.Edit{
		{ed(1, 2, "a"), {Path: "x", Start: -1, End: -1, New: "b"}},
		{ed(1, 2, "c"), ed(5, 6, "c")},
		{ed(7, 8, "d")},
	}
	byPath, left := Combine(groups, func(string) int { return 10 })
	if len(left) != 1 || left[0] != 1 || len(byPath[""]) != 2 || len(byPath["x"]) != 1 {
		t.Errorf("%v, %v left", byPath, left)
	}
}
