package scanner

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes the lock of f until it is closed, unless somebody has it.
func tryLock(f *os.File) bool {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{}) == nil
}

// private: each user has temporary files of their own.
func private(fs.FileInfo) bool { return true }
