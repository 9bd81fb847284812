package inventory

import (
	"context"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
)

// Draft returns the Dockerfile source as it would be judged at path, where there is
// no file yet.
func (v *Inventory) Draft(ctx context.Context, ref checks.Ref, source []byte) (*dockerfile.File, error) {
	r, done, err := v.freshly(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	f, err := r.parsed(ctx, ref, source)
	if err != nil {
		return nil, err
	}
	f.New = true
	return f, nil
}

// BuiltOn returns the image on the engine that i was built on: of those whose layers
// i begins with, the one with the most; nil when there is none that has a name.
func (v *Inventory) BuiltOn(ctx context.Context, i *image.Image) (*image.Image, error) {
	r, done, err := v.freshly(ctx)
	defer done()
	if err != nil {
		return nil, err
	}
	var best string
	most := 0
	for _, id := range r.images.all() {
		b, err := r.images.inspect(ctx, r.client, id)
		if err != nil {
			return nil, err
		}
		if b == nil || b.ID == i.Inspect.ID || (&image.Image{Inspect: *b}).Reference() == "" {
			continue
		}
		if n := len(b.RootFS.Layers); n > most && n < len(i.Inspect.RootFS.Layers) && slices.Equal(b.RootFS.Layers, i.Inspect.RootFS.Layers[:n]) {
			best, most = id, n
		}
	}
	if best == "" {
		return nil, nil
	}
	s, err := r.image(ctx, best)
	if err != nil {
		return nil, err
	}
	return s.(*image.Image), nil
}
