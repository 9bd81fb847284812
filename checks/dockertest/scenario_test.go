package dockertest_test

import (
	"archive/tar"
	"bytes"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockertest"
)

var scenarios = []scenario{
	{"life of a container", false, life},
	{"inspect after create", true, inspectAfterCreate},
	{"create is refused", true, refusedCreate},
	{"entrypoint and command", false, commandMerge},
	{"update of limits", true, update},
	{"names", false, names},
	{"volumes", false, volumes},
	{"networks", true, networks},
	{"one endpoint at create", true, oneEndpoint},
	{"images", true, images},
	{"exit codes and restarts", false, exits},
	{"health", false, health},
	{"removal", false, removal},
	{"reading", false, reading},
	{"start is refused", true, refusedStart},
	{"pause and kill", false, pauseAndKill},
	{"automatic removal", false, autoRemove},
	{"links", true, links},
	{"shared namespaces", false, shared},
	{"platforms", true, platforms},
}

func life(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.mustCreate("web", container.Config{Image: "app:1", Labels: map[string]string{"tier": "front"}}, container.HostConfig{})
	e.note("state", e.inspect(id).State.Status)
	e.eventsSoFar()
	_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start", err)
	e.ready(id)
	_, err = e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start again", err)
	c := e.inspect(id)
	e.note("running", []any{c.State.Status, c.State.Running, c.State.Pid > 0, c.RestartCount, c.State.ExitCode})
	e.eventsSoFar()
	_, err = e.cli.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: e.prefix + "shop"})
	e.fails("rename", err)
	e.note("name", e.inspect(id).Name)
	e.eventsSoFar()
	_, err = e.cli.ContainerRestart(ctx, id, client.ContainerRestartOptions{})
	e.fails("restart", err)
	e.ready(id)
	e.eventsSoFar()
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop again", err)
	c = e.inspect(id)
	e.note("stopped", []any{c.State.Status, c.State.Running, c.State.Pid, c.State.ExitCode})
	e.eventsSoFar()
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove", err)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove again", err)
	_, err = e.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	e.fails("inspect removed", err)
	e.eventsSoFar()
}

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

func update(e *engine) {
	e.images(dockertest.Probe("app:1"))
	type change = client.ContainerUpdateOptions
	limits := func(r container.Resources) change { return change{Resources: &r} }
	pids := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name  string
		host  container.HostConfig
		steps []change
	}{
		{"free", container.HostConfig{}, []change{
			limits(container.Resources{Memory: 64 << 20}),
			limits(container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20}),
			limits(container.Resources{Memory: 128 << 20}),
			limits(container.Resources{Memory: 5 << 20}),
			limits(container.Resources{Memory: -1}),
			limits(container.Resources{MemorySwap: 32 << 20}),
			limits(container.Resources{MemoryReservation: 96 << 20}),
			limits(container.Resources{Memory: 48 << 20, MemorySwap: 48 << 20}),
			limits(container.Resources{NanoCPUs: 5e8}),
			limits(container.Resources{NanoCPUs: 5000e9}),
			limits(container.Resources{CPUQuota: 50000}),
			limits(container.Resources{CPUPeriod: 50000}),
			limits(container.Resources{PidsLimit: pids(50)}),
			limits(container.Resources{PidsLimit: pids(0)}),
			limits(container.Resources{PidsLimit: pids(60)}),
			limits(container.Resources{PidsLimit: pids(-1)}),
			limits(container.Resources{OomKillDisable: new(true)}),
			limits(container.Resources{CPUShares: 512}),
			{RestartPolicy: &container.RestartPolicy{Name: "unless-stopped"}},
			{RestartPolicy: &container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 5}},
			{RestartPolicy: &container.RestartPolicy{Name: "no", MaximumRetryCount: 5}},
			{RestartPolicy: &container.RestartPolicy{Name: "sometimes"}},
			{RestartPolicy: &container.RestartPolicy{Name: "no"}},
		}},
		{"quota", container.HostConfig{Resources: container.Resources{CPUQuota: 50000, CPUPeriod: 100000}}, []change{
			limits(container.Resources{NanoCPUs: 5e8}),
			limits(container.Resources{CPUQuota: 60000}),
		}},
		{"swapless", container.HostConfig{Resources: container.Resources{Memory: 64 << 20, MemorySwap: -1}}, []change{
			limits(container.Resources{Memory: 32 << 20}),
			limits(container.Resources{Memory: 96 << 20}),
			limits(container.Resources{Memory: 96 << 20, MemorySwap: -1}),
		}},
		{"brief", container.HostConfig{AutoRemove: true}, []change{
			{RestartPolicy: &container.RestartPolicy{Name: "always"}},
			{RestartPolicy: &container.RestartPolicy{Name: "no"}},
			limits(container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20}),
		}},
	} {
		for _, running := range []bool{true, false} {
			name := c.name
			if !running {
				name += "-stopped"
			}
			host := c.host
			id := e.mustCreate(name, container.Config{Image: "app:1"}, host)
			if running {
				if _, err := e.cli.ContainerStart(e.Context(), id, client.ContainerStartOptions{}); err != nil {
					e.Fatal(err)
				}
				e.ready(id)
			}
			for i, step := range c.steps {
				_, err := e.cli.ContainerUpdate(e.Context(), id, step)
				e.fails(name+" "+string(rune('a'+i)), err)
				h := e.inspect(id).HostConfig
				e.note("then", []any{h.Memory, h.MemorySwap, h.MemoryReservation, h.NanoCPUs, h.CPUQuota, h.CPUPeriod, h.PidsLimit, h.CPUShares, h.RestartPolicy})
			}
			if c.name == "free" && running {
				_, err := e.cli.ContainerStop(e.Context(), id, client.ContainerStopOptions{})
				e.fails("stop", err)
				_, err = e.cli.ContainerStart(e.Context(), id, client.ContainerStartOptions{})
				e.fails("start with reservation above memory", err)
			}
		}
	}
	e.eventsSoFar()
}

func names(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	a := e.mustCreate("a", container.Config{Image: "app:1"}, container.HostConfig{})
	e.mustCreate("b", container.Config{Image: "app:1"}, container.HostConfig{})
	rename := func(to string) {
		_, err := e.cli.ContainerRename(ctx, a, client.ContainerRenameOptions{NewName: to})
		e.fails("rename to "+e.plain(to), err)
	}
	rename(e.prefix + "b")
	rename(e.prefix + "a")
	rename(e.prefix + "x y")
	rename("/" + e.prefix + "slash")
	rename(e.prefix + "c")
	_, err := e.cli.ContainerRename(ctx, "nobody-at-all", client.ContainerRenameOptions{NewName: "x"})
	e.fails("rename nobody", err)
	_, err = e.create("a", container.Config{Image: "app:1"}, container.HostConfig{})
	e.fails("name is free again", err)
	byName, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", e.prefix+"c")})
	e.fails("list", err)
	for _, one := range byName.Items {
		e.note("listed", []any{one.Names, one.Image, one.ImageID, one.State, one.Command, one.Labels, one.Status, one.Ports, one.Mounts, one.HostConfig})
	}
	byID, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("id", a[:20])})
	e.fails("list by id", err)
	e.note("found", len(byID.Items))
	created, err := e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("status", "created").Add("name", e.prefix)})
	e.fails("list by status", err)
	e.note("found", len(created.Items))
	_, err = e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("status", "dancing")})
	e.fails("list by unknown status", err)
	_, err = e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("colour", "red")})
	e.fails("list by unknown key", err)
	short, err := e.cli.ContainerInspect(ctx, a[:12], client.ContainerInspectOptions{})
	e.fails("inspect short id", err)
	e.note("name", short.Container.Name)
	e.eventsSoFar()
}

func volumes(e *engine) {
	image := dockertest.Probe("db:1", "-write", "/data/log=started")
	image.Config.Volumes = map[string]struct{}{"/data": {}}
	e.images(image)
	ctx := e.Context()
	id := e.mustCreate("db", container.Config{Image: "db:1", Volumes: map[string]struct{}{"/extra": {}}}, container.HostConfig{
		Binds:  []string{e.prefix + "named:/named:ro"},
		Mounts: []mount.Mount{{Type: mount.TypeVolume, Target: "/mounted"}, {Type: mount.TypeTmpfs, Target: "/cache"}, {Type: mount.TypeVolume, Source: e.prefix + "second", Target: "/second"}},
	})
	c := e.inspect(id)
	slices.SortFunc(c.Mounts, func(a, b container.MountPoint) int { return strings.Compare(a.Destination, b.Destination) })
	for _, m := range c.Mounts {
		e.note("mount", []any{m.Type, m.Name, m.Destination, m.Driver, m.Mode, m.RW, m.Propagation})
	}
	e.note("volumes of configuration", c.Config.Volumes)
	var data string
	for _, m := range c.Mounts {
		if m.Destination == "/data" {
			data = m.Name
		}
	}
	for range 2 {
		_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
		e.fails("start", err)
		e.ready(id)
		_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
		e.fails("stop", err)
	}
	e.note("file", e.file(id, "/data/log"))
	_, err := e.cli.VolumeRemove(ctx, data, client.VolumeRemoveOptions{})
	e.fails("remove a used volume", err)
	heir := e.mustCreate("heir", container.Config{Image: "db:1"}, container.HostConfig{Binds: []string{data + ":/data"}})
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true})
	e.fails("remove with volumes", err)
	e.note("file in heir", e.file(heir, "/data/log"))
	_, err = e.cli.VolumeInspect(ctx, e.prefix+"named", client.VolumeInspectOptions{})
	e.fails("named volume", err)
	for _, m := range c.Mounts {
		if m.Name != "" {
			_, err = e.cli.VolumeInspect(ctx, m.Name, client.VolumeInspectOptions{})
			e.fails("volume at "+m.Destination, err)
		}
	}
	_, err = e.cli.ContainerRemove(ctx, heir, client.ContainerRemoveOptions{RemoveVolumes: true})
	e.fails("remove heir with volumes", err)
	_, err = e.cli.VolumeInspect(ctx, data, client.VolumeInspectOptions{})
	e.fails("its volume, which it named", err)
	_, err = e.cli.VolumeRemove(ctx, data, client.VolumeRemoveOptions{})
	e.fails("remove volume", err)
	_, err = e.cli.VolumeRemove(ctx, data, client.VolumeRemoveOptions{})
	e.fails("remove volume again", err)
	made, err := e.cli.VolumeCreate(ctx, client.VolumeCreateOptions{Name: e.prefix + "own", Labels: map[string]string{"a": "b"}})
	e.fails("create volume", err)
	e.note("volume", []any{made.Volume.Name, made.Volume.Driver, made.Volume.Labels, made.Volume.Scope})
	list, err := e.cli.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("label", "a=b").Add("name", e.prefix)})
	e.fails("list volumes", err)
	e.note("found", len(list.Items))
	e.eventsSoFar()
}

// file returns the text of a file in a container.
func (e *engine) file(id, path string) string {
	e.Helper()
	got, err := e.cli.CopyFromContainer(e.Context(), id, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		return kind(err)
	}
	defer got.Content.Close()
	t := tar.NewReader(got.Content)
	if _, err := t.Next(); err != nil {
		e.Fatal(err)
	}
	text, err := io.ReadAll(t)
	if err != nil {
		e.Fatal(err)
	}
	return got.Stat.Name + "=" + string(text)
}

func networks(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	made, err := e.cli.NetworkCreate(ctx, e.prefix+"front", client.NetworkCreateOptions{Labels: map[string]string{"a": "b"}})
	if err != nil {
		e.Fatal(err)
	}
	e.know(made.ID, "network front")
	third := byte(51)
	if e.server == nil {
		third = byte(64 + time.Now().UnixNano()%128)
	}
	subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 231, third, 0}), 24)
	fixed, err := e.cli.NetworkCreate(ctx, e.prefix+"fixed", client.NetworkCreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}})
	if err != nil {
		e.Fatal(err)
	}
	e.know(fixed.ID, "network fixed")
	e.ids[strings.TrimSuffix(subnet.Addr().String(), ".0")+"."] = "<subnet>."
	_, err = e.cli.NetworkCreate(ctx, "bridge", client.NetworkCreateOptions{})
	e.fails("create predefined", err)
	_, err = e.cli.NetworkCreate(ctx, e.prefix+"overlap", client.NetworkCreateOptions{IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}})
	e.fails("create overlapping", err)
	n, err := e.cli.NetworkInspect(ctx, e.prefix+"front", client.NetworkInspectOptions{})
	e.fails("inspect", err)
	e.note("network", []any{n.Network.Name, n.Network.Driver, n.Network.Scope, n.Network.Labels, n.Network.Options, n.Network.Internal, len(n.Network.IPAM.Config), n.Network.Containers})
	bridge, err := e.cli.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{})
	e.fails("inspect bridge", err)
	e.note("icc", bridge.Network.Options["com.docker.network.bridge.enable_icc"])

	address := subnet.Addr().Next().Next().Next()
	id := e.mustCreate("web", container.Config{Image: "app:1"}, container.HostConfig{NetworkMode: container.NetworkMode(e.prefix + "front")})
	connect := func(what, to, who string, settings *network.EndpointSettings) {
		_, err := e.cli.NetworkConnect(ctx, to, client.NetworkConnectOptions{Container: who, EndpointConfig: settings})
		e.fails("connect "+what, err)
	}
	connect("created to a second", e.prefix+"fixed", id, &network.EndpointSettings{Aliases: []string{"www"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: address}})
	e.endpoints(id)
	e.eventsSoFar()
	_, err = e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start", err)
	e.ready(id)
	e.endpoints(id)
	e.eventsSoFar()
	rival := e.mustCreate("rival", container.Config{Image: "app:1"}, container.HostConfig{NetworkMode: container.NetworkMode(e.prefix + "front")})
	connect("rival to the same address", e.prefix+"fixed", rival, &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: address}})
	_, err = e.cli.ContainerStart(ctx, rival, client.ContainerStartOptions{})
	e.fails("start rival", err)
	e.note("rival", []any{e.inspect(rival).State.Status, e.inspect(rival).State.ExitCode})
	connect("running to bridge", "bridge", id, nil)
	connect("running again", "bridge", id, nil)
	connect("running to host", "host", id, nil)
	connect("nobody", e.prefix+"front", "nobody-at-all", nil)
	connect("to nowhere", "nowhere-at-all", id, nil)
	connect("static where none is configured", e.prefix+"front", rival, &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("172.18.0.77")}})
	e.endpoints(id)
	e.eventsSoFar()
	_, err = e.cli.NetworkRemove(ctx, e.prefix+"front", client.NetworkRemoveOptions{})
	e.fails("remove a used network", err)
	_, err = e.cli.NetworkDisconnect(ctx, e.prefix+"front", client.NetworkDisconnectOptions{Container: id})
	e.fails("disconnect", err)
	_, err = e.cli.NetworkDisconnect(ctx, e.prefix+"front", client.NetworkDisconnectOptions{Container: id})
	e.fails("disconnect again", err)
	e.note("mode", e.inspect(id).HostConfig.NetworkMode)
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	e.endpoints(id)
	e.eventsSoFar()
	_, err = e.cli.NetworkRemove(ctx, "bridge", client.NetworkRemoveOptions{})
	e.fails("remove predefined", err)
	_, err = e.cli.NetworkRemove(ctx, e.prefix+"fixed", client.NetworkRemoveOptions{})
	e.fails("remove with a stopped container", err)
	_, err = e.cli.NetworkRemove(ctx, e.prefix+"fixed", client.NetworkRemoveOptions{})
	e.fails("remove again", err)
	_, err = e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start without its network", err)
	e.eventsSoFar()
}

func (e *engine) endpoints(id string) {
	e.Helper()
	for _, name := range []string{e.prefix + "front", e.prefix + "fixed", "bridge"} {
		if s := e.inspect(id).NetworkSettings.Networks[name]; s != nil {
			static := ""
			if s.IPAMConfig != nil {
				static = s.IPAMConfig.IPv4Address.String()
			}
			e.note("endpoint "+e.plain(name), []any{s.Aliases, static, s.IPAddress.IsValid(), s.Gateway.IsValid(), len(s.MacAddress), s.EndpointID != "", s.NetworkID != "", s.IPPrefixLen > 0})
		}
	}
}

func oneEndpoint(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	for _, n := range []string{"a", "b"} {
		made, err := e.cli.NetworkCreate(ctx, e.prefix+n, client.NetworkCreateOptions{})
		if err != nil {
			e.Fatal(err)
		}
		e.know(made.ID, "network "+n)
	}
	create := func(name string, mode string, endpoints ...string) {
		all := map[string]*network.EndpointSettings{}
		for _, n := range endpoints {
			all[n] = &network.EndpointSettings{Aliases: []string{"alias"}}
		}
		made, err := e.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name: e.prefix + name, Config: &container.Config{Image: e.prefix + "app:1"}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(mode)},
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: all},
		})
		e.fails("create with "+e.plain(endpoints), err)
		if err != nil {
			return
		}
		e.know(made.ID, "container "+name)
		var names []string
		for n := range e.inspect(made.ID).NetworkSettings.Networks {
			names = append(names, n)
		}
		slices.Sort(names)
		e.note("networks", names)
		_, err = e.cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
		e.fails("start", err)
	}
	create("both", e.prefix+"a", e.prefix+"a", e.prefix+"b")
	create("one", e.prefix+"a", e.prefix+"a")
	create("other", e.prefix+"a", e.prefix+"b")
	create("aliased", "bridge", "bridge")
	create("none", e.prefix+"a")
	create("byid", e.ids["x"])
}

func images(e *engine) {
	one := dockertest.Probe("app:1", "-x", "one")
	one.History = nil
	e.images(one, dockertest.Probe("app:2", "-x", "two"))
	ctx := e.Context()
	i, err := e.cli.ImageInspect(ctx, e.prefix+"app:1")
	e.fails("inspect", err)
	e.note("image", []any{i.ID, i.RepoTags, i.RepoDigests, i.Os, i.Config.Entrypoint, i.Config.Cmd, i.Config.Env})
	h, err := e.cli.ImageHistory(ctx, e.prefix+"app:1")
	e.fails("history", err)
	e.note("newest layer", []any{h.Items[0].ID, h.Items[0].Tags})
	_, err = e.cli.ImageInspect(ctx, e.prefix+"none:1")
	e.fails("inspect missing", err)
	_, err = e.cli.ImageHistory(ctx, e.prefix+"none:1")
	e.fails("history of missing", err)
	_, err = e.cli.ImageTag(ctx, client.ImageTagOptions{Source: e.prefix + "app:1", Target: e.prefix + "again:1"})
	e.fails("tag", err)
	_, err = e.cli.ImageTag(ctx, client.ImageTagOptions{Source: e.prefix + "none:1", Target: e.prefix + "again:1"})
	e.fails("tag missing", err)
	i, _ = e.cli.ImageInspect(ctx, e.prefix+"app:1")
	e.note("tags", i.RepoTags)
	id := e.run("web", container.Config{Image: "app:1"}, container.HostConfig{})
	_, err = e.cli.ImageTag(ctx, client.ImageTagOptions{Source: e.prefix + "app:2", Target: e.prefix + "app:1"})
	e.fails("move the tag", err)
	c := e.inspect(id)
	e.note("container", []any{c.Image, c.Config.Image})
	list, err := e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("name", e.prefix+"web")})
	e.fails("list", err)
	e.note("listed", []any{list.Items[0].Image, list.Items[0].ImageID})
	e.eventsSoFar()
	remove := func(what, ref string, force bool) {
		gone, err := e.cli.ImageRemove(ctx, ref, client.ImageRemoveOptions{Force: force})
		e.fails("remove "+what, err)
		for _, g := range gone.Items {
			if !sixtyFour.MatchString(g.Deleted) || strings.Contains(e.plain(g.Deleted), "<") {
				e.note("gone", g)
			}
		}
	}
	remove("a tag of a used image", e.prefix+"again:1", false)
	remove("used image by id", c.Image, true)
	remove("image with two tags by id", i2(e), false)
	remove("one of two tags", e.prefix+"app:2", false)
	remove("last tag", e.prefix+"app:1", false)
	remove("missing", e.prefix+"app:1", false)
	if _, err := e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true}); err != nil {
		e.Fatal(err)
	}
	remove("image without containers", c.Image, false)
	e.eventsSoFar()
	_, err = e.cli.ImagePull(ctx, e.prefix+"never-published:1", client.ImagePullOptions{})
	if err == nil {
		e.Error("pulling what nobody published succeeded")
	}
}

func i2(e *engine) string {
	i, err := e.cli.ImageInspect(e.Context(), e.prefix+"app:2")
	if err != nil {
		e.Fatal(err)
	}
	return i.ID
}

func exits(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	wait := func(id string) {
		select {
		case r := <-waitFor(e, id, container.WaitConditionNotRunning).Result:
			e.note("exit code", r.StatusCode)
		case <-time.After(20 * time.Second):
			e.Fatal("it never ended")
		}
	}
	id := e.run("three", container.Config{Image: "app:1", Cmd: []string{"-code", "3"}}, container.HostConfig{})
	wait(id)
	e.note("state", []any{e.inspect(id).State.Status, e.inspect(id).State.ExitCode, e.inspect(id).RestartCount})
	id = e.run("retry", container.Config{Image: "app:1", Cmd: []string{"-code", "4"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 2}})
	e.until(id, func(c container.InspectResponse) bool {
		return c.State.Status == container.StateExited && c.RestartCount == 2
	})
	e.note("state", []any{e.inspect(id).State.ExitCode, e.inspect(id).RestartCount})
	id = e.run("fine", container.Config{Image: "app:1", Cmd: []string{"-code", "0"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "on-failure"}})
	wait(id)
	e.note("restarts", e.inspect(id).RestartCount)
	id = e.run("stubborn", container.Config{Image: "app:1", Cmd: []string{"-ignore-term"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}})
	_, err := e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: new(1)})
	e.fails("stop", err)
	e.note("stubborn", []any{e.inspect(id).State.Status, e.inspect(id).State.ExitCode, e.inspect(id).State.Running})
	e.eventsSoFar()
}

func waitFor(e *engine, id string, condition container.WaitCondition) client.ContainerWaitResult {
	return e.cli.ContainerWait(e.Context(), id, client.ContainerWaitOptions{Condition: condition})
}

func health(e *engine) {
	good := dockertest.Probe("good:1")
	good.Config.Healthcheck = dockertest.ProbeCheck()
	bad := dockertest.Probe("bad:1", "-unhealthy")
	bad.Config.Healthcheck = dockertest.ProbeCheck()
	e.images(good, bad)
	ctx := e.Context()
	for _, name := range []string{"good", "bad"} {
		id := e.run(name, container.Config{Image: name + ":1"}, container.HostConfig{})
		e.until(id, func(c container.InspectResponse) bool { return c.State.Health.Status != container.Starting })
		e.note("health", e.inspect(id).State.Health.Status)
		_, err := e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
		e.fails("stop", err)
		e.note("stopped", e.inspect(id).State.Health.Status)
	}
	id := e.run("unchecked", container.Config{Image: "good:1", Healthcheck: &v1.HealthcheckConfig{Test: []string{"NONE"}}}, container.HostConfig{})
	e.note("unchecked", []any{e.inspect(id).State.Health, e.inspect(id).Config.Healthcheck})
	e.eventsSoFar()
}

func removal(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1", Volumes: map[string]struct{}{"/v": {}}}, container.HostConfig{})
	c := e.inspect(id)
	_, err := e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove running", err)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
	e.fails("remove by force", err)
	_, err = e.cli.VolumeInspect(ctx, c.Mounts[0].Name, client.VolumeInspectOptions{})
	e.fails("its volume", err)
	_, err = e.cli.VolumeRemove(ctx, c.Mounts[0].Name, client.VolumeRemoveOptions{})
	e.fails("remove it", err)
	id = e.run("again", container.Config{Image: "app:1", Volumes: map[string]struct{}{"/v": {}}}, container.HostConfig{})
	c = e.inspect(id)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	e.fails("remove with volumes", err)
	_, err = e.cli.VolumeInspect(ctx, c.Mounts[0].Name, client.VolumeInspectOptions{})
	e.fails("its volume", err)
	e.eventsSoFar()
}

func reading(e *engine) {
	image := dockertest.Probe("app:1", "-stderr", "to stderr", "-write", "/work/file=hello")
	image.Files = map[string]string{"/etc/passwd": "root:x:0:0::/:\n"}
	e.images(image)
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1"}, container.HostConfig{})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		diff, err := e.cli.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
		if err != nil || len(diff.Changes) > 0 {
			break // the program runs and has written
		}
	}
	top, err := e.cli.ContainerTop(ctx, id, client.ContainerTopOptions{})
	e.fails("top", err)
	e.note("top", []any{top.Titles, len(top.Processes), top.Processes[0][0], top.Processes[0][7]})
	top, err = e.cli.ContainerTop(ctx, id, client.ContainerTopOptions{Arguments: []string{"-eo", "pid,uid,args"}})
	e.fails("top with columns", err)
	e.note("top", []any{top.Titles, top.Processes[0][1:]})
	diff, err := e.cli.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
	e.fails("diff", err)
	e.note("diff", diff.Changes)
	e.note("passwd", e.file(id, "/etc/passwd"))
	e.note("missing", e.file(id, "/etc/nothing"))
	logs, err := e.cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	e.fails("logs", err)
	if err == nil {
		var out, errs bytes.Buffer
		if _, err := stdcopy.StdCopy(&out, &errs, logs); err != nil {
			e.Error(err)
		}
		logs.Close()
		e.note("log", []string{out.String(), errs.String()})
	}
	_, err = e.cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{})
	e.fails("logs of no stream", err)
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	_, err = e.cli.ContainerTop(ctx, id, client.ContainerTopOptions{})
	e.fails("top of a stopped one", err)
	for _, call := range []func() error{
		func() error {
			_, err := e.cli.ContainerTop(ctx, "nobody-at-all", client.ContainerTopOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerDiff(ctx, "nobody-at-all", client.ContainerDiffOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerStats(ctx, "nobody-at-all", client.ContainerStatsOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerUpdate(ctx, "nobody-at-all", client.ContainerUpdateOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerStop(ctx, "nobody-at-all", client.ContainerStopOptions{})
			return err
		},
	} {
		e.fails("nobody", call())
	}
	e.eventsSoFar()
}

func refusedStart(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	start := func(what, id string) {
		_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
		e.fails(what, err)
		c := e.inspect(id)
		e.note("then", []any{c.State.Status, c.State.ExitCode, c.State.Error != ""})
	}
	start("no such program", e.mustCreate("odd", container.Config{Image: "app:1", Entrypoint: []string{"/nothing"}}, container.HostConfig{}))
	donor := e.mustCreate("donor", container.Config{Image: "app:1"}, container.HostConfig{})
	start("donor does not run", e.mustCreate("guest", container.Config{Image: "app:1"}, container.HostConfig{NetworkMode: container.NetworkMode("container:" + donor)}))
	start("donor", donor)
	start("guest", e.prefix+"guest")
	port := network.PortMap{network.MustParsePort("80/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: ""}}}
	hidden := e.run("hidden", container.Config{Image: "app:1"}, container.HostConfig{PortBindings: port})
	e.note("bindings of what is not exposed", e.inspect(hidden).NetworkSettings.Ports)
	exposed := container.Config{Image: "app:1", ExposedPorts: network.PortSet{network.MustParsePort("80/tcp"): {}}}
	first := e.run("first", exposed, container.HostConfig{PortBindings: port})
	got := e.inspect(first).NetworkSettings.Ports[network.MustParsePort("80/tcp")]
	e.note("bindings", len(got))
	taken := network.PortMap{network.MustParsePort("80/tcp"): got}
	start("port is taken", e.mustCreate("second", exposed, container.HostConfig{PortBindings: taken}))
	e.eventsSoFar()
}

func pauseAndKill(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1"}, container.HostConfig{})
	pause := func() {
		_, err := e.cli.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		e.fails("pause", err)
	}
	unpause := func() {
		_, err := e.cli.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		e.fails("unpause", err)
	}
	kill := func(signal string) {
		_, err := e.cli.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
		e.fails("kill "+signal, err)
	}
	pause()
	pause()
	e.note("state", []any{e.inspect(id).State.Status, e.inspect(id).State.Running, e.inspect(id).State.Paused})
	_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start paused", err)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove paused", err)
	unpause()
	unpause()
	kill("SIGNOTHING")
	kill("SIGKILL")
	e.until(id, func(c container.InspectResponse) bool { return !c.State.Running })
	e.note("state", []any{e.inspect(id).State.Status, e.inspect(id).State.ExitCode})
	kill("SIGKILL")
	pause()
	e.eventsSoFar()
}

func autoRemove(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("brief", container.Config{Image: "app:1", Volumes: map[string]struct{}{"/v": {}}}, container.HostConfig{AutoRemove: true})
	c := e.inspect(id)
	removed := waitFor(e, id, container.WaitConditionRemoved)
	_, err := e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	select {
	case r := <-removed.Result:
		e.note("exit code", r.StatusCode)
	case err := <-removed.Error:
		e.Fatal(err)
	}
	_, err = e.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	e.fails("inspect", err)
	_, err = e.cli.VolumeInspect(ctx, c.Mounts[0].Name, client.VolumeInspectOptions{})
	e.fails("its volume", err)
}

func links(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	app := container.Config{Image: "app:1"}
	_, err := e.create("early", app, container.HostConfig{Links: []string{"nobody-at-all:db"}})
	e.fails("link to nobody", err)
	src := e.mustCreate("src", app, container.HostConfig{})
	user := e.mustCreate("user", app, container.HostConfig{Links: []string{e.prefix + "src:db"}})
	e.note("links", e.inspect(user).HostConfig.Links)
	_, err = e.cli.ContainerStart(ctx, user, client.ContainerStartOptions{})
	e.fails("start before the source", err)
	_, err = e.cli.ContainerStart(ctx, src, client.ContainerStartOptions{})
	e.fails("start the source", err)
	_, err = e.cli.ContainerStart(ctx, user, client.ContainerStartOptions{})
	e.fails("start", err)
	_, err = e.cli.ContainerRename(ctx, src, client.ContainerRenameOptions{NewName: e.prefix + "old"})
	e.fails("rename the source", err)
	e.note("links follow", e.inspect(user).HostConfig.Links)
	_, err = e.cli.ContainerRename(ctx, user, client.ContainerRenameOptions{NewName: e.prefix + "client"})
	e.fails("rename the user", err)
	e.note("links follow", e.inspect(user).HostConfig.Links)
	_, err = e.cli.ContainerRemove(ctx, src, client.ContainerRemoveOptions{Force: true})
	e.fails("remove the source", err)
	e.note("links are gone", e.inspect(user).HostConfig.Links)
	_, err = e.cli.ContainerRestart(ctx, user, client.ContainerRestartOptions{})
	e.fails("restart", err)
}

func shared(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	app := container.Config{Image: "app:1"}
	donor := e.run("donor", app, container.HostConfig{IpcMode: "shareable"})
	byName := "container:" + e.prefix + "donor"
	guest := e.run("guest", app, container.HostConfig{NetworkMode: container.NetworkMode(byName), IpcMode: container.IpcMode(byName), PidMode: container.PidMode(byName)})
	c := e.inspect(guest)
	e.note("modes", []any{c.HostConfig.NetworkMode, c.HostConfig.IpcMode, c.HostConfig.PidMode, c.Config.Hostname, c.NetworkSettings.Networks, c.HostConfig.SecurityOpt})
	_, err := e.cli.NetworkConnect(ctx, "bridge", client.NetworkConnectOptions{Container: guest})
	e.fails("connect the guest", err)
	_, err = e.cli.ContainerStop(ctx, guest, client.ContainerStopOptions{})
	e.fails("stop the guest", err)
	_, err = e.cli.ContainerRemove(ctx, donor, client.ContainerRemoveOptions{Force: true})
	e.fails("remove the donor", err)
	_, err = e.cli.ContainerStart(ctx, guest, client.ContainerStartOptions{})
	e.fails("start the guest", err)
	e.note("then", e.inspect(guest).State.ExitCode)
	e.eventsSoFar()
}

func platforms(e *engine) {
	e.images(dockertest.Probe("app:1"))
	for _, p := range []ocispec.Platform{{OS: "linux"}, {OS: "linux", Architecture: "s390x"}, {OS: "windows", Architecture: "amd64"}} {
		made, err := e.cli.ContainerCreate(e.Context(), client.ContainerCreateOptions{Name: e.prefix + "on-" + p.OS + p.Architecture, Image: e.prefix + "app:1", Platform: &p})
		e.fails("create on "+p.OS+"/"+p.Architecture, err)
		if err == nil {
			e.note("platform", e.inspect(made.ID).Platform)
		}
	}
}
