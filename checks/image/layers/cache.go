package layers

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// version names the form of the cache and the rules it was made with: both
// kinds of change need another one.
const version = "v3"

const (
	largestCache  = 256 << 20 // bytes
	largestRecord = 64 << 20
	abandoned     = time.Hour // age of a temporary file whose writer has died
)

// A Cache remembers what layers hold, by their digests, on disk. It holds no
// secret values. It may be deleted at any time, and be used by several
// processes at once. The zero value remembers nothing.
type Cache struct{ dir string }

// NewCache returns the cache below dir, the user's directory for caches.
func NewCache(dir string) Cache { return Cache{filepath.Join(dir, "plimsoll", "layers", version)} }

// UserCache returns the cache of the user, in $XDG_CACHE_HOME; one that
// remembers nothing when there is no such place.
func UserCache() Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}
	}
	return NewCache(dir)
}

// Summary returns the summary of the image called id, from the cache or from
// the archive that open returns. A summary is remembered beside the layers,
// whose many files it is a hundredth of.
func (c Cache) Summary(ctx context.Context, id string, o Options, open func(context.Context) (io.ReadCloser, error)) (*Summary, error) {
	known := &Summary{}
	if c.get("summary", id, known) {
		return known, nil
	}
	contents, err := c.Contents(ctx, id, o, open)
	if err != nil {
		return nil, err
	}
	s := contents.Summary()
	if s.Err() == nil {
		_ = c.put("summary", id, s) // else it is made again another time
	}
	return s, nil
}

// Known returns the summary of the image called id if it is remembered.
func (c Cache) Known(id string) (*Summary, bool) {
	known := &Summary{}
	if c.get("summary", id, known) {
		return known, true
	}
	contents, ok := c.load(id)
	if !ok {
		return nil, false
	}
	return contents.Summary(), true
}

// Contents returns what the layers of the image called id hold, from the cache
// or from the archive that open returns. Layers that the cache knows are not
// read again.
func (c Cache) Contents(ctx context.Context, id string, o Options, open func(context.Context) (io.ReadCloser, error)) (*Contents, error) {
	contents, ok := c.load(id)
	if ok {
		return contents, nil
	}
	archive, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	if o.Visitors == nil {
		o.known = c.Layer
	}
	if contents, err = Read(ctx, archive, o); err != nil {
		return nil, fmt.Errorf("reading the layers: %w", err)
	}
	c.store(id, contents)
	return contents, nil
}

// Layer returns what is remembered of a layer.
func (c Cache) Layer(diffID string) (*Layer, bool) {
	l := &Layer{}
	return l, c.get("layer", diffID, l)
}

func (c Cache) load(id string) (*Contents, bool) {
	contents := &Contents{}
	if !c.get("image", id, &contents.Manifest) {
		return nil, false
	}
	for _, ref := range contents.Manifest.Layers {
		l, ok := c.Layer(ref.DiffID)
		if !ok {
			return nil, false
		}
		contents.Layers = append(contents.Layers, l)
	}
	return contents, true
}

// store remembers contents, but for layers that were not read to their end.
// What cannot be written is read again another time.
func (c Cache) store(id string, contents *Contents) {
	if c.dir == "" {
		return
	}
	for i, l := range contents.Layers {
		if l.Incomplete == "" {
			_ = c.put("layer", contents.Manifest.Layers[i].DiffID, l)
		}
	}
	_ = c.put("image", id, contents.Manifest)
	c.prune()
}

// file returns where the record of a digest is; "" for what is no digest.
func (c Cache) file(kind, digest string) string {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if c.dir == "" || !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return ""
	}
	return filepath.Join(c.dir, kind+"-"+hex)
}

func (c Cache) get(kind, digest string, v any) bool {
	name := c.file(kind, digest)
	if name == "" {
		return false
	}
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > largestRecord {
		return false
	}
	data, err := os.ReadFile(name)
	if err != nil || gob.NewDecoder(bytes.NewReader(data)).Decode(v) != nil {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // so that the oldest is what nobody wants
	return true
}

// put replaces a record as a whole.
func (c Cache) put(kind, digest string, v any) error {
	name := c.file(kind, digest)
	if name == "" {
		return errors.New("no digest to remember it by")
	}
	var data bytes.Buffer
	if err := gob.NewEncoder(&data).Encode(v); err != nil {
		return err
	}
	if data.Len() > largestRecord {
		return errors.New("too large to remember")
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.dir, "new-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data.Bytes())
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// prune removes what was not used for longest until the cache is small enough.
func (c Cache) prune() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var size int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // another process was faster
		}
		if strings.HasPrefix(e.Name(), "new-") {
			if time.Since(info.ModTime()) > abandoned {
				_ = os.Remove(filepath.Join(c.dir, e.Name()))
			}
			continue
		}
		files = append(files, info)
		size += info.Size()
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if size <= largestCache {
			return
		}
		if os.Remove(filepath.Join(c.dir, f.Name())) == nil {
			size -= f.Size()
		}
	}
}
