package layers

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks/packages"
)

// A Summary is what checks want to know of the file system of an image.
type Summary struct {
	Layers []Info // the lowest first
	Size   int64  // bytes of all files of all layers
	Files  int    // in the file system that a container sees

	SetID         []Found // programs that run as their owner or group
	Capable       []Found // files with file capabilities
	WorldWritable []Found
	Tools         []Found // Rule is one of the kinds of [Tool]
	Junk          []Found // Rule says what it is

	Secrets []FoundSecret // in the file system
	Hidden  []FoundSecret // deleted or replaced in a later layer, yet still there

	Accounts []Account
	Groups   []Group

	Installed *packages.Inventory
	Licenses  []License
	Unowned   []Found   // programs that no package brought; none where packages are not known
	Untrusted []Setting // configuration that installs without verifying
	Caches    []Found   // of package managers, by layer and directory, hidden or not; Size is that of all files
	Duplicate []Copies  // content that is there several times, the most wasteful first

	Wasted      int64   // bytes of files that later layers delete or replace
	WastedFiles []Found // the largest of them

	incomplete []string
}

// An Info is what is known of one layer.
type Info struct {
	Ref
	Prefix string // of all names in it
	Size   int64  // bytes of its files
	Files  int
}

// Passwd returns /etc/passwd with what is known of it.
func (s *Summary) Passwd() []byte {
	if s == nil {
		return nil
	}
	var b []byte
	for _, a := range s.Accounts {
		b = fmt.Appendf(b, "%s:x:%d:%d:::\n", a.Name, a.UID, a.GID)
	}
	return b
}

// Extract returns the command that prints the file at path out of the layer at
// index i of the image called name.
func (s *Summary) Extract(name string, i int, path string) string {
	l := s.Layers[i]
	unpack := map[string]string{"gzip": "tar -xzOf -", "zstd": "tar --zstd -xOf -", "": "tar -xOf -"}[l.Packed]
	return fmt.Sprintf("docker save %s | tar -xOf - %s | %s %s", quote(name), quote(l.Name), unpack, quote(l.Prefix+path))
}

// quote makes one word of s for a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-") == "" && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Found is a file and the layer it is in.
type Found struct {
	Path  string
	Layer int // index
	Size  int64
	Mode  uint16
	Rule  string
}

// A FoundSecret is a secret, the layer it is in and its size.
type FoundSecret struct {
	Secret
	Layer int // index
	Size  int64
	Above int // index of the layer that hides it; -1 when none does
}

// Copies are files of the same content in the file system.
type Copies struct {
	Size  int64    // bytes of each
	Paths []string // some of them, in order
	Count int
}

// Wasted returns the bytes that one copy would save.
func (c Copies) Wasted() int64 { return c.Size * int64(c.Count-1) }

// Err says what was not read; nil when everything was.
func (s *Summary) Err() error {
	if s == nil || len(s.incomplete) == 0 {
		return nil
	}
	var errs []error
	for _, why := range s.incomplete {
		errs = append(errs, errors.New(why))
	}
	return errors.Join(errs...)
}

// mostWasted is how many wasted files are named.
const mostWasted = 10

// Summary joins the layers into what a container would see, and what not.
func (c *Contents) Summary() *Summary {
	s := &Summary{}
	cover := covers{}
	seen := newSeen(c.Layers)
	accounts, groups, shadow := -1, -1, -1
	topmost := func(at *int, i int, there bool) {
		if *at < 0 && there {
			*at = i
		}
	}
	for i, l := range slices.Backward(c.Layers) {
		info := Info{Ref: c.Manifest.Layers[i], Prefix: l.Prefix, Files: len(l.Files)}
		secretAt := map[string]Secret{}
		for _, found := range l.Secrets {
			secretAt[found.Path] = found
		}
		within := lastOf(l)
		caches := caches{}
		for n := range l.Files {
			f := &l.Files[n]
			info.Size += f.Size
			caches.add(f)
			if f.Kind == Whiteout || f.Kind == Opaque || within.replaced(n, f.Path) {
				continue
			}
			above := cover.of(f)
			found, isSecret := secretAt[f.Path]
			if above >= 0 {
				s.waste(f, i)
				if isSecret && !s.knows(found) {
					s.Hidden = append(s.Hidden, FoundSecret{found, i, f.Size, above})
				}
				continue
			}
			s.Files++
			if isSecret {
				s.Secrets = append(s.Secrets, FoundSecret{found, i, f.Size, -1})
			}
			s.classify(f, i)
			seen.add(f, i)
			topmost(&accounts, i, f.Path == "etc/passwd")
			topmost(&groups, i, f.Path == "etc/group")
			topmost(&shadow, i, f.Path == "etc/shadow")
		}
		s.Caches = append(s.Caches, caches.found(i)...)
		seen.lists(i, l)
		if i > 0 {
			cover.add(i, l)
		}
		s.Size += info.Size
		s.Layers = append(s.Layers, info)
		if l.Incomplete != "" {
			s.incomplete = append(s.incomplete, fmt.Sprintf("layer %d: %s", i+1, l.Incomplete))
		}
	}
	seen.join(s, c)
	slices.Reverse(s.Layers)
	slices.Reverse(s.incomplete)
	if groups >= 0 {
		s.Groups = c.Layers[groups].Groups
	}
	if accounts >= 0 {
		s.Accounts = slices.Clone(c.Layers[accounts].Accounts)
	}
	if shadow >= 0 {
		for n, a := range s.Accounts {
			s.Accounts[n].NoPassword = a.NoPassword || slices.Contains(c.Layers[shadow].Unlocked, a.Name)
		}
	}
	s.sort()
	return s
}

// knows reports whether the same kind of secret also stands in the file that
// is seen at its path: then that is what to tell.
func (s *Summary) knows(hidden Secret) bool {
	return slices.ContainsFunc(s.Secrets, func(f FoundSecret) bool { return f.Path == hidden.Path && f.Kind == hidden.Kind })
}

func (s *Summary) waste(f *File, layer int) {
	s.Wasted += f.Size
	if f.Size == 0 {
		return
	}
	s.WastedFiles = append(s.WastedFiles, Found{Path: f.Path, Layer: layer, Size: f.Size, Mode: f.Mode})
	if len(s.WastedFiles) > 64*mostWasted {
		s.keepWasted()
	}
}

func (s *Summary) keepWasted() {
	slices.SortFunc(s.WastedFiles, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Layer, b.Layer))
	})
	s.WastedFiles = s.WastedFiles[:min(len(s.WastedFiles), mostWasted)]
}

func (s *Summary) sort() {
	s.keepWasted()
	for _, list := range []*[]Found{&s.SetID, &s.Capable, &s.WorldWritable, &s.Tools, &s.Junk, &s.Unowned} {
		slices.SortFunc(*list, func(a, b Found) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule)) })
	}
	for _, list := range []*[]FoundSecret{&s.Secrets, &s.Hidden} {
		slices.SortFunc(*list, func(a, b FoundSecret) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Layer, b.Layer))
		})
	}
}
