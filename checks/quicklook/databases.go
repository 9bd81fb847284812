package quicklook

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"plimsoll/checks/packages"
)

// Bounds of all that is read of one image.
const (
	mostBytes   = 256 << 20
	mostEntries = 20_000
)

var errLarge = errors.New("its package databases are larger than what is read")

// databases reads what the package managers in the container called name keep.
func databases(ctx context.Context, c *client.Client, name string) (*packages.Inventory, error) {
	r := &reading{budget: mostBytes, entries: mostEntries}
	var links []string
	for _, file := range packages.Databases() {
		copied, err := c.CopyFromContainer(ctx, name, client.CopyFromContainerOptions{SourcePath: "/" + strings.TrimSuffix(file, "/")})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading /%s of the image: %w", file, err)
		}
		link, err := r.read(copied.Content, path.Dir(strings.TrimSuffix(file, "/")), strings.HasSuffix(file, "/"))
		copied.Content.Close()
		if err != nil {
			return nil, fmt.Errorf("reading /%s of the image: %w", file, err)
		}
		if link && path.Base(file) != "os-release" { // which is one in most images
			links = append(links, "/"+file+": is a link, which is not followed")
		}
	}
	found, _ := packages.Join([][]packages.File{r.collector.Files()}, func(int, string) bool { return true })
	found.Packages = once(found.Packages)
	found.Trouble = append(found.Trouble, links...)
	return found, nil
}

// once keeps one of what is listed twice because one directory is a link to the
// other, and says that layers are not known.
func once(all []packages.Package) []packages.Package {
	var out []packages.Package
	seen := map[packages.Package]bool{}
	for _, p := range all {
		key := p
		key.Path = ""
		if p.Layer = -1; !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

// A reading takes in the archives that the engine sends.
type reading struct {
	collector packages.Collector
	budget    int64 // bytes that may still be read
	entries   int   // that may still come
}

// read reads an archive of what is in dir: a file, or a directory of them. It
// reports whether it was a link instead.
func (r *reading) read(archive io.Reader, dir string, directory bool) (link bool, err error) {
	t := tar.NewReader(&limited{Reader: archive, reading: r})
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return link, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return link, err
		}
		if r.entries--; r.entries < 0 {
			return link, errLarge
		}
		name := path.Join(dir, path.Clean("/" + h.Name)[1:])
		if h.Typeflag != tar.TypeReg {
			link = link || !directory && (h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink)
			continue
		}
		if w := r.collector.Content(name, false, h.Size); w != nil {
			in := &limited{Reader: t, reading: r} // again, since holes of sparse files come from nowhere
			_, _ = io.Copy(w, in)
			if in.failed != nil {
				return link, in.failed
			}
			_ = w.Close() // what is too large or not understood is in the result
		}
	}
}

// limited charges what is read to the budget, and remembers why it ended early.
type limited struct {
	io.Reader
	*reading
	failed error
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.budget -= int64(n); l.budget < 0 {
		err = errLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.failed = err
	}
	return n, err
}
