package program

import "golang.org/x/sys/unix"

// limit sets bounds for a process that has just begun, and so for those that it
// starts. Data is bounded, not address space: programs in Go reserve much more
// of that than they use.
func limit(pid int, l Limits) {
	for resource, most := range map[int]uint64{unix.RLIMIT_DATA: l.Memory, unix.RLIMIT_FSIZE: l.File, unix.RLIMIT_CORE: 0} {
		if most == 0 && resource != unix.RLIMIT_CORE {
			continue
		}
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil) // it may have ended
	}
}
