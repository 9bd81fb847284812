// Package compose reads compose files and judges each service by the checks
// of containers.
package compose

import (
	"plimsoll/checks"
	"plimsoll/checks/container"
)

// A File is a compose file that was loaded.
type File struct {
	Path     string // absolute
	Name     string // shown: relative to where the user looks from
	Source   []byte
	Services []*container.Container // in the order of the file; each has Compose set
}

// Ref implements [checks.Subject].
func (f *File) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Compose, ID: f.Path, Name: f.Name}
}
