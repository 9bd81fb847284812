package dockertest_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// swarmed makes a swarm, puts one of each into it, and ends it.
func swarmed(e *engine) {
	ctx := e.Context()
	named := func(name string) swarm.Annotations { return swarm.Annotations{Name: e.prefix + name} }
	_, err := e.cli.ServiceList(ctx, client.ServiceListOptions{})
	e.fails("services without a swarm", err)
	_, err = e.cli.SwarmInspect(ctx, client.SwarmInspectOptions{})
	e.fails("inspect without a swarm", err)
	_, err = e.cli.NetworkCreate(ctx, e.prefix+"early", client.NetworkCreateOptions{Driver: "overlay"})
	e.fails("overlay without a swarm", err)
	node, err := e.cli.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1", Spec: swarm.Spec{EncryptionConfig: swarm.EncryptionConfig{AutoLockManagers: true}}})
	if err != nil {
		e.Fatal(err)
	}
	e.know(node.NodeID, "node")
	_, err = e.cli.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"})
	e.fails("init again", err)
	e.overlays(1)

	info, err := e.cli.Info(ctx, client.InfoOptions{})
	if err != nil || info.Info.Swarm.Cluster == nil {
		e.Fatalf("info: %v, %+v", err, info.Info.Swarm)
	}
	s := info.Info.Swarm
	e.know(s.Cluster.ID, "cluster")
	e.ids[info.Info.Name] = "<host>"
	e.note("info", []any{s.NodeID, s.NodeAddr, s.LocalNodeState, s.ControlAvailable, s.RemoteManagers, s.Nodes, s.Managers, s.Cluster.Spec.CAConfig, s.Cluster.Spec.EncryptionConfig, s.Cluster.DataPathPort, s.Cluster.RootRotationInProgress})
	e.note("root", []any{strings.HasPrefix(s.Cluster.TLSInfo.TrustRoot, "-----BEGIN CERTIFICATE-----\n"), s.Cluster.CreatedAt.IsZero()})
	inspected, err := e.cli.SwarmInspect(ctx, client.SwarmInspectOptions{})
	e.fails("inspect", err)
	tokens := inspected.Swarm.JoinTokens
	e.note("tokens", []any{inspected.Swarm.ID, len(tokens.Worker), len(tokens.Manager), strings.HasPrefix(tokens.Worker, "SWMTKN-1-"), tokens.Worker == tokens.Manager})
	key, err := e.cli.SwarmGetUnlockKey(ctx)
	e.fails("unlock key", err)
	e.note("unlock key", strings.HasPrefix(key.Key, "SWMKEY-1-"))

	made, err := e.cli.NetworkCreate(ctx, e.prefix+"back", client.NetworkCreateOptions{Driver: "overlay", Attachable: true, Options: map[string]string{"encrypted": ""}})
	e.fails("overlay", err)
	e.know(made.ID, "network back")
	for _, n := range e.overlays(2) {
		e.note("overlay", []any{n.Name, n.Scope, n.Attachable, n.Ingress, n.Internal, slices.Sorted(maps.Keys(n.Options)), n.Options["encrypted"], n.Labels, n.IPAM.Config})
	}

	secret, err := e.cli.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{Annotations: named("password"), Data: []byte("not-a-real-one")}})
	e.fails("secret", err)
	e.know(secret.ID, "secret password")
	_, err = e.cli.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{Annotations: named("password"), Data: []byte("x")}})
	e.fails("secret again", err)
	config, err := e.cli.ConfigCreate(ctx, client.ConfigCreateOptions{Spec: swarm.ConfigSpec{Annotations: named("conf"), Data: []byte("text")}})
	e.fails("config", err)
	e.know(config.ID, "config conf")
	spec := swarm.ServiceSpec{
		Annotations: named("web"),
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "not-here:1", Env: []string{"A=b"}},
			Networks:      []swarm.NetworkAttachmentConfig{{Target: e.prefix + "back"}},
			Placement:     &swarm.Placement{Constraints: []string{"node.labels.nowhere==1"}}, // it has not to run
		},
	}
	service, err := e.cli.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec})
	e.fails("service", err)
	e.know(service.ID, "service web")
	_, err = e.cli.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec})
	e.fails("service again", err)
	secrets, err := e.cli.SecretList(ctx, client.SecretListOptions{})
	e.fails("secrets", err)
	for _, v := range secrets.Items {
		e.note("secret", []any{v.ID, v.Spec, v.CreatedAt.IsZero()})
	}
	configs, err := e.cli.ConfigList(ctx, client.ConfigListOptions{})
	e.fails("configs", err)
	for _, v := range configs.Items {
		e.note("config", []any{v.ID, v.Spec, v.CreatedAt.IsZero()})
	}
	services, err := e.cli.ServiceList(ctx, client.ServiceListOptions{})
	e.fails("services", err)
	for _, v := range services.Items {
		t := v.Spec.TaskTemplate
		e.note("service", []any{v.ID, v.Spec.Name, v.Spec.Mode, t.ContainerSpec.Image, t.ContainerSpec.Env, t.Networks, t.Resources, v.Spec.UpdateConfig})
	}
	e.swarmEvents()

	_, err = e.cli.ServiceRemove(ctx, e.prefix+"web", client.ServiceRemoveOptions{})
	e.fails("remove the service", err)
	_, err = e.cli.ServiceRemove(ctx, e.prefix+"web", client.ServiceRemoveOptions{})
	e.fails("remove it again", err)
	_, err = e.cli.SecretRemove(ctx, secret.ID, client.SecretRemoveOptions{})
	e.fails("remove the secret", err)
	_, err = e.cli.ConfigRemove(ctx, config.ID, client.ConfigRemoveOptions{})
	e.fails("remove the config", err)
	_, err = e.cli.NetworkRemove(ctx, e.prefix+"back", client.NetworkRemoveOptions{})
	e.fails("remove the network", err)
	e.swarmEvents()
	_, err = e.cli.SwarmLeave(ctx, client.SwarmLeaveOptions{})
	e.fails("leave", err)
	_, err = e.cli.SwarmLeave(ctx, client.SwarmLeaveOptions{Force: true})
	e.fails("leave by force", err)
	_, err = e.cli.SecretList(ctx, client.SecretListOptions{})
	e.fails("secrets afterwards", err)
	info, err = e.cli.Info(ctx, client.InfoOptions{})
	e.fails("info afterwards", err)
	e.note("swarm afterwards", []any{info.Info.Swarm.LocalNodeState, info.Info.Swarm.ControlAvailable})
}

// overlays returns the overlay networks as soon as there are so many: they come
// a moment after they were asked for.
func (e *engine) overlays(count int) []network.Summary {
	e.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		list, err := e.cli.NetworkList(e.Context(), client.NetworkListOptions{Filters: client.Filters{}.Add("driver", "overlay")})
		if err != nil || time.Now().After(deadline) {
			e.Fatalf("%d of %d overlay networks, %v", len(list.Items), count, err)
		}
		if len(list.Items) == count {
			slices.SortFunc(list.Items, func(a, b network.Summary) int { return strings.Compare(a.Name, b.Name) })
			return list.Items
		}
	}
}

// swarmEvents notes the events so far without their order and number: a
// manager sends them when it gets around to it.
func (e *engine) swarmEvents() {
	e.Helper()
	time.Sleep(500 * time.Millisecond)
	before := len(e.notes)
	e.eventsSoFar()
	slices.Sort(e.notes[before:])
	e.notes = append(e.notes[:before], slices.Compact(e.notes[before:])...)
}
