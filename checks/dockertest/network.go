package dockertest

import (
	"cmp"
	"encoding/binary"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
)

func (s *Server) addDefaultNetworks() {
	s.addNetwork(network.Network{
		Name: "bridge", Driver: "bridge",
		IPAM: network.IPAM{Driver: "default", Config: []network.IPAMConfig{{
			Subnet: netip.MustParsePrefix("172.17.0.0/16"), Gateway: netip.MustParseAddr("172.17.0.1"),
		}}},
		Options: map[string]string{
			"com.docker.network.bridge.default_bridge":       "true",
			"com.docker.network.bridge.enable_icc":           "true",
			"com.docker.network.bridge.enable_ip_masquerade": "true",
			"com.docker.network.bridge.host_binding_ipv4":    "0.0.0.0",
			"com.docker.network.bridge.name":                 "docker0",
			"com.docker.network.driver.mtu":                  "1500",
		},
	})
	s.addNetwork(network.Network{Name: "host", Driver: "host", IPAM: network.IPAM{Driver: "default"}})
	s.addNetwork(network.Network{Name: "none", Driver: "null", IPAM: network.IPAM{Driver: "default"}})
}

func (s *Server) addNetwork(n network.Network) *nw {
	n.ID = s.id("network")
	n.Scope = "local"
	n.EnableIPv4 = true
	n.Created = s.clock.Now()
	if n.Options == nil {
		n.Options = map[string]string{}
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	one := &nw{Network: n, endpoints: map[*ctr]*network.EndpointSettings{}, names: s.api.atLeast(1, 45) && !predefined(n.Name)}
	s.networks[n.ID] = one
	return one
}

// SetNetworkOption changes an option of a network, such as the default
// bridge's "com.docker.network.bridge.enable_icc".
func (s *Server) SetNetworkOption(name, option, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.networkByRef(name)
	if err != nil {
		return err
	}
	n.Options[option] = value
	return nil
}

func (s *Server) listNetworks(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []network.Summary{}
	for _, n := range s.networks {
		kind := "custom"
		if n.predefined() {
			kind = "builtin"
		}
		if f.exact("driver", n.Driver) && f.exact("type", kind) && f.labels(n.Labels) && f.part("name", n.Name) && f.beginning("id", n.ID) {
			list = append(list, network.Summary{Network: n.Network})
		}
	}
	slices.SortFunc(list, func(a, b network.Summary) int { return cmp.Compare(a.Name, b.Name) })
	return answer(w, http.StatusOK, list)
}

func (n *nw) predefined() bool { return predefined(n.Name) }

func predefined(name string) bool { return name == "bridge" || name == "host" || name == "none" }

func (s *Server) inspectNetwork(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.networkByRef(r.PathValue("id"))
	if err != nil {
		return err
	}
	full := network.Inspect{Network: n.Network, Containers: map[string]network.EndpointResource{}}
	for c, e := range n.endpoints {
		full.Containers[c.ID] = network.EndpointResource{
			Name: c.name(), EndpointID: e.EndpointID, MacAddress: e.MacAddress, IPv4Address: prefix(e.IPAddress, e.IPPrefixLen),
		}
	}
	return answer(w, http.StatusOK, full)
}

func prefix(a netip.Addr, bits int) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits)
}

func (s *Server) createNetwork(w http.ResponseWriter, r *http.Request) error {
	var want network.CreateRequest
	if err := read(r, &want); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.TrimSpace(want.Name) == "" {
		return badRequest("invalid name: name is empty")
	}
	switch want.Name {
	case "bridge", "host", "none", "default":
		return forbidden("operation is not permitted on predefined %s network ", want.Name)
	}
	for _, n := range s.networks {
		if n.Name == want.Name {
			return conflict("network with name %s already exists", want.Name)
		}
	}
	n := network.Network{
		Name: want.Name, Driver: cmp.Or(want.Driver, "bridge"), Internal: want.Internal, Attachable: want.Attachable,
		Options: want.Options, Labels: want.Labels,
	}
	switch n.Driver {
	case "host", "null":
		return forbidden("only one instance of %q network is allowed", n.Driver)
	case "bridge", "macvlan", "ipvlan":
	case "overlay":
		if s.cluster == nil {
			return internal(`This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`)
		}
		return s.createOverlay(w, n, want.IPAM)
	default:
		return notFound("plugin %q not found", n.Driver)
	}
	if want.IPAM != nil {
		n.IPAM = *want.IPAM
	}
	n.IPAM.Driver = cmp.Or(n.IPAM.Driver, "default")
	if len(n.IPAM.Config) == 0 {
		subnet, err := s.freeSubnet()
		if err != nil {
			return err
		}
		n.IPAM.Config = []network.IPAMConfig{{Subnet: subnet, Gateway: subnet.Addr().Next()}}
	} else {
		for _, other := range s.networks {
			for _, theirs := range other.IPAM.Config {
				for _, ours := range n.IPAM.Config {
					if ours.Subnet.IsValid() && theirs.Subnet.Overlaps(ours.Subnet) {
						return forbidden("Pool overlaps with other one on this address space")
					}
				}
			}
		}
	}
	one := s.addNetwork(n)
	one.configured = want.IPAM != nil && len(want.IPAM.Config) > 0
	s.events.emit(events.NetworkEventType, events.ActionCreate, one.ID, map[string]string{"name": one.Name, "type": one.Driver})
	return answer(w, http.StatusCreated, network.CreateResponse{ID: one.ID})
}

// createOverlay makes a network of the swarm, from whose pools it takes the
// first range that is free.
func (s *Server) createOverlay(w http.ResponseWriter, n network.Network, ipam *network.IPAM) error {
	n.IPAM = network.IPAM{Driver: "default"}
	if ipam != nil && len(ipam.Config) > 0 {
		n.IPAM.Config = ipam.Config
	}
	for i := byte(1); len(n.IPAM.Config) == 0; i++ {
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, i, 0}), 24); !s.overlaps(p) {
			n.IPAM.Config = []network.IPAMConfig{{Subnet: p, Gateway: p.Addr().Next()}}
		}
	}
	one := s.addOverlay(n)
	s.emitSwarm(events.NetworkEventType, events.ActionCreate, one.ID, one.Name)
	s.emitSwarm(events.NetworkEventType, events.ActionUpdate, one.ID, one.Name) // its range is given
	return answer(w, http.StatusCreated, network.CreateResponse{ID: one.ID})
}

// freeSubnet returns the first of the engine's default pools that nobody uses.
func (s *Server) freeSubnet() (netip.Prefix, error) {
	for i := 18; i < 32; i++ {
		p := netip.MustParsePrefix("172." + strconv.Itoa(i) + ".0.0/16")
		if !s.overlaps(p) {
			return p, nil
		}
	}
	for i := 0; i < 256; i += 16 {
		p := netip.MustParsePrefix("192.168." + strconv.Itoa(i) + ".0/20")
		if !s.overlaps(p) {
			return p, nil
		}
	}
	return netip.Prefix{}, internal("could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network")
}

func (s *Server) overlaps(p netip.Prefix) bool {
	for _, n := range s.networks {
		for _, c := range n.IPAM.Config {
			if c.Subnet.Overlaps(p) {
				return true
			}
		}
	}
	return false
}

func (s *Server) removeNetwork(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.networkByRef(r.PathValue("id"))
	if err != nil {
		return err
	}
	if n.predefined() {
		return forbidden("%s is a pre-defined network and cannot be removed", n.Name)
	}
	if len(n.endpoints) > 0 {
		return forbidden("error while removing network: network %s id %s has active endpoints", n.Name, n.ID)
	}
	delete(s.networks, n.ID)
	if n.Scope == "swarm" {
		s.emitSwarm(events.NetworkEventType, events.ActionRemove, n.ID, n.Name)
		return done(w)
	}
	s.events.emit(events.NetworkEventType, events.ActionDestroy, n.ID, map[string]string{"name": n.Name, "type": n.Driver})
	return done(w)
}

func (s *Server) connectNetwork(w http.ResponseWriter, r *http.Request) error {
	var want network.ConnectRequest
	if err := read(r, &want); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.networkByRef(r.PathValue("id"))
	if err != nil {
		return err
	}
	c, err := s.find(want.Container)
	if err != nil {
		return err
	}
	switch mode := c.HostConfig.NetworkMode; {
	case mode.IsContainer():
		return badRequest("container sharing network namespace with another container or host cannot be connected to any other network")
	case mode.IsHost():
		return forbidden("container cannot be connected to host network or disconnected from it")
	case n.Name == "host":
		return badRequest("container cannot be connected to host network or disconnected from it")
	}
	if _, ok := c.NetworkSettings.Networks[n.Name]; ok && c.running() {
		return forbidden("endpoint with name %s already exists in network %s", c.name(), n.Name)
	}
	e := want.EndpointConfig.Copy()
	if e == nil {
		e = &network.EndpointSettings{}
	}
	if err := n.allows(e); err != nil {
		return err
	}
	n.alias(c, e)
	if c.running() {
		if err := s.attach(c, n, e); err != nil {
			return err
		}
	}
	c.NetworkSettings.Networks[n.Name] = e
	c.touch()
	w.WriteHeader(http.StatusOK)
	return nil
}

// allows checks what only user-defined networks can do.
func (n *nw) allows(e *network.EndpointSettings) error {
	static := e.IPAMConfig != nil && (e.IPAMConfig.IPv4Address.IsValid() || e.IPAMConfig.IPv6Address.IsValid())
	if n.predefined() {
		if static {
			return badRequest("user specified IP address is supported on user defined networks only")
		}
		if len(e.Aliases) > 0 {
			return badRequest("network-scoped alias is supported only for containers in user defined networks")
		}
		return nil
	}
	if static && !n.configured {
		return badRequest("user specified IP address is supported only when connecting to networks with user configured subnets")
	}
	if static && e.IPAMConfig.IPv4Address.IsValid() && !slices.ContainsFunc(n.IPAM.Config, func(c network.IPAMConfig) bool { return c.Subnet.Contains(e.IPAMConfig.IPv4Address) }) {
		return badRequest("no configured subnet contains IP address %s", e.IPAMConfig.IPv4Address)
	}
	return nil
}

// attach gives a container that runs, or starts now, its place in a network.
func (s *Server) attach(c *ctr, n *nw, e *network.EndpointSettings) error {
	e.NetworkID, e.EndpointID = n.ID, s.id("endpoint")
	if len(n.IPAM.Config) > 0 && n.IPAM.Config[0].Subnet.IsValid() {
		subnet := n.IPAM.Config[0]
		gateway := subnet.Gateway
		if !gateway.IsValid() {
			gateway = subnet.Subnet.Masked().Addr().Next()
		}
		address, err := n.free(e, gateway)
		if err != nil {
			return err
		}
		e.IPAddress, e.IPPrefixLen, e.Gateway = address, subnet.Subnet.Bits(), gateway
		four := address.As4()
		if first := string(c.HostConfig.NetworkMode); c.mac != "" && (first == n.Name || first == n.ID || c.HostConfig.NetworkMode.IsDefault() && n.Name == "bridge") {
			_ = e.MacAddress.UnmarshalText([]byte(c.mac)) // the engine refused what is none
		}
		if len(e.MacAddress) == 0 {
			e.MacAddress = network.HardwareAddr{0x02, 0x42, four[0], four[1], four[2], four[3]}
		}
	}
	n.alias(c, e)
	n.endpoints[c] = e
	s.events.emit(events.NetworkEventType, events.ActionConnect, n.ID, map[string]string{"container": c.ID, "name": n.Name, "type": n.Driver})
	return nil
}

// alias adds the short id, by which containers find each other. Since API 1.45
// it is not among the aliases, which are what was asked for.
func (n *nw) alias(c *ctr, e *network.EndpointSettings) {
	if n.names {
		e.DNSNames = append([]string{c.name()}, e.Aliases...)
		e.DNSNames = append(e.DNSNames, c.ID[:12])
		return
	}
	if !n.predefined() && !slices.Contains(e.Aliases, c.ID[:12]) {
		e.Aliases = append(slices.Clone(e.Aliases), c.ID[:12])
	}
}

func (n *nw) free(e *network.EndpointSettings, gateway netip.Addr) (netip.Addr, error) {
	taken := map[netip.Addr]bool{gateway: true}
	for _, other := range n.endpoints {
		taken[other.IPAddress] = true
	}
	if e.IPAMConfig != nil && e.IPAMConfig.IPv4Address.IsValid() {
		if taken[e.IPAMConfig.IPv4Address] {
			return netip.Addr{}, forbidden("Address already in use")
		}
		return e.IPAMConfig.IPv4Address, nil
	}
	subnet := n.IPAM.Config[0].Subnet.Masked()
	base := binary.BigEndian.Uint32(subnet.Addr().AsSlice())
	for i := uint32(1); i < 1<<(32-subnet.Bits())-1; i++ {
		var four [4]byte
		binary.BigEndian.PutUint32(four[:], base+i)
		if a := netip.AddrFrom4(four); !taken[a] {
			return a, nil
		}
	}
	return netip.Addr{}, forbidden("no available IPv4 addresses on this network's address pools: %s (%s)", n.Name, n.ID)
}

// detach takes a running container out of a network. What it was configured
// with stays.
func (s *Server) detach(c *ctr, n *nw, e *network.EndpointSettings) {
	delete(n.endpoints, c)
	e.EndpointID, e.IPAddress, e.IPPrefixLen, e.Gateway = "", netip.Addr{}, 0, netip.Addr{}
	e.MacAddress = nil
	s.announceLeave(c, n)
}

func (s *Server) announceLeave(c *ctr, n *nw) {
	s.events.emit(events.NetworkEventType, events.ActionDisconnect, n.ID, map[string]string{"container": c.ID, "name": n.Name, "type": n.Driver})
}

func (s *Server) disconnectNetwork(w http.ResponseWriter, r *http.Request) error {
	var want network.DisconnectRequest
	if err := read(r, &want); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.networkByRef(r.PathValue("id"))
	if err != nil {
		return err
	}
	c, err := s.find(want.Container)
	if err != nil {
		return err
	}
	e := c.NetworkSettings.Networks[n.Name]
	if e == nil {
		if c.running() {
			s.announceLeave(c, n)
		}
		return internal("container %s is not connected to network %s", c.ID, n.Name)
	}
	if c.running() {
		s.detach(c, n, e)
	} else {
		s.announceLeave(c, n)
	}
	delete(c.NetworkSettings.Networks, n.Name)
	c.touch()
	w.WriteHeader(http.StatusOK)
	return nil
}
