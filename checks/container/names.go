package container

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var legacyLinks = hostRule(checks.Check{
	ID:       "container-legacy-links",
	Title:    "Linked to another container",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, link := range host.Links {
		other, _, _ := strings.Cut(strings.TrimPrefix(link, "/"), ":")
		f := c.found(setting{"HostConfig.Links", []string{"links"}}, link,
			checks.Msg("%s is linked to %s and sees its environment; links are deprecated", c.Settings.Name, other))
		f.Key = link
		report(f)
	}
})

var hostsOrDNSOverride = hostRule(checks.Check{
	ID:       "container-hosts-or-dns-override",
	Title:    "Names are resolved differently",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, entry := range host.ExtraHosts {
		i := strings.IndexAny(entry, ":=")
		if i < 0 || entry[i+1:] == "host-gateway" {
			continue // the gateway has no other name
		}
		f := c.found(setting{"HostConfig.ExtraHosts", []string{"extra_hosts." + entry, "extra_hosts." + entry[:i], "extra_hosts"}}, entry,
			checks.Msg("for %s the name %s means %s", c.Settings.Name, entry[:i], entry[i+1:]))
		f.Key = entry[:i]
		report(f)
	}
	if len(host.DNS) == 0 {
		return
	}
	var servers []string
	for _, address := range host.DNS {
		servers = append(servers, address.String())
	}
	f := c.found(setting{"HostConfig.Dns", []string{"dns"}}, list(servers),
		checks.Msg("%s asks other name servers than the engine does: %s", c.Settings.Name, list(servers)))
	f.Key = "dns"
	report(f)
})

var staticMACOrIP = hostRule(checks.Check{
	ID:       "container-static-mac-or-ip",
	Title:    "Fixed address",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}, func(c *Container, _ *container.HostConfig, report func(checks.Finding)) {
	if service, _ := c.Service(); service != "" {
		return // the swarm gives each task an address and tells the engine
	}
	for _, name := range slices.Sorted(maps.Keys(c.Settings.Networks)) {
		e := c.Settings.Networks[name]
		if e == nil {
			continue
		}
		var addresses []string
		if a := e.IPAMConfig; a != nil {
			for _, ip := range []netip.Addr{a.IPv4Address, a.IPv6Address} {
				if ip.IsValid() {
					addresses = append(addresses, ip.String())
				}
			}
		}
		if c.Inspect == nil && len(e.MacAddress) > 0 { // an inspection shows one that was made up, too
			addresses = append(addresses, e.MacAddress.String())
		}
		if len(addresses) == 0 {
			continue
		}
		f := c.found(setting{"NetworkSettings.Networks." + name + ".IPAMConfig", []string{"networks." + name, "mac_address", "networks"}}, list(addresses),
			checks.Msg("%s has the fixed address %s in the network %s: two of them cannot run at once", c.Settings.Name, list(addresses), name))
		f.Key = name
		report(f)
	}
})
