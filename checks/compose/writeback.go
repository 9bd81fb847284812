package compose

import (
	"maps"
	"slices"

	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// writeBack returns the fix that gives a service what its running container
// was hardened with, by the key that the two differ in.
func writeBack(key string, running *container.Container) checks.Fix {
	return checks.Fix{
		ID:    "write-back",
		Title: checks.Msg("write %s of %s in the file", key, running.Settings.Name),
		Change: func(s *checks.Settings, _ checks.Values) error {
			take(key, s, running.Settings.Clone())
			return nil
		},
	}
}

// take copies what key stands for.
func take(key string, to, from *checks.Settings) {
	h, r := to.Host, from.Host
	switch key {
	case "user":
		to.Config.User = from.Config.User
	case "privileged":
		h.Privileged = r.Privileged
	case "read_only":
		h.ReadonlyRootfs = r.ReadonlyRootfs
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		maps.Copy(h.Tmpfs, r.Tmpfs) // it would not run without them
	case "security_opt":
		for _, opt := range r.SecurityOpt {
			if !slices.Contains(h.SecurityOpt, opt) {
				h.SecurityOpt = append(h.SecurityOpt, opt)
			}
		}
	case "cap_add", "cap_drop":
		h.CapAdd, h.CapDrop = r.CapAdd, r.CapDrop
	case "mem_limit":
		h.Memory, h.MemorySwap, h.MemoryReservation = r.Memory, r.MemorySwap, min(h.MemoryReservation, r.Memory)
	case "cpus":
		h.NanoCPUs = r.NanoCPUs
		if r.NanoCPUs == 0 && r.CPUPeriod > 0 {
			h.NanoCPUs = r.CPUQuota * 1e9 / r.CPUPeriod
		}
	case "pids_limit":
		h.PidsLimit = r.PidsLimit
	case "restart":
		h.RestartPolicy = r.RestartPolicy
	case "ports":
		for port, bindings := range h.PortBindings {
			takeAddresses(bindings, r.PortBindings[port])
		}
	}
}

// takeAddresses binds each port to where the same one is bound.
func takeAddresses(to, from []network.PortBinding) {
	for i := range to {
		for _, b := range from {
			if b.HostPort == to[i].HostPort {
				to[i].HostIP = b.HostIP
			}
		}
	}
}
