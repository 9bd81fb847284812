package private

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
