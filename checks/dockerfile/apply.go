package dockerfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A Conflict says that two edits want different text in the same place.
type Conflict struct{ First, Second checks.Edit }

// Error names both ranges but not the texts, which may hold secrets.
func (c *Conflict) Error() string {
	return fmt.Sprintf("edits of bytes %d-%d and %d-%d conflict", c.First.Start, c.First.End, c.Second.Start, c.Second.End)
}

// Apply returns src with edits of one file carried out; every byte outside of
// them stays as it is. A file that does not exist has a nil src.
//
// Edits may come in any order, the result does not depend on it:
//   - the same edit twice is one edit;
//   - insertions at one place all happen, in the order of their text: first
//     options of the instruction, then the commands that come before what is there, then what belongs to it, then
//     commands after it, those that begin a new line last;
//   - a deletion swallows what is changed inside of it, and deletions that
//     overlap are one deletion;
//   - what is appended starts on a line of its own;
//   - everything else that overlaps is a [*Conflict].
func Apply(src []byte, edits []checks.Edit) ([]byte, error) {
	edits, err := Resolve(len(src), onOwnLine(src, edits))
	if err != nil {
		return nil, err
	}
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(out, src[at:e.Start]...)
		out = append(out, e.New...)
		at = e.End
	}
	return append(out, src[at:]...), nil
}

// onOwnLine puts an end of line before what is appended to a src without one.
func onOwnLine(src []byte, edits []checks.Edit) []checks.Edit {
	if len(src) == 0 || src[len(src)-1] == '\n' {
		return edits
	}
	var out, appended []checks.Edit
	for _, e := range edits {
		if e.Start == -1 {
			appended = append(appended, e)
		} else {
			out = append(out, e)
		}
	}
	if len(appended) == 0 {
		return edits
	}
	slices.SortStableFunc(appended, func(a, b checks.Edit) int { return strings.Compare(a.New, b.New) })
	one := appended[0]
	one.New = "\n"
	one.Moved = nil
	last := ""
	for _, e := range appended {
		if e.New != last {
			one.New += e.New
		}
		one.Moved = append(one.Moved, missing(e.Moved, one.Moved)...)
		last = e.New
	}
	return append(out, one)
}

// Resolve returns edits of a file of size bytes in order and without overlap,
// by the rules of [Apply]. Appending edits get their real offsets.
func Resolve(size int, edits []checks.Edit) ([]checks.Edit, error) {
	sorted := slices.Clone(edits)
	for i := range sorted {
		e := &sorted[i]
		if e.Start == -1 && e.End == -1 {
			e.Start, e.End = size, size
		}
		if e.Start < 0 || e.End < e.Start || e.End > size {
			return nil, fmt.Errorf("edit of bytes %d-%d is outside of the file's %d", e.Start, e.End, size)
		}
	}
	slices.SortStableFunc(sorted, func(a, b checks.Edit) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(rank(a), rank(b)), strings.Compare(a.New, b.New))
	})
	deletions := union(sorted)
	var out []checks.Edit
	for _, e := range sorted {
		if isDeletion(e) || swallowed(e, deletions) {
			continue
		}
		if n := len(out); n > 0 {
			last := out[n-1]
			if last.Start == e.Start && last.End == e.End && last.New == e.New {
				out[n-1].Moved = append(slices.Clone(last.Moved), missing(e.Moved, last.Moved)...)
				continue
			}
			if e.Start < last.End || e.Start == last.Start && last.End > last.Start {
				return nil, &Conflict{last, e}
			}
		}
		out = append(out, e)
	}
	for _, d := range deletions {
		for _, e := range out {
			if e.Start < d.End && d.Start < e.End {
				return nil, &Conflict{d, e}
			}
		}
	}
	out = append(out, deletions...)
	slices.SortStableFunc(out, func(a, b checks.Edit) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	return out, nil
}

// Combine chooses the groups that can be carried out together, a group being
// all edits of one fix, each of them whole or not at all: earlier groups win.
// It returns their edits by path, and the indexes of the groups left out.
// Size returns how long the file at an edit's path is.
func Combine(groups [][]checks.Edit, size func(path string) int) (byPath map[string][]checks.Edit, left []int) {
	byPath = map[string][]checks.Edit{}
	for i, group := range groups {
		trial := map[string][]checks.Edit{}
		for _, e := range group {
			if _, ok := trial[e.Path]; !ok {
				trial[e.Path] = slices.Clone(byPath[e.Path])
			}
			trial[e.Path] = append(trial[e.Path], e)
		}
		ok := true
		for path, edits := range trial {
			if _, err := Resolve(size(path), edits); err != nil {
				ok = false
			}
		}
		if !ok {
			left = append(left, i)
			continue
		}
		for path, edits := range trial {
			byPath[path] = edits
		}
	}
	return byPath, left
}

// rank orders insertions at one place: options of the instruction, whole
// commands before the one that is there, what belongs to that one, commands
// after it, lines after it.
func rank(e checks.Edit) int {
	switch {
	case strings.HasPrefix(e.New, "\n") || strings.HasPrefix(e.New, "\r\n"):
		return 3
	case strings.HasPrefix(strings.TrimLeft(e.New, " \t\r\n\\`"), "&& "):
		return 2
	case strings.HasPrefix(e.New, "@"): // the digest of an image belongs to its name
		return -2
	case strings.HasPrefix(e.New, "--"):
		return -1
	case strings.HasSuffix(e.New, " && "):
		return 0
	}
	return 1
}

func isDeletion(e checks.Edit) bool { return e.New == "" && e.End > e.Start }

// union joins the deletions among sorted that overlap. What is moved by any of
// them, or by an edit inside, is moved by the whole.
func union(sorted []checks.Edit) []checks.Edit {
	var out []checks.Edit
	for _, e := range sorted {
		if !isDeletion(e) {
			continue
		}
		if n := len(out); n > 0 && e.Start < out[n-1].End {
			last := &out[n-1]
			last.End = max(last.End, e.End)
			last.Moved = append(slices.Clone(last.Moved), missing(e.Moved, last.Moved)...)
			continue
		}
		out = append(out, e)
	}
	for i := range out {
		for _, e := range sorted {
			if !isDeletion(e) && within(e, out[i]) {
				out[i].Moved = append(slices.Clone(out[i].Moved), missing(e.Moved, out[i].Moved)...)
			}
		}
	}
	return out
}

func swallowed(e checks.Edit, deletions []checks.Edit) bool {
	return slices.ContainsFunc(deletions, func(d checks.Edit) bool { return within(e, d) })
}

// within reports whether e lies inside of the deletion d: an insertion at
// either end of it does not.
func within(e, d checks.Edit) bool {
	if e.Start == e.End {
		return d.Start < e.Start && e.Start < d.End
	}
	return d.Start <= e.Start && e.End <= d.End
}

func missing(from, in []checks.MovedSecret) []checks.MovedSecret {
	var out []checks.MovedSecret
	for _, m := range from {
		if !slices.Contains(in, m) {
			out = append(out, m)
		}
	}
	return out
}
