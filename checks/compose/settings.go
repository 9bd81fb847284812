package compose

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// settings returns what docker compose would create a container of s from.
func settings(project *types.Project, s types.ServiceConfig) checks.Settings {
	host := &container.HostConfig{
		CapAdd:         s.CapAdd,
		CapDrop:        s.CapDrop,
		CgroupnsMode:   container.CgroupnsMode(s.Cgroup),
		DNS:            addresses(s.DNS),
		ExtraHosts:     slices.Sorted(slices.Values(s.ExtraHosts.AsList(":"))), // a map gives another order each time
		GroupAdd:       s.GroupAdd,
		Init:           s.Init,
		IpcMode:        container.IpcMode(joined(s.Ipc)),
		LogConfig:      logConfig(s),
		Mounts:         mounts(project, s),
		OomScoreAdj:    int(s.OomScoreAdj),
		PidMode:        container.PidMode(joined(s.Pid)),
		PortBindings:   portBindings(s.Ports),
		Privileged:     s.Privileged,
		ReadonlyRootfs: s.ReadOnly,
		Resources:      resources(s),
		RestartPolicy:  restartPolicy(s),
		Runtime:        s.Runtime,
		SecurityOpt:    s.SecurityOpt,
		ShmSize:        int64(s.ShmSize),
		Sysctls:        s.Sysctls,
		UsernsMode:     container.UsernsMode(s.UserNSMode),
		UTSMode:        container.UTSMode(s.Uts),
		VolumesFrom:    s.VolumesFrom,
	}
	for _, folder := range s.Tmpfs {
		target, options, _ := strings.Cut(folder, ":")
		if host.Tmpfs == nil {
			host.Tmpfs = map[string]string{}
		}
		host.Tmpfs[target] = options
	}
	settings := checks.Settings{
		Name:  s.Name,
		Image: s.Image,
		Config: &container.Config{
			User:        s.User,
			Image:       s.Image,
			Cmd:         s.Command,
			Entrypoint:  s.Entrypoint,
			Healthcheck: healthcheck(s.HealthCheck),
			Labels:      s.Labels,
			WorkingDir:  s.WorkingDir,
		},
		Host: host,
	}
	host.NetworkMode = container.NetworkMode(joined(s.NetworkMode))
	if s.NetworkMode == "" {
		settings.Networks = map[string]*network.EndpointSettings{}
		for _, key := range s.NetworksByPriority() {
			name := key
			if n, ok := project.Networks[key]; ok && n.Name != "" {
				name = n.Name
			}
			if host.NetworkMode == "" {
				host.NetworkMode = container.NetworkMode(name)
			}
			settings.Networks[name] = &network.EndpointSettings{}
			if n := s.Networks[key]; n != nil {
				settings.Networks[name] = endpoint(n, s.MacAddress)
			}
		}
	}
	return settings
}

// joined turns a reference to a service into one to its container.
func joined(mode string) string {
	if service, ok := strings.CutPrefix(mode, types.ServicePrefix); ok {
		return types.ContainerPrefix + service
	}
	return mode
}

// resources returns the limits of s; those below deploy take precedence.
func resources(s types.ServiceConfig) container.Resources {
	r := container.Resources{
		CPUPeriod:         s.CPUPeriod,
		CPUQuota:          s.CPUQuota,
		CPUShares:         s.CPUShares,
		CPUCount:          s.CPUCount,
		CPUPercent:        int64(s.CPUPercent),
		CpusetCpus:        s.CPUSet,
		CgroupParent:      s.CgroupParent,
		DeviceCgroupRules: s.DeviceCgroupRules,
		Memory:            int64(s.MemLimit),
		MemoryReservation: int64(s.MemReservation),
		MemorySwap:        int64(s.MemSwapLimit),
		NanoCPUs:          int64(float64(s.CPUS) * 1e9),
	}
	if s.OomKillDisable {
		r.OomKillDisable = &s.OomKillDisable
	}
	for _, name := range slices.Sorted(maps.Keys(s.Ulimits)) {
		if u := s.Ulimits[name]; u != nil {
			r.Ulimits = append(r.Ulimits, &container.Ulimit{
				Name: name, Soft: int64(cmp.Or(u.Soft, u.Single)), Hard: int64(cmp.Or(u.Hard, u.Single)),
			})
		}
	}
	if b := s.BlkioConfig; b != nil {
		r.BlkioWeight = b.Weight
		for _, d := range slices.Concat(b.DeviceReadBps, b.DeviceWriteBps, b.DeviceReadIOps, b.DeviceWriteIOps) {
			r.BlkioDeviceReadBps = append(r.BlkioDeviceReadBps, &blkiodev.ThrottleDevice{Path: d.Path, Rate: uint64(max(d.Rate, 0))})
		}
	}
	pids := s.PidsLimit
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		limits := s.Deploy.Resources.Limits
		if limits.MemoryBytes != 0 {
			r.Memory = int64(limits.MemoryBytes)
		}
		if limits.NanoCPUs != 0 {
			r.NanoCPUs = int64(float64(limits.NanoCPUs) * 1e9)
		}
		if limits.Pids != 0 {
			pids = limits.Pids
		}
	}
	if pids != 0 {
		r.PidsLimit = &pids
	}
	for _, d := range s.Devices {
		r.Devices = append(r.Devices, container.DeviceMapping{PathOnHost: d.Source, PathInContainer: d.Target, CgroupPermissions: d.Permissions})
	}
	return r
}

// endpoint returns what a service asks of its place in a network; mac is what
// it asks for the first one outside of its networks.
func endpoint(n *types.ServiceNetworkConfig, mac string) *network.EndpointSettings {
	e := &network.EndpointSettings{Aliases: n.Aliases}
	_ = e.MacAddress.UnmarshalText([]byte(cmp.Or(n.MacAddress, mac))) // compose refuses an invalid one later
	v4, _ := netip.ParseAddr(n.Ipv4Address)
	v6, _ := netip.ParseAddr(n.Ipv6Address)
	if v4.IsValid() || v6.IsValid() {
		e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: v4, IPv6Address: v6}
	}
	return e
}

func addresses(all []string) []netip.Addr {
	var out []netip.Addr
	for _, a := range all {
		if ip, err := netip.ParseAddr(a); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

// logConfig returns how a service wants its logs kept. Nothing stands for what
// the engine does by default, which the file does not tell.
func logConfig(s types.ServiceConfig) container.LogConfig {
	if s.Logging == nil {
		return container.LogConfig{Type: s.LogDriver, Config: s.LogOpt}
	}
	log := container.LogConfig{Type: s.Logging.Driver, Config: map[string]string(s.Logging.Options)}
	if log.Type == "" && len(log.Config) == 0 {
		return log
	}
	log.Type = cmp.Or(log.Type, "json-file")
	return log
}

func restartPolicy(s types.ServiceConfig) container.RestartPolicy {
	name, count, _ := strings.Cut(s.Restart, ":")
	policy := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	policy.MaximumRetryCount, _ = strconv.Atoi(count)
	if s.Deploy == nil || s.Deploy.RestartPolicy == nil {
		return policy
	}
	switch s.Deploy.RestartPolicy.Condition {
	case "none", "no":
		policy = container.RestartPolicy{Name: container.RestartPolicyDisabled}
	case "on-failure":
		policy = container.RestartPolicy{Name: container.RestartPolicyOnFailure}
	default:
		policy = container.RestartPolicy{Name: container.RestartPolicyAlways}
	}
	if attempts := s.Deploy.RestartPolicy.MaxAttempts; attempts != nil && policy.Name == container.RestartPolicyOnFailure {
		policy.MaximumRetryCount = int(min(*attempts, 1<<31-1))
	}
	return policy
}

func healthcheck(h *types.HealthCheckConfig) *container.HealthConfig {
	switch {
	case h == nil:
		return nil
	case h.Disable:
		return &container.HealthConfig{Test: []string{"NONE"}}
	}
	return &container.HealthConfig{Test: h.Test}
}

func portBindings(ports []types.ServicePortConfig) network.PortMap {
	bindings := network.PortMap{}
	for _, p := range ports {
		if p.Target > 1<<16-1 {
			continue
		}
		protocol := network.TCP
		if p.Protocol != "" {
			protocol = network.IPProtocol(strings.ToLower(p.Protocol))
		}
		port, ok := network.PortFrom(uint16(p.Target), protocol)
		if !ok {
			continue
		}
		address, _ := netip.ParseAddr(strings.Trim(p.HostIP, "[]")) // none means all
		bindings[port] = append(bindings[port], network.PortBinding{HostIP: address, HostPort: p.Published})
	}
	return bindings
}

// apiSocket is what use_api_socket mounts.
const apiSocket = "/var/run/docker.sock"

func mounts(project *types.Project, s types.ServiceConfig) []mount.Mount {
	var all []mount.Mount
	for _, v := range s.Volumes {
		m := mount.Mount{Type: mount.Type(v.Type), Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
		if v.Bind != nil && v.Bind.Propagation != "" {
			m.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(v.Bind.Propagation)}
		}
		if device, ok := boundDevice(project.Volumes[v.Source]); ok && m.Type == mount.TypeVolume {
			m.Type, m.Source = mount.TypeBind, device
		}
		all = append(all, m)
	}
	if s.UseAPISocket {
		all = append(all, mount.Mount{Type: mount.TypeBind, Source: apiSocket, Target: apiSocket})
	}
	return all
}

// boundDevice returns the path of the host that a named volume stands for.
func boundDevice(v types.VolumeConfig) (string, bool) {
	options := strings.Split(v.DriverOpts["o"], ",")
	bound := slices.Contains(options, "bind") || slices.Contains(options, "rbind")
	return v.DriverOpts["device"], bound && v.DriverOpts["device"] != ""
}
