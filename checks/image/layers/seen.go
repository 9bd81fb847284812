package layers

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"plimsoll/checks/packages"
)

// seen gathers, of the files that a container sees, what only all layers
// together can tell. Layers are added from the top down.
type seen struct {
	says     map[string]bool // files that say something, of all layers
	layer    map[string]int  // in which a container sees them
	licenses []License
	settings []Setting
	programs []Found
	copies   map[sum]*Copies
}

// A sum tells content apart.
type sum struct {
	hash uint64
	size int64
}

func newSeen(layers []*Layer) *seen {
	s := &seen{says: map[string]bool{}, layer: map[string]int{}, copies: map[sum]*Copies{}}
	for _, l := range layers {
		for i := range l.Software {
			s.says[l.Software[i].Path] = true
		}
		for _, c := range l.Licenses {
			s.says[c.File] = true
		}
		for _, c := range l.Untrusted {
			s.says[c.File] = true
		}
	}
	return s
}

// namedCopies is how many paths of the same content are remembered.
const namedCopies = 8

func (s *seen) add(f *File, layer int) {
	if f.Kind != Regular {
		return
	}
	if s.says[f.Path] {
		s.layer[f.Path] = layer
	}
	if f.Program && f.Mode&0o111 != 0 && inPath(f.Path) && !ofLanguage(f.Path) {
		s.programs = append(s.programs, Found{Path: f.Path, Layer: layer, Size: f.Size, Mode: f.Mode})
	}
	if f.Sum == 0 {
		return
	}
	key := sum{f.Sum, f.Size}
	c := s.copies[key]
	if c == nil {
		c = &Copies{Size: f.Size}
		s.copies[key] = c
	}
	if c.Count++; len(c.Paths) < namedCopies {
		c.Paths = append(c.Paths, f.Path)
	}
}

// inPath reports whether name is where programs are looked for.
func inPath(name string) bool {
	switch path.Base(path.Dir(name)) {
	case "bin", "sbin", "libexec":
		return true
	}
	return false
}

// lists takes in what the files of a layer say that was added before.
func (s *seen) lists(layer int, l *Layer) {
	for _, c := range l.Licenses {
		if s.in(layer, c.File) {
			s.licenses = append(s.licenses, c)
		}
	}
	for _, c := range l.Untrusted {
		if s.in(layer, c.File) {
			s.settings = append(s.settings, c)
		}
	}
}

// in reports whether a container sees the file at path as it is in layer.
func (s *seen) in(layer int, path string) bool {
	at, ok := s.layer[path]
	return ok && at == layer
}

// mostCopies is how many groups of equal files are told.
const mostCopies = 20

func (s *seen) join(to *Summary, c *Contents) {
	var said [][]packages.File
	for _, l := range c.Layers {
		said = append(said, l.Software)
	}
	var owned packages.Owned
	to.Installed, owned = packages.Join(said, s.in)
	to.Licenses, to.Untrusted = s.licenses, s.settings
	slices.SortFunc(to.Licenses, func(a, b License) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Name, b.Name), cmp.Compare(a.File, b.File))
	})
	slices.SortFunc(to.Untrusted, func(a, b Setting) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	if len(owned) > 0 {
		for _, f := range s.programs {
			if !owned.Has(f.Path) {
				to.Unowned = append(to.Unowned, f)
			}
		}
	}
	for _, c := range s.copies {
		if c.Count > 1 {
			slices.Sort(c.Paths)
			to.Duplicate = append(to.Duplicate, *c)
		}
	}
	slices.SortFunc(to.Duplicate, func(a, b Copies) int {
		return cmp.Or(cmp.Compare(b.Wasted(), a.Wasted()), cmp.Compare(a.Paths[0], b.Paths[0]))
	})
	to.Duplicate = to.Duplicate[:min(len(to.Duplicate), mostCopies)]
}

// ofLanguage reports whether a package manager of a language filled the
// directory that name is in.
func ofLanguage(name string) bool {
	return slices.ContainsFunc(packageTrees, func(p string) bool { return strings.Contains("/"+name, p) })
}

// cacheTrees are where package managers keep what they downloaded.
var cacheTrees = []string{
	"var/lib/apt/lists", "var/cache/apt", "var/cache/apk", "var/cache/yum", "var/cache/dnf", "var/cache/libdnf5", "var/cache/zypp",
	"root/.cache/pip", "root/.npm", "usr/local/share/.cache/yarn",
}

// caches are the bytes of a layer below each of cacheTrees.
type caches map[string]int64

func (c caches) add(f *File) {
	if f.Kind != Regular || f.Size == 0 {
		return
	}
	for _, tree := range cacheTrees {
		if rest, ok := strings.CutPrefix(f.Path, tree); ok && strings.HasPrefix(rest, "/") {
			c[tree] += f.Size
			return
		}
	}
}

func (c caches) found(layer int) (out []Found) {
	for _, tree := range cacheTrees {
		if c[tree] > 0 {
			out = append(out, Found{Path: tree, Layer: layer, Size: c[tree]})
		}
	}
	return out
}
