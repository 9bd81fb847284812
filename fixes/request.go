package fixes

import "plimsoll/checks"

// A Request asks for a plan.
type Request struct {
	// Findings to cure, all of one subject. Each contributes its first fix
	// unless Fix names another by id.
	Findings []checks.Finding
	Fix      map[checks.FindingID]string

	// Values override the defaults of choices.
	Values checks.Values

	// Update also moves a container to the image that its tag names now; Pull
	// asks the registry for it first.
	Update, Pull bool

	// Tag is which one of an image is meant by Update; "": that which most
	// containers were created from.
	Tag string

	// Fetched is the id of the image that was fetched for an update; "" before.
	Fetched string

	// WriteBack asks, of a container, for what its file lacks of how it was
	// hardened: a change of that file. Findings is empty.
	WriteBack bool

	// Quarantine isolates a container instead of curing anything.
	Quarantine bool

	// Beside writes NAME.hardened next to the file instead of changing it.
	Beside bool
}
