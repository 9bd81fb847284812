//go:build linux || darwin

// Package disk says what room there is for files.
package disk

import "golang.org/x/sys/unix"

// Free returns how many bytes the user may still write below dir, and whether
// that is known.
func Free(dir string) (uint64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
