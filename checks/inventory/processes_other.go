//go:build !linux

package inventory

// processes returns nil: this machine has no /proc.
func processes() []string { return nil }
