package container

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	spec "github.com/moby/docker-image-spec/specs-go/v1"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks/secret"
	"plimsoll/fixes"
)

// shellLine returns words as a shell command. Values of secret variables are
// left out, so that docker takes them from the environment it is run in.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fixes.Quote(clean(w))
	}
	return strings.Join(quoted, " ")
}

// An argument list of docker create.
type arguments []string

func (a *arguments) add(words ...string) { *a = append(*a, words...) }

func (a *arguments) text(option, value string) {
	if value != "" {
		a.add(option, value)
	}
}

func (a *arguments) each(option string, values []string) {
	for _, v := range values {
		a.add(option, v)
	}
}

func (a *arguments) number(option string, n int64) {
	if n != 0 {
		a.add(option, strconv.FormatInt(n, 10))
	}
}

func (a *arguments) on(option string, set bool) {
	if set {
		a.add(option)
	}
}

func (a *arguments) pairs(option string, m map[string]string) {
	for _, k := range sortedKeys(m) {
		if secret.Variable(k, m[k]) {
			a.add(option, k+"="+secret.Mask)
		} else {
			a.add(option, k+"="+m[k])
		}
	}
}

// createCommand returns the docker command that creates what b does from an
// image with the given configuration. What that says anyway is left out.
func createCommand(b body, image spec.DockerOCIImageConfig) []string {
	a := &arguments{"docker", "create", "--name", b.options.Name}
	c, h := withoutDefaults(b.options.Config, image), b.options.HostConfig
	a.config(c)
	a.isolation(h)
	a.resources(h)
	a.storage(h)
	a.network(b)
	command := c.Cmd
	switch len(c.Entrypoint) {
	case 0:
	case 1:
		a.add("--entrypoint", c.Entrypoint[0])
	default: // the option takes one word, the others stand before the command
		a.add("--entrypoint", c.Entrypoint[0])
		command = append(append([]string{}, c.Entrypoint[1:]...), command...)
	}
	a.add(c.Image)
	a.add(command...)
	return *a
}

// withoutDefaults returns a copy of c without what the image brings along.
func withoutDefaults(c *api.Config, image spec.DockerOCIImageConfig) *api.Config {
	out := *c
	drop := func(value *string, image string) {
		if *value == image {
			*value = ""
		}
	}
	drop(&out.User, image.User)
	drop(&out.WorkingDir, image.WorkingDir)
	drop(&out.StopSignal, image.StopSignal)
	if slices.Equal(c.Entrypoint, image.Entrypoint) {
		out.Entrypoint = nil
		if slices.Equal(c.Cmd, image.Cmd) {
			out.Cmd = nil
		}
	}
	out.Env = slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool { return slices.Contains(image.Env, v) })
	out.Labels = maps.Clone(c.Labels)
	maps.DeleteFunc(out.Labels, func(k, v string) bool { was, ok := image.Labels[k]; return ok && was == v })
	if reflect.DeepEqual(c.Healthcheck, image.Healthcheck) {
		out.Healthcheck = nil
	}
	return &out
}

func (a *arguments) config(c *api.Config) {
	a.text("--hostname", c.Hostname)
	a.text("--domainname", c.Domainname)
	a.text("--user", c.User)
	a.text("--workdir", c.WorkingDir)
	a.text("--stop-signal", c.StopSignal)
	if c.StopTimeout != nil {
		a.add("--stop-timeout", strconv.Itoa(*c.StopTimeout))
	}
	a.on("--tty", c.Tty)
	a.on("--interactive", c.OpenStdin)
	for _, v := range c.Env {
		if name, value, ok := strings.Cut(v, "="); ok && secret.Variable(name, value) {
			v = name
		}
		a.add("--env", v)
	}
	a.pairs("--label", c.Labels)
	a.health(c.Healthcheck)
}

func (a *arguments) health(h *api.HealthConfig) {
	if h == nil || len(h.Test) == 0 {
		return
	}
	switch h.Test[0] {
	case "NONE":
		a.add("--no-healthcheck")
		return
	case "CMD-SHELL":
		a.add("--health-cmd", strings.Join(h.Test[1:], " "))
	default:
		var words []string
		for _, w := range h.Test[1:] {
			words = append(words, fixes.Quote(w))
		}
		a.add("--health-cmd", strings.Join(words, " "))
	}
	if h.Interval > 0 {
		a.add("--health-interval", h.Interval.String())
	}
	if h.Timeout > 0 {
		a.add("--health-timeout", h.Timeout.String())
	}
	if h.StartPeriod > 0 {
		a.add("--health-start-period", h.StartPeriod.String())
	}
	a.number("--health-retries", int64(h.Retries))
}

func (a *arguments) isolation(h *api.HostConfig) {
	a.on("--privileged", h.Privileged)
	a.on("--read-only", h.ReadonlyRootfs)
	a.each("--cap-drop", capabilities(h.CapDrop))
	a.each("--cap-add", capabilities(h.CapAdd))
	for _, opt := range h.SecurityOpt {
		if strings.HasPrefix(opt, "seccomp=") && strings.HasPrefix(strings.TrimSpace(opt[len("seccomp="):]), "{") {
			opt = "seccomp=PROFILE.json" // the engine has the text of the file, the option takes its name
		}
		a.add("--security-opt", opt)
	}
	if h.MaskedPaths != nil && len(h.MaskedPaths) == 0 && h.ReadonlyPaths != nil && len(h.ReadonlyPaths) == 0 && !h.Privileged {
		a.add("--security-opt", "systempaths=unconfined")
	}
	a.text("--ipc", string(h.IpcMode))
	a.text("--pid", string(h.PidMode))
	a.text("--uts", string(h.UTSMode))
	a.text("--userns", string(h.UsernsMode))
	a.text("--cgroupns", string(h.CgroupnsMode))
	a.text("--cgroup-parent", h.CgroupParent)
	a.each("--group-add", h.GroupAdd)
	a.pairs("--sysctl", h.Sysctls)
	a.text("--runtime", h.Runtime)
	a.on("--init", h.Init != nil && *h.Init)
}

func (a *arguments) resources(h *api.HostConfig) {
	a.text("--restart", restart(h.RestartPolicy))
	a.limits(h)
	if h.ShmSize != defaultShm {
		a.number("--shm-size", h.ShmSize)
	}
	a.number("--oom-score-adj", int64(h.OomScoreAdj))
	a.on("--oom-kill-disable", h.OomKillDisable != nil && *h.OomKillDisable)
	for _, u := range h.Ulimits {
		a.add("--ulimit", u.String())
	}
	for _, d := range h.Devices {
		a.add("--device", strings.TrimRight(d.PathOnHost+":"+d.PathInContainer+":"+d.CgroupPermissions, ":"))
	}
	a.each("--device-cgroup-rule", h.DeviceCgroupRules)
	for _, d := range h.DeviceRequests {
		switch {
		case d.Driver == "cdi":
			a.each("--device", d.DeviceIDs)
		case d.Count < 0:
			a.add("--gpus", "all")
		case len(d.DeviceIDs) > 0:
			a.add("--gpus", `"device=`+strings.Join(d.DeviceIDs, ",")+`"`)
		default:
			a.add("--gpus", strconv.Itoa(d.Count))
		}
	}
	a.text("--log-driver", h.LogConfig.Type)
	a.pairs("--log-opt", h.LogConfig.Config)
}

// defaultShm is what an engine gives when it is not asked.
const defaultShm = 64 << 20

// limits adds what docker update takes as well.
func (a *arguments) limits(h *api.HostConfig) {
	a.size("--memory", h.Memory)
	a.size("--memory-swap", h.MemorySwap)
	a.size("--memory-reservation", h.MemoryReservation)
	if h.NanoCPUs > 0 {
		a.add("--cpus", strconv.FormatFloat(float64(h.NanoCPUs)/1e9, 'f', -1, 64))
	}
	a.number("--cpu-period", h.CPUPeriod)
	a.number("--cpu-quota", h.CPUQuota)
	a.number("--cpu-shares", h.CPUShares)
	a.text("--cpuset-cpus", h.CpusetCpus)
	a.text("--cpuset-mems", h.CpusetMems)
	a.number("--blkio-weight", int64(h.BlkioWeight))
	if h.PidsLimit != nil {
		a.number("--pids-limit", *h.PidsLimit)
	}
}

// size adds a number of bytes as people write it, where that is exact.
func (a *arguments) size(option string, n int64) {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n == 0:
	case n > 0 && n%mib == 0:
		a.add(option, fmt.Sprintf("%dm", n/mib))
	case n > 0 && n%kib == 0:
		a.add(option, fmt.Sprintf("%dk", n/kib))
	default:
		a.number(option, n)
	}
}

func restart(p api.RestartPolicy) string {
	if p.IsNone() {
		return ""
	}
	if p.IsOnFailure() && p.MaximumRetryCount > 0 {
		return fmt.Sprintf("%s:%d", p.Name, p.MaximumRetryCount)
	}
	return string(p.Name)
}

func (a *arguments) storage(h *api.HostConfig) {
	a.each("--volume", h.Binds)
	for _, m := range h.Mounts {
		a.add("--mount", mountOption(m))
	}
	for _, path := range sortedKeys(h.Tmpfs) {
		a.add("--tmpfs", strings.TrimSuffix(path+":"+h.Tmpfs[path], ":"))
	}
	a.each("--volumes-from", h.VolumesFrom)
	a.text("--volume-driver", h.VolumeDriver)
	a.pairs("--storage-opt", h.StorageOpt)
}

func mountOption(m mount.Mount) string {
	option := "type=" + string(m.Type)
	if m.Source != "" {
		option += ",source=" + m.Source
	}
	option += ",target=" + m.Target
	if m.ReadOnly {
		option += ",readonly"
	}
	if o := m.BindOptions; o != nil && o.Propagation != "" {
		option += ",bind-propagation=" + string(o.Propagation)
	}
	if o := m.VolumeOptions; o != nil {
		if o.NoCopy {
			option += ",volume-nocopy"
		}
		if o.Subpath != "" {
			option += ",volume-subpath=" + o.Subpath
		}
	}
	if o := m.TmpfsOptions; o != nil {
		if o.SizeBytes > 0 {
			option += fmt.Sprintf(",tmpfs-size=%d", o.SizeBytes)
		}
		if o.Mode != 0 {
			option += fmt.Sprintf(",tmpfs-mode=%o", o.Mode)
		}
	}
	return option
}

func (a *arguments) network(b body) {
	h := b.options.HostConfig
	if h.NetworkMode != "" && h.NetworkMode != network.NetworkDefault {
		a.add("--network", string(h.NetworkMode))
	}
	if n := b.options.NetworkingConfig; n != nil {
		for _, name := range sortedKeys(n.EndpointsConfig) {
			e := n.EndpointsConfig[name]
			if name == string(h.NetworkMode) {
				if len(e.MacAddress) > 0 {
					a.add("--mac-address", e.MacAddress.String())
				}
				a.endpoint(e, "--ip", "--ip6", "--network-alias")
			} else if len(n.EndpointsConfig) > 1 {
				a.add("--network", networkOption(name, e))
			}
		}
	}
	for _, port := range sortedPorts(h.PortBindings) {
		for _, binding := range h.PortBindings[port] {
			a.add("--publish", publish(binding, port))
		}
	}
	a.on("--publish-all", h.PublishAllPorts)
	for _, d := range h.DNS {
		a.add("--dns", d.String())
	}
	a.each("--dns-option", h.DNSOptions)
	a.each("--dns-search", h.DNSSearch)
	a.each("--add-host", h.ExtraHosts)
	a.each("--link", h.Links)
}

// networkOption is the long form of --network, for all networks but the first.
func networkOption(name string, e *network.EndpointSettings) string {
	option := "name=" + name
	if c := e.IPAMConfig; c != nil && c.IPv4Address.IsValid() {
		option += ",ip=" + c.IPv4Address.String()
	}
	if c := e.IPAMConfig; c != nil && c.IPv6Address.IsValid() {
		option += ",ip6=" + c.IPv6Address.String()
	}
	for _, alias := range e.Aliases {
		option += ",alias=" + alias
	}
	return option
}

func (a *arguments) endpoint(e *network.EndpointSettings, ip4, ip6, alias string) {
	if c := e.IPAMConfig; c != nil {
		if c.IPv4Address.IsValid() {
			a.add(ip4, c.IPv4Address.String())
		}
		if c.IPv6Address.IsValid() {
			a.add(ip6, c.IPv6Address.String())
		}
	}
	a.each(alias, e.Aliases)
}

func publish(b network.PortBinding, port network.Port) string {
	out := ""
	if b.HostIP.IsValid() {
		out = b.HostIP.String() + ":"
		if b.HostIP.Is6() {
			out = "[" + b.HostIP.String() + "]:"
		}
	}
	if b.HostPort != "" || out != "" {
		out += b.HostPort + ":"
	}
	return out + port.String()
}

// connectCommand returns the command that connects container as e says.
func connectCommand(e endpoint, container string) []string {
	a := &arguments{"docker", "network", "connect"}
	a.endpoint(e.settings, "--ip", "--ip6", "--alias")
	a.pairs("--driver-opt", e.settings.DriverOpts)
	a.add(e.network, container)
	return *a
}
