package layers

import "strings"

// covers say of paths which layer hides what the layers below it have there.
// Layers are added from the top down.
type covers map[string]cover

type cover struct {
	layer int // the lowest that was added, which is the one right above
	what  covering
}

type covering uint8

const (
	directory covering = 1 << iota // merges with one below
	other                          // replaces whatever is below
	deletes
	empties // the directory
)

func (c covers) add(layer int, l *Layer) {
	for n := range l.Files {
		f := &l.Files[n]
		what := other
		switch f.Kind {
		case Dir:
			what = directory
		case Whiteout:
			what = deletes
		case Opaque:
			what = empties
		}
		c[f.Path] = cover{layer, c[f.Path].what | what}
	}
}

// of returns the layer that hides f, -1 if none does.
func (c covers) of(f *File) int {
	if len(c) == 0 {
		return -1
	}
	if above, ok := c[f.Path]; ok && above.what != empties {
		return above.layer
	}
	for dir := f.Path; ; {
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			break
		}
		dir = dir[:i]
		if above := c[dir]; above.what&^directory != 0 {
			return above.layer
		}
	}
	if above := c[""]; above.what&empties != 0 {
		return above.layer
	}
	return -1
}

// versions say which entry of a layer counts when a path comes more than once.
// Tar files may repeat a path: the last one wins.
type versions map[string]int

func lastOf(l *Layer) versions {
	v := make(versions, len(l.Files))
	repeated := false
	for n := range l.Files {
		if k := l.Files[n].Kind; k == Whiteout || k == Opaque {
			continue
		}
		if _, ok := v[l.Files[n].Path]; ok {
			repeated = true
		}
		v[l.Files[n].Path] = n
	}
	if !repeated {
		return nil
	}
	return v
}

func (v versions) replaced(n int, path string) bool { return v != nil && v[path] != n }
