package inventory

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"plimsoll/checks/host"
)

// What follows is read on the machine of the engine, when that is this one. A
// file that is not there, or not for this user, leaves a fact unknown.

// localNode returns what the engine has written down of its place in the
// swarm, or, where only root may read that, what the kernel says of its port.
func localNode(info system.Info) *host.Node {
	path := filepath.Join(info.DockerRootDir, "swarm", "docker-state.json")
	if data, err := readFile(path); err == nil {
		n := host.Node{}
		if json.Unmarshal(data, &n) == nil && n.ListenAddr != "" {
			n.Source = path
			return &n
		}
	}
	for _, peer := range info.Swarm.RemoteManagers {
		if peer.NodeID != info.Swarm.NodeID {
			continue
		}
		_, port, err := net.SplitHostPort(peer.Addr)
		if err != nil {
			return nil
		}
		for _, path := range []string{"/proc/net/tcp6", "/proc/net/tcp"} {
			for _, at := range listening(path) {
				if strconv.Itoa(int(at.Port())) == port {
					return &host.Node{ListenAddr: at.String(), Source: path}
				}
			}
		}
	}
	return nil
}

// listening returns the addresses of sockets that wait for connections, from a
// table such as /proc/net/tcp:
//
//	sl  local_address rem_address   st …
//	 0: 0100007F:0CEA 00000000:0000 0A …
func listening(path string) []netip.AddrPort {
	const listen = "0A"
	var all []netip.AddrPort
	for fields := range table(path) {
		if len(fields) < 4 || fields[3] != listen {
			continue
		}
		address, port, _ := strings.Cut(fields[1], ":")
		a, ok := parseAddress(address)
		p, err := strconv.ParseUint(port, 16, 16)
		if ok && err == nil {
			all = append(all, netip.AddrPortFrom(a, uint16(p)))
		}
	}
	return all
}

// parseAddress reads an address as the kernel prints it: words of 32 bits, each
// as a number of the machine, which has the lowest byte first.
func parseAddress(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	return netip.AddrFromSlice(b)
}

// table returns the lines of a table of the kernel, without its heading, by
// fields.
func table(path string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for first := true; lines.Scan(); first = false {
			fields := strings.Fields(lines.Text())
			if first && len(fields) > 1 && strings.ContainsAny(fields[1], "lD") {
				continue // "local_address", "Destination"
			}
			if !yield(fields) {
				return
			}
		}
	}
}

// routes returns where this machine sends packets, by /proc/net/route and
// /proc/net/ipv6_route; nil where there is no such thing.
func routes() []host.Route {
	var all []host.Route
	for fields := range table("/proc/net/route") {
		if len(fields) < 8 {
			continue
		}
		to, ok := parseAddress(fields[1])
		mask, ok2 := parseAddress(fields[7])
		if !ok || !ok2 || !to.Is4() || !mask.Is4() {
			continue
		}
		m := mask.As4()
		if bits, width := net.IPMask(m[:]).Size(); width == 32 {
			all = append(all, host.Route{To: netip.PrefixFrom(to, bits), Interface: fields[0]})
		}
	}
	for fields := range table("/proc/net/ipv6_route") {
		if len(fields) < 10 || fields[9] == "lo" {
			continue
		}
		b, err := hex.DecodeString(fields[0])
		bits, err2 := strconv.ParseUint(fields[1], 16, 8)
		to, ok := netip.AddrFromSlice(b)
		// Every interface has link-local and multicast addresses.
		if err == nil && err2 == nil && ok && !to.IsLinkLocalUnicast() && !to.IsMulticast() {
			all = append(all, host.Route{To: netip.PrefixFrom(to, int(bits)), Interface: fields[9]})
		}
	}
	slices.SortFunc(all, func(a, b host.Route) int {
		return cmp.Or(a.To.Addr().Compare(b.To.Addr()), cmp.Compare(a.To.Bits(), b.To.Bits()), cmp.Compare(a.Interface, b.Interface))
	})
	return all
}

// content says whether a volume holds anything. Only directories that the
// engine itself made are looked into: others may be on a server that does not
// answer.
func content(v volume.Volume) host.Content {
	if v.Driver != "local" || len(v.Options) > 0 || v.Mountpoint == "" {
		return host.Unknown
	}
	return contentOf(v.Mountpoint)
}
