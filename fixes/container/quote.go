package container

import (
	"cmp"
	"maps"
	"slices"

	"github.com/moby/moby/api/types/network"
	"mvdan.cc/sh/v3/syntax"
)

// quote returns s as one word of a shell command.
func quote(s string) string {
	q, err := syntax.Quote(s, syntax.LangBash)
	if err != nil { // a zero byte, which no argument can hold
		return "'…'"
	}
	return q
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func sortedPorts(m network.PortMap) []network.Port {
	return slices.SortedFunc(maps.Keys(m), func(a, b network.Port) int {
		return cmp.Or(cmp.Compare(a.Num(), b.Num()), cmp.Compare(a.Proto(), b.Proto()))
	})
}
