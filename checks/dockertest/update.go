package dockertest

import (
	"net/http"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// updateContainer changes limits of a container in place. Zero means "as it
// was", so nothing but the number of processes can be made unlimited again.
func (s *Server) updateContainer(w http.ResponseWriter, r *http.Request) error {
	var want container.UpdateConfig
	if err := read(r, &want); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	pids := want.PidsLimit
	if err := verifyRestart(want.RestartPolicy); err != nil {
		return err
	}
	// A request is not checked against what is stored: a reservation above the
	// limit goes through, and the next start fails.
	request := want.Resources
	if request.Memory == 0 && request.MemorySwap > 0 {
		request.MemorySwap = 0
	}
	if _, err := s.verifyResources(&request); err != nil {
		return err
	}
	if c.removing {
		return conflict("Container is marked for removal and cannot be \"update\".")
	}
	have := c.HostConfig
	if err := conflicts(have, &want); err != nil {
		return err
	}
	if c.HostConfig.AutoRemove && want.RestartPolicy.Name != "" && !want.RestartPolicy.IsNone() {
		return conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
	}
	if c.running() && s.info.CgroupVersion == "1" && want.Memory > 0 && uint64(want.Memory) < c.memory() {
		return internal("Cannot update container %s: unable to set memory limit to %d (current usage: %d, peak usage: %d): unknown", c.ID, want.Memory, c.memory(), c.memoryPeak())
	}
	if c.running() && want.Memory == 0 && want.MemorySwap > 0 && want.MemorySwap < have.Memory {
		return internal("Cannot update container %s: invalid argument: unknown", c.ID) // by the kernel; a stopped one keeps it
	}
	apply(have, &want, pids)
	c.touch()
	s.emitContainer(c, events.ActionUpdate, nil)
	if c.running() && s.info.CgroupVersion == "2" && want.Memory > 0 && uint64(want.Memory) < c.memory() {
		s.exit(c, 128+sigkill, true) // such an engine accepts the limit, and the kernel kills
	}
	return answer(w, http.StatusOK, container.UpdateResponse{Warnings: warnings(&want)})
}

func warnings(want *container.UpdateConfig) []string {
	list := []string{}
	if want.BlkioWeight != 0 {
		list = append(list, "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.")
	}
	return list
}

// conflicts are between what is asked and what is stored.
func conflicts(have *container.HostConfig, want *container.UpdateConfig) error {
	swap := want.MemorySwap
	if want.Memory != 0 && swap == 0 && want.Memory > have.MemorySwap {
		return conflict("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	}
	switch {
	case want.NanoCPUs > 0 && have.CPUPeriod > 0:
		return conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set")
	case want.NanoCPUs > 0 && have.CPUQuota > 0:
		return conflict("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set")
	case want.CPUPeriod > 0 && have.NanoCPUs > 0:
		return conflict("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set")
	case want.CPUQuota > 0 && have.NanoCPUs > 0:
		return conflict("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set")
	}
	return nil
}

func apply(have *container.HostConfig, want *container.UpdateConfig, pids *int64) {
	set := func(field *int64, value int64) {
		if value != 0 {
			*field = value
		}
	}
	set(&have.Memory, want.Memory)
	set(&have.MemorySwap, want.MemorySwap)
	set(&have.MemoryReservation, want.MemoryReservation)
	set(&have.NanoCPUs, want.NanoCPUs)
	set(&have.CPUPeriod, want.CPUPeriod)
	set(&have.CPUQuota, want.CPUQuota)
	set(&have.CPUShares, want.CPUShares)
	set(&have.CPURealtimePeriod, want.CPURealtimePeriod)
	set(&have.CPURealtimeRuntime, want.CPURealtimeRuntime)
	if want.CpusetCpus != "" {
		have.CpusetCpus = want.CpusetCpus
	}
	if want.CpusetMems != "" {
		have.CpusetMems = want.CpusetMems
	}
	if pids != nil {
		limit := max(0, *pids)
		have.PidsLimit = &limit
	}
	if want.RestartPolicy.Name != "" {
		have.RestartPolicy = want.RestartPolicy
	}
}
