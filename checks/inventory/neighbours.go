package inventory

import (
	"reflect"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"

	"plimsoll/checks/compose"
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
	w.compose()
	found := container.NewNeighbours(all, fences(networks))
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

// compose tells compose files which containers run of their services.
func (w *world) compose() {
	var containers []*container.Container
	for _, item := range w.items {
		if c, ok := item.Subject.(*container.Container); ok {
			containers = append(containers, c)
		}
	}
	for _, item := range w.items {
		f, ok := item.Subject.(*compose.File)
		if !ok {
			continue
		}
		if running := running(f, containers); !slices.EqualFunc(f.Running, running, sameSettings) {
			seen := *f
			seen.Running = running
			item.Subject = &seen
			w.rejudge(item)
		}
	}
}

// running returns the containers of the services of f, by name.
func running(f *compose.File, all []*container.Container) []*container.Container {
	var own []*container.Container
	for _, c := range all {
		if compose.Runs(c, f.Path) {
			own = append(own, c)
		}
	}
	slices.SortFunc(own, func(a, b *container.Container) int { return strings.Compare(a.Settings.Name, b.Settings.Name) })
	return own
}

// sameSettings reports whether two snapshots are of one inspection.
func sameSettings(a, b *container.Container) bool { return a.Inspect == b.Inspect }

// fences says what networks keep apart; nil when none are known.
func fences(networks []network.Network) map[string]container.Fence {
	if networks == nil {
		return nil
	}
	all := map[string]container.Fence{}
	for _, n := range networks {
		all[n.Name] = container.FenceOf(n.Internal, n.Options)
	}
	return all
}
