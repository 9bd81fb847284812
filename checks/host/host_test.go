package host

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"plimsoll/checks"
)

// sound returns an engine that nothing is wrong with.
func sound() *Host {
	bridge := &network.Inspect{}
	bridge.Options = map[string]string{enableICC: "false", hostBinding: "127.0.0.1"}
	return &Host{
		Info: system.Info{
			ID:                 "engine",
			Name:               "harbour",
			OSType:             "linux",
			SecurityOptions:    []string{"name=apparmor", "name=seccomp,profile=builtin", "name=rootless", "name=no-new-privileges"},
			LiveRestoreEnabled: true,
			ServerVersion:      "29.9.0",
			KernelVersion:      "6.12.85",
			Driver:             "overlay2",
			LoggingDriver:      "journald",
			CgroupVersion:      "2",
			DefaultRuntime:     "runc",
			DockerRootDir:      "/var/lib/docker",
			NCPU:               4, MemoryLimit: true, SwapLimit: true, PidsLimit: true, CPUCfsQuota: true,
		},
		Bridge:     bridge,
		Containers: []Running{{Name: "web", Image: "shop:1.2"}, {Name: "falco", Image: "falcosecurity/falco:0.39"}},
		Processes:  []string{"dockerd"},
		Now:        time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC),
		Platform:   "Docker Engine - Community",
		Parts:      map[string]Part{"runc": {Version: "1.4.3"}, "containerd": {Version: "v2.2.9"}},
		Daemon: &Daemon{File: "/etc/docker/daemon.json", Config: config(`{"default-ulimits": {"nofile": {"Soft": 1024}}, "userland-proxy": false,
			"no-new-privileges": true, "log-level": "info", "log-opts": {"max-size": "10m"}, "cgroup-parent": "/docker", "iptables": true}`)},
		Machine: &Machine{
			Mounts:      []Mount{{"/", "8:1", "/dev/sda1"}, {"/var/lib/docker", "8:2", "/dev/sda2"}},
			Group:       &Group{Name: "docker"},
			Audit:       &Audit{Files: []string{"/etc/audit/rules.d/docker.rules"}, Watched: []string{"/usr/bin/dockerd", "/etc/docker"}},
			AuditWorthy: []string{"/etc/docker", "/etc/docker/daemon.json"},
			Files:       []File{{Path: "/etc/docker", Mode: 0o755, Owner: "root", Group: "root", Owners: []string{"root"}, Groups: []string{"root"}, Most: 0o755}},
			Sysctl:      map[string]string{"kernel.kptr_restrict": "2", "kernel.yama.ptrace_scope": "1"},
		},
		Client: &Client{
			Config:    "/home/anna/.docker/config.json",
			Endpoints: []Endpoint{{Name: "far", Host: "ssh://me@far"}, {Name: "box", Host: "tcp://box:2376", Verified: true}},
			Builders:  []Builder{{Name: "default"}},
		},
	}
}

func config(text string) map[string]json.RawMessage {
	c, err := ParseDaemonConfig([]byte(text))
	if err != nil {
		panic(err)
	}
	return c
}

// rootful makes h an engine of root with everything else in order.
func rootful(h *Host) {
	h.Info.SecurityOptions = []string{"name=apparmor", "name=seccomp,profile=builtin", "name=userns", "name=no-new-privileges"}
	h.Info.Plugins.Authorization = []string{"broker"}
}

// set changes one key of the daemon's file; "" removes it.
func set(h *Host, key, value string) {
	if value == "" {
		delete(h.Daemon.Config, key)
		return
	}
	h.Daemon.Config[key] = json.RawMessage(value)
}

var cases = []struct {
	name   string
	change func(h *Host)
	want   []string
}{
	{"nothing", func(h *Host) {}, nil},

	{"root", rootful, []string{"daemon-runs-as-root"}},
	{"rootless, old form", func(h *Host) { h.Info.SecurityOptions = []string{"seccomp,profile=default", "rootless"} }, nil},
	{"windows", func(h *Host) {
		h.Info.OSType, h.Info.SecurityOptions, h.Info.LiveRestoreEnabled = "windows", nil, false
	}, nil},

	{"traffic", func(h *Host) { h.Bridge.Options[enableICC] = "true" }, []string{"daemon-inter-container-traffic-open"}},
	{"traffic not known", func(h *Host) { h.Bridge.Options = nil }, nil},
	{"no bridge", func(h *Host) { h.Bridge = nil }, nil},

	{"no live restore", func(h *Host) { h.Info.LiveRestoreEnabled = false }, []string{"daemon-live-restore-off"}},
	{"not in a swarm", func(h *Host) {
		h.Info.LiveRestoreEnabled, h.Info.Swarm.LocalNodeState = false, swarm.LocalNodeStateInactive
	}, []string{"daemon-live-restore-off"}},
	{"swarm", func(h *Host) {
		h.Info.LiveRestoreEnabled, h.Info.Swarm.LocalNodeState = false, swarm.LocalNodeStateActive
	}, nil},

	{"no monitor", func(h *Host) { h.Containers = nil }, []string{"runtime-monitor-missing"}},
	{"no monitor, processes unknown", func(h *Host) { h.Containers, h.Processes = nil, nil }, []string{"runtime-monitor-missing"}},
	{"what only belongs to Falco", func(h *Host) {
		h.Containers = []Running{{Name: "falco", Image: "falcosecurity/falcosidekick-ui:2"}, {Name: "sysdig", Image: "shop/sysdig-docs"}}
	}, []string{"runtime-monitor-missing"}},
	{"Falco as a process", func(h *Host) { h.Containers, h.Processes = nil, []string{"init", "falco"} }, nil},
	{"sysdig agent", func(h *Host) { h.Containers = []Running{{Name: "a", Image: "quay.io/sysdig/agent-slim@sha256:0"}} }, nil},
	{"Tetragon", func(h *Host) { h.Containers = []Running{{Name: "a", Image: "quay.io/cilium/tetragon:v1.2"}} }, nil},
	{"Tracee", func(h *Host) { h.Containers = []Running{{Name: "a", Image: "docker.io/aquasec/tracee"}} }, nil},
	{"mirrored Falco", func(h *Host) { h.Containers = []Running{{Name: "a", Image: "localhost:5000/falcosecurity/falco"}} }, nil},

	{"no user namespace", func(h *Host) { rootful(h); h.Info.SecurityOptions = slices.Delete(h.Info.SecurityOptions, 2, 3) }, []string{"daemon-runs-as-root", "daemon-userns-off"}},
	{"new privileges", func(h *Host) {
		set(h, "no-new-privileges", "")
		h.Info.SecurityOptions = slices.Delete(h.Info.SecurityOptions, 3, 4)
	}, []string{"daemon-new-privileges-allowed"}},
	{"new privileges, set in the file of an older engine", func(h *Host) { h.Info.SecurityOptions = slices.Delete(h.Info.SecurityOptions, 3, 4) }, nil},
	{"new privileges, file unknown", func(h *Host) {
		h.Daemon, h.Info.SecurityOptions = nil, slices.Delete(h.Info.SecurityOptions, 3, 4)
	}, nil},
	{"no seccomp", func(h *Host) { h.Info.SecurityOptions[1] = "name=cgroupns" }, []string{"daemon-seccomp-custom-or-off"}},
	{"seccomp unconfined", func(h *Host) { h.Info.SecurityOptions[1] = "name=seccomp,profile=unconfined" }, []string{"daemon-seccomp-custom-or-off"}},
	{"seccomp of one's own", func(h *Host) { h.Info.SecurityOptions[1] = "name=seccomp,profile=/etc/docker/s.json" }, []string{"daemon-seccomp-custom-or-off"}},
	{"seccomp called default", func(h *Host) { h.Info.SecurityOptions[1] = "name=seccomp,profile=default" }, nil},
	{"no security module", func(h *Host) { rootful(h); h.Info.SecurityOptions[0] = "name=cgroupns" }, []string{"daemon-lsm-missing", "daemon-runs-as-root"}},
	{"SELinux", func(h *Host) { rootful(h); h.Info.SecurityOptions[0] = "name=selinux" }, []string{"daemon-runs-as-root"}},
	{"no authorization", func(h *Host) { rootful(h); h.Info.Plugins.Authorization = nil }, []string{"daemon-authorization-plugin-missing", "daemon-runs-as-root"}},
	{"own runtime", func(h *Host) {
		h.Info.DefaultRuntime = "runc"
		h.Info.Runtimes = map[string]system.RuntimeWithStatus{"runc": {Runtime: system.Runtime{Path: "/opt/acme/wrap"}}}
	}, []string{"daemon-default-runtime-unknown"}},
	{"runtime without a path", func(h *Host) { h.Info.DefaultRuntime = "acme" }, []string{"daemon-default-runtime-unknown"}},
	{"gVisor", func(h *Host) {
		h.Info.DefaultRuntime = "sandbox"
		h.Info.Runtimes = map[string]system.RuntimeWithStatus{"sandbox": {Runtime: system.Runtime{Path: "/usr/local/bin/runsc"}}}
	}, nil},

	{"open port", func(h *Host) { h.Info.Warnings = []string{warning} }, []string{"daemon-tcp-without-tls"}},
	{"open port on the command line", func(h *Host) {
		h.Daemon.Flags = ParseFlags([]string{"-H", "fd://", "-H", "tcp://0.0.0.0:2375"})
	}, []string{"daemon-tcp-without-tls"}},
	{"port with certificates", func(h *Host) {
		h.Daemon.Flags = ParseFlags([]string{"-H=tcp://0.0.0.0:2376", "--tlsverify"})
	}, nil},
	{"insecure registry", func(h *Host) {
		h.Info.RegistryConfig = &registry.ServiceConfig{IndexConfigs: map[string]*registry.IndexInfo{
			"registry.lan:5000": {}, "localhost:5000": {}, "127.0.0.1:5000": {}, "docker.io": {Secure: true},
		}, InsecureRegistryCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}
	}, []string{"daemon-insecure-registries", "daemon-insecure-registries"}},
	{"local registry", func(h *Host) {
		h.Info.RegistryConfig = &registry.ServiceConfig{IndexConfigs: map[string]*registry.IndexInfo{"localhost:5000": {}},
			InsecureRegistryCIDRs: []netip.Prefix{netip.MustParsePrefix("::1/128")}}
	}, nil},
	{"V1 registries", func(h *Host) { set(h, "disable-legacy-registry", "false") }, []string{"daemon-legacy-registry"}},

	{"no ulimits", func(h *Host) { set(h, "default-ulimits", "") }, []string{"daemon-ulimits-default"}},
	{"ulimits of the command line", func(h *Host) {
		set(h, "default-ulimits", "")
		h.Daemon.Flags = ParseFlags([]string{"--default-ulimit", "nofile=1024"})
	}, nil},
	{"ulimits unknown", func(h *Host) { set(h, "default-ulimits", ""); h.Daemon.Unread = "/etc/docker/daemon.json" }, nil},
	{"cgroup parent", func(h *Host) { rootful(h); set(h, "cgroup-parent", `"/batch"`) }, []string{"daemon-cgroup-parent-custom", "daemon-runs-as-root"}},
	{"cgroup v1", func(h *Host) { h.Info.CgroupVersion = "1" }, []string{"daemon-cgroup-v1"}},
	{"cgroup version unknown", func(h *Host) { h.Info.CgroupVersion = "" }, nil},
	{"no memory limit", func(h *Host) { h.Info.MemoryLimit = false }, []string{"daemon-no-limit-support"}},
	{"no swap limit", func(h *Host) { h.Info.SwapLimit = false }, []string{"daemon-no-limit-support"}},
	{"no rotation", func(h *Host) { set(h, "log-opts", ""); h.Info.LoggingDriver = "json-file" }, []string{"daemon-log-rotation-missing", "daemon-logging-local-only"}},
	{"number of files is no rotation", func(h *Host) {
		set(h, "log-opts", `{"max-file": "3"}`)
		h.Info.LoggingDriver = "json-file"
	}, []string{"daemon-log-rotation-missing", "daemon-logging-local-only"}},
	{"local rotates", func(h *Host) { set(h, "log-opts", ""); h.Info.LoggingDriver = "local" }, []string{"daemon-logging-local-only"}},
	{"no logs", func(h *Host) { h.Info.LoggingDriver = "none" }, []string{"daemon-logging-local-only"}},
	{"one disk", func(h *Host) { h.Machine.Mounts = h.Machine.Mounts[:1] }, []string{"host-separate-partition-missing"}},
	{"the same disk twice", func(h *Host) { h.Machine.Mounts[1].Device = "8:1" }, []string{"host-separate-partition-missing"}},
	{"elsewhere is another disk", func(h *Host) { h.Info.DockerRootDir = "/var/lib/docker-2" }, []string{"host-separate-partition-missing"}},

	{"no iptables", func(h *Host) { set(h, "iptables", "false") }, []string{"daemon-iptables-disabled"}},
	{"proxy", func(h *Host) { rootful(h); set(h, "userland-proxy", "") }, []string{"daemon-runs-as-root", "daemon-userland-proxy-on"}},
	{"ports for all", func(h *Host) { h.Bridge.Options[hostBinding] = "0.0.0.0" }, []string{"daemon-default-bind-all-interfaces"}},
	{"direct routing", func(h *Host) { set(h, "allow-direct-routing", "true") }, []string{"daemon-direct-routing-allowed"}},
	{"no raw table", func(h *Host) { h.Info.Warnings = []string{"WARNING: DOCKER_INSECURE_NO_IPTABLES_RAW is set"} }, []string{"daemon-direct-routing-allowed"}},
	{"firewall", func(h *Host) {
		rootful(h)
		h.Machine.Firewall, h.Machine.FirewallSource = "ufw", "/etc/ufw/ufw.conf"
		h.Containers[0].Published = "0.0.0.0:80->80/tcp"
	}, []string{"daemon-runs-as-root", "host-firewall-bypassed"}},
	{"firewall, nothing published", func(h *Host) { rootful(h); h.Machine.Firewall = "ufw" }, []string{"daemon-runs-as-root"}},
	{"published, no firewall", func(h *Host) { rootful(h); h.Containers[0].Published = "0.0.0.0:80->80/tcp" }, []string{"daemon-runs-as-root"}},

	{"log level", func(h *Host) { set(h, "log-level", `"error"`) }, []string{"daemon-log-level-not-info"}},
	{"debug covers the level", func(h *Host) { h.Info.Debug = true; set(h, "log-level", `"debug"`) }, []string{"daemon-debug-on"}},
	{"no audit", func(h *Host) { rootful(h); h.Machine.Audit = &Audit{} }, []string{"daemon-runs-as-root", "host-audit-missing-daemon"}},
	{"audit of a part", func(h *Host) { rootful(h); h.Machine.AuditWorthy = []string{"/etc/docker", "/usr/bin/runc"} }, []string{"daemon-runs-as-root", "host-audit-missing-paths"}},
	{"audit unknown", func(h *Host) { rootful(h); h.Machine.Audit = nil }, []string{"daemon-runs-as-root"}},

	{"docker group", func(h *Host) { rootful(h); h.Machine.Group.Members = []string{"anna"} }, []string{"daemon-runs-as-root", "host-docker-group-members"}},
	{"owner", func(h *Host) { h.Machine.Files[0].Owner = "anna" }, []string{"host-file-ownership"}},
	{"mode", func(h *Host) { h.Machine.Files[0].Mode = 0o777 }, []string{"host-file-permissions"}},
	{"stricter is fine", func(h *Host) { h.Machine.Files[0].Mode = 0o700 }, nil},
	{"sysctl", func(h *Host) { h.Machine.Sysctl["kernel.kptr_restrict"] = "0" }, []string{"host-not-hardened"}},

	{"images", func(h *Host) { h.Usage = Usage{Images: 40, UnusedImages: 30} }, []string{"host-image-sprawl"}},
	{"some images", func(h *Host) { h.Usage = Usage{Images: 40, UnusedImages: 29} }, nil},
	{"stopped containers", func(h *Host) { h.Info.ContainersStopped = 20 }, []string{"host-container-sprawl"}},
	{"build cache", func(h *Host) { h.Usage.BuildCache = 12e9 }, []string{"host-build-cache-sprawl"}},
	{"UCP", func(h *Host) { h.Containers[0].Image = "docker/ucp-agent:3.2.5" }, []string{"docker-enterprise-ucp-dtr"}},
	{"driver", func(h *Host) { h.Info.Driver = "devicemapper" }, []string{"daemon-legacy-storage-driver"}},
	{"experimental", func(h *Host) { h.Info.ExperimentalBuild = true }, []string{"daemon-experimental-on"}},

	{"password", func(h *Host) { h.Client.Plain = []string{"registry.example.com"} }, []string{"client-credentials-in-plaintext"}},
	{"plain context", func(h *Host) { h.Client.Endpoints[1].Verified = false }, []string{"client-context-tcp-insecure"}},
	{"readable key", func(h *Host) { h.Client.Exposed = []Exposed{{Path: "/k", Mode: 0o644, Key: true}} }, []string{"client-config-permissions"}},
	{"content trust", func(h *Host) { h.Client.Trust = "1" }, []string{"client-content-trust-env-set"}},
	{"builder", func(h *Host) {
		h.Client.Builders[0].Insecure = []string{"--allow-insecure-entitlement=security.insecure"}
	}, []string{"client-insecure-builder"}},
	{"scanner", func(h *Host) {
		h.Client.Scanners = []Scanner{{Name: "trivy", Path: "/usr/bin/trivy", Version: "0.69.5"}}
	}, []string{"scanner-binary-untrusted"}},
	{"plugin", func(h *Host) { h.Client.Plugins = []Plugin{{Path: "/p", Writers: "everybody"}} }, []string{"client-plugin-untrusted"}},
	{"plugin before another", func(h *Host) { h.Client.Plugins = []Plugin{{Path: "/p", Shadows: "/usr/lib/p"}} }, []string{"client-plugin-untrusted"}},
}

func TestChecks(t *testing.T) {
	fired := map[string]bool{}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			h := sound()
			test.change(h)
			report := checks.Run(h, Checks(), &checks.Policy{Profile: checks.All})
			for _, err := range report.Errors {
				t.Error(err)
			}
			var got []string
			for _, f := range report.Findings {
				got = append(got, f.Check.ID)
				fired[f.Check.ID] = true
				if len(f.Evidence) == 0 {
					t.Errorf("%s: no evidence", f.Check.ID)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
	for _, c := range slices.Concat(networkChecks, volumeChecks, swarmChecks) {
		fired[c.ID] = true // their tables are TestNetworks, TestVolumes and TestSwarm
	}
	for _, c := range Checks() {
		if versioned[c.ID] {
			continue // TestVersions
		}
		if !fired[c.ID] {
			t.Errorf("no case makes %s fire", c.ID)
		}
	}
}

func TestNothingKnown(t *testing.T) {
	report := checks.Run(&Host{}, Checks(), nil)
	for _, err := range report.Errors {
		t.Error(err)
	}
}

func TestVirtualMachineOfDesktop(t *testing.T) {
	h := sound()
	h.Info.SecurityOptions, h.Info.OperatingSystem = nil, "Docker Desktop"
	report := checks.Run(h, Checks(), nil)
	if len(report.Findings) < 2 {
		t.Errorf("found %v", report.Findings)
	}
	for _, f := range report.Findings {
		if (f.Check == runsAsRoot || f.Check == usernsOff) && f.Severity != checks.Info {
			t.Errorf("%s is %s", f.Check.ID, f.Severity)
		}
	}
}

const warning = "WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n         Access to the remote API is equivalent to root access on the host."

// Loopback is bad enough, but not the whole network.
func TestLoopback(t *testing.T) {
	h := sound()
	h.Info.Warnings = []string{strings.ReplaceAll(warning, "0.0.0.0", "127.0.0.1")}
	h.Client.Endpoints = []Endpoint{{Name: "DOCKER_HOST", Host: "tcp://[::1]:2375"}}
	got := map[string]checks.Severity{}
	for _, f := range checks.Run(h, Checks(), nil).Findings {
		got[f.Check.ID] = f.Severity
	}
	if got["daemon-tcp-without-tls"] != checks.High || got["client-context-tcp-insecure"] != checks.Medium {
		t.Errorf("found %v", got)
	}
}

// The words about Notary change with the day that it ends.
func TestContentTrustEnds(t *testing.T) {
	h := sound()
	h.Client.Trust = "1"
	before := checks.Run(h, Checks(), nil).Findings[0].Message.Format
	h.Now = notaryEnds
	if after := checks.Run(h, Checks(), nil).Findings[0].Message.Format; after == before {
		t.Errorf("says %q before and after", after)
	}
}

func TestHostileText(t *testing.T) {
	h := sound()
	h.Info.Name, h.Info.SecurityOptions = "\x1b[2J", []string{"\x1b[2J"}
	for _, f := range checks.Run(h, Checks(), nil).Findings {
		if shown := f.Message.String() + f.Evidence[0].String(); strings.Contains(shown, "\x1b") {
			t.Errorf("%s shows %q", f.Check.ID, shown)
		}
	}
}
