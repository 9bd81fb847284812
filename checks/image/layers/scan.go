package layers

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	internal = ".wh..wh." // of the file system that invented whiteouts

	capabilities = "SCHILY.xattr.security.capability"

	longestName  = 4096 // of a path on Linux
	someEscapes  = 8
	smallestRead = 32 << 10
)

// scan reads the layer in r into l and shows it to visitors.
func scan(r *metered, l *Layer, visitors []Visitor) error {
	in := &position{r: r}
	if r.from != nil { // decompressors are better asked for more than a block
		in.r = bufio.NewReaderSize(r, smallestRead)
	}
	t := tar.NewReader(in)
	buffer := make([]byte, smallestRead)
	var last *File    // whose content is being passed
	var started int64 // where it began
	for {
		h, err := t.Next()
		if last != nil {
			last.Size, last = min(last.Size, in.at-started), nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("reading a layer: %w", err)
		}
		if err := r.m.entry(h.Name); err != nil {
			return err
		}
		f, ok := entry(h, l)
		if !ok {
			continue
		}
		l.Files = append(l.Files, f)
		last, started = &l.Files[len(l.Files)-1], in.at
		if err := show(t, &f, visitors, buffer, r.m); err != nil {
			return fmt.Errorf("reading a layer: %w", err)
		}
	}
}

// position counts the bytes that were read.
type position struct {
	r  io.Reader
	at int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.at += int64(n)
	return n, err
}

// entry returns the entry that h announces; false for what is none, such as the
// root itself.
func entry(h *tar.Header, l *Layer) (File, bool) {
	if len(l.Files) == 0 && strings.HasPrefix(h.Name, "./") {
		l.Prefix = "./"
	}
	name, escapes := clean(h.Name)
	if escapes && len(l.Escapes) < someEscapes {
		l.Escapes = append(l.Escapes, h.Name[:min(len(h.Name), longestName)])
	}
	if name == "" || len(name) > longestName {
		return File{}, false
	}
	f := File{
		Path: name, Kind: kindOf(h.Typeflag), Mode: uint16(h.Mode & 0o7777),
		UID: int32(h.Uid), GID: int32(h.Gid), Capability: h.PAXRecords[capabilities] != "",
	}
	if f.Kind == Regular {
		f.Size = h.Size
	}
	switch dir, base := path.Split(name); {
	case base == opaque:
		f.Kind, f.Path = Opaque, strings.TrimSuffix(dir, "/")
	case strings.Contains("/"+name, "/"+internal):
		return File{}, false
	case strings.HasPrefix(base, whiteout):
		f.Kind, f.Path = Whiteout, dir+strings.TrimPrefix(base, whiteout)
	}
	if f.Kind == Whiteout || f.Kind == Opaque {
		f.Size = 0
	}
	return f, true
}

// clean returns name as a path below the root, and whether it tried to be
// somewhere else.
func clean(name string) (clean string, escapes bool) {
	escapes = strings.HasPrefix(name, "/")
	depth := 0
	if strings.Contains(name, "..") {
		for part := range strings.SplitSeq(name, "/") {
			switch part {
			case "", ".":
			case "..":
				depth--
			default:
				depth++
			}
			escapes = escapes || depth < 0
		}
	}
	return path.Clean("/" + name)[1:], escapes
}

func kindOf(flag byte) Kind {
	switch flag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return Regular
	case tar.TypeDir:
		return Dir
	case tar.TypeSymlink:
		return Symlink
	case tar.TypeLink:
		return Hardlink
	case tar.TypeChar, tar.TypeBlock:
		return Device
	}
	return Other
}

// show hands the content of f to the visitors that want it.
func show(content io.Reader, f *File, visitors []Visitor, buffer []byte, m *meter) error {
	var all, active []io.WriteCloser
	for _, v := range visitors {
		if w := v.Visit(f); w != nil && f.Kind == Regular {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil
	}
	defer func() {
		for _, w := range all {
			_ = w.Close() // visitors keep their failures to themselves
		}
	}()
	active = append(active, all...)
	for left := m.limits.Content; left > 0 && len(active) > 0; {
		n, err := content.Read(buffer[:min(left, int64(len(buffer)))])
		if spent := m.spend(n); spent != nil {
			return spent // holes of sparse files are read from nowhere, but take time
		}
		left -= int64(n)
		still := active[:0]
		for _, w := range active {
			if _, full := w.Write(buffer[:n]); full == nil {
				still = append(still, w)
			}
		}
		active = still
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
