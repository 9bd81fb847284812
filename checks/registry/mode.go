package registry

import (
	"fmt"
	"slices"
)

// A Mode says about which images registries are asked.
type Mode string

const (
	Off  Mode = "off"
	Used Mode = "used" // those that containers use, and those that are named
	All  Mode = "all"
)

// ParseMode returns the mode called name; [Used] for "".
func ParseMode(name string) (Mode, error) {
	if name == "" {
		return Used, nil
	}
	if m := Mode(name); slices.Contains([]Mode{Off, Used, All}, m) {
		return m, nil
	}
	return "", fmt.Errorf("ask-registries: there is no %q: use off, used or all", name)
}
