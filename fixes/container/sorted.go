package container

import (
	"cmp"
	"maps"
	"slices"

	"github.com/moby/moby/api/types/network"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func sortedPorts(m network.PortMap) []network.Port {
	return slices.SortedFunc(maps.Keys(m), func(a, b network.Port) int {
		return cmp.Or(cmp.Compare(a.Num(), b.Num()), cmp.Compare(a.Proto(), b.Proto()))
	})
}
