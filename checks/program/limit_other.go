//go:build !linux

package program

// limit does nothing here: no other process can be bounded.
func limit(int, Limits) {}
