package compose

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
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
		GroupAdd:       s.GroupAdd,
		IpcMode:        container.IpcMode(joined(s.Ipc)),
		Mounts:         mounts(project, s),
		PidMode:        container.PidMode(joined(s.Pid)),
		PortBindings:   portBindings(s.Ports),
		Privileged:     s.Privileged,
		ReadonlyRootfs: s.ReadOnly,
		Resources:      resources(s),
		RestartPolicy:  restartPolicy(s),
		Runtime:        s.Runtime,
		SecurityOpt:    s.SecurityOpt,
		ShmSize:        int64(s.ShmSize),
		UsernsMode:     container.UsernsMode(s.UserNSMode),
		UTSMode:        container.UTSMode(s.Uts),
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
				settings.Networks[name].Aliases = n.Aliases
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
