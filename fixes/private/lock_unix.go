//go:build unix

package private

import (
	"errors"
	"os"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errdefs.ErrConflict
	}
	return err
}
