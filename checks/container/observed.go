package container

import (
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
)

// Observed is what a container was seen to use while it was watched.
type Observed struct {
	Since, Last time.Time // of the first and the last sample
	MemoryPeak  uint64    // bytes of working set: usage without inactive file cache
	CPUPeak     float64   // CPUs, 1.5 is one and a half
	PidsPeak    uint64    // threads
	CPUs        int       // CPUs of the machine; 0 when unknown

	Memory uint64 // as MemoryPeak, of the last sample; so are CPU and Pids
	CPU    float64
	Pids   uint64
	UIDs   []int // that processes ran as, in order
}

// Add takes one sample of docker stats into account. What it says of CPU needs
// the sample before, which the first of a stream comes without.
func (o *Observed) Add(s *container.StatsResponse) {
	o.Memory, o.Pids = Used(s)
	o.Last = s.Read
	o.MemoryPeak, o.PidsPeak = max(o.MemoryPeak, o.Memory), max(o.PidsPeak, o.Pids)
	now, before := &s.CPUStats, &s.PreCPUStats
	o.CPUs = int(now.OnlineCPUs)
	if before.SystemUsage == 0 || now.SystemUsage <= before.SystemUsage || now.CPUUsage.TotalUsage < before.CPUUsage.TotalUsage {
		return
	}
	used := float64(now.CPUUsage.TotalUsage - before.CPUUsage.TotalUsage)
	o.CPU = used / float64(now.SystemUsage-before.SystemUsage) * float64(now.OnlineCPUs)
	o.CPUPeak = max(o.CPUPeak, o.CPU)
}

// Ran takes processes into account.
func (o *Observed) Ran(processes []Process) {
	for _, p := range processes {
		if !slices.Contains(o.UIDs, p.UID) {
			o.UIDs = slices.Clone(o.UIDs) // the others are somebody's snapshot
			o.UIDs = append(o.UIDs, p.UID)
			slices.Sort(o.UIDs)
		}
	}
}

// Lasted returns for how long the container was watched.
func (o *Observed) Lasted() time.Duration { return o.Last.Sub(o.Since) }

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
