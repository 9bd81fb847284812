package compose

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"go.yaml.in/yaml/v4"

	"plimsoll/checks/yamledit"
)

// logging writes the options of the log.
func (r *rewriting) logging() error {
	was, want := r.before.Host.LogConfig.Config, r.want.Host.LogConfig.Config
	if maps.Equal(was, want) {
		return nil
	}
	var all yamledit.Map
	for _, name := range slices.Sorted(maps.Keys(want)) {
		// The engine takes nothing but strings.
		all = append(all, yamledit.Entry{Key: name, Value: yamledit.Scalar(strconv.Quote(want[name]))})
	}
	_, own := yamledit.Get(r.service, "logging")
	_, options := yamledit.Get(own, "options")
	switch {
	case dynamic(own):
		return errVariable
	case own == nil || own.Kind != yaml.MappingNode:
		driver := yamledit.Entry{Key: "driver", Value: yamledit.Scalar("json-file")}
		if t := r.before.Host.LogConfig.Type; t != "" {
			driver.Value = yamledit.Scalar(yamledit.Quote(t))
		}
		return r.Set(r.service, "logging", yamledit.Map{driver, {Key: "options", Value: all}})
	case options == nil || options.Kind != yaml.MappingNode:
		return r.Set(own, "options", all)
	}
	for _, e := range all {
		if was[e.Key] == want[e.Key] {
			continue
		}
		if err := r.Set(options, e.Key, e.Value); err != nil {
			return err
		}
	}
	return nil
}

// ports changes what entries of ports bind to, and removes those that are gone.
func (r *rewriting) ports() error {
	was, want := r.before.Host.PortBindings, r.want.Host.PortBindings
	if reflect.DeepEqual(was, want) {
		return nil
	}
	_, list := yamledit.Get(r.service, "ports")
	if list == nil || list.Kind != yaml.SequenceNode {
		return r.Set(r.service, "ports", published(want)) // in place of what is merged in
	}
	before, left := len(r.Edits), len(list.Content)
	for _, item := range list.Content {
		gone, err := r.port(list, item)
		if err != nil {
			return err
		}
		if gone {
			left--
		}
	}
	if left > 0 {
		return nil
	}
	r.Edits = r.Edits[:before] // not entry by entry: no empty list is left
	return r.unset(r.service, "ports", yamledit.List{})
}

// published returns all ports in their short form.
func published(ports network.PortMap) yamledit.List {
	all := yamledit.List{}
	for _, port := range slices.SortedFunc(maps.Keys(ports), func(a, b network.Port) int { return cmp.Compare(a.String(), b.String()) }) {
		for _, b := range ports[port] {
			protocol := ""
			if port.Proto() != network.TCP {
				protocol = "/" + string(port.Proto())
			}
			all = append(all, strconv.Quote(shortPort(port.Port()+protocol, b.HostIP, b.HostPort, true)))
		}
	}
	return all
}

// port changes one entry, and reports whether it is removed.
func (r *rewriting) port(list, item *yaml.Node) (gone bool, err error) {
	parsed := publishedBy(resolve(item))
	if len(parsed) == 0 {
		return false, yamledit.ErrLayout
	}
	var to []network.PortBinding
	for _, p := range parsed {
		b, kept, ok := r.rebound(p)
		if !ok {
			return false, errVariable
		}
		if kept {
			to = append(to, b)
		}
	}
	switch {
	case len(to) == 0:
		return true, r.RemoveItem(list, item)
	case len(to) < len(parsed):
		return false, yamledit.ErrLayout // a range that would have a hole
	}
	ip, moved := to[0].HostIP, false
	for i, p := range parsed {
		old, _ := netip.ParseAddr(strings.Trim(p.HostIP, "[]"))
		if to[i].HostIP != ip {
			return false, yamledit.ErrLayout
		}
		if to[i].HostPort != p.Published && !dynamic(resolve(item)) {
			if len(parsed) > 1 {
				return false, yamledit.ErrLayout
			}
			moved = true
		}
		if i == 0 && old == ip && !moved {
			return false, nil
		}
	}
	if n := resolve(item); n.Kind == yaml.MappingNode {
		if item.Kind == yaml.AliasNode {
			return false, yamledit.ErrShared
		}
		if moved {
			if err := r.Set(n, "published", yamledit.Scalar(strconv.Quote(to[0].HostPort))); err != nil {
				return false, err
			}
		}
		return false, r.Set(n, "host_ip", yamledit.Scalar(ip.String()))
	}
	return false, r.Replace(item, yamledit.Scalar(strconv.Quote(shortPort(resolve(item).Value, ip, to[0].HostPort, moved))))
}

// publishedBy returns what an entry of ports publishes.
func publishedBy(item *yaml.Node) []types.ServicePortConfig {
	if item.Kind != yaml.MappingNode {
		ports, err := types.ParsePortConfig(withoutVariables(item.Value))
		if err != nil {
			return nil
		}
		return ports
	}
	long := map[string]string{}
	for _, p := range pairs(item) {
		long[p.key.Value] = withoutVariables(resolve(p.value).Value)
	}
	target, err := strconv.ParseUint(long["target"], 10, 16)
	if err != nil {
		return nil
	}
	return []types.ServicePortConfig{{Target: uint32(target), Published: long["published"], HostIP: long["host_ip"], Protocol: long["protocol"]}}
}

// rebound returns the binding that is wanted in place of p, and whether there is
// one. It is not ok if p cannot be found among what the service had.
func (r *rewriting) rebound(p types.ServicePortConfig) (b network.PortBinding, kept, ok bool) {
	protocol := network.TCP
	if p.Protocol != "" {
		protocol = network.IPProtocol(strings.ToLower(p.Protocol))
	}
	port, valid := network.PortFrom(uint16(p.Target), protocol)
	if !valid {
		return b, false, false
	}
	was, want := r.before.Host.PortBindings[port], r.want.Host.PortBindings[port]
	at := slices.IndexFunc(was, func(b network.PortBinding) bool { return b.HostPort == p.Published })
	if at < 0 && len(was) == 1 {
		at = 0 // the number is a variable, but there is no other that it could be
	}
	if at < 0 {
		return b, false, false
	}
	if len(was) == len(want) {
		return want[at], true, true // bindings keep their order
	}
	for _, b := range want {
		if b.HostPort == was[at].HostPort {
			return b, true, true
		}
	}
	return b, false, true
}

// shortPort returns the short form of a port with another address, and with
// another published number where that moved. Variables in it stay.
func shortPort(entry string, ip netip.Addr, published string, moved bool) string {
	entry, protocol, hasProtocol := strings.Cut(entry, "/")
	if hasProtocol {
		protocol = "/" + protocol
	}
	parts := splitPort(entry)
	target, host := parts[len(parts)-1], ""
	if len(parts) > 1 {
		host = parts[len(parts)-2]
	}
	if moved {
		host = published
	}
	address := ""
	switch {
	case ip.Is6():
		address = "[" + ip.String() + "]:"
	case ip.IsValid():
		address = ip.String() + ":"
	}
	if address == "" && host == "" {
		return target + protocol
	}
	return address + host + ":" + target + protocol
}

// splitPort splits at colons that are in no variable and no IPv6 address.
func splitPort(entry string) []string {
	var parts []string
	depth, from := 0, 0
	for i := range len(entry) {
		switch entry[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ':':
			if depth == 0 {
				parts, from = append(parts, entry[from:i]), i+1
			}
		}
	}
	return append(parts, entry[from:])
}

// volumes makes mounts read-only, and removes those that are gone.
func (r *rewriting) volumes() error {
	was, want := r.before.Host.Mounts, r.want.Host.Mounts
	if reflect.DeepEqual(was, want) {
		return nil
	}
	k, list := yamledit.Get(r.service, "volumes")
	if k == nil || list.Kind != yaml.SequenceNode {
		return errMerged
	}
	for _, old := range was {
		i := slices.IndexFunc(want, func(m mount.Mount) bool { return m.Target == old.Target })
		item := mountedAt(list, old.Target)
		switch {
		case i >= 0 && reflect.DeepEqual(want[i], old):
		case item == nil:
			return errMerged
		case i < 0 && len(list.Content) == 1:
			if err := r.unset(r.service, "volumes", yamledit.List{}); err != nil {
				return err
			}
		case i < 0:
			if err := r.RemoveItem(list, item); err != nil {
				return err
			}
		default:
			if err := r.remount(item, old, want[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// mountedAt returns the entry of volumes for target.
func mountedAt(list *yaml.Node, target string) *yaml.Node {
	for _, item := range list.Content {
		n := resolve(item)
		if n.Kind == yaml.MappingNode {
			if _, v := yamledit.Get(n, "target"); v != nil && v.Value == target {
				return item
			}
			continue
		}
		if v, err := format.ParseVolume(withoutVariables(n.Value)); err == nil && v.Target == target {
			return item
		}
	}
	return nil
}

// remount writes the options of a mount.
func (r *rewriting) remount(item *yaml.Node, old, want mount.Mount) error {
	n := resolve(item)
	inside := old.BindOptions != nil && want.BindOptions != nil && old.BindOptions.Propagation != want.BindOptions.Propagation
	if n.Kind == yaml.MappingNode {
		if item.Kind == yaml.AliasNode {
			return yamledit.ErrShared
		}
		if inside {
			_, bind := yamledit.Get(n, "bind")
			if err := r.Set(bind, "propagation", yamledit.Scalar(want.BindOptions.Propagation)); err != nil {
				return err
			}
		}
		if want.ReadOnly && !old.ReadOnly {
			return r.Set(n, "read_only", yamledit.Scalar("true"))
		}
		return nil
	}
	parts := splitPort(n.Value)
	var options []string
	if len(parts) > 2 {
		options = strings.Split(parts[len(parts)-1], ",")
		parts = parts[:len(parts)-1]
	}
	if len(parts) < 2 {
		return yamledit.ErrLayout
	}
	if inside {
		options = slices.DeleteFunc(options, func(o string) bool { return o == string(old.BindOptions.Propagation) })
		options = append(options, string(want.BindOptions.Propagation))
	}
	if want.ReadOnly && !old.ReadOnly {
		options = append([]string{"ro"}, slices.DeleteFunc(options, func(o string) bool { return o == "rw" })...)
	}
	return r.Replace(item, yamledit.Scalar(yamledit.Quote(strings.Join(append(parts, strings.Join(options, ",")), ":"))))
}

// networks takes a service off the default bridge: without network_mode it is
// on the network of its project.
func (r *rewriting) networks() error {
	if r.before.Host.NetworkMode == r.want.Host.NetworkMode {
		return nil
	}
	return r.unset(r.service, "network_mode", nil)
}

// sysctls removes kernel settings.
func (r *rewriting) sysctls() error {
	_, own := yamledit.Get(r.service, "sysctls")
	var gone []string
	for name := range r.before.Host.Sysctls {
		if _, ok := r.want.Host.Sysctls[name]; !ok {
			gone = append(gone, name)
		}
	}
	switch {
	case len(gone) == 0:
		return nil
	case own == nil:
		return errMerged
	case len(r.want.Host.Sysctls) == 0:
		return r.unset(r.service, "sysctls", yamledit.Map{})
	}
	slices.Sort(gone)
	for _, name := range gone {
		if own.Kind == yaml.MappingNode {
			if err := r.Remove(own, name); err != nil {
				return err
			}
			continue
		}
		for _, item := range own.Content {
			if key, _, _ := strings.Cut(item.Value, "="); key == name {
				if err := r.RemoveItem(own, item); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
