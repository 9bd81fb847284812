//go:build !linux && !darwin

// Package disk says what room there is for files.
package disk

// Free is not known here.
func Free(string) (uint64, bool) { return 0, false }
