//go:build unix

package files

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// noFollow also keeps a FIFO that took the place of a file from blocking.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func identify(name string, info fs.FileInfo) identity {
	s := info.Sys().(*syscall.Stat_t)
	return identity{
		Name: name, Exists: true, Dev: uint64(s.Dev), Inode: uint64(s.Ino),
		attributes: attributes{Mode: info.Mode(), UID: int(s.Uid), GID: int(s.Gid)},
	}
}

func links(info fs.FileInfo) uint64 { return uint64(info.Sys().(*syscall.Stat_t).Nlink) }

// mayOwn reports whether a new file can have the owner of the one at info.
func mayOwn(info fs.FileInfo) bool {
	return os.Geteuid() == 0 || int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid()
}

// giveTo gives f its owner. Only root can give files away; anyone else keeps
// the group where that is one of their own.
func giveTo(f *os.File, a attributes) error {
	if os.Geteuid() == 0 {
		return f.Chown(a.UID, a.GID)
	}
	if a.GID != os.Getegid() {
		_ = f.Chown(-1, a.GID)
	}
	return nil
}

func writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
