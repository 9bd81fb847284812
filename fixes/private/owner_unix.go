//go:build unix

package private

import (
	"io/fs"
	"os"
	"syscall"
)

func ownedByUser(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}

func closedToOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }

// SyncDir makes renames in root survive a power cut.
func SyncDir(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
