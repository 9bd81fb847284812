package inventory

import (
	"maps"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// identity is what makes an item the same across updates.
type identity struct {
	kind checks.Kind
	id   string
}

func identify(ref checks.Ref) identity { return identity{ref.Kind, ref.ID} }

// outbox merges what changed until the receiver has time for it, so that a
// slow receiver sees fewer and larger updates and nothing queues up.
type outbox struct {
	pending  bool
	engine   EngineState
	complete bool
	items    map[identity]Item
	removed  map[identity]checks.Ref
	alerts   []runtime.Alert
}

func newOutbox() *outbox {
	return &outbox{items: map[identity]Item{}, removed: map[identity]checks.Ref{}}
}

func (o *outbox) put(i Item) {
	o.items[identify(i.Ref)] = i
	delete(o.removed, identify(i.Ref))
	o.pending = true
}

func (o *outbox) remove(ref checks.Ref) {
	delete(o.items, identify(ref))
	o.removed[identify(ref)] = ref
	o.pending = true
}

// peek returns the merged update; clear forgets it once it was received.
func (o *outbox) peek() Update {
	return Update{Engine: o.engine, Complete: o.complete, Items: slices.Collect(maps.Values(o.items)), Removed: slices.Collect(maps.Values(o.removed)), Alerts: slices.Clone(o.alerts)}
}

func (o *outbox) clear() {
	o.items, o.removed, o.alerts, o.pending = map[identity]Item{}, map[identity]checks.Ref{}, nil, false
}
