package container

import (
	"time"

	"github.com/moby/moby/api/types/container"
)

// Observed is what a container was seen to use while it was watched.
type Observed struct {
	Since      time.Time
	MemoryPeak uint64  // bytes of working set: usage without inactive file cache
	CPUPeak    float64 // CPUs, 1.5 is one and a half
	PidsPeak   uint64  // threads
	CPUs       int     // CPUs of the machine; 0 when unknown
}

// Add takes one sample of docker stats into account. CPU needs two samples
// and is left as it is.
func (o *Observed) Add(s *container.StatsResponse) {
	memory, pids := Used(s)
	o.MemoryPeak, o.PidsPeak = max(o.MemoryPeak, memory), max(o.PidsPeak, pids)
}

// Used returns the bytes of memory that a sample shows, without file cache
// that the kernel can take back, and the threads.
func Used(s *container.StatsResponse) (memory, pids uint64) {
	cache, ok := s.MemoryStats.Stats["total_inactive_file"] // cgroup v1
	if !ok {
		cache = s.MemoryStats.Stats["inactive_file"] // version 2
	}
	if s.MemoryStats.Usage > cache {
		memory = s.MemoryStats.Usage - cache
	}
	return memory, s.PidsStats.Current
}
