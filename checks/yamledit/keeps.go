package yamledit

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// Keeps tries edits of source on a copy: it returns an error unless every value
// that they do not touch reads as before, in the same place and order.
func Keeps(source []byte, edits []checks.Edit) error {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b checks.Edit) int { return a.Start - b.Start })
	var text []byte
	var old, fresh []span
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(source) {
			return ErrLayout
		}
		text = append(text, source[at:e.Start]...)
		old = append(old, span{e.Start, e.End})
		fresh = append(fresh, span{len(text), len(text) + len(e.New)})
		text, at = append(text, e.New...), e.End
	}
	text = append(text, source[at:]...)
	before, err := Parse(source)
	if err != nil {
		return err
	}
	after, err := Parse(text)
	if err != nil || !slices.Equal(before.values(old), after.values(fresh)) {
		return ErrLayout
	}
	return nil
}

// A span is bytes [start, end) of a file.
type span struct{ start, end int }

// A value is a scalar, an alias or an empty collection, and the keys it is below.
type value struct{ path, tag, text string }

// values returns what is written in f outside of spans, in order.
func (f *File) values(spans []span) []value {
	var all []value
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		switch {
		case empty(n):
			return
		case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
			for _, item := range n.Content {
				walk(item, path+"\x00-")
			}
			return
		case n.Kind == yaml.MappingNode && len(n.Content) > 0:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i], path+"\x00?")
				walk(n.Content[i+1], path+"\x00:"+n.Content[i].Value)
			}
			return
		}
		// What cannot be located counts as not touched.
		start, end, err := f.Span(n)
		if err == nil && slices.ContainsFunc(spans, func(s span) bool { return s.start < end && s.end > start }) {
			return
		}
		all = append(all, value{path, n.Tag, n.Value})
	}
	for _, root := range f.Roots {
		walk(root, "")
	}
	return all
}
