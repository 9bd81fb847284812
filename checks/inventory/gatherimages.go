package inventory

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
)

// useOf lists which containers use which image; nil when nobody wants to know.
func (v *Inventory) useOf(ctx context.Context, c *client.Client, s Selection) (map[string][]string, error) {
	if c == nil || !s.wantsImages() {
		return nil, nil
	}
	result, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	use := map[string][]string{}
	for _, s := range result.Items {
		use[s.ImageID] = append(use[s.ImageID], name(s.Names))
	}
	for _, names := range use {
		slices.Sort(names)
	}
	return use, nil
}

// completeImages adds to images what only the others know, and what their
// layers hold, one image after the other.
func (v *Inventory) completeImages(ctx context.Context, c *client.Client, items []Item, s Selection, use map[string][]string) {
	var builders []Item
	if len(s.Paths) > 0 {
		all := map[identity]Item{}
		for _, item := range items {
			all[identify(item.Ref)] = item
		}
		builders = buildersOf(all)
	}
	for n, item := range items {
		i, ok := item.Subject.(*image.Image)
		if !ok {
			continue
		}
		whole := *i
		if use != nil {
			whole.Use = &image.Use{Containers: use[i.Inspect.ID]}
		}
		if builders != nil {
			whole.Builds = buildsOf(i, builders)
		}
		if v.readsLayers(i, s, use) {
			whole = *v.scan(ctx, i, v.saved(c, i, func(int) {})).of(&whole)
		}
		items[n] = v.judged(checks.Subject(&whole))
	}
}

// readsLayers reports whether the layers of i are read: those of an image that
// is named are, unless nobody wants any.
func (v *Inventory) readsLayers(i *image.Image, s Selection, use map[string][]string) bool {
	switch {
	case v.options.Layers == layers.Off:
		return false
	case len(s.Images) > 0 && !s.AllImages || v.options.Layers == layers.All:
		return true
	}
	return v.options.Layers == layers.Used && len(use[i.Inspect.ID]) > 0
}
