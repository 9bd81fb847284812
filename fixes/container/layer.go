package container

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// An ownLayer is what a container has beside its image, outside of volumes.
type ownLayer struct {
	wanted map[string]bool // paths, also of folders that are there because of what lies in them
	places []place         // that the engine is asked for
	files  []string        // of wanted, without these folders

	deleted []string // paths of the image that it does not have any more
	covered int      // paths over which something is mounted in its replacement
}

// A place is a path that the engine is asked for.
type place struct {
	path  string
	whole bool // with all that lies in it; else, of a folder, it alone
}

// mountPoints returns where something is mounted in a container.
func mountPoints(c *api.InspectResponse) map[string]bool {
	at := map[string]bool{}
	for _, m := range c.Mounts {
		at[m.Destination] = true
	}
	for _, m := range c.HostConfig.Mounts {
		at[m.Target] = true
	}
	for p := range c.HostConfig.Tmpfs {
		at[p] = true
	}
	return at
}

// layerOf sorts out the differences of a container from its image. In before
// are the places of mounts in it, in after those in its replacement.
func layerOf(changes []api.FilesystemChange, before, after map[string]bool) ownLayer {
	l := ownLayer{wanted: map[string]bool{}}
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b api.FilesystemChange) int { return strings.Compare(a.Path, b.Path) })
	holders, alive := map[string]bool{}, map[string]bool{} // folders with a change in them, and with one that is there
	for _, c := range slices.Backward(changes) {
		holders[parent(c.Path)] = true
		if alive[c.Path] || c.Kind != api.ChangeDelete && !before[c.Path] && !holdsMount(c.Path, before) {
			alive[parent(c.Path)] = true
		}
	}
	whole := map[string]bool{}
	for _, c := range changes {
		p := c.Path
		switch {
		case before[p] || parent(p) == p:
			continue
		case c.Kind == api.ChangeDelete && !alive[p]:
			l.deleted = append(l.deleted, p)
			continue
		case holdsMount(p, before) && !alive[p]:
			continue // the engine made it, on the way to a mount
		case under(p, after):
			if !holders[p] {
				l.covered++
			}
			continue
		}
		l.wanted[p] = true
		if !holders[p] {
			l.files = append(l.files, p)
		}
		if under(parent(p), whole) {
			continue
		}
		// A folder that was there before is not read as a whole, which would be all
		// that the image has in it, and neither is one with a mount in it.
		one := place{path: p, whole: c.Kind == api.ChangeAdd && !holdsMount(p, before)}
		whole[p] = one.whole
		l.places = append(l.places, one)
	}
	return l
}

// under reports whether p is one of the paths at, or below one.
func under(p string, at map[string]bool) bool {
	for ; p != ""; p = parent(p) {
		if at[p] {
			return true
		}
	}
	return false
}

// A copier reads what a container has in its own layer as one archive, whose
// names are paths from the root.
type copier struct {
	engine Engine
	id     string // of a container that does not run: what runs can trick whoever reads it
	layer  ownLayer
	most   int64 // bytes; a sparse file has more than it takes
	say    func(done int64)

	sent  map[string]byte // by path, the type of what was read
	bytes int64
}

// write writes the archive.
func (c *copier) write(ctx context.Context, to io.Writer) error {
	c.sent = map[string]byte{}
	out := tar.NewWriter(to)
	for _, p := range c.layer.places {
		if err := c.place(ctx, p, out); err != nil {
			return fmt.Errorf("copy %s: %w", clean(p.path), err)
		}
	}
	return out.Close()
}

func (c *copier) place(ctx context.Context, p place, out *tar.Writer) error {
	got, err := c.engine.CopyFromContainer(ctx, c.id, client.CopyFromContainerOptions{SourcePath: p.path})
	if errdefs.IsNotFound(err) {
		return nil // its name is no text, so that nobody can ask for it
	}
	if err != nil {
		return err
	}
	defer got.Content.Close()
	in := tar.NewReader(got.Content)
	for first := true; ; first = false {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := rebased(h.Name, p.path)
		if !ok {
			return errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("the engine sent %s instead", clean(h.Name)))
		}
		if !c.layer.wanted[text(name)] {
			continue
		}
		if h.Typeflag == tar.TypeLink {
			target, ok := rebased(h.Linkname, p.path)
			if _, sent := c.sent[text(target)]; !ok || !sent {
				continue
			}
			h.Linkname = strings.TrimPrefix(target, "/")
		}
		if err := c.entry(name, h, in, out); err != nil {
			return err
		}
		if first && !p.whole && h.Typeflag == tar.TypeDir {
			return nil
		}
	}
}

func (c *copier) entry(name string, h *tar.Header, in io.Reader, out *tar.Writer) error {
	h.Name = strings.TrimPrefix(name, "/")
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	h.Mode &= 0o7777          // engines put the type in it, too
	h.Uname, h.Gname = "", "" // of the engine's machine: owners are numbers
	h.Format = tar.FormatPAX  // has attributes, long names, and times to the nanosecond
	if c.bytes += h.Size; c.bytes > c.most {
		return errdefs.ErrResourceExhausted.WithMessage(fmt.Sprintf("there is more than the %s that it takes on disk: are there sparse files?", bytes(c.most)))
	}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	c.sent[text(name)] = h.Typeflag
	c.say(c.bytes)
	return nil
}

// rebased returns the path of an entry of the archive of a place: its names
// begin with the last element of that.
func rebased(name, place string) (string, bool) {
	full := path.Join(path.Dir(place), name)
	return full, full == place || text(full) == place || strings.HasPrefix(full, place+"/")
}

// text returns a name as the list of differences has it, which is text.
func text(name string) string { return string([]rune(name)) }

// missing returns the paths of the layer that were not read: sockets, which only
// a program can make, and names that are no text.
func (c *copier) missing() []string {
	var out []string
	for _, p := range c.layer.files {
		if _, ok := c.sent[p]; !ok {
			out = append(out, p)
		}
	}
	return out
}
