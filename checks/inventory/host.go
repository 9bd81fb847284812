package inventory

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/host"
)

// hostParts are parts of what is known of the host. Each is one question to
// the engine, and is asked again only when an event says so.
type hostParts uint8

const (
	partEngine   hostParts = 1 << iota // docker info, docker version and what is read beside them on this machine
	partNetworks                       // docker network ls, routes
	partVolumes                        // docker volume ls, and whether they hold anything
	partServices                       // of the swarm, on a manager
	partSecrets
	partConfigs
	partCache // docker system df: no event tells of it

	partsOfSwarm = partServices | partSecrets | partConfigs
	wholeHost    = partEngine | partNetworks | partVolumes | partsOfSwarm | partCache
)

// concerned returns what an event may have changed.
func concerned(t events.Type) hostParts {
	switch t {
	case events.NetworkEventType:
		return partNetworks
	case events.VolumeEventType:
		return partVolumes
	case events.ServiceEventType:
		return partServices
	case events.SecretEventType:
		return partSecrets
	case events.ConfigEventType:
		return partConfigs
	}
	return partEngine // a reload, or a node, which docker info counts
}

// markHost notes that parts of the host may have changed.
func (w *world) markHost(parts hostParts) {
	for _, item := range w.items {
		if item.Ref.Kind == checks.Host {
			w.stale |= parts
			w.mark(item.Ref)
		}
	}
}

// takeStale returns what is known of the host and what has to be read again.
func (w *world) takeStale(ref checks.Ref) (*host.Host, hostParts) {
	known, _ := w.items[identify(ref)].Subject.(*host.Host)
	parts := w.stale
	w.stale = 0
	return known, parts
}

// host returns what is known of the host with the wanted parts read again.
func (r reader) host(ctx context.Context) (*host.Host, error) {
	h, parts := &host.Host{}, wholeHost
	if r.known != nil {
		copied := *r.known
		h, parts = &copied, r.parts
	}
	h.Now = time.Now()
	if parts&partEngine != 0 {
		managed := manages(h)
		if err := r.engine(ctx, h); err != nil {
			return nil, err
		}
		if manages(h) != managed {
			parts |= partNetworks | partsOfSwarm
		}
	}
	read := reading{reader: r, host: h}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, q := range []struct {
		part hostParts
		ask  func(context.Context) error
	}{
		{partNetworks, read.networks}, {partVolumes, read.volumes}, {partCache, read.cache},
		{partServices, read.services}, {partSecrets, read.secrets}, {partConfigs, read.configs},
	} {
		if parts&q.part != 0 && (q.part&partsOfSwarm == 0 || manages(h)) {
			group.Go(func() error { return q.ask(ctx) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return h, nil
}

// manages reports whether the engine can tell of its swarm.
func manages(h *host.Host) bool {
	return h.Info.Swarm.LocalNodeState == swarm.LocalNodeStateActive && h.Info.Swarm.ControlAvailable
}

// engine reads what docker info tells, and what stands beside it on this
// machine.
func (r reader) engine(ctx context.Context, h *host.Host) error {
	info, err := r.lists.info()
	if err != nil {
		return err
	}
	h.Info, h.Version, h.APIVersion, h.Endpoint = info.Info, info.ServerVersion, r.client.ClientVersion(), r.endpoint
	h.Platform, h.Parts, h.Podman = info.Platform, partsOf(info.Parts), info.Podman
	if r.local {
		h.Processes = processes()
	}
	r.surroundings(h)
	if !manages(h) {
		h.Swarm = nil
		h.Gaps = slices.DeleteFunc(slices.Clone(h.Gaps), func(g host.Gap) bool { return slices.Contains(ofSwarm, g.Name) })
		return nil
	}
	s := host.Swarm{}
	if h.Swarm != nil {
		s = *h.Swarm
	}
	if r.local {
		s.Local = localNode(h.Info)
	}
	s.Keys = r.keys.of(ctx, r.client, h)
	h.Swarm = &s
	return nil
}

// ofSwarm are the names of gaps that only a manager can have.
var ofSwarm = []string{"services", "secrets", "configs"}

// A reading fills in parts of a host, several at once.
type reading struct {
	reader
	mu   sync.Mutex
	host *host.Host
}

// fill changes the host by a result. What the engine would not tell becomes a
// gap called name; an engine that is gone remains an error.
func (r *reading) fill(name string, err error, gap checks.Message, change func(*host.Host)) error {
	if err != nil && unreachable(err) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host.Gaps = slices.DeleteFunc(slices.Clone(r.host.Gaps), func(g host.Gap) bool { return g.Name == name })
	if err != nil {
		r.host.Gaps = append(r.host.Gaps, host.Gap{Name: name, What: gap, Err: err})
	}
	change(r.host)
	return nil
}

func (r *reading) networks(context.Context) error {
	all, err := r.lists.networks()
	var bridge *network.Inspect
	for _, n := range all {
		if n.Name == "bridge" {
			bridge = &network.Inspect{Network: n}
		}
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b network.Network) int { return strings.Compare(a.Name, b.Name) })
	var found []host.Route
	if r.local {
		found = routes()
	}
	return r.fill("networks", err, checks.Msg("the engine does not show its networks (%s): they are not judged", err), func(h *host.Host) {
		h.Networks, h.Bridge, h.Routes = all, bridge, found
	})
}

func (r *reading) volumes(ctx context.Context) error {
	result, err := r.client.VolumeList(ctx, client.VolumeListOptions{})
	var all []host.Volume
	for _, v := range result.Items {
		one := host.Volume{Volume: v}
		if r.local {
			one.Content = content(v)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b host.Volume) int { return strings.Compare(a.Name, b.Name) })
	return r.fill("volumes", err, checks.Msg("the engine does not show its volumes (%s): they are not judged", err), func(h *host.Host) { h.Volumes = all })
}

func (r *reading) services(ctx context.Context) error {
	result, err := r.client.ServiceList(ctx, client.ServiceListOptions{})
	return r.fill("services", err, checks.Msg("the manager does not show its services (%s): they are not judged", err), func(h *host.Host) {
		changed := *h.Swarm
		changed.Services = listed(result.Items, err)
		h.Swarm = &changed
	})
}

func (r *reading) secrets(ctx context.Context) error {
	result, err := r.client.SecretList(ctx, client.SecretListOptions{})
	return r.fill("secrets", err, checks.Msg("the manager does not show which secrets there are (%s): they are not judged", err), func(h *host.Host) {
		changed := *h.Swarm
		changed.Secrets = listed(result.Items, err)
		h.Swarm = &changed
	})
}

func (r *reading) configs(ctx context.Context) error {
	result, err := r.client.ConfigList(ctx, client.ConfigListOptions{})
	for i := range result.Items {
		result.Items[i].Spec.Data = nil // may be anything, also a key
	}
	return r.fill("configs", err, checks.Msg("the manager does not show its configs (%s): they are not judged", err), func(h *host.Host) {
		changed := *h.Swarm
		changed.Configs = listed(result.Items, err)
		h.Swarm = &changed
	})
}

// listed is nil when it is not known what there is, and empty when there is
// nothing.
func listed[T any](items []T, err error) []T {
	if err == nil && items == nil {
		return []T{}
	}
	return items
}

// unreachable reports whether err means that the engine was not reached, rather
// than that it answered something.
func unreachable(err error) bool {
	var network net.Error
	return client.IsErrConnectionFailed(err) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
