package scanner

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

const (
	prefix   = "plimsoll-scan-" // of folders among the temporary files
	lockName = "lock"
)

// A folder is for the files of one scan. Nobody else may look into it, and it is
// locked for as long as the process lives that made it.
type folder struct {
	path string
	lock *os.File
}

func newFolder() (*folder, error) {
	dir, err := os.MkdirTemp("", prefix) // 0700
	if err != nil {
		return nil, err
	}
	f := &folder{path: dir}
	f.lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil && !tryLock(f.lock) {
		err = errors.New("somebody else holds the lock of a new folder")
	}
	if err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

func (f *folder) remove() {
	if f == nil {
		return
	}
	if f.lock != nil {
		_ = f.lock.Close()
	}
	_ = os.RemoveAll(f.path) // what is left is swept another time
}

// Ages from which a folder is left over: one that is new may not be locked yet,
// and one that never was is of a process that did not get that far.
const (
	unlocked  = time.Minute
	neverHeld = 24 * time.Hour
)

// Sweep removes the folders of scans whose process was killed. It follows no
// link, and touches nothing that others own or may look into.
func Sweep() { sweep(os.TempDir(), time.Now()) }

func sweep(dir string, now time.Time) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	all, err := root.Open(".")
	if err != nil {
		return
	}
	names, _ := all.Readdirnames(-1)
	_ = all.Close()
	for _, name := range names {
		if strings.HasPrefix(name, prefix) && leftOver(root, name, now) {
			_ = root.RemoveAll(name) // the next start tries again
		}
	}
}

func leftOver(root *os.Root, name string, now time.Time) bool {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() || !private(info) || now.Sub(info.ModTime()) < unlocked {
		return false
	}
	held := path.Join(name, lockName)
	at, err := root.Lstat(held)
	if errors.Is(err, fs.ErrNotExist) {
		return now.Sub(info.ModTime()) > neverHeld
	}
	if err != nil || !at.Mode().IsRegular() {
		return false
	}
	lock, err := root.OpenFile(held, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer lock.Close()
	return tryLock(lock)
}
