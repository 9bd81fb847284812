package dockertest

import (
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

// MissingOnHost says that paths do not exist on the engine's machine. All
// others do. As in an engine, that matters to mounts, not to binds, which
// create what is missing.
func (s *Server) MissingOnHost(paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range paths {
		s.missing[p] = true
	}
}

const leastMemory = 6 << 20

// verify refuses settings that an engine refuses whatever exists.
func (s *Server) verify(config *container.Config, host *container.HostConfig) (warnings []string, err error) {
	if config.WorkingDir != "" && !strings.HasPrefix(config.WorkingDir, "/") {
		return nil, badRequest("the working directory '%s' is invalid, it needs to be an absolute path", config.WorkingDir)
	}
	for _, e := range config.Env {
		if e == "" || strings.HasPrefix(e, "=") {
			return nil, badRequest("invalid environment variable: %s", e)
		}
	}
	if host.AutoRemove && !host.RestartPolicy.IsNone() {
		return nil, badRequest("can't create 'AutoRemove' container with restart policy")
	}
	if err := verifyRestart(host.RestartPolicy); err != nil {
		return nil, err
	}
	if err := verifyNetworkMode(config, host); err != nil {
		return nil, err
	}
	for _, m := range host.Mounts {
		switch {
		case m.Target == "":
			return nil, badRequest("invalid mount config for type %q: field Target must not be empty", m.Type)
		case !strings.HasPrefix(m.Target, "/"):
			return nil, badRequest("invalid mount config for type %q: invalid mount path: '%s' mount path must be absolute", m.Type, m.Target)
		case m.Type == mount.TypeBind && m.Source == "":
			return nil, badRequest("invalid mount config for type %q: field Source must not be empty", m.Type)
		case m.Type == mount.TypeTmpfs && m.Source != "":
			return nil, badRequest("invalid mount config for type %q: field Source must not be specified", m.Type)
		case m.Type == mount.TypeBind && s.missing[m.Source]:
			return nil, badRequest("invalid mount config for type %q: bind source path does not exist: %s", m.Type, m.Source)
		}
	}
	if host.Runtime != "" {
		if _, ok := s.info.Runtimes[host.Runtime]; !ok {
			return nil, badRequest("Unknown runtime specified %s", host.Runtime)
		}
	}
	return s.verifyResources(&host.Resources)
}

func verifyRestart(p container.RestartPolicy) error {
	switch p.Name {
	case "always", "unless-stopped", "no":
		if p.MaximumRetryCount != 0 {
			return badRequest("maximum retry count cannot be used with restart policy '%s'", p.Name)
		}
	case "on-failure":
		if p.MaximumRetryCount < 0 {
			return badRequest("maximum retry count cannot be negative")
		}
	case "":
	default:
		return badRequest("invalid restart policy '%s'", p.Name)
	}
	return nil
}

func verifyNetworkMode(config *container.Config, host *container.HostConfig) error {
	mode := host.NetworkMode
	if host.UTSMode.IsHost() && config.Hostname != "" {
		return badRequest("conflicting options: hostname and the UTS mode")
	}
	if mode.IsHost() && len(host.Links) > 0 {
		return badRequest("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
	}
	if !mode.IsContainer() {
		return nil
	}
	switch {
	case mode.ConnectedContainer() == "":
		return badRequest("Invalid network mode: invalid container format container:<name|id>")
	case config.Hostname != "":
		return badRequest("conflicting options: hostname and the network mode")
	case len(host.Links) > 0:
		return badRequest("conflicting options: container type network can't be used with links. This would result in undefined behavior")
	case len(host.DNS) > 0:
		return badRequest("conflicting options: dns and the network mode")
	case len(host.ExtraHosts) > 0:
		return badRequest("conflicting options: custom host-to-IP mapping and the network mode")
	case len(host.PortBindings) > 0 || host.PublishAllPorts:
		return badRequest("conflicting options: port publishing and the container type network mode")
	case len(config.ExposedPorts) > 0:
		return badRequest("conflicting options: port exposing and the container type network mode")
	}
	return nil
}

// verifyResources refuses limits that cannot be. It is used for create and,
// with the whole of the new limits, for start.
func (s *Server) verifyResources(r *container.Resources) (warnings []string, err error) {
	switch {
	case r.Memory < 0, r.Memory > 0 && r.Memory < leastMemory:
		return nil, badRequest("Minimum memory limit allowed is 6MB")
	case r.Memory > 0 && r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return nil, badRequest("Minimum memoryswap limit should be larger than memory limit, see usage")
	case r.Memory == 0 && r.MemorySwap > 0:
		return nil, badRequest("You should always set the Memory limit when using Memoryswap limit, see usage")
	case r.MemoryReservation > 0 && r.MemoryReservation < leastMemory:
		return nil, badRequest("Minimum memory reservation allowed is 6MB")
	case r.Memory > 0 && r.MemoryReservation > r.Memory:
		return nil, badRequest("Minimum memory limit can not be less than memory reservation limit, see usage")
	case r.MemorySwappiness != nil && (*r.MemorySwappiness < -1 || *r.MemorySwappiness > 100):
		return nil, badRequest("Invalid value: %v, valid memory swappiness range is 0-100", *r.MemorySwappiness)
	case r.NanoCPUs > 0 && r.CPUPeriod > 0:
		return nil, badRequest("Conflicting options: Nano CPUs and CPU Period cannot both be set")
	case r.NanoCPUs > 0 && r.CPUQuota > 0:
		return nil, badRequest("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
	case r.NanoCPUs < 0 || r.NanoCPUs > int64(s.info.NCPU)*1e9:
		return nil, badRequest("Range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", s.info.NCPU, s.info.NCPU)
	case r.CPUPeriod != 0 && (r.CPUPeriod < 1000 || r.CPUPeriod > 1000000):
		return nil, badRequest("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case r.CPUQuota > 0 && r.CPUQuota < 1000:
		return nil, badRequest("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	}
	if r.PidsLimit != nil && *r.PidsLimit <= 0 {
		r.PidsLimit = nil
	}
	if r.Memory > 0 && !s.info.SwapLimit {
		warnings = append(warnings, "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.")
		r.MemorySwap = -1
	}
	return warnings, nil
}
