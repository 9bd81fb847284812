// Package suite lists every check of the project.
package suite

import (
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/host"
	"plimsoll/checks/image"
)

// All returns every check, by kind and in the order of the course.
func All() []*checks.Check {
	return slices.Concat(dockerfile.Checks(), compose.Checks(), image.Checks(), container.Checks(), host.Checks())
}
