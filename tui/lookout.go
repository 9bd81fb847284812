package tui

import (
	"context"

	"plimsoll/checks/runtime/falco"
	"plimsoll/checks/runtime/sysdig"
)

// A Lookout watches what containers do. What it notices comes with the updates.
type Lookout interface {
	// Attend looks at all containers all the time while somebody looks at what
	// they do. It does not wait long.
	Attend(bool)

	// Sources says what it learns things from.
	Sources() []Source

	// Sysdig returns the sysdig of this machine. It asks it what it is.
	Sysdig(context.Context) sysdig.Tool

	// Rules returns rules for Falco of what is normal for the running containers.
	Rules(context.Context) (falco.Rules, error)

	// KeepRules writes rules to a file of the user's and returns its path.
	KeepRules(falco.Rules) (path string, err error)
}

// A Source is one of the things that tell what containers do.
type Source struct {
	Name    string // "docker events", "Falco", "sysdig"
	Detail  string // where: a path, an address, a version; may be empty
	Present bool
	Err     error // why it tells nothing right now
}
