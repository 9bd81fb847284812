package packages

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Inventory is what is installed in the file system that a container sees.
type Inventory struct {
	Release  *Release // nil: no os-release was found
	Packages []Package
	Trouble  []string // what could not be read, and where
}

// Owned are the files that distribution packages brought, those that may be
// programs in a directory for programs; none where packages are not known.
type Owned map[string]bool

// Has reports whether a distribution package brought the file at path.
func (o Owned) Has(path string) bool { return o[merged(path)] }

// Join makes the inventory of an image from what its layers say, the lowest
// first. Visible reports whether a container sees the file at path as it is in
// layer.
func Join(layers [][]File, visible func(layer int, path string) bool) (*Inventory, Owned) {
	out, owned := &Inventory{}, Owned{}
	first := map[identity]int{}
	for i, files := range layers {
		for n := range files {
			f := &files[n]
			for _, p := range f.Packages {
				id := p.identity()
				if _, seen := first[id]; !seen {
					first[id] = i
				}
			}
			if !visible(i, f.Path) {
				continue
			}
			if f.Release != nil && (out.Release == nil || f.Path == "etc/os-release") {
				out.Release = f.Release
			}
			for _, name := range f.Owns {
				owned[merged(name)] = true
			}
			if f.Trouble != "" {
				out.Trouble = append(out.Trouble, fmt.Sprintf("/%s: %s", f.Path, f.Trouble))
			}
			out.Packages = append(out.Packages, f.Packages...)
		}
	}
	for i := range out.Packages {
		p := &out.Packages[i]
		p.Layer = first[p.identity()]
		p.Owned = !p.Type.Distribution() && owned.Has(p.Path)
	}
	slices.SortFunc(out.Packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Path, b.Path))
	})
	out.Packages = slices.Compact(out.Packages)
	return out, owned
}

// merged returns name as it is where /bin and /lib are links into /usr, which
// package managers do not always know of.
func merged(name string) string { return strings.TrimPrefix(name, "usr/") }

// identity is what makes a package the same in two layers.
type identity struct {
	kind                      Type
	name, version, arch, path string
}

func (p *Package) identity() identity { return identity{p.Type, p.Name, p.Version, p.Arch, p.Path} }
