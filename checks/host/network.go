package host

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// Names of what every engine has, or makes for its own use.
var predefined = []string{"bridge", "host", "none", "podman", "nat", "docker_gwbridge"}

const (
	driverBridge  = "bridge"
	driverOverlay = "overlay"
	driverMacvlan = "macvlan"
	driverIPvlan  = "ipvlan"
)

// userDefined returns the networks that somebody made and containers can use.
func (h *Host) userDefined() []network.Network {
	var all []network.Network
	for _, n := range h.Networks {
		if !slices.Contains(predefined, n.Name) && !n.Ingress && !n.ConfigOnly {
			all = append(all, n)
		}
	}
	return all
}

// networkCheck returns a check that looks at each user-defined network with
// its containers.
func networkCheck(c checks.Check, run func(h *Host, n network.Network, in []*Attached, report func(checks.Finding))) *checks.Check {
	return check(c, func(h *Host, report func(checks.Finding)) {
		members := h.members()
		for _, n := range h.userDefined() {
			run(h, n, members.of(n), func(f checks.Finding) {
				f.Key = n.Name
				report(f)
			})
		}
	})
}

var networkUnused = networkCheck(checks.Check{
	ID:       "network-unused",
	Title:    "Network that nothing uses",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
}, func(h *Host, n network.Network, in []*Attached, report func(checks.Finding)) {
	// Only a manager knows who uses a network of the whole swarm.
	if h.Attached == nil || len(in) > 0 || n.Scope == "swarm" && h.Swarm == nil || h.Swarm.uses(n) {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("no container and no service is in the network %s", n.Name),
		Evidence: []checks.Evidence{
			{Source: "docker ps --all, Networks", Detail: fmt.Sprintf("none of %d containers", len(h.Attached))},
			{Source: "network " + n.Name + ", Created", Detail: n.Created.UTC().Format("2006-01-02")},
		},
	})
})

// crowd is the number of containers above which few of all the possible
// connections between them can be meant.
const crowd = 8

var networkICC = networkCheck(checks.Check{
	ID:       "network-icc-enabled",
	Title:    "Network lets containers of different projects reach each other",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5"},
}, func(h *Host, n network.Network, in []*Attached, report func(checks.Finding)) {
	if n.Driver != driverBridge {
		return
	}
	if open, err := strconv.ParseBool(n.Options[enableICC]); err == nil && !open {
		return
	}
	projects := map[string]bool{}
	for _, a := range in {
		projects[a.Project] = true
	}
	f := checks.Finding{Evidence: []checks.Evidence{
		{Source: "network " + n.Name + ", " + enableICC, Detail: value(n.Options, enableICC)},
		{Source: "containers in it", Detail: names(in)},
	}}
	switch {
	case len(projects) > 1 && len(in) > 2:
		f.Message = checks.Msg("in the network %s all %d containers of %d projects reach every port of each other", n.Name, len(in), len(projects))
	case len(in) >= crowd:
		f.Message = checks.Msg("in the network %s all %d containers reach every port of each other", n.Name, len(in))
	default:
		return
	}
	report(f)
})

// value returns an option as evidence shows it.
func value(options map[string]string, key string) string {
	if v, ok := options[key]; ok {
		return v
	}
	return "not set"
}

// stores are images of services that keep data and call nobody.
var stores = []string{
	"cassandra", "clickhouse", "cockroach", "couchbase", "couchdb", "dynamodb-local", "elasticsearch", "etcd", "influxdb", "mariadb", "memcached",
	"milvus", "minio", "mongo", "mongodb", "mssql", "mysql", "nats", "neo4j", "opensearch", "percona", "postgis", "postgres", "postgresql", "qdrant",
	"rabbitmq", "redis", "rethinkdb", "scylla", "solr", "timescaledb", "valkey",
}

func isStore(ref string) bool { return slices.Contains(stores, path.Base(repository(ref))) }

var networkNotInternal = networkCheck(checks.Check{
	ID:       "network-not-internal",
	Title:    "Network of data stores has a way out",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5"},
}, func(h *Host, n network.Network, in []*Attached, report func(checks.Finding)) {
	if n.Internal || n.Driver != driverBridge && n.Driver != driverOverlay {
		return
	}
	var kept []*Attached
	for _, a := range in {
		switch {
		case isStore(a.Image) && !a.Published:
			kept = append(kept, a)
		case !h.leads(a, n):
			return // it may need this network to get out, or to be reached
		}
	}
	if len(kept) == 0 {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("what is taken from %s can leave through the network %s, which needs no way out", names(kept), n.Name),
		Evidence: []checks.Evidence{
			{Source: "network " + n.Name + ", Internal", Detail: "false"},
			{Source: "containers in it", Detail: names(in)},
		},
	})
})

// leads reports whether a gets out through another network than n.
func (h *Host) leads(a *Attached, n network.Network) bool {
	return slices.ContainsFunc(h.Networks, func(other network.Network) bool {
		in := slices.Contains(a.Networks, other.Name) || slices.Contains(a.Networks, other.ID)
		return in && other.ID != n.ID && !other.Internal && other.Driver != "null"
	})
}

const hostBinding = "com.docker.network.bridge.host_binding_ipv4"

var networkHostBinding = networkCheck(checks.Check{
	ID:       "network-host-binding-open",
	Title:    "Network publishes ports on all addresses by default",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.14 (v1.6.0)"},
}, func(h *Host, n network.Network, in []*Attached, report func(checks.Finding)) {
	if n.Driver != driverBridge || n.Internal {
		return
	}
	if set := n.Options[hostBinding]; set != "" && set != "0.0.0.0" {
		return
	}
	open := slices.DeleteFunc(slices.Clone(in), func(a *Attached) bool { return !a.Open })
	if len(open) == 0 {
		return // nothing has made use of it
	}
	report(checks.Finding{
		Message: checks.Msg("ports of containers in the network %s are published to everybody unless an address is given", n.Name),
		Evidence: []checks.Evidence{
			{Source: "network " + n.Name + ", " + hostBinding, Detail: value(n.Options, hostBinding)},
			{Source: "published on all addresses", Detail: names(open)},
		},
	})
})

const gatewayMode = "com.docker.network.bridge.gateway_mode_ipv"

var networkGatewayMode = check(checks.Check{
	ID:       "network-gateway-mode-unprotected",
	Title:    "Network can be reached without publishing a port",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
}, func(h *Host, report func(checks.Finding)) {
	for _, n := range h.Networks { // also the default bridge
		for _, ip := range []string{"4", "6"} {
			f := checks.Finding{
				Key:      n.Name + "/ipv" + ip,
				Evidence: []checks.Evidence{{Source: "network " + n.Name + ", " + gatewayMode + ip, Detail: n.Options[gatewayMode+ip]}},
			}
			switch n.Options[gatewayMode+ip] {
			case "nat-unprotected":
				f.Message = checks.Msg("whoever can route to the network %s reaches every port of its containers, published or not (IPv%s)", n.Name, ip)
			case "routed":
				f.Severity = checks.Low
				f.Message = checks.Msg("published ports in the network %s are reached at the containers' own addresses, whatever host address was given (IPv%s)", n.Name, ip)
			default:
				continue
			}
			report(f)
		}
	}
})

var networkMacvlan = networkCheck(checks.Check{
	ID:       "network-macvlan-direct",
	Title:    "Containers stand in the LAN without a filter",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
}, func(h *Host, n network.Network, in []*Attached, report func(checks.Finding)) {
	if n.Driver != driverMacvlan && n.Driver != driverIPvlan || n.Internal {
		return
	}
	// Without a parent the engine makes a dummy interface, which leads nowhere.
	parent := n.Options["parent"]
	if parent == "" {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("every port of a container in the network %s is open to the neighbours of %s", n.Name, parent),
		Evidence: []checks.Evidence{{Source: "network " + n.Name, Detail: strings.TrimSpace(fmt.Sprintf("driver %s, parent %s, mode %s", n.Driver, parent, value(n.Options, n.Driver+"_mode")))}},
	})
})

var networkChecks = []*checks.Check{
	networkGatewayMode, networkHostBinding, networkMacvlan, networkNotInternal, networkICC, networkOverlap, overlayAttachable, networkUnused,
}
