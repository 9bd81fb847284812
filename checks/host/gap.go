package host

import (
	"errors"

	"plimsoll/checks"
)

// A Gap is something that the engine would not tell: it is not Docker and lacks
// the call, or something between forbids it. What depends on it is not judged.
type Gap struct {
	Name string         // "networks": tells it from others
	What checks.Message // one sentence with the reason
	Err  error
}

// Incomplete implements [checks.Incomplete]: it names the gaps.
func (h *Host) Incomplete() error {
	var all []error
	if h.Podman {
		all = append(all, &checks.Problem{What: h.podmanGap()})
	}
	for _, g := range h.Gaps {
		all = append(all, &checks.Problem{What: g.What, Err: g.Err})
	}
	return errors.Join(all...)
}
