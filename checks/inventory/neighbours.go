package inventory

import (
	"context"
	"reflect"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/container"
	"plimsoll/checks/host"
)

// neighbours tells containers what stands beside them, once everything has
// been read.
func (w *world) neighbours() {
	if len(w.reading) > 0 {
		return
	}
	var all []container.Neighbour
	var networks []network.Network
	for _, item := range w.items {
		switch s := item.Subject.(type) {
		case *container.Container:
			all = append(all, container.NeighbourOf(s))
		case *host.Host:
			networks = s.Networks
		}
	}
	found := container.NewNeighbours(all, closed(networks))
	for _, item := range w.items {
		c, ok := item.Subject.(*container.Container)
		if !ok {
			continue
		}
		if around := found.Of(c.Settings.Name); !reflect.DeepEqual(c.Around, around) {
			moved := *c
			moved.Around = around
			item.Subject = &moved
			w.rejudge(item)
		}
	}
}

// closed says which networks have no way out; nil when none are known.
func closed(networks []network.Network) map[string]bool {
	if networks == nil {
		return nil
	}
	internal := map[string]bool{}
	for _, n := range networks {
		internal[n.Name] = n.Internal
	}
	return internal
}

// beside finds what stands beside the containers among subjects: whole says
// that these are all there are.
func (r reader) beside(ctx context.Context, subjects []*container.Container, whole bool) (*container.Neighbours, error) {
	networks, err := r.client.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, err
	}
	list := []network.Network{}
	for _, n := range networks.Items {
		list = append(list, n.Network)
	}
	all := make([]container.Neighbour, len(subjects))
	read := map[string]bool{}
	for i, c := range subjects {
		all[i] = container.NeighbourOf(c)
		read[c.Settings.Name] = true
	}
	if whole {
		return container.NewNeighbours(all, closed(list)), nil
	}
	others, err := r.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	for _, s := range others.Items {
		a := host.Listed(s)
		if read[a.Name] {
			continue
		}
		n := container.Neighbour{Name: a.Name, Project: a.Project, Networks: a.Networks, Entry: a.Open}
		for _, v := range a.Volumes {
			if v.Writable {
				n.Writes = append(n.Writes, v.Volume)
			}
		}
		all = append(all, n)
	}
	return container.NewNeighbours(all, closed(list)), nil
}
