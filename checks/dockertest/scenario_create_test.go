package dockertest_test

import (
	"net/netip"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

func inspectAfterCreate(e *engine) {
	image := dockertest.Probe("app:1", "-x", "default")
	image.Config.User = "1000:1000"
	image.Config.Env = []string{"PATH=/", "MODE=image", "LEVEL=1"}
	image.Config.Volumes = map[string]struct{}{"/data": {}}
	image.Config.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
	image.Config.Labels = map[string]string{"from": "image", "both": "image"}
	image.Config.WorkingDir = "/tmp"
	image.Config.StopSignal = "SIGINT"
	image.Config.Healthcheck = &v1.HealthcheckConfig{Test: []string{"CMD", "/probe", "-check"}, Interval: time.Minute, Retries: 4}
	e.images(image)
	pids := int64(100)
	init := true
	id := e.mustCreate("full", container.Config{
		Image: "app:1", Env: []string{"MODE=user", "EXTRA=1"}, Labels: map[string]string{"both": "user"},
		Healthcheck: &v1.HealthcheckConfig{Timeout: time.Second},
	}, container.HostConfig{
		Resources:     container.Resources{Memory: 64 << 20, NanoCPUs: 5e8, PidsLimit: &pids},
		RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3},
		CapDrop:       []string{"ALL"}, CapAdd: []string{"chown"}, SecurityOpt: []string{"no-new-privileges"},
		ReadonlyRootfs: true, Tmpfs: map[string]string{"/run": "size=1m"}, Init: &init,
		PortBindings: network.PortMap{network.MustParsePort("9000/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "0"}}},
		Sysctls:      map[string]string{"net.ipv4.ip_forward": "0"}, ExtraHosts: []string{"a:127.0.0.1"},
	})
	plain := e.mustCreate("plain", container.Config{Image: "app:1"}, container.HostConfig{Privileged: true, NetworkMode: "none"})
	zero, minus := int64(0), int64(-1)
	other := e.mustCreate("other", container.Config{Image: "app:1", Tty: true}, container.HostConfig{PidMode: "host", NetworkMode: "host", Resources: container.Resources{PidsLimit: &zero}})
	more := e.mustCreate("more", container.Config{Image: "app:1"}, container.HostConfig{Resources: container.Resources{PidsLimit: &minus, Memory: 32 << 20, MemorySwap: -1}, MaskedPaths: []string{}, ReadonlyPaths: []string{}, IpcMode: "host"})
	for _, one := range []string{id, plain, other, more} {
		c := e.inspect(one)
		if c.Config.Hostname != "" && c.HostConfig.NetworkMode.IsHost() {
			c.Config.Hostname = "host"
		}
		c.HostConfig.LogConfig.Config = nil // the daemon's configuration
		e.note("config", c.Config)
		e.note("host", c.HostConfig)
		e.note("command", []any{c.Path, c.Args, c.Name, c.Image, c.Platform})
		e.note("mounts", c.Mounts)
		e.note("state", c.State)
		e.note("networks", c.NetworkSettings.Networks)
		e.note("ports", c.NetworkSettings.Ports)
	}
}

func refusedCreate(e *engine) {
	empty := dockertest.Probe("empty:1")
	empty.Config.Entrypoint = nil
	empty.Config.Cmd = nil
	e.images(dockertest.Probe("app:1"))
	if e.server == nil {
		e.images(empty)
	} else {
		empty.Config.Entrypoint = []string{""}
		e.images(empty)
	}
	app := container.Config{Image: "app:1"}
	e.mustCreate("taken", app, container.HostConfig{})
	if e.server != nil {
		e.server.MissingOnHost("/plimsoll/does/not/exist")
	}
	for _, c := range []struct {
		what   string
		name   string
		config container.Config
		host   container.HostConfig
	}{
		{"name taken", "taken", app, container.HostConfig{}},
		{"name invalid", "a b", app, container.HostConfig{}},
		{"image missing", "x1", container.Config{Image: "none:1"}, container.HostConfig{}},
		{"no command", "x2", container.Config{Image: "empty:1"}, container.HostConfig{}},
		{"memory too small", "x3", app, container.HostConfig{Resources: container.Resources{Memory: 5 << 20}}},
		{"memory negative", "x3a", app, container.HostConfig{Resources: container.Resources{Memory: -1}}},
		{"swap below memory", "x4", app, container.HostConfig{Resources: container.Resources{Memory: 64 << 20, MemorySwap: 32 << 20}}},
		{"swap alone", "x5", app, container.HostConfig{Resources: container.Resources{MemorySwap: 32 << 20}}},
		{"reservation above memory", "x6", app, container.HostConfig{Resources: container.Resources{Memory: 32 << 20, MemoryReservation: 64 << 20}}},
		{"cpus and quota", "x7", app, container.HostConfig{Resources: container.Resources{NanoCPUs: 5e8, CPUQuota: 50000}}},
		{"cpus and period", "x8", app, container.HostConfig{Resources: container.Resources{NanoCPUs: 5e8, CPUPeriod: 50000}}},
		{"too many cpus", "x9", app, container.HostConfig{Resources: container.Resources{NanoCPUs: 5000e9}}},
		{"rm with restart", "x10", app, container.HostConfig{AutoRemove: true, RestartPolicy: container.RestartPolicy{Name: "always"}}},
		{"rm with no", "x10a", app, container.HostConfig{AutoRemove: true, RestartPolicy: container.RestartPolicy{Name: "no"}}},
		{"restart unknown", "x11", app, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "sometimes"}}},
		{"retries with always", "x12", app, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always", MaximumRetryCount: 3}}},
		{"runtime unknown", "x13", app, container.HostConfig{Runtime: "nope"}},
		{"donor missing", "x14", app, container.HostConfig{NetworkMode: "container:nobody-at-all"}},
		{"donor and hostname", "x15", container.Config{Image: "app:1", Hostname: "h"}, container.HostConfig{NetworkMode: container.NetworkMode("container:" + e.prefix + "taken")}},
		{"donor and ports", "x16", app, container.HostConfig{NetworkMode: container.NetworkMode("container:" + e.prefix + "taken"), PublishAllPorts: true}},
		{"relative workdir", "x17", container.Config{Image: "app:1", WorkingDir: "tmp"}, container.HostConfig{}},
		{"mount without target", "x18", app, container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeVolume}}}},
		{"bind of nothing", "x19", app, container.HostConfig{Mounts: []mount.Mount{{Type: mount.TypeBind, Source: "/plimsoll/does/not/exist", Target: "/x"}}}},
		{"bad volume name", "x20", app, container.HostConfig{Binds: []string{"a/b:/x"}}},
		{"volumes from nobody", "x21", app, container.HostConfig{VolumesFrom: []string{"nobody-at-all"}}},
		{"hostname and uts", "x22", container.Config{Image: "app:1", Hostname: "h"}, container.HostConfig{UTSMode: "host"}},
		{"swappiness", "x23", app, container.HostConfig{Resources: container.Resources{MemorySwappiness: new(int64(101))}}},
		{"bad environment", "x24", container.Config{Image: "app:1", Env: []string{"=x"}}, container.HostConfig{}},
		{"network missing", "x25", app, container.HostConfig{NetworkMode: container.NetworkMode(e.prefix + "nowhere")}},
	} {
		_, err := e.create(c.name, c.config, c.host)
		e.fails(c.what, err)
	}
	_, err := e.cli.ContainerStart(e.Context(), e.prefix+"x25", client.ContainerStartOptions{})
	e.fails("start with network missing", err)
}

func commandMerge(e *engine) {
	e.images(dockertest.Probe("app:1", "-x", "image"))
	for name, c := range []container.Config{
		{Image: "app:1"},
		{Image: "app:1", Cmd: []string{"-x", "user"}},
		{Image: "app:1", Entrypoint: []string{"/probe", "-x", "e"}},
		{Image: "app:1", Entrypoint: []string{""}, Cmd: []string{"/probe"}},
		{Image: "app:1", Entrypoint: []string{}},
	} {
		id, err := e.create("c"+string(rune('0'+name)), c, container.HostConfig{})
		e.fails("create", err)
		if err == nil {
			got := e.inspect(id)
			e.note("argv", []any{got.Path, got.Args, got.Config.Entrypoint, got.Config.Cmd})
		}
	}
}
