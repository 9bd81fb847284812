package inventory

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/vulnerability"
)

// Layers are read one image at a time, in the background, once everything else
// has been read: first what was asked for, then images that containers use.

// scans is what is known of the layers of images, and what is being read.
type scans struct {
	done  map[string]scanned // by image id
	asked []string           // image ids, the first is next
	now   string             // image id that is being read

	quick map[string]quickLook // by image id
}

type scanned struct {
	files    *layers.Summary
	err      error
	known    *vulnerability.Result // of what files hold; nil when nobody looked
	knownErr error
	others   []vulnerability.Scan // what other scanners said
}

// An opener opens the archive of an image.
type opener = func(context.Context) (io.ReadCloser, error)

func newScans() scans { return scans{done: map[string]scanned{}, quick: map[string]quickLook{}} }

// longestScan bounds the time for one image: an engine that stalls should not
// keep the others waiting for ever.
const longestScan = 15 * time.Minute

// withFiles adds to an image what is known of its layers.
func (w *world) withFiles(item Item) Item {
	item = w.withUpstream(item)
	i, ok := item.Subject.(*image.Image)
	if !ok {
		return item
	}
	s, known := w.scans.done[i.Inspect.ID]
	if q, looked := w.scans.quick[i.Inspect.ID]; looked && !(known && s.files != nil) {
		i = q.of(i)
		item.Subject = i
		item.Report = w.v.judge(i)
	}
	switch {
	case known:
		item.Subject = s.of(i)
		item.Report = w.v.judge(item.Subject)
		item.Status.Layers.State = LayersRead
		if s.err != nil {
			item.Status.Layers.State = LayersFailed
		}
	case w.scans.now == i.Inspect.ID:
		item.Status.Layers.State = LayersReading
	case slices.Contains(w.scans.asked, i.Inspect.ID):
		item.Status.Layers.State = LayersWaiting
	}
	if seen, ok := item.Subject.(*image.Image); ok && w.v.verdict(seen) {
		w.baseJudged(i.Inspect.ID)
	}
	return item
}

// scanNext begins to read the layers of the next image, if it is time.
func (w *world) scanNext(ctx context.Context) {
	if !w.out.complete || w.scans.now != "" || w.out.engine.Phase != Connected {
		return
	}
	c := w.v.client.Load()
	id := w.nextScan()
	if id == "" || c == nil {
		return
	}
	item := w.items[identity{checks.Image, id}]
	i := item.Subject.(*image.Image)
	w.scans.now = id
	item.Status.Layers = Layers{State: LayersReading}
	w.put(item)
	era, ctx := w.era, w.v.follow.engine(ctx)
	go w.v.guard(ctx, func() {
		limited, stop := context.WithTimeout(ctx, longestScan)
		s := w.v.scan(limited, i, w.v.saved(c, i, func(percent int) {
			w.v.post(ctx, func(w *world) { w.scanning(id, percent) })
		}))
		stop()
		w.v.post(ctx, func(w *world) {
			if era == w.era {
				w.scanned(id, s)
			}
		})
	})
}

// nextScan returns the id of the image whose layers are read next, "" if none.
func (w *world) nextScan() string {
	wanted := func(id string) bool {
		item, ok := w.items[identity{checks.Image, id}]
		_, done := w.scans.done[id]
		_, read := item.Subject.(*image.Image)
		return ok && read && !done
	}
	for len(w.scans.asked) > 0 {
		id := w.scans.asked[0]
		w.scans.asked = w.scans.asked[1:]
		if wanted(id) {
			return id
		}
	}
	if m := w.v.options.Layers; m != layers.Used && m != layers.All || w.v.target.Load().Remote() {
		return "" // of a distant engine every byte comes over the wire: only when asked for
	}
	var in []string
	for key, id := range w.users {
		if _, there := w.items[key]; there && wanted(id) {
			in = append(in, id)
		}
	}
	if len(in) == 0 && w.v.options.Layers == layers.All {
		for key := range w.items {
			if key.kind == checks.Image && wanted(key.id) {
				in = append(in, key.id)
			}
		}
	}
	if len(in) == 0 {
		return ""
	}
	return slices.Min(in)
}

// scanning shows how far reading has come.
func (w *world) scanning(id string, percent int) {
	item, ok := w.items[identity{checks.Image, id}]
	if ok && w.scans.now == id {
		item.Status.Layers = Layers{LayersReading, percent}
		w.put(item)
	}
}

// scanned takes in what was read.
func (w *world) scanned(id string, s scanned) {
	if w.scans.now == id {
		w.scans.now = ""
	}
	item, ok := w.items[identity{checks.Image, id}]
	if !ok {
		return // it was removed meanwhile
	}
	w.scans.done[id] = s
	w.put(w.withFiles(item))
}

// saved returns what opens the archive of an image, and tells in percent how
// much of it was read.
func (v *Inventory) saved(c *client.Client, i *image.Image, progress func(percent int)) opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		archive, err := c.ImageSave(ctx, []string{i.Inspect.ID})
		if err != nil {
			return nil, err
		}
		return &counted{ReadCloser: archive, all: i.Inspect.Size, progress: progress}, nil
	}
}

// counted tells how much of an archive has been read, every twentieth of it.
type counted struct {
	io.ReadCloser
	read, all int64
	told      int
	progress  func(percent int)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read += int64(n)
	if c.all > 0 {
		if percent := int(min(99, c.read*100/c.all)); percent >= c.told+5 {
			c.told = percent
			c.progress(percent)
		}
	}
	return n, err
}

// ReadLayers reads the layers of an image soon, before all others.
func (v *Inventory) ReadLayers(ctx context.Context, ref checks.Ref) {
	v.post(ctx, func(w *world) {
		item, ok := w.items[identify(ref)]
		if _, done := w.scans.done[ref.ID]; !ok || w.scans.now == ref.ID || done && w.scans.done[ref.ID].err == nil {
			return
		}
		delete(w.scans.done, ref.ID) // it failed before
		w.scans.asked = append([]string{ref.ID}, slices.DeleteFunc(w.scans.asked, func(id string) bool { return id == ref.ID })...)
		item.Status.Layers = Layers{State: LayersWaiting}
		w.put(item)
	})
}

// Contents returns all files of all layers of an image, from the cache or from
// the engine.
func (v *Inventory) Contents(ctx context.Context, i *image.Image) (*layers.Contents, error) {
	c := v.client.Load()
	if c == nil {
		return nil, v.options.Absent
	}
	ctx, stop := context.WithTimeout(ctx, longestScan)
	defer stop()
	contents, err := v.options.Cache.Contents(ctx, i.Inspect.ID, layers.Options{DiffIDs: i.Inspect.RootFS.Layers}, v.saved(c, i, func(int) {}))
	if err != nil {
		return nil, err
	}
	s := scanned{files: contents.Summary()}
	s.known, s.knownErr = v.lookUp(s.files)
	v.post(ctx, func(w *world) {
		if _, done := w.scans.done[i.Inspect.ID]; !done {
			w.scanned(i.Inspect.ID, s)
		}
	})
	return contents, nil
}

// File returns the beginning of one file of one layer, at most most bytes.
func (v *Inventory) File(ctx context.Context, i *image.Image, layer layers.Ref, path string, most int) ([]byte, error) {
	c := v.client.Load()
	if c == nil {
		return nil, v.options.Absent
	}
	ctx, stop := context.WithTimeout(ctx, longestScan)
	defer stop()
	archive, err := c.ImageSave(ctx, []string{i.Inspect.ID})
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	return layers.FileIn(ctx, archive, layer, path, most)
}
