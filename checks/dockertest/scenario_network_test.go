package dockertest_test

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

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
	// The rival has one network only: an engine takes several in any order,
	// and how many it had joined before the refusal shows in its events.
	rival := e.mustCreate("rival", container.Config{Image: "app:1"}, container.HostConfig{NetworkMode: "none"})
	_, err = e.cli.NetworkDisconnect(ctx, "none", client.NetworkDisconnectOptions{Container: rival})
	e.fails("rival off its network", err)
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
