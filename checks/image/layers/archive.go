package layers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// Options say how to read.
type Options struct {
	Limits Limits // the zero value means [Sane]

	// DiffIDs are those of the wanted image, where an archive holds several.
	DiffIDs []string

	// Visitors returns who else looks at the layer that the archive calls
	// name; nil when nobody does.
	Visitors func(name string) []Visitor

	only bool // nobody else looks

	// known returns a layer that was read before.
	known func(diffID string) (*Layer, bool)
}

// Read reads an archive as "docker save" writes it, in either layout. Each
// layer is read as it comes, wherever the manifest stands. A layer that cannot
// be read to its end is [Layer.Incomplete]; the error is that nothing could be
// learnt at all, or that ctx ended.
func Read(ctx context.Context, r io.Reader, o Options) (*Contents, error) {
	if o.Limits == (Limits{}) {
		o.Limits = Sane
	}
	a := archive{
		options:   o,
		meter:     &meter{ctx: ctx, limits: o.Limits},
		layers:    map[string]*blob{},
		documents: map[string][]byte{},
		links:     map[string]string{},
	}
	stopped := a.read(r)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	contents, err := a.join()
	if err != nil {
		return nil, errors.Join(stopped, err)
	}
	return contents, nil
}

// An archive is what was seen of it so far.
type archive struct {
	options   Options
	meter     *meter
	layers    map[string]*blob // by name of their file
	documents map[string][]byte
	kept      int64             // bytes of documents
	links     map[string]string // to other files of the archive
}

type blob struct {
	layer  *Layer
	packed string
}

// read returns why it stopped before the end.
func (a *archive) read(r io.Reader) error {
	t := tar.NewReader(&metered{r: r, m: a.meter})
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := a.meter.entry(h.Name); err != nil {
			return err
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeSymlink:
			a.links[name] = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeLink:
			a.links[name] = path.Clean(h.Linkname)
		case tar.TypeReg:
			if err := a.file(name, t); err != nil {
				return err
			}
		}
	}
}

// largestDocument is the size that registries accept of manifests.
const largestDocument = 4 << 20

// file reads one file of the archive. The error ends everything.
func (a *archive) file(name string, r io.Reader) error {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if n == 0 {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	head = head[:n]
	r = io.MultiReader(bytes.NewReader(head), r)
	packed := packing(head)
	switch {
	case packed == "" && isTar(head) && a.knows(name):
	case packed != "" || isTar(head):
		a.layers[name] = &blob{packed: packed}
		a.layers[name].layer, err = a.layer(name, packed, r)
		return err
	case isJSON(head):
		doc, err := io.ReadAll(io.LimitReader(r, largestDocument+1))
		if err != nil {
			return fmt.Errorf("reading %q: %w", name, err)
		}
		if a.kept += int64(len(doc)); len(doc) > largestDocument || a.kept > a.options.Limits.Documents {
			return nil // a list of packages, say: no manifest is so large
		}
		a.documents[name] = doc
	}
	return nil
}

// knows takes a layer that is named by its digest, uncompressed, as it was read
// before.
func (a *archive) knows(name string) bool {
	hex, ok := strings.CutPrefix(name, "blobs/sha256/")
	if !ok || a.options.known == nil {
		return false
	}
	l, ok := a.options.known("sha256:" + hex)
	if ok {
		a.layers[name] = &blob{layer: l}
	}
	return ok
}

// layer reads the layer that begins now. The error ends everything; a layer
// that is broken is incomplete.
func (a *archive) layer(name, packed string, r io.Reader) (*Layer, error) {
	l := &Layer{}
	in, err := unpack(&metered{r: r, m: a.meter}, packed)
	if err == nil {
		defer in.Close()
		installed := &software{}
		visitors := []Visitor{&accounts{layer: l}, &secrets{layer: l}, &licenses{layer: l}, &untrusted{layer: l}, &content{layer: l}, installed}
		if a.options.only {
			visitors = nil
		}
		if a.options.Visitors != nil {
			visitors = append(visitors, a.options.Visitors(name)...)
		}
		err = scan(in.metered, l, visitors)
		l.Software = installed.Files()
	}
	if err != nil {
		l.Incomplete = err.Error()
	}
	if errors.Is(err, ErrLimit) && (a.meter.entries > a.options.Limits.Entries || a.meter.names > a.options.Limits.Names || a.meter.bytes > a.options.Limits.Bytes) {
		return l, err
	}
	return l, a.meter.ctx.Err()
}

// isTar recognises the first block of a tar file, an empty one included.
func isTar(block []byte) bool {
	if len(block) < 512 {
		return false
	}
	if bytes.HasPrefix(block[257:], []byte("ustar")) {
		return true
	}
	sum := 8 * int(' ')
	for i, b := range block {
		if i < 148 || i >= 156 {
			sum += int(b)
		}
	}
	want, err := strconv.ParseInt(strings.Trim(string(block[148:156]), " \x00"), 8, 32)
	return err == nil && int(want) == sum || sum == 8*int(' ') && block[148] == 0
}

func isJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n\uFEFF")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}
