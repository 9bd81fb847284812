package container

import (
	"fmt"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// limits are the settings that the update call changes.
type limits struct {
	Memory, MemorySwap, MemoryReservation    int64
	NanoCPUs, CPUPeriod, CPUQuota, CPUShares int64
	CpusetCpus, CpusetMems                   string
	BlkioWeight                              uint16
	Pids                                     int64 // 0 is none
	Restart                                  api.RestartPolicy
}

func limitsOf(h *api.HostConfig) limits {
	l := limits{
		h.Memory, h.MemorySwap, h.MemoryReservation, h.NanoCPUs, h.CPUPeriod, h.CPUQuota, h.CPUShares,
		h.CpusetCpus, h.CpusetMems, h.BlkioWeight, pids(h), h.RestartPolicy,
	}
	if l.Restart.Name == "" {
		l.Restart.Name = api.RestartPolicyDisabled
	}
	return l
}

// request returns the update call that leads from l to want. Memory goes with
// swap and reservation, because the engine would accept each by itself and
// then not start the container again.
func (l limits) request(want limits) client.ContainerUpdateOptions {
	r := api.Resources{
		CPUShares: changed(l.CPUShares, want.CPUShares), CPUPeriod: changed(l.CPUPeriod, want.CPUPeriod),
		CPUQuota: changed(l.CPUQuota, want.CPUQuota), NanoCPUs: changed(l.NanoCPUs, want.NanoCPUs),
		CpusetCpus: changed(l.CpusetCpus, want.CpusetCpus), CpusetMems: changed(l.CpusetMems, want.CpusetMems),
		BlkioWeight: changed(l.BlkioWeight, want.BlkioWeight),
	}
	if l.Memory != want.Memory || l.MemorySwap != want.MemorySwap || l.MemoryReservation != want.MemoryReservation {
		r.Memory, r.MemorySwap, r.MemoryReservation = want.Memory, want.MemorySwap, want.MemoryReservation
	}
	if l.Pids != want.Pids {
		n := want.Pids
		r.PidsLimit = &n
	}
	o := client.ContainerUpdateOptions{Resources: &r}
	// Always named: an engine took a missing one for "no".
	policy := want.Restart
	o.RestartPolicy = &policy
	return o
}

func changed[T comparable](old, want T) T {
	if old == want {
		var zero T
		return zero // no change
	}
	return want
}

// ignored returns what the engine made of want that is not what was asked for.
func (l limits) ignored(want limits, swap bool) []string {
	var out []string
	check := func(name string, got, want any) {
		if got != want {
			out = append(out, fmt.Sprintf("%s is %v, not %v", name, got, want))
		}
	}
	check("memory", l.Memory, want.Memory)
	if swap {
		check("memory and swap", l.MemorySwap, want.MemorySwap)
	}
	check("memory reservation", l.MemoryReservation, want.MemoryReservation)
	check("CPUs in billionths", l.NanoCPUs, want.NanoCPUs)
	check("CPU period", l.CPUPeriod, want.CPUPeriod)
	check("CPU quota", l.CPUQuota, want.CPUQuota)
	check("CPU shares", l.CPUShares, want.CPUShares)
	check("CPU set", l.CpusetCpus, want.CpusetCpus)
	check("memory nodes", l.CpusetMems, want.CpusetMems)
	check("block IO weight", l.BlkioWeight, want.BlkioWeight)
	check("processes", l.Pids, want.Pids)
	check("restart policy", l.Restart, want.Restart)
	return out
}

// restorable returns the limits to set so that the container is as free as it
// was with old, and whether these are exactly the old ones. A limit of memory
// or CPU time cannot be taken away from a running container, but it can be
// raised to all that the machine has.
func (l limits) restorable(old limits, memory int64, cpus int) (limits, bool) {
	to, exact := old, true
	if old.Memory == 0 && l.Memory > 0 {
		to.Memory, to.MemorySwap, to.MemoryReservation = memory, 2*memory, l.MemoryReservation
		exact = false
	}
	if old.MemoryReservation == 0 && l.MemoryReservation > 0 && old.Memory > 0 {
		to.MemoryReservation, exact = old.Memory, false
	}
	if old.NanoCPUs == 0 && l.NanoCPUs > 0 {
		to.NanoCPUs, exact = int64(cpus)*1e9, false
	}
	if old.CPUQuota == 0 && l.CPUQuota > 0 {
		to.CPUQuota = -1 // no quota
		exact = false
	}
	return to, exact
}
