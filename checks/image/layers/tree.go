package layers

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// A Change is what a layer does to a path.
type Change uint8

const (
	Same Change = iota // only in the tree of all layers, and of directories that hold changes
	Added
	Changed
	Removed
)

// A Node is a file or directory in a tree, with what is below it.
type Node struct {
	Name     string
	Path     string
	File     *File // nil of a directory that no layer has an entry for
	Layer    int   // index of the layer whose file it is; of what is removed: of the layer that removes
	Change   Change
	Size     int64 // bytes, with all below
	Secret   bool  // itself or something below is or holds a secret
	Children []*Node

	byName map[string]*Node
}

// IsDir reports whether n may have something below it.
func (n *Node) IsDir() bool {
	return len(n.Children) > 0 || n.File != nil && n.File.Kind == Dir || n.File == nil
}

// child returns the node called name below n, made if need be.
func (n *Node) child(name string) *Node {
	c := n.byName[name]
	if c == nil {
		c = &Node{Name: name, Path: path.Join(n.Path, name)}
		if n.byName == nil {
			n.byName = map[string]*Node{}
		}
		n.byName[name] = c
		n.Children = append(n.Children, c)
	}
	return c
}

// deepestTree bounds the depth: paths of hostile layers have thousands of
// parts. What is deeper hangs, with the rest of its path, at the last level.
const deepestTree = 64

func (n *Node) at(name string) *Node {
	for range deepestTree {
		first, rest, deeper := strings.Cut(name, "/")
		if !deeper {
			return n.child(name)
		}
		n, name = n.child(first), rest
	}
	return n.child(name)
}

// finish adds sizes up and puts children in order: directories first.
func (n *Node) finish() {
	for _, c := range n.Children {
		c.finish()
		n.Size += c.Size
		n.Secret = n.Secret || c.Secret
	}
	n.byName = nil
	slices.SortFunc(n.Children, func(a, b *Node) int {
		if a.IsDir() != b.IsDir() {
			if a.IsDir() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
}

// Tree returns what the layer at index i holds and what it does to the layers
// below it.
func (c *Contents) Tree(i int) *Node {
	root := &Node{Layer: i}
	l := c.Layers[i]
	below := c.seenBelow(i)
	secret := l.secretPaths()
	within := lastOf(l)
	for n := range l.Files {
		f := &l.Files[n]
		if f.Kind == Opaque || f.Kind != Whiteout && within.replaced(n, f.Path) {
			continue
		}
		node := root.at(f.Path)
		node.File, node.Layer, node.Size, node.Secret = f, i, f.Size, secret[f.Path]
		old, existed := below[f.Path]
		switch {
		case f.Kind == Whiteout:
			node.Change, node.Size = Removed, old
		case !existed:
			node.Change = Added
		case f.Kind != Dir:
			node.Change = Changed
		}
	}
	root.finish()
	return root
}

// seenBelow returns the sizes of what the layers below the one at index i show
// together, of directories with all below them.
func (c *Contents) seenBelow(i int) map[string]int64 {
	sizes := map[string]int64{}
	cover := covers{}
	for j := i - 1; j >= 0; j-- {
		l := c.Layers[j]
		for n := range l.Files {
			f := &l.Files[n]
			if f.Kind == Whiteout || f.Kind == Opaque || cover.of(f) >= 0 {
				continue
			}
			sizes[f.Path] += f.Size
			if f.Size > 0 {
				dir := f.Path
				for range deepestTree {
					at := strings.LastIndexByte(dir, '/')
					if at < 0 {
						break
					}
					dir = dir[:at]
					sizes[dir] += f.Size
				}
			}
		}
		cover.add(j, l)
	}
	return sizes
}

// Merged returns what a container sees.
func (c *Contents) Merged() *Node {
	root := &Node{}
	cover := covers{}
	for i, l := range slices.Backward(c.Layers) {
		secret := l.secretPaths()
		within := lastOf(l)
		for n := range l.Files {
			f := &l.Files[n]
			if f.Kind == Whiteout || f.Kind == Opaque || within.replaced(n, f.Path) || cover.of(f) >= 0 {
				continue
			}
			node := root.at(f.Path)
			node.File, node.Layer, node.Size, node.Secret = f, i, f.Size, secret[f.Path]
		}
		cover.add(i, l)
	}
	root.finish()
	return root
}

// secretPaths returns the files of l that hold a secret.
func (l *Layer) secretPaths() map[string]bool {
	m := map[string]bool{}
	for _, s := range l.Secrets {
		m[s.Path] = true
	}
	return m
}

// A Share is what one layer contributes to an image.
type Share struct {
	Size    int64 // bytes of its files
	Wasted  int64 // those that later layers delete or replace
	Files   int   // without directories
	Secrets int
}

// Shares returns what each layer contributes, the lowest first.
func (c *Contents) Shares() []Share {
	shares := make([]Share, len(c.Layers))
	cover := covers{}
	for i, l := range slices.Backward(c.Layers) {
		s := &shares[i]
		s.Secrets = len(l.Secrets)
		for n := range l.Files {
			f := &l.Files[n]
			s.Size += f.Size
			if f.Kind != Dir && f.Kind != Whiteout && f.Kind != Opaque {
				s.Files++
			}
			if f.Size > 0 && cover.of(f) >= 0 {
				s.Wasted += f.Size
			}
		}
		cover.add(i, l)
	}
	return shares
}
