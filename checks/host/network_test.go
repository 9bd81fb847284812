package host

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// harbour returns a sound engine with networks, and containers in them:
// "db[postgres:16]{back} web[shop:1]{front back}". A name that begins with
// "project/" belongs to a project; ":80" publishes a port on all addresses,
// "=80" on one.
func harbour(networks []network.Network, containers string) *Host {
	h := sound()
	h.Networks, h.Attached = networks, []Attached{}
	for spec := range strings.SplitSeq(containers, "} ") {
		name, rest, ok := strings.Cut(spec, "[")
		if !ok {
			continue
		}
		image, rest, _ := strings.Cut(rest, "]{")
		a := Attached{Running: true, Image: image, Networks: strings.Fields(strings.TrimSuffix(rest, "}"))}
		name, a.Open = strings.CutSuffix(name, ":80")
		name, a.Published = strings.CutSuffix(name, "=80")
		a.Published = a.Published || a.Open
		name, a.Task = strings.CutPrefix(name, "task/")
		if project, rest, ok := strings.Cut(name, "/"); ok {
			a.Project, name = project, rest
		}
		a.Name = name
		h.Attached = append(h.Attached, a)
	}
	return h
}

func bridge(name string, options ...string) network.Network {
	return made(name, "bridge", options...)
}

func made(name, driver string, options ...string) network.Network {
	n := network.Network{Name: name, ID: strings.Repeat(fmt.Sprintf("%02x", name[0]), 32), Driver: driver, Scope: "local", Options: map[string]string{}}
	if driver == driverOverlay {
		n.Scope = "swarm"
	}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		n.Options[key] = value
	}
	return n
}

func with(n network.Network, change func(*network.Network)) network.Network {
	change(&n)
	return n
}

func internal(n *network.Network)   { n.Internal = true }
func attachable(n *network.Network) { n.Attachable = true }

// used keeps a network from being unused.
const used = "app[shop:1]{a}"

func pool(text string) func(*network.Network) {
	return func(n *network.Network) {
		n.IPAM.Config = []network.IPAMConfig{{Subnet: netip.MustParsePrefix(text)}}
	}
}

func TestNetworks(t *testing.T) {
	var wants []string
	t.Cleanup(func() { everyFires(t, networkChecks, wants) })
	const stores = "db[postgres:16]{b} web[shop:1]{a b}"
	many := ""
	for i := range crowd {
		many += fmt.Sprintf("c%d[shop:1]{a} ", i)
	}
	for _, test := range []struct {
		name       string
		networks   []network.Network
		containers string
		want       string // "id key" of each finding
	}{
		{"nobody in it", []network.Network{bridge("a")}, "", "network-unused a"},
		{"a stopped container is somebody", []network.Network{bridge("a")}, used, ""},
		{"known by its id only", []network.Network{bridge("a")}, "app[shop:1]{" + strings.Repeat("61", 32) + "}", ""},
		{"the engine's own", []network.Network{bridge("bridge"), made("host", "host"), made("none", "null"), bridge("docker_gwbridge"), with(made("ingress", "overlay", "encrypted="), func(n *network.Network) { n.Ingress = true })}, "", ""},
		{"a template", []network.Network{with(bridge("a"), func(n *network.Network) { n.ConfigOnly = true })}, "", ""},
		{"of a swarm that others know", []network.Network{made("a", "overlay", "encrypted=")}, "", ""},

		{"two projects", []network.Network{bridge("a")}, "shop/web[shop:1]{a} shop/api[shop:2]{a} blog/web[blog:1]{a}", "network-icc-enabled a"},
		{"two projects, but only two containers", []network.Network{bridge("a")}, "shop/web[shop:1]{a} blog/web[blog:1]{a}", ""},
		{"one project", []network.Network{bridge("a")}, "shop/web[shop:1]{a} shop/api[shop:2]{a} shop/job[blog:1]{a}", ""},
		{"a crowd", []network.Network{bridge("a")}, many, "network-icc-enabled a"},
		{"a crowd that is kept apart", []network.Network{bridge("a", enableICC+"=false")}, many, ""},
		{"two projects, macvlan without a parent", []network.Network{made("a", "macvlan")}, "shop/web[shop:1]{a} shop/api[shop:2]{a} blog/web[blog:1]{a}", ""},

		{"a store with a way out", []network.Network{bridge("a"), bridge("b")}, stores, "network-not-internal b"},
		{"stores alone", []network.Network{bridge("a")}, "db[postgres:16]{a} cache[registry.example.com/library/redis]{a}", "network-not-internal a"},
		{"internal", []network.Network{bridge("a"), with(bridge("b"), internal)}, stores, ""},
		{"the other network leads nowhere", []network.Network{with(bridge("a"), internal), bridge("b")}, stores, ""},
		{"the application needs it", []network.Network{bridge("b")}, "db[postgres:16]{b} web[shop:1]{b}", ""},
		{"the store is published", []network.Network{bridge("a"), bridge("b")}, "db=80[postgres:16]{b} web[shop:1]{a b}", ""},
		{"no store", []network.Network{bridge("a"), bridge("b")}, "api[api:16]{a b} web[shop:1]{a b}", ""},

		{"published to everybody", []network.Network{bridge("a")}, "web:80[shop:1]{a}", "network-host-binding-open a"},
		{"said so", []network.Network{bridge("a", hostBinding+"=0.0.0.0")}, "web:80[shop:1]{a}", "network-host-binding-open a"},
		{"bound to one address", []network.Network{bridge("a", hostBinding+"=127.0.0.1")}, "web:80[shop:1]{a}", ""},
		{"published on one address", []network.Network{bridge("a")}, "web=80[shop:1]{a}", ""},

		{"nat-unprotected", []network.Network{bridge("a", gatewayMode+"4=nat-unprotected")}, used, "network-gateway-mode-unprotected a/ipv4"},
		{"routed, version 6", []network.Network{bridge("bridge", gatewayMode+"6=routed", gatewayMode+"4=nat")}, used, "network-gateway-mode-unprotected bridge/ipv6"},
		{"isolated", []network.Network{bridge("a", gatewayMode+"4=isolated", gatewayMode+"6=nat")}, used, ""},

		{"macvlan", []network.Network{made("a", "macvlan", "parent=eth0")}, used, "network-macvlan-direct a"},
		{"ipvlan", []network.Network{made("a", "ipvlan", "parent=eth0.20")}, used, "network-macvlan-direct a"},
		{"macvlan within the host", []network.Network{made("a", "macvlan"), with(made("b", "macvlan", "parent=eth0"), internal)}, "app[shop:1]{a b}", ""},

		{"over a VPN", []network.Network{with(bridge("a"), pool("10.8.3.0/24"))}, used, "network-overlapping-subnet a/10.8.3.0/24"},
		{"around a VPN", []network.Network{with(bridge("a"), pool("10.0.0.0/8"))}, used, "network-overlapping-subnet a/10.0.0.0/8"},
		{"its own route", []network.Network{with(bridge("a"), pool("172.20.0.0/16"))}, used, ""},
		{"beside all", []network.Network{with(bridge("a"), pool("192.168.7.0/24"))}, used, ""},
		{"macvlan on the LAN", []network.Network{with(made("a", "macvlan"), pool("192.0.2.0/24"))}, used, ""},

		{"in clear", []network.Network{made("a", "overlay")}, used, "swarm-overlay-unencrypted a"},
		{"encrypted", []network.Network{made("a", "overlay", "encrypted=true")}, used, ""},
		{"said not to be", []network.Network{made("a", "overlay", "encrypted=false")}, used, "swarm-overlay-unencrypted a"},

		{"anybody may join", []network.Network{with(made("a", "overlay", "encrypted="), attachable)}, "task/web[shop:1]{a}", "network-attachable-overlay a"},
		{"somebody has joined", []network.Network{with(made("a", "overlay", "encrypted="), attachable)}, used, ""},
		{"nobody may join", []network.Network{made("a", "overlay", "encrypted=")}, "task/web[shop:1]{a}", ""},
	} {
		wants = append(wants, test.want)
		t.Run(test.name, func(t *testing.T) {
			h := harbour(test.networks, test.containers)
			h.Routes = []Route{
				{netip.MustParsePrefix("0.0.0.0/0"), "eth0"}, {netip.MustParsePrefix("128.0.0.0/1"), "tun0"}, {netip.MustParsePrefix("192.0.2.0/24"), "eth0"},
				{netip.MustParsePrefix("10.8.0.0/16"), "tun0"}, {netip.MustParsePrefix("172.20.0.0/16"), "br-616161616161"},
			}
			if got := found(t, h); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// everyFires requires that each of list is among what the cases want.
func everyFires(t *testing.T, list []*checks.Check, wants []string) {
	t.Helper()
	all := strings.Join(wants, " ") + " "
	for _, c := range list {
		if !strings.Contains(all, c.ID+" ") && !strings.Contains(all, c.ID+",") {
			t.Errorf("no case makes %s fire", c.ID)
		}
	}
}

// found returns what the checks say of h beside those of the engine itself, as
// "id key, id key".
func found(t *testing.T, h *Host) string {
	t.Helper()
	report := checks.Run(h, Checks(), nil)
	for _, err := range report.Errors {
		t.Error(err)
	}
	var all []string
	for _, f := range report.Findings {
		if len(f.Evidence) == 0 {
			t.Errorf("%s: no evidence", f.Check.ID)
		}
		all = append(all, strings.TrimSpace(f.Check.ID+" "+f.Key))
	}
	return strings.Join(all, ", ")
}

// What is not known is not judged.
func TestUnknownContainers(t *testing.T) {
	h := sound()
	h.Networks = []network.Network{bridge("a"), with(made("b", "overlay", "encrypted="), attachable)}
	h.Volumes = []Volume{vol("data", "")}
	if got := found(t, h); got != "" {
		t.Errorf("found %q although no container is known", got)
	}
}

func TestSeverityOfOverlay(t *testing.T) {
	for nodes, want := range map[int]checks.Severity{1: checks.Info, 3: checks.Medium} {
		h := harbour([]network.Network{made("a", "overlay")}, used)
		h.Info.Swarm.Nodes = nodes
		report := checks.Run(h, Checks(), nil)
		if len(report.Findings) != 1 || report.Findings[0].Severity != want {
			t.Errorf("%d nodes: %v, want one finding of %s", nodes, report.Findings, want)
		}
	}
}
