package container

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var usernsHost = hostRule(checks.Check{
	ID:       "container-userns-host",
	Title:    "Opts out of user remapping",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.31 (v1.6.0)", "CWE-250"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !host.UsernsMode.IsHost() || c.Engine != nil && !c.Engine.UserNamespaces {
		return // an engine that does not remap has nothing to opt out of
	}
	f := c.found(setting{"HostConfig.UsernsMode", []string{"userns_mode"}}, string(host.UsernsMode),
		checks.Msg("root of %s is root of the host, although the engine could remap it", c.Settings.Name))
	f.Fixes = []checks.Fix{{
		ID:      "userns",
		Title:   checks.Msg("let the engine remap its users"),
		Caution: checks.Msg("files in volumes and mounted folders belong to other users from then on"),
		Change:  func(s *checks.Settings, _ checks.Values) error { s.Host.UsernsMode = ""; return nil },
	}}
	if host.Privileged || host.PidMode.IsHost() || host.NetworkMode.IsHost() {
		f.Fixes = nil // the engine refuses them together
	}
	report(f)
})

var pidHost = hostRule(checks.Check{
	ID:       "container-pid-host",
	Title:    "Sees the processes of the host",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.16 (v1.6.0)", "CWE-668"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !host.PidMode.IsHost() {
		return
	}
	f := c.found(setting{"HostConfig.PidMode", []string{"pid"}}, string(host.PidMode),
		checks.Msg("%s sees every process of the host and may signal those of its user", c.Settings.Name))
	f.Fixes = []checks.Fix{{
		ID:      "pid-private",
		Title:   checks.Msg("give it processes of its own"),
		Caution: checks.Msg("it no longer sees the processes of the host, which monitors need"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.PidMode = ""
			relabel(s.Host)
			return nil
		},
	}}
	report(f)
})

// relabel takes back that the engine disabled labels because of a namespace of
// the host; it would leave them disabled.
func relabel(host *container.HostConfig) {
	if !host.Privileged && !host.PidMode.IsHost() && !host.IpcMode.IsHost() {
		host.SecurityOpt = slices.DeleteFunc(host.SecurityOpt, func(opt string) bool { return opt == "label=disable" })
	}
}

var ipcHost = hostRule(checks.Check{
	ID:       "container-ipc-host",
	Title:    "Shares memory with the host",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.17 (v1.6.0)", "CWE-668"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !host.IpcMode.IsHost() {
		return
	}
	f := c.found(setting{"HostConfig.IpcMode", []string{"ipc"}}, string(host.IpcMode),
		checks.Msg("%s shares memory segments, semaphores and /dev/shm with the host", c.Settings.Name))
	f.Fixes = []checks.Fix{{
		ID:      "ipc-private",
		Title:   checks.Msg("give it shared memory of its own"),
		Caution: checks.Msg("programs of the host can no longer exchange data with it through shared memory"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.IpcMode = container.IPCModePrivate
			relabel(s.Host)
			return nil
		},
	}}
	report(f)
})

var utsHost = hostRule(checks.Check{
	ID:       "container-uts-host",
	Title:    "Shares the host name",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.21 (v1.6.0)"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !host.UTSMode.IsHost() {
		return
	}
	f := c.found(setting{"HostConfig.UTSMode", []string{"uts"}}, string(host.UTSMode),
		checks.Msg("%s shares the name of the host and can change it if it may administer the system", c.Settings.Name))
	f.Fixes = []checks.Fix{{
		ID:      "uts-private",
		Title:   checks.Msg("give it a host name of its own"),
		Caution: checks.Msg("its host name becomes its id, which logs and licences may show"),
		Change:  func(s *checks.Settings, _ checks.Values) error { s.Host.UTSMode = ""; return nil },
	}}
	report(f)
})

var cgroupParentCustom = hostRule(checks.Check{
	ID:       "container-cgroup-parent-custom",
	Title:    "In a control group of the host",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.25 (v1.6.0)"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if parent := host.CgroupParent; parent != "" {
		f := c.found(setting{"HostConfig.CgroupParent", []string{"cgroup_parent"}}, parent,
			checks.Msg("%s shares the limits of the control group %s rather than those of the engine", c.Settings.Name, parent))
		f.Key = "parent"
		f.Fixes = []checks.Fix{{
			ID:      "cgroup-parent",
			Title:   checks.Msg("put it below the control group of the engine"),
			Caution: checks.Msg("limits and accounting of the other group no longer apply"),
			Change:  func(s *checks.Settings, _ checks.Values) error { s.Host.CgroupParent = ""; return nil },
		}}
		report(f)
	}
	// Engines on version 1 of control groups make "host" of nothing.
	chosen := c.Inspect == nil || c.Engine != nil && c.Engine.CgroupVersion == "2"
	if host.CgroupnsMode.IsHost() && chosen && !host.Privileged {
		f := c.found(setting{"HostConfig.CgroupnsMode", []string{"cgroup"}}, string(host.CgroupnsMode),
			checks.Msg("%s sees the control groups of the host", c.Settings.Name))
		f.Key = "namespace"
		f.Fixes = []checks.Fix{{
			ID:      "cgroup-private",
			Title:   checks.Msg("show it its own control group only"),
			Caution: checks.Msg("monitors no longer see the control groups of other containers"),
			Change: func(s *checks.Settings, _ checks.Values) error {
				s.Host.CgroupnsMode = container.CgroupnsModePrivate
				return nil
			},
		}}
		report(f)
	}
})

var joinsOtherNamespace = hostRule(checks.Check{
	ID:       "container-joins-other-namespace",
	Title:    "Shares a namespace with another container",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CWE-668"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, n := range []struct {
		setting
		mode, shared string
	}{
		{setting{"HostConfig.NetworkMode", []string{"network_mode"}}, string(host.NetworkMode), "network"},
		{setting{"HostConfig.PidMode", []string{"pid"}}, string(host.PidMode), "pid"},
		{setting{"HostConfig.IpcMode", []string{"ipc"}}, string(host.IpcMode), "ipc"},
	} {
		other, ok := strings.CutPrefix(n.mode, "container:")
		if !ok {
			continue
		}
		if len(other) == 64 {
			other = other[:12] // an id
		}
		message := checks.Msg("%s is on the network of %s: what one listens on at 127.0.0.1 the other reaches", c.Settings.Name, other)
		switch n.shared {
		case "pid":
			message = checks.Msg("%s sees the processes of %s", c.Settings.Name, other)
		case "ipc":
			message = checks.Msg("%s shares memory with %s", c.Settings.Name, other)
		}
		f := c.found(n.setting, n.mode, message)
		f.Key = n.shared
		report(f)
	}
})

// sandboxes are runtimes that confine more than the usual ones.
var sandboxes = []string{"runsc", "gvisor", "kata", "sysbox", "runhcs", "firecracker"}

var runtimeDowngraded = hostRule(checks.Check{
	ID:       "container-runtime-downgraded",
	Title:    "Another runtime than the engine's default",
	Severity: checks.Info,
	Chapter:  checks.LeastPrivilege,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if c.Engine == nil || c.Engine.DefaultRuntime == "" || host.Runtime == "" {
		return
	}
	used, usual := plainRuntime(host.Runtime), plainRuntime(c.Engine.DefaultRuntime)
	if used == usual || slices.ContainsFunc(sandboxes, func(s string) bool { return strings.Contains(used, s) }) {
		return
	}
	f := c.found(setting{"HostConfig.Runtime", []string{"runtime"}}, host.Runtime,
		checks.Msg("%s runs with %s rather than with %s, the default of the engine", c.Settings.Name, host.Runtime, c.Engine.DefaultRuntime))
	f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker info", Detail: "DefaultRuntime " + c.Engine.DefaultRuntime})
	report(f)
})

// plainRuntime returns the short name of the runtime that containerd calls by
// a longer one.
func plainRuntime(name string) string {
	if strings.HasPrefix(name, "io.containerd.runc.") {
		return "runc"
	}
	return name
}
