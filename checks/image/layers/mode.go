package layers

import (
	"fmt"
	"slices"
)

// A Mode says of which images the layers are read without being asked for.
type Mode string

const (
	Off  Mode = "off"
	Used Mode = "used" // of those that containers use
	All  Mode = "all"

	// Quick reads those of none: of what [Used] means, only the packages of the
	// distribution are looked at, by making a container.
	Quick Mode = "quick"
)

// ParseMode returns the mode called name; [Used] for "".
func ParseMode(name string) (Mode, error) {
	m := Mode(name)
	if m == "" {
		return Used, nil
	}
	if !slices.Contains([]Mode{Off, Used, All, Quick}, m) {
		return "", fmt.Errorf("layers: there is no %q: use off, used, all or quick", name)
	}
	return m, nil
}
