package inventory

import (
	"context"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
)

// Whole reads an image with what its layers hold and what is known of that. The
// layers of a distant engine, or where nobody wants any, are not read.
func (v *Inventory) Whole(ctx context.Context, id string) (*image.Image, error) {
	subject, err := v.Read(ctx, checks.Ref{Kind: checks.Image, ID: id})
	if err != nil {
		return nil, err
	}
	i := subject.(*image.Image)
	target := v.target.Load()
	if v.options.Layers == layers.Off || target == nil || target.Remote() {
		return i, nil
	}
	c := v.client.Load()
	if c == nil {
		if c, err = target.Client(); err != nil {
			return nil, err
		}
		defer c.Close()
	}
	ctx, stop := context.WithTimeout(ctx, longestScan)
	defer stop()
	return v.scanWith(ctx, i, nil, v.saved(c, i, func(int) {})).of(i), nil
}
