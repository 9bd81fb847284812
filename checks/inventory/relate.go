package inventory

import (
	"context"
	"errors"
	"slices"
	"strings"

	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/host"
)

// relate tells subjects what only others know of them: containers what stands
// beside them, compose files what runs of theirs, the host what uses it, images
// what they are used for. The error is also of what was needed to read them.
func (g *gathering) relate(ctx context.Context) error {
	var containers []*container.Container
	for _, item := range g.items {
		if c, ok := item.Subject.(*container.Container); ok {
			containers = append(containers, c)
		}
	}
	_, infoErr := g.r.lists.info()
	all, listErr := g.attached(ctx, containers)
	err := errors.Join(infoErr, listErr)
	var neighbours *container.Neighbours
	if len(containers) > 0 {
		networks, networksErr := g.r.lists.networks()
		err = errors.Join(err, networksErr)
		if err == nil {
			neighbours = container.NewNeighbours(beside(containers, all), fences(networks))
		}
	}
	for _, item := range g.items {
		switch s := item.Subject.(type) {
		case *container.Container:
			if neighbours != nil {
				s.Around = neighbours.Of(s.Settings.Name)
			}
		case *compose.File:
			s.Running = running(s, containers)
		case *host.Host:
			if listErr != nil {
				*item = broken(s.Ref(), listErr)
				continue
			}
			s.Attach(all)
			s.Usage = g.r.images.usage(s.Usage, all)
		}
	}
	if listErr == nil {
		g.completeImages(ctx, all)
	}
	return err
}

// attached returns what each container of the engine uses, by name: as the list
// tells it, for those that are not among read.
func (g *gathering) attached(ctx context.Context, read []*container.Container) ([]host.Attached, error) {
	list, err := g.r.lists.containers()
	if err != nil {
		return nil, err
	}
	known := map[string]*container.Container{}
	for _, c := range read {
		known[c.Inspect.ID] = c
	}
	all := make([]host.Attached, 0, len(list))
	for _, s := range list {
		if c, ok := known[s.ID]; ok {
			all = append(all, attachedBy(c))
			continue
		}
		a := host.Listed(s)
		if g.selection.Host && len(a.Volumes) > 0 && g.r.images.resolve(a.Image) != s.ImageID {
			// Once the tag has moved on, the list shows an id in its place.
			if subject, err := g.r.container(ctx, s.ID); err == nil {
				a = attachedBy(subject.(*container.Container))
			}
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b host.Attached) int { return strings.Compare(a.Name, b.Name) }) // so that users of an image are in order
	return all, nil
}

// attachedBy returns what an inspected container uses of the host.
func attachedBy(c *container.Container) host.Attached {
	a := host.Inspected(*c.Inspect)
	a.Outdated = outdated(c.Inspect.Image, c.Settings.Image, c.TagID)
	return a
}

// beside returns what concerns others of the containers that were read, and of
// all others, as far as it is known.
func beside(read []*container.Container, all []host.Attached) []container.Neighbour {
	var out []container.Neighbour
	known := map[string]bool{}
	for _, c := range read {
		out = append(out, container.NeighbourOf(c))
		known[c.Settings.Name] = true
	}
	for _, a := range all {
		if known[a.Name] {
			continue
		}
		n := container.Neighbour{Name: a.Name, Project: a.Project, Networks: a.Networks, Entry: a.Open}
		for _, v := range a.Volumes {
			if v.Writable {
				n.Writes = append(n.Writes, v.Volume)
			}
		}
		out = append(out, n)
	}
	return out
}
