//go:build unix

package inventory

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"plimsoll/checks/host"
)

// contentOf says whether a directory holds anything. It follows no link at the
// end of the path, and does not wait for what is no directory.
func contentOf(dir string) host.Content {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return host.Unknown
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	switch _, err := f.Readdirnames(1); {
	case errors.Is(err, io.EOF):
		return host.Empty
	case err != nil:
		return host.Unknown
	}
	return host.Filled
}
