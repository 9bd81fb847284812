package layers

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// seen gathers, of the files that a container sees, what only all layers
// together can tell. Layers are added from the top down.
type seen struct {
	paths    map[string]bool // of lists that are seen
	packages []Package
	licenses map[string][]string
	settings []Setting
	owned    map[uint64]bool
	rpm      bool // packages whose files nobody here knows
	programs []Found
	copies   map[sum]*Copies
}

// A sum tells content apart.
type sum struct {
	hash uint64
	size int64
}

func newSeen() *seen {
	return &seen{paths: map[string]bool{}, licenses: map[string][]string{}, owned: map[uint64]bool{}, copies: map[sum]*Copies{}}
}

// namedCopies is how many paths of the same content are remembered.
const namedCopies = 8

func (s *seen) add(f *File, layer int) {
	if f.Kind != Regular {
		return
	}
	switch {
	case listed(f.Path):
		s.paths[f.Path] = true
	case strings.HasPrefix(f.Path, "var/lib/rpm/") || strings.HasPrefix(f.Path, "usr/lib/sysimage/rpm/"):
		s.rpm = true
	}
	if f.Program && f.Mode&0o111 != 0 && !strings.Contains(path.Base(f.Path), ".so") && !ofLanguage(f.Path) {
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

// listed reports whether one of the visitors reads lists or settings at name.
func listed(name string) bool {
	for _, top := range []string{"var/lib/dpkg/", "lib/apk/db/", "usr/lib/apk/db/", "usr/share/doc/", "etc/"} {
		if strings.HasPrefix(name, top) {
			return true
		}
	}
	switch path.Base(name) {
	case "METADATA", "package.json", "pip.conf":
		return true
	}
	return false
}

// lists takes in what the lists of a layer say, whose files were added before.
// A list that is seen in a higher layer has been taken from there.
func (s *seen) lists(l *Layer) {
	mine := map[string]bool{}
	for n := range l.Files {
		if f := &l.Files[n]; s.paths[f.Path] {
			mine[f.Path] = true
		}
	}
	for _, p := range l.Packages {
		if mine[p.List] {
			s.packages = append(s.packages, p)
		}
	}
	for _, o := range l.Owned {
		if mine[o.List] {
			for _, hash := range o.Paths {
				s.owned[hash] = true
			}
		}
	}
	for _, c := range l.Licenses {
		if mine[c.File] {
			s.licenses[c.Package] = append(s.licenses[c.Package], c.Name)
		}
	}
	for _, c := range l.Untrusted {
		if mine[c.File] {
			s.settings = append(s.settings, c)
		}
	}
	for name := range mine {
		delete(s.paths, name)
	}
}

// mostCopies is how many groups of equal files are told.
const mostCopies = 20

func (s *seen) join(to *Summary) {
	for n, p := range s.packages {
		if p.License == "" {
			s.packages[n].License = strings.Join(s.licenses[p.Name], " AND ")
		}
	}
	slices.SortFunc(s.packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.List, b.List))
	})
	to.Packages, to.Untrusted = s.packages, s.settings
	slices.SortFunc(to.Untrusted, func(a, b Setting) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	if len(s.owned) > 0 && !s.rpm {
		for _, f := range s.programs {
			if !s.owned[ownable(f.Path)] {
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
