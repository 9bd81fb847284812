package attack

import (
	"maps"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/compose"
)

// An Effect is what a change would do to the paths.
type Effect struct {
	Before int    // how many there are
	Cut    []Path // gone afterwards, the worst first
	New    []Path // that the change would open
}

// Copy returns a map that knows the same and can be asked elsewhere.
func (m *Map) Copy() *Map {
	return &Map{subjects: maps.Clone(m.subjects), engine: m.engine}
}

// Effect returns what a change of subjects would do to the paths: containers and
// compose files as they are, where m need not know them, and as they would be.
// What runs of such a file counts as the file says it, before and after. m stays
// as it is.
func (m *Map) Effect(now, after []checks.Subject) Effect {
	before, changed := m.Copy(), m.Copy()
	files := map[string]bool{}
	for _, s := range after {
		if f, ok := s.(*compose.File); ok {
			files[f.Path] = true
		}
	}
	for key, nodes := range m.subjects {
		if slices.ContainsFunc(nodes, func(n *node) bool { return !n.planned() && n.madeFrom(files) }) {
			delete(before.subjects, key)
			delete(changed.subjects, key)
		}
	}
	put := func(m *Map, subjects []checks.Subject) {
		for _, s := range subjects {
			if kind := s.Ref().Kind; kind == checks.Container || kind == checks.Compose {
				m.Put(s, nil)
			}
		}
	}
	put(before, now)
	put(changed, after)
	was, is := before.Paths(), changed.Paths()
	return Effect{Before: len(was), Cut: without(was, is), New: without(is, was)}
}

// madeFrom reports whether docker compose made n from one of files.
func (n *node) madeFrom(files map[string]bool) bool {
	for file := range strings.SplitSeq(n.files, ",") {
		if files[file] {
			return true
		}
	}
	return false
}

// without returns the paths that have none like them among others.
func without(paths, others []Path) []Path {
	var out []Path
	for i := range paths {
		if !slices.ContainsFunc(others, func(o Path) bool { return o.same(&paths[i]) }) {
			out = append(out, paths[i])
		}
	}
	return out
}
