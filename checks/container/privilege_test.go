package container

import (
	"github.com/moby/moby/api/types/container"
)

// security adds options to those that make a container sound.
func security(c *Container, options ...string) {
	c.Settings.Host.SecurityOpt = append(options, "no-new-privileges:true")
}

func service(c *Container) {
	c.Inspect = nil
	c.Compose = &Position{File: "/compose.yml", Service: "web", Line: 2}
}

var privilegeCases = []testCase{
	{"capability of the default ones", func(c *Container) { c.Settings.Host.CapAdd = []string{"CHOWN", "cap_net_bind_service"} }, nil},
	{"capabilities beyond", func(c *Container) { c.Settings.Host.CapAdd = []string{"NET_ADMIN", "CAP_SYS_TIME", "sys_time"} },
		[]string{"container-capabilities-added NET_ADMIN", "container-capabilities-added SYS_TIME"}},
	{"capabilities that escape", func(c *Container) { c.Settings.Host.CapAdd = []string{"CAP_SYS_ADMIN", "sys_module", "SYS_TIME"} },
		[]string{"container-cap-escape-class SYS_ADMIN", "container-cap-escape-class SYS_MODULE", "container-capabilities-added SYS_TIME"}},
	{"all capabilities", func(c *Container) { c.Settings.Host.CapAdd = []string{"ALL"} }, []string{"container-cap-escape-class ALL"}},
	{"all capabilities, none dropped", func(c *Container) { c.Settings.Host.CapAdd, c.Settings.Host.CapDrop = []string{"ALL"}, nil },
		[]string{"container-cap-escape-class ALL", "container-capabilities-not-dropped"}},
	{"firewall of the host", func(c *Container) {
		c.Settings.Host.CapAdd, c.Settings.Host.NetworkMode = []string{"NET_ADMIN"}, "host"
	}, []string{"container-cap-escape-class NET_ADMIN", "container-network-host"}},
	{"capabilities beside privileged", func(c *Container) { c.Settings.Host.CapAdd, c.Settings.Host.Privileged = []string{"SYS_ADMIN"}, true },
		[]string{"container-privileged"}},

	{"no seccomp", func(c *Container) { security(c, "seccomp=unconfined") }, []string{"container-seccomp-unconfined"}},
	{"no seccomp, old form", func(c *Container) { security(c, "seccomp:unconfined") }, []string{"container-seccomp-unconfined"}},
	{"own seccomp profile", func(c *Container) { security(c, `seccomp={"defaultAction":"SCMP_ACT_ERRNO"}`) }, nil},

	{"no apparmor", func(c *Container) {
		security(c, "apparmor=unconfined")
		c.Engine, c.Inspect.AppArmorProfile = &Engine{AppArmor: true}, "unconfined"
	}, []string{"container-apparmor-missing"}},
	{"no apparmor here", func(c *Container) { security(c, "apparmor=unconfined"); c.Engine = &Engine{} }, nil},
	{"no apparmor, engine unknown", func(c *Container) { security(c, "apparmor=unconfined") }, nil},
	{"no apparmor profile", func(c *Container) { c.Engine = &Engine{AppArmor: true} }, []string{"container-apparmor-missing"}},
	{"apparmor profile", func(c *Container) {
		c.Engine, c.Inspect.AppArmorProfile = &Engine{AppArmor: true}, "docker-default"
	}, nil},
	{"apparmor, not started", func(c *Container) {
		c.Engine, c.Inspect.State = &Engine{AppArmor: true}, &container.State{Status: container.StateCreated}
	}, nil},
	{"service without apparmor", func(c *Container) { security(c, "apparmor:unconfined"); service(c) }, []string{"container-apparmor-missing"}},

	{"no selinux", func(c *Container) { security(c, "label=disable"); c.Engine = &Engine{SELinux: true} }, []string{"container-selinux-missing"}},
	{"selinux type of the host", func(c *Container) { security(c, "label=type:spc_t"); c.Engine = &Engine{SELinux: true} }, []string{"container-selinux-missing"}},
	{"selinux type of containers", func(c *Container) { security(c, "label=type:container_t"); c.Engine = &Engine{SELinux: true} }, nil},
	{"no selinux here", func(c *Container) { security(c, "label=disable"); c.Engine = &Engine{} }, nil},
	{"no selinux because of the processes", func(c *Container) {
		security(c, "label=disable")
		c.Engine, c.Settings.Host.PidMode = &Engine{SELinux: true}, "host"
	}, []string{"container-pid-host"}},
	{"service without selinux", func(c *Container) { security(c, "label:disable"); service(c) }, []string{"container-selinux-missing"}},

	{"nothing masked", func(c *Container) { c.Settings.Host.MaskedPaths = []string{} }, []string{"container-system-paths-unmasked"}},
	{"nothing protected", func(c *Container) { c.Settings.Host.ReadonlyPaths = []string{} }, []string{"container-system-paths-unmasked"}},
	{"system paths unconfined", func(c *Container) { security(c, "systempaths=unconfined") }, []string{"container-system-paths-unmasked"}},
	{"masked", func(c *Container) { c.Settings.Host.MaskedPaths = []string{"/proc/kcore"} }, nil},

	{"users of the host", func(c *Container) { c.Settings.Host.UsernsMode = "host"; c.Engine = &Engine{UserNamespaces: true} }, []string{"container-userns-host"}},
	{"users of the host anyway", func(c *Container) { c.Settings.Host.UsernsMode = "host"; c.Engine = &Engine{} }, nil},
	{"processes of the host", func(c *Container) { c.Settings.Host.PidMode = "host" }, []string{"container-pid-host"}},
	{"memory of the host", func(c *Container) { c.Settings.Host.IpcMode = "host" }, []string{"container-ipc-host"}},
	{"memory of its own", func(c *Container) { c.Settings.Host.IpcMode = "private" }, nil},
	{"name of the host", func(c *Container) { c.Settings.Host.UTSMode = "host" }, []string{"container-uts-host"}},
	{"control group of its own choice", func(c *Container) { c.Settings.Host.CgroupParent = "/batch" }, []string{"container-cgroup-parent-custom parent"}},
	{"control groups of the host", func(c *Container) {
		c.Settings.Host.CgroupnsMode, c.Engine = "host", &Engine{CgroupVersion: "2"}
	}, []string{"container-cgroup-parent-custom namespace"}},
	{"control groups of the host, version 1", func(c *Container) {
		c.Settings.Host.CgroupnsMode, c.Engine = "host", &Engine{CgroupVersion: "1"}
	}, nil},
	{"namespaces of others", func(c *Container) {
		h := c.Settings.Host
		h.NetworkMode, h.PidMode, h.IpcMode = "container:a", "container:b", "container:c"
		c.Settings.Networks = nil
	}, []string{"container-joins-other-namespace ipc", "container-joins-other-namespace network", "container-joins-other-namespace pid"}},
	{"another runtime", func(c *Container) { c.Settings.Host.Runtime, c.Engine = "runc", &Engine{DefaultRuntime: "runsc"} }, []string{"container-runtime-downgraded"}},
	{"the same runtime by its long name", func(c *Container) {
		c.Settings.Host.Runtime, c.Engine = "io.containerd.runc.v2", &Engine{DefaultRuntime: "runc"}
	}, nil},
	{"a stronger runtime", func(c *Container) {
		c.Settings.Host.Runtime, c.Engine = "kata-runtime", &Engine{DefaultRuntime: "runc"}
	}, nil},
	{"runtime, engine unknown", func(c *Container) { c.Settings.Host.Runtime = "crun" }, nil},

	{"disk", func(c *Container) { c.Settings.Host.Devices = devices("/dev/sda1", "/dev/fuse") },
		[]string{"container-devices-exposed /dev/fuse", "container-devices-exposed /dev/sda1"}},
	{"devices that all have", func(c *Container) { c.Settings.Host.Devices = devices("/dev/null", "/dev/urandom") }, nil},
	{"classes of devices", func(c *Container) {
		c.Settings.Host.DeviceCgroupRules = []string{"c 189:* rmw", "c 1:3 mr", "a *:* rwm"}
	},
		[]string{"container-devices-exposed a *:* rwm", "container-devices-exposed c 189:* rmw"}},
	{"sysctls", func(c *Container) {
		c.Settings.Host.Sysctls = map[string]string{
			"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0.rp_filter": "0", "net.core.somaxconn": "1024", "net.ipv4.tcp_syncookies": "1",
		}
	}, []string{"container-sysctls-risky net.ipv4.conf.eth0.rp_filter", "container-sysctls-risky net.ipv4.ip_forward"}},
}

func devices(paths ...string) (all []container.DeviceMapping) {
	for _, p := range paths {
		all = append(all, container.DeviceMapping{PathOnHost: p, PathInContainer: p, CgroupPermissions: "rwm"})
	}
	return all
}
