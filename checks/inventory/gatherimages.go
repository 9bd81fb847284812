package inventory

import (
	"context"

	"plimsoll/checks/dockerfile"
	"plimsoll/checks/host"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
)

// completeImages adds to images what only the others know, and what their
// layers hold, one image after the other.
func (g *gathering) completeImages(ctx context.Context, all []host.Attached) {
	use := map[string][]string{}
	for _, a := range all { // by name
		use[a.ImageID] = append(use[a.ImageID], a.Name)
	}
	var builders []Item
	if len(g.selection.Paths) > 0 {
		files := map[identity]Item{}
		for _, item := range g.items {
			files[identify(item.Ref)] = *item
		}
		builders = buildersOf(files)
	}
	said := g.v.upstreams(ctx, g.items, g.named(), func(i *image.Image) bool {
		return g.v.asksAbout(i, g.named(), len(use[i.Inspect.ID]) > 0)
	})
	for _, item := range g.items {
		i, ok := item.Subject.(*image.Image)
		if !ok {
			continue
		}
		i.Upstream = said[i.Inspect.ID]
		i.Use = &image.Use{Containers: use[i.Inspect.ID]}
		if builders != nil {
			i.Builds = buildsOf(i, builders)
		}
		switch {
		case !g.readsLayers(i):
		case g.v.options.Layers == layers.Quick && !g.v.remembers(i):
			item.Subject = g.v.look(ctx, g.r.client, i).of(i)
		default:
			item.Subject = g.v.scan(ctx, i, g.v.saved(g.r.client, i, func(int) {})).of(i)
		}
		if i, ok := item.Subject.(*image.Image); ok {
			g.v.verdict(i)
		}
	}
	for _, item := range g.items {
		if f, ok := item.Subject.(*dockerfile.File); ok {
			g.r.fresh(ctx, f)
		}
	}
}

// named reports whether the user named images, rather than meaning all.
func (g *gathering) named() bool { return len(g.selection.Images) > 0 && !g.selection.AllImages }

// readsLayers reports whether the layers of i are read: those of an image that
// is named are, unless nobody wants any.
func (g *gathering) readsLayers(i *image.Image) bool {
	named := g.named()
	switch mode := g.v.options.Layers; mode {
	case layers.Off:
		return false
	case layers.Used, layers.Quick:
		return named || len(i.Use.Containers) > 0
	default:
		return named || mode == layers.All
	}
}
