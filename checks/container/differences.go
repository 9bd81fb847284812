package container

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
)

// A Difference is one setting of a service that its container does not have.
type Difference struct {
	Keys          []string // of the compose file
	File, Running string   // values, as they may be shown
	Hardened      bool     // the container is the safer one
}

// Differences compares a service of a compose file with a container of it, as
// far as the file says what the container must have. Compose itself compares a
// hash that nobody else can compute.
func Differences(service, running *Container) []Difference {
	file, now := service.Settings, running.Settings
	if file.Host == nil || now.Host == nil || file.Config == nil || now.Config == nil {
		return nil
	}
	var all []Difference
	differ := func(file, now string, hardened bool, keys ...string) {
		if file != now {
			all = append(all, Difference{keys, cmp.Or(file, "none"), cmp.Or(now, "none"), hardened})
		}
	}
	if file.Image != "" && !isImageID(now.Image) && !strings.HasPrefix(now.Image, "sha256:") {
		differ(file.Image, now.Image, false, "image")
	}
	if file.Config.User != "" {
		differ(file.Config.User, now.Config.User, false, "user")
	}
	f, n := file.Host, now.Host
	flag := func(file, now, safe bool, key string) { differ(fmt.Sprint(file), fmt.Sprint(now), now == safe, key) }
	flag(f.Privileged, n.Privileged, false, "privileged")
	flag(f.ReadonlyRootfs, n.ReadonlyRootfs, true, "read_only")
	denied := func(h *container.HostConfig) bool { d, _ := deniesNewPrivileges(h.SecurityOpt); return d }
	flag(denied(f), denied(n), true, "security_opt")
	names := func(list []string) string { return strings.Join(normalCapabilities(list), ", ") }
	fewer := fewerCapabilities(n, f) // by both keys together: who adds some may have dropped all
	differ(names(f.CapAdd), names(n.CapAdd), fewer, "cap_add")
	differ(names(f.CapDrop), names(n.CapDrop), fewer, "cap_drop")
	differ(sizeOf(f.Memory), sizeOf(n.Memory), tighter(float64(n.Memory), float64(f.Memory)), "mem_limit", "deploy.resources.limits.memory")
	differ(cpusOf(f), cpusOf(n), tighter(cpuLimit(n), cpuLimit(f)), "cpus", "deploy.resources.limits.cpus")
	differ(pidsOf(f), pidsOf(n), tighter(pidsLimit(n), pidsLimit(f)), "pids_limit", "deploy.resources.limits.pids")
	differ(restartOf(f), restartOf(n), endless(f) && !endless(n), "restart", "deploy.restart_policy")
	if publishing(f) && publishing(n) {
		differ(portsOf(f), portsOf(n), onlyCloser(f, n), "ports")
	}
	return all
}

// fewerCapabilities reports whether h has some of the capabilities that than has, and
// no others.
func fewerCapabilities(h, than *container.HostConfig) bool {
	all, some := capabilitySet(than), capabilitySet(h)
	for name := range some {
		if !all[name] && !all["ALL"] {
			return false
		}
	}
	return len(some) < len(all) || all["ALL"] && !some["ALL"]
}

// capabilitySet returns what h leaves of the capabilities that an engine gives, and
// adds to them; ALL stands for every one.
func capabilitySet(h *container.HostConfig) map[string]bool {
	set, dropped := map[string]bool{}, normalCapabilities(h.CapDrop)
	for _, name := range defaultCapabilities {
		set[name] = !slices.Contains(dropped, name) && !slices.Contains(dropped, "ALL")
	}
	for _, name := range normalCapabilities(h.CapAdd) {
		set[name] = !slices.Contains(dropped, name)
	}
	maps.DeleteFunc(set, func(_ string, has bool) bool { return !has })
	return set
}

// tighter reports whether a limit allows less than another; 0 is no limit.
func tighter(limit, than float64) bool { return limit > 0 && (than <= 0 || limit < than) }

func sizeOf(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return units.BytesSize(float64(bytes))
}

func cpusOf(h *container.HostConfig) string {
	if n := cpuLimit(h); n > 0 {
		return strconv.FormatFloat(n, 'g', 4, 64)
	}
	return ""
}

func pidsLimit(h *container.HostConfig) float64 {
	if h.PidsLimit == nil || *h.PidsLimit <= 0 {
		return 0
	}
	return float64(*h.PidsLimit)
}

func pidsOf(h *container.HostConfig) string {
	if n := pidsLimit(h); n > 0 {
		return strconv.Itoa(int(n))
	}
	return ""
}

func restartOf(h *container.HostConfig) string {
	p := h.RestartPolicy
	switch {
	case p.Name == "" || p.Name == container.RestartPolicyDisabled:
		return "no"
	case p.IsOnFailure() && p.MaximumRetryCount > 0:
		return fmt.Sprintf("on-failure:%d", p.MaximumRetryCount)
	}
	return string(p.Name)
}

func endless(h *container.HostConfig) bool {
	p := h.RestartPolicy
	return p.IsAlways() || p.IsUnlessStopped() || p.IsOnFailure() && p.MaximumRetryCount <= 0
}

// bindings returns what is published by its port inside: addresses and ports
// outside. All addresses are written alike, however many families there are.
func bindings(h *container.HostConfig) map[string][]string {
	all := map[string][]string{}
	for port, list := range h.PortBindings {
		for _, b := range list {
			address := "all"
			if !isOpen(b.HostIP) {
				address = b.HostIP.String()
			}
			all[port.String()] = append(all[port.String()], address+":"+cmp.Or(b.HostPort, "random"))
		}
		slices.Sort(all[port.String()])
		all[port.String()] = slices.Compact(all[port.String()])
	}
	return all
}

func portsOf(h *container.HostConfig) string {
	var all []string
	for port, outside := range bindings(h) {
		for _, o := range outside {
			all = append(all, o+" → "+port)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// onlyCloser reports whether now publishes nothing that file does not, and
// nothing for more addresses.
func onlyCloser(file, now *container.HostConfig) bool {
	allowed := bindings(file)
	for port, outside := range bindings(now) {
		for _, o := range outside {
			_, number, _ := strings.Cut(o, ":")
			if !slices.Contains(allowed[port], o) && !slices.Contains(allowed[port], "all:"+number) {
				return false
			}
		}
	}
	return true
}
