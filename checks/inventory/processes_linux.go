package inventory

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// processes returns the names of the processes of this machine, nil where it
// has no /proc. There may be thousands, so that each is three calls to the
// kernel and no more.
func processes() []string {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	entries, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var names []string
	var comm [64]byte // the kernel cuts names at 16 bytes, those of its own threads later
	path := make([]byte, 0, 32)
	for _, entry := range entries {
		if entry[0] < '0' || entry[0] > '9' {
			continue
		}
		path = append(append(path[:0], entry...), "/comm"...)
		fd, err := unix.Openat(int(proc.Fd()), string(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // it has ended
		}
		n, err := unix.Read(fd, comm[:])
		unix.Close(fd)
		if err == nil && n > 0 {
			names = append(names, string(bytes.TrimSpace(comm[:n])))
		}
	}
	return names
}
