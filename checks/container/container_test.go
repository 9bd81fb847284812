package container

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sound returns a container that nothing is wrong with.
func sound() *Container {
	pids := int64(100)
	c := New(container.InspectResponse{
		ID:    "c1",
		Name:  "/web",
		Image: "sha256:1",
		Config: &container.Config{
			Image:       "shop:1.2",
			User:        "1000:1000",
			Healthcheck: &container.HealthConfig{Test: []string{"CMD", "true"}},
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    "shop",
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges:true"},
			RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 5},
			Resources: container.Resources{
				Memory: 64 << 20, NanoCPUs: 1e9, PidsLimit: &pids, Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1024, Hard: 1024}},
			},
		},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{"shop": {}}},
		State:           &container.State{Status: container.StateRunning, Running: true, StartedAt: "2026-11-24T08:00:00Z"},
	}, imageOf("1000", nil), "sha256:1", noon)
	return c
}

func imageOf(user string, env []string) *image.InspectResponse {
	config := &dockerspec.DockerOCIImageConfig{}
	config.User, config.Env = user, env
	return &image.InspectResponse{ID: "sha256:1", Config: config}
}

func port(s string) network.Port { return network.MustParsePort(s) }

func publish(c *Container, hostIP, hostPort string) {
	b := network.PortBinding{HostPort: hostPort}
	if hostIP != "" {
		b.HostIP = netip.MustParseAddr(hostIP)
	}
	if c.Settings.Host.PortBindings == nil {
		c.Settings.Host.PortBindings = network.PortMap{}
	}
	p := port("80/tcp")
	c.Settings.Host.PortBindings[p] = append(c.Settings.Host.PortBindings[p], b)
}

func bind(c *Container, binds ...string) { c.Settings.Host.Binds = binds }

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:\napp:x:1001:1002::/:\n"
	gosu   = "GOSU_VERSION=1.17"
)

// cases name what is changed in a sound container and all that is found then:
// id and, after a space, key. Findings that a case does not name are failures.
var cases = slices.Concat(firstCases, privilegeCases, mountCases, limitCases, networkCases, stateCases, seenCases, besideCases, alertCases())

type testCase struct {
	name   string
	change func(c *Container)
	want   []string
}

var firstCases = []testCase{
	{"nothing", func(c *Container) {}, nil},
	{"stopped for good", func(c *Container) {
		c.Inspect.State = &container.State{Status: container.StateExited, ExitCode: 0}
	}, nil},

	{"no user", func(c *Container) { c.Settings.Config.User = ""; c.Image = nil }, []string{"container-runs-as-root", "container-attributes-unsupported image"}},
	{"user root", func(c *Container) { c.Settings.Config.User = "root" }, []string{"container-runs-as-root"}},
	{"user 0", func(c *Container) { c.Settings.Config.User = "0" }, []string{"container-runs-as-root"}},
	{"user 0 with group", func(c *Container) { c.Settings.Config.User = "0:1000" }, []string{"container-runs-as-root"}},
	{"user 00", func(c *Container) { c.Settings.Config.User = "00" }, []string{"container-runs-as-root"}},
	{"alias of root", func(c *Container) { c.Settings.Config.User = "toor"; c.Passwd = []byte(passwd) }, []string{"container-runs-as-root"}},
	{"name of the image", func(c *Container) { c.Settings.Config.User = "app"; c.Passwd = []byte(passwd) }, nil},
	{"unknown name", func(c *Container) { c.Settings.Config.User = "app" }, nil},
	{"user of the image", func(c *Container) { c.Settings.Config.User = "" }, nil},
	{"root of the image", func(c *Container) { c.Settings.Config.User = ""; c.Image = imageOf("root", nil) }, []string{"container-runs-as-root"}},
	{"drops root by itself", func(c *Container) { c.Settings.Config.User = ""; c.Image = imageOf("", []string{gosu}) }, []string{"container-runs-as-root"}},
	{"service of an unknown image", func(c *Container) {
		c.Settings.Config.User, c.Image, c.Inspect = "", nil, nil
		c.Compose = &Position{File: "/compose.yml", Service: "web", Line: 2}
	}, nil},
	{"windows", func(c *Container) { c.Inspect.Platform = "windows"; c.Settings.Config.User = "" }, nil},

	{"privileged", func(c *Container) { c.Settings.Host.Privileged = true; c.Settings.Host.CapDrop = nil }, []string{"container-privileged"}},
	{"nothing dropped", func(c *Container) { c.Settings.Host.CapDrop = nil }, []string{"container-capabilities-not-dropped"}},
	{"nothing dropped, some added", func(c *Container) {
		c.Settings.Host.CapDrop, c.Settings.Host.CapAdd = []string{}, []string{"CAP_NET_ADMIN"}
	}, []string{"container-capabilities-not-dropped", "container-capabilities-added NET_ADMIN"}},
	{"one dropped", func(c *Container) { c.Settings.Host.CapDrop = []string{"NET_RAW"} }, nil},

	{"no security options", func(c *Container) { c.Settings.Host.SecurityOpt = nil }, []string{"container-new-privileges-allowed"}},
	{"new privileges allowed", func(c *Container) {
		c.Settings.Host.SecurityOpt = []string{"no-new-privileges", "no-new-privileges=false"}
	}, []string{"container-new-privileges-allowed"}},
	{"bare option", func(c *Container) { c.Settings.Host.SecurityOpt = []string{"no-new-privileges"} }, nil},
	{"option with =", func(c *Container) { c.Settings.Host.SecurityOpt = []string{"label=disable", "no-new-privileges=true"} }, nil},
	{"denied by the engine", func(c *Container) { c.Settings.Host.SecurityOpt, c.NoNewPrivileges = nil, true }, nil},
	{"denied by the engine, allowed here", func(c *Container) {
		c.Settings.Host.SecurityOpt, c.NoNewPrivileges = []string{"no-new-privileges:false"}, true
	}, []string{"container-new-privileges-allowed"}},

	{"writable", func(c *Container) { c.Settings.Host.ReadonlyRootfs = false }, []string{"container-rootfs-writable"}},

	{"docker socket", func(c *Container) { bind(c, "/var/run/docker.sock:/s:ro") }, []string{"container-docker-socket-mounted /s"}},
	{"docker socket, other path", func(c *Container) { bind(c, "//run/../run/docker.sock:/s") }, []string{"container-docker-socket-mounted /s"}},
	{"rootless socket", func(c *Container) { bind(c, "/run/user/1000/docker.sock:/s") }, []string{"container-docker-socket-mounted /s"}},
	{"podman socket", func(c *Container) { bind(c, "/run/podman/podman.sock:/s") }, []string{"container-docker-socket-mounted /s"}},
	{"containerd socket", func(c *Container) {
		c.Settings.Host.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: "/run/containerd/containerd.sock", Target: "/s"}}
	}, []string{"container-docker-socket-mounted /s"}},
	{"parent of the socket", func(c *Container) { bind(c, "/var/run:/host/run:ro") }, []string{"container-docker-socket-mounted /host/run"}},
	{"windows pipe", func(c *Container) { bind(c, `\\.\pipe\docker_engine:\\.\pipe\docker_engine`) }, []string{`container-docker-socket-mounted \\.\pipe\docker_engine`}},
	{"inherited socket", func(c *Container) {
		c.Inspect.Mounts = []container.MountPoint{{Type: mount.TypeBind, Source: "/run/docker.sock", Destination: "/s", RW: true}}
	}, []string{"container-docker-socket-mounted /s"}},
	{"volume that is called like it", func(c *Container) { bind(c, "docker.sock:/s") }, nil},

	{"whole host", func(c *Container) { bind(c, "/:/host:ro") }, []string{"container-docker-socket-mounted /host", "container-sensitive-host-path /host"}},
	{"etc", func(c *Container) { bind(c, "/etc:/e") }, []string{"container-sensitive-host-path /e"}},
	{"etc read-only", func(c *Container) { bind(c, "/etc/:/e:ro,z") }, []string{"container-sensitive-host-path /e"}},
	{"file of etc", func(c *Container) { bind(c, "/etc/nginx/nginx.conf:/e") }, []string{"container-sensitive-host-path /e"}},
	{"file of etc read-only", func(c *Container) { bind(c, "/etc/nginx/nginx.conf:/e:ro") }, nil},
	{"shadow read-only", func(c *Container) { bind(c, "/etc/shadow:/e:ro") }, []string{"container-sensitive-host-path /e"}},
	{"clock", func(c *Container) { bind(c, "/etc/localtime:/etc/localtime") }, nil},
	{"data of the engine", func(c *Container) { bind(c, "/var/lib/docker/containers:/c:ro") }, []string{"container-sensitive-host-path /c"}},
	{"dots", func(c *Container) { bind(c, "/srv/../proc:/p") }, []string{"container-sensitive-host-path /p"}},
	{"own folder", func(c *Container) { bind(c, "/srv/data:/data") }, nil},
	{"similar name", func(c *Container) { bind(c, "/etcetera:/e", "/procedures:/p") }, nil},
	{"named volume", func(c *Container) {
		c.Inspect.Mounts = []container.MountPoint{{Type: mount.TypeVolume, Name: "data", Source: "/var/lib/docker/volumes/data/_data", Destination: "/d", RW: true}}
	}, nil},
	{"odd binds", func(c *Container) { bind(c, "", ":", "/x", ":/y", "a:b:c:d", `C:\:/c`) }, nil},

	{"secret by name", func(c *Container) { c.Settings.Config.Env = []string{"DB_PASSWORD=hunter2", "PATH=/bin"} }, []string{"container-secret-in-env DB_PASSWORD"}},
	{"secret by form", func(c *Container) {
		c.Settings.Config.Env = []string{"X=ghp_0123456789abcdefghijABCDEFGHIJ012345"}
	}, []string{"container-secret-in-env X"}},
	{"password in a url", func(c *Container) { c.Settings.Config.Env = []string{"DB=postgres://u:p4ss@db/x"} }, []string{"container-secret-in-env DB"}},
	{"no secrets", func(c *Container) {
		c.Settings.Config.Env = []string{
			"PASSWORD=", "DB_PASSWORD_FILE=/run/secrets/db", "SSL_KEY=/etc/ssl/key.pem", "MYSQL_ALLOW_EMPTY_PASSWORD=yes",
			"GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", "TOKEN", "=x", "",
		}
	}, nil},

	{"memory", func(c *Container) { c.Settings.Host.Memory = 0 }, []string{"container-memory-unlimited"}},
	{"cpu", func(c *Container) { c.Settings.Host.NanoCPUs = 0 }, []string{"container-cpu-unlimited"}},
	{"cpu with a period", func(c *Container) { c.Settings.Host.NanoCPUs, c.Settings.Host.CPUPeriod = 0, 100000 }, []string{"container-cpu-unlimited"}},
	{"cpu quota", func(c *Container) { c.Settings.Host.NanoCPUs, c.Settings.Host.CPUQuota = 0, 50000 }, nil},
	{"cpu quota of Podman", func(c *Container) { c.Settings.Host.NanoCPUs, c.Settings.Host.CPUQuota = 0, -1 }, []string{"container-cpu-unlimited"}},
	{"cpu shares", func(c *Container) { c.Settings.Host.NanoCPUs, c.Settings.Host.CPUShares = 0, 512 }, nil},
	{"cpu set", func(c *Container) { c.Settings.Host.NanoCPUs, c.Settings.Host.CpusetCpus = 0, "0" }, nil},
	{"pids null", func(c *Container) { c.Settings.Host.PidsLimit = nil }, []string{"container-pids-unlimited"}},
	{"pids 0", func(c *Container) { c.Settings.Host.PidsLimit = new(int64) }, []string{"container-pids-unlimited"}},
	{"pids -1", func(c *Container) { *c.Settings.Host.PidsLimit = -1 }, []string{"container-pids-unlimited"}},
	{"restart always", func(c *Container) { c.Settings.Host.RestartPolicy = container.RestartPolicy{Name: "always"} }, []string{"container-restart-unbounded"}},
	{"restart unless stopped", func(c *Container) {
		c.Settings.Host.RestartPolicy = container.RestartPolicy{Name: "unless-stopped"}
	}, []string{"container-restart-unbounded"}},
	{"restart on failure", func(c *Container) { c.Settings.Host.RestartPolicy.MaximumRetryCount = 0 }, []string{"container-restart-unbounded"}},
	{"no restart", func(c *Container) { c.Settings.Host.RestartPolicy = container.RestartPolicy{Name: "no"} }, nil},
	{"restart unset", func(c *Container) { c.Settings.Host.RestartPolicy = container.RestartPolicy{} }, nil},

	{"host network", func(c *Container) {
		c.Settings.Host.NetworkMode = "host"
		c.Settings.Networks = map[string]*network.EndpointSettings{"host": {}}
		publish(c, "", "80") // has no effect
	}, []string{"container-network-host"}},
	{"port without address", func(c *Container) { publish(c, "", "8080") }, []string{"container-port-on-all-interfaces 8080:80/tcp"}},
	{"port on 0.0.0.0 and ::", func(c *Container) { publish(c, "0.0.0.0", "8080"); publish(c, "::", "8080") }, []string{"container-port-on-all-interfaces 8080:80/tcp"}},
	{"port on ::ffff:0.0.0.0", func(c *Container) { publish(c, "::ffff:0.0.0.0", "8080") }, []string{"container-port-on-all-interfaces 8080:80/tcp"}},
	{"random port", func(c *Container) { publish(c, "", "") }, []string{"container-port-on-all-interfaces random:80/tcp"}},
	{"two ports", func(c *Container) { publish(c, "", "8080"); publish(c, "", "8081"); publish(c, "127.0.0.1", "8082") },
		[]string{"container-port-on-all-interfaces 8080:80/tcp", "container-port-on-all-interfaces 8081:80/tcp"}},
	{"port on loopback", func(c *Container) { publish(c, "127.0.0.1", "8080"); publish(c, "::1", "8080") }, nil},
	{"port on one address", func(c *Container) { publish(c, "192.0.2.1", "8080") }, nil},
	{"engine binds to loopback", func(c *Container) {
		publish(c, "", "8080")
		c.Inspect.NetworkSettings.Ports = network.PortMap{port("80/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "8080"}}}
	}, nil},
	{"all exposed ports", func(c *Container) {
		c.Settings.Host.PublishAllPorts = true
		c.Settings.Config.ExposedPorts = network.PortSet{port("80/tcp"): {}}
	}, []string{"container-port-on-all-interfaces publish-all", "container-port-unneeded publish-all"}},
	{"all of no exposed ports", func(c *Container) { c.Settings.Host.PublishAllPorts = true }, nil},
	{"null bindings of Podman", func(c *Container) { c.Settings.Host.PortBindings = network.PortMap{port("80/tcp"): nil} }, nil},

	{"default bridge", func(c *Container) {
		c.Settings.Host.NetworkMode = "bridge"
		c.Settings.Networks = map[string]*network.EndpointSettings{"bridge": {}}
	}, []string{"container-default-bridge"}},
	{"default bridge, never started", func(c *Container) { c.Settings.Host.NetworkMode, c.Settings.Networks = "default", nil }, []string{"container-default-bridge"}},
	{"default bridge and another", func(c *Container) { c.Settings.Networks["bridge"] = nil }, []string{"container-default-bridge"}},
	{"moved away while running", func(c *Container) { c.Settings.Host.NetworkMode = "default" }, nil},
	{"no network", func(c *Container) { c.Settings.Host.NetworkMode, c.Settings.Networks = "none", nil }, nil},
	{"network of another", func(c *Container) { c.Settings.Host.NetworkMode, c.Settings.Networks = "container:x", nil }, []string{"container-joins-other-namespace network"}},

	{"no health check", func(c *Container) { c.Settings.Config.Healthcheck = nil }, []string{"container-healthcheck-missing"}},
	{"empty health check", func(c *Container) { c.Settings.Config.Healthcheck.Test = nil }, []string{"container-healthcheck-missing"}},
	{"health check switched off", func(c *Container) { c.Settings.Config.Healthcheck.Test = []string{"NONE"} }, []string{"container-healthcheck-missing"}},
	{"health check of the image", func(c *Container) {
		c.Settings.Config.Healthcheck = nil
		c.Image.Config.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD-SHELL", "true"}}
	}, nil},

	{"restarting", func(c *Container) {
		c.Inspect.State = &container.State{Status: container.StateRestarting, Restarting: true, Running: true, ExitCode: 1}
	}, []string{"container-crash-looping"}},
	{"restarted often, just now", func(c *Container) {
		c.Inspect.RestartCount, c.Inspect.State.StartedAt = 7, "2026-11-24T11:59:00.5Z"
	}, []string{"container-crash-looping"}},
	{"restarted often, long ago", func(c *Container) { c.Inspect.RestartCount = 7 }, nil},
	{"restarted once", func(c *Container) { c.Inspect.RestartCount, c.Inspect.State.StartedAt = 1, "2026-11-24T11:59:00Z" }, nil},
	{"gave up", func(c *Container) {
		c.Inspect.RestartCount = 5
		c.Inspect.State = &container.State{Status: container.StateExited, ExitCode: 1}
	}, []string{"container-crash-looping"}},
	{"odd date", func(c *Container) { c.Inspect.RestartCount, c.Inspect.State.StartedAt = 9, "soon" }, nil},

	{"tag moved", func(c *Container) { c.TagID = "sha256:2" }, []string{"container-image-not-current-local"}},
	{"tag gone", func(c *Container) { c.TagID = "" }, nil},
	{"created by id", func(c *Container) { c.TagID, c.Settings.Image = "sha256:2", "sha256:1" }, nil},
	{"created by digest", func(c *Container) { c.TagID, c.Settings.Image = "sha256:2", "shop@sha256:1" }, nil},
}

func TestChecks(t *testing.T) {
	fired := map[string]bool{}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c := sound()
			test.change(c)
			report := judge(t, c)
			got := names(report)
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
			for _, f := range report.Findings {
				fired[f.Check.ID] = true
				if len(f.Evidence) == 0 || f.Evidence[0].Source == "" {
					t.Errorf("%s: no evidence", f.Check.ID)
				}
			}
		})
	}
	for _, c := range Checks() {
		if !fired[c.ID] {
			t.Errorf("no case makes %s fire", c.ID)
		}
	}
}

// judge runs all checks, for a service those that it is judged by.
func judge(t *testing.T, c *Container) checks.Report {
	t.Helper()
	suite := Checks()
	if c.Compose != nil {
		suite = nil
		for _, rule := range ServiceChecks() {
			service := *rule
			service.Kind = checks.Compose
			suite = append(suite, &service)
		}
	}
	report := checks.Run(c, suite, &checks.Policy{Profile: checks.All})
	for _, err := range report.Errors {
		t.Error(err)
	}
	return report
}

func names(report checks.Report) []string {
	var all []string
	for _, f := range report.Findings {
		all = append(all, strings.TrimSpace(f.Check.ID+" "+f.Key))
	}
	slices.Sort(all)
	return all
}

func TestSeverities(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Container)
		want   checks.Severity
	}{
		{"root", func(c *Container) { c.Settings.Config.User = "root" }, checks.High},
		{"root that leaves by itself", func(c *Container) { c.Settings.Config.User, c.Settings.Config.Env = "root", []string{gosu} }, checks.Low},
		{"root that calls su-exec", func(c *Container) {
			c.Settings.Config.User, c.Settings.Config.Entrypoint = "root", []string{"sh", "-c", "exec /sbin/su-exec app x"}
		}, checks.Low},
		{"writable path", func(c *Container) { bind(c, "/etc:/e") }, checks.High},
		{"read-only path", func(c *Container) { bind(c, "/etc:/e:ro") }, checks.Medium},
	}
	for _, test := range tests {
		c := sound()
		test.change(c)
		report := judge(t, c)
		if len(report.Findings) != 1 || report.Findings[0].Severity != test.want {
			t.Errorf("%s: %v", test.name, report.Findings)
		}
	}
}

// TestNothingPanics feeds inspections with missing and odd parts to all checks.
func TestNothingPanics(t *testing.T) {
	odd := []*Container{
		{},
		{Inspect: &container.InspectResponse{}},
		New(container.InspectResponse{}, nil, "", time.Time{}),
		New(container.InspectResponse{Config: &container.Config{}}, &image.InspectResponse{}, "", time.Time{}),
		New(container.InspectResponse{HostConfig: &container.HostConfig{}}, nil, "", time.Time{}),
		New(container.InspectResponse{
			Config:          &container.Config{Healthcheck: &container.HealthConfig{}, Env: []string{"", "="}},
			HostConfig:      &container.HostConfig{Binds: []string{""}, SecurityOpt: []string{""}, CapAdd: []string{""}},
			State:           &container.State{Health: &container.Health{Status: ""}},
			NetworkSettings: &container.NetworkSettings{},
			Mounts:          []container.MountPoint{{}},
		}, &image.InspectResponse{Config: &dockerspec.DockerOCIImageConfig{}}, "x", time.Time{}),
		{Compose: &Position{}},
	}
	for i, c := range odd {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, f := range judge(t, c).Findings {
				for _, fix := range f.Fixes {
					tryFix(t, c, fix, defaults(fix))
				}
			}
		})
	}
}

func TestHostileText(t *testing.T) {
	const evil = "\x1b]0;x\a\u202e"
	c := sound()
	c.Settings.Name = evil
	c.Settings.Config.User = "0:" + evil
	c.Settings.Config.Env = []string{evil + "_TOKEN=hunter2hunter2"}
	c.Settings.Networks = map[string]*network.EndpointSettings{"bridge": {}}
	bind(c, "/etc/"+evil+":/"+evil)
	report := judge(t, c)
	if len(report.Findings) != 4 {
		t.Errorf("found %q", names(report))
	}
	for _, f := range report.Findings {
		shown := f.Message.String()
		for _, e := range f.Evidence {
			shown += e.String()
		}
		for _, fix := range f.Fixes {
			for _, choice := range fix.Choices {
				shown += choice.Default
			}
		}
		if strings.ContainsAny(shown, "\x1b\a\u202e") || strings.Contains(shown, "hunter2") {
			t.Errorf("%s shows %q", f.Check.ID, shown)
		}
	}
}
