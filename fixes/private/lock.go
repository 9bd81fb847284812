package private

import (
	"time"

	"github.com/containerd/errdefs"
)

// Lock takes the lock file called name, or fails with [errdefs.ErrConflict]
// when another process, or another caller in this one, holds it. The kernel
// releases it when the process ends, however it ends, so there are no stale
// locks; the file itself stays, because removing it would race.
func (d Dir) Lock(name string) (release func(), err error) {
	f, err := d.OpenFile(name)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Await is [Dir.Lock] that waits, up to a second, for a process that writes a
// file and is done soon.
func (d Dir) Await(name string) (release func(), err error) {
	for range 40 {
		release, err = d.Lock(name)
		if !errdefs.IsConflict(err) {
			return release, err
		}
		time.Sleep(25 * time.Millisecond)
	}
	return nil, err
}
