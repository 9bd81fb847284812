package files

import (
	"errors"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A draft is a file on its way from what it was to what it should be. It can
// be edited again and again, each time in its present coordinates, and still
// knows which bytes of the original each change replaces.
//
// Its pieces cover the original in order and without gaps: each keeps a range
// of it, or replaces one, possibly empty, by new text.
type draft struct {
	before []byte
	exists bool // before it was edited
	pieces []piece
}

type piece struct {
	start, end int // of the original
	fresh      bool
	text       string // fresh only
	reason     checks.Message
	moved      []checks.MovedSecret
}

// newDraft returns a draft that begins with source: as what is on disk, or all of it
// new where there is no such file.
func newDraft(source []byte, exists bool) *draft {
	if !exists {
		return &draft{pieces: []piece{{fresh: true, text: string(source)}}}
	}
	return &draft{before: source, exists: exists, pieces: []piece{{end: len(source)}}}
}

func (p *piece) len() int {
	if p.fresh {
		return len(p.text)
	}
	return p.end - p.start
}

// bytes returns the file as it stands.
func (d *draft) bytes() []byte {
	out := make([]byte, 0, len(d.before)+256)
	for _, p := range d.pieces {
		if p.fresh {
			out = append(out, p.text...)
		} else {
			out = append(out, d.before[p.start:p.end]...)
		}
	}
	return out
}

func (d *draft) size() (n int) {
	for i := range d.pieces {
		n += d.pieces[i].len()
	}
	return n
}

var (
	errOverlap = errors.New("edits overlap")
	errBounds  = errors.New("edit outside of the file")
)

// with returns a copy of d with edits made, none of which may touch the bytes
// of another. Insertions at one place keep their order.
func (d *draft) with(edits []checks.Edit) (*draft, error) {
	edits = slices.Clone(edits)
	for i, e := range edits {
		if e.Start == -1 && e.End == -1 {
			edits[i].Start, edits[i].End = d.size(), d.size()
			edits[i].New = d.appended(e.New)
		}
	}
	slices.SortStableFunc(edits, func(a, b checks.Edit) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return a.End - b.End
	})
	size := d.size()
	for i, e := range edits {
		if e.Start < 0 || e.End < e.Start || e.End > size {
			return nil, errBounds
		}
		if i > 0 && e.Start < edits[i-1].End {
			return nil, errOverlap
		}
	}
	next := &draft{before: d.before, exists: d.exists, pieces: slices.Clone(d.pieces)}
	for _, e := range slices.Backward(edits) {
		next.replace(e)
	}
	return next, nil
}

// appended returns text as it must be to follow the present end of the file:
// on a line of its own, with the file's line ends.
func (d *draft) appended(text string) string {
	now := string(d.bytes())
	if now == "" {
		return text
	}
	eol := "\n"
	if strings.Contains(now, "\r\n") {
		eol = "\r\n"
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	}
	if !strings.HasSuffix(now, "\n") {
		text = eol + text
	}
	return text
}

func (d *draft) replace(e checks.Edit) {
	i := d.split(e.Start)
	j := d.split(e.End)
	fresh := piece{fresh: true, text: e.New, reason: e.Reason, moved: slices.Clone(e.Moved)}
	switch {
	case i < j:
		fresh.start, fresh.end = d.pieces[i].start, d.pieces[j-1].end
	case i < len(d.pieces):
		fresh.start = d.pieces[i].start
		fresh.end = fresh.start
	default:
		fresh.start, fresh.end = len(d.before), len(d.before)
	}
	for _, p := range d.pieces[i:j] {
		fresh.moved = append(fresh.moved, p.moved...)
	}
	d.pieces = slices.Replace(d.pieces, i, j, fresh)
}

// split makes a piece begin at offset of the present text and returns its index.
func (d *draft) split(offset int) int {
	for i := range d.pieces {
		if offset == 0 {
			return i
		}
		p := d.pieces[i]
		if n := p.len(); offset >= n {
			offset -= n
			continue
		}
		left, right := p, p
		if p.fresh {
			left.text, right.text = p.text[:offset], p.text[offset:]
			right.start, right.moved = p.end, nil
		} else {
			left.end, right.start = p.start+offset, p.start+offset
		}
		d.pieces = slices.Replace(d.pieces, i, i+1, left, right)
		return i + 1
	}
	return len(d.pieces)
}

// edits returns what turns the original into the present text, in order and
// disjoint.
func (d *draft) edits() []checks.Edit {
	var out []checks.Edit
	for _, p := range d.pieces {
		if p.fresh && (p.start < p.end || p.text != "") {
			out = append(out, checks.Edit{Start: p.start, End: p.end, New: p.text, Reason: p.reason, Moved: p.moved})
		}
	}
	return out
}

// changed reports whether the file would be written.
func (d *draft) changed() bool { return string(d.bytes()) != string(d.before) }
