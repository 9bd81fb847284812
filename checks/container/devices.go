package container

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// decisive matches devices that give the host away: its memory, its disks,
// hardware that reaches its memory.
var decisive = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/dev(?:/(?:mem|kmem|port|core|sd[a-z]+\d*|hd[a-z]+\d*|vd[a-z]+\d*|xvd[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|dm-\d+|md\d+|mapper/.+|disk/.+|uio\d+|sg\d+))?$`)
})

// plain are devices that every container has anyway.
var plain = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

var devicesExposed = hostRule(checks.Check{
	ID:       "container-devices-exposed",
	Title:    "Devices of the host exposed",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.18 (v1.6.0)", "CWE-250"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, d := range host.Devices {
		source := path.Clean(d.PathOnHost)
		if d.PathOnHost == "" || slices.Contains(plain, source) {
			continue
		}
		message, severity := checks.Msg("%s uses the device %s of the host", c.Settings.Name, source), checks.Medium
		if decisive().MatchString(source) {
			message, severity = checks.Msg("%s uses the device %s, through which it reaches the whole host", c.Settings.Name, source), checks.High
		}
		f := c.found(setting{"HostConfig.Devices", []string{"devices." + d.PathOnHost, "devices"}},
			fmt.Sprintf("%s:%s:%s", d.PathOnHost, d.PathInContainer, d.CgroupPermissions), message)
		f.Key, f.Severity = source, severity
		f.Fixes = []checks.Fix{{
			ID:      "remove-device",
			Title:   checks.Msg("take the device %s away", source),
			Caution: checks.Msg("what needs the device fails"),
			Change: func(s *checks.Settings, _ checks.Values) error {
				s.Host.Devices = slices.DeleteFunc(s.Host.Devices, func(o container.DeviceMapping) bool { return path.Clean(o.PathOnHost) == source })
				return nil
			},
		}}
		report(f)
	}
	for _, rule := range host.DeviceCgroupRules {
		rule = strings.TrimSpace(rule)
		if !broadRule(rule) {
			continue
		}
		f := c.found(setting{"HostConfig.DeviceCgroupRules", []string{"device_cgroup_rules"}}, rule,
			checks.Msg("%s may use a whole class of devices: %s", c.Settings.Name, rule))
		f.Key, f.Severity = rule, checks.Medium
		if rule[0] != 'c' {
			f.Severity = checks.High // disks are among them
		}
		f.Fixes = []checks.Fix{{
			ID:      "remove-device-rule",
			Title:   checks.Msg("take the rule away"),
			Caution: checks.Msg("what needs the devices fails"),
			Change: func(s *checks.Settings, _ checks.Values) error {
				s.Host.DeviceCgroupRules = slices.DeleteFunc(s.Host.DeviceCgroupRules, func(o string) bool { return strings.TrimSpace(o) == rule })
				return nil
			},
		}}
		report(f)
	}
})

// broadRule reports whether rule, such as "c 1:3 mr", speaks of more than one
// device, or of disks.
func broadRule(rule string) bool {
	kind, rest, _ := strings.Cut(rule, " ")
	return kind == "a" || kind == "b" || strings.Contains(rest, "*")
}

// riskySysctls are the values of kernel settings that weaken a network stack.
// An asterisk stands for the name of an interface.
var riskySysctls = map[string]string{
	"net.ipv4.ip_forward":                  "1",
	"net.ipv4.conf.*.forwarding":           "1",
	"net.ipv6.conf.*.forwarding":           "1",
	"net.ipv4.conf.*.accept_redirects":     "1",
	"net.ipv6.conf.*.accept_redirects":     "1",
	"net.ipv4.conf.*.accept_source_route":  "1",
	"net.ipv6.conf.*.accept_source_route":  "1",
	"net.ipv4.conf.*.route_localnet":       "1",
	"net.ipv4.conf.*.rp_filter":            "0",
	"net.ipv4.conf.*.proxy_arp":            "1",
	"net.ipv4.tcp_syncookies":              "0",
	"net.ipv4.icmp_echo_ignore_broadcasts": "0",
}

var sysctlsRisky = hostRule(checks.Check{
	ID:       "container-sysctls-risky",
	Title:    "Kernel setting that weakens the network",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, name := range slices.Sorted(maps.Keys(host.Sysctls)) {
		value := strings.TrimSpace(host.Sysctls[name])
		if riskySysctls[anyInterface(name)] != value || value == "" {
			continue
		}
		f := c.found(setting{"HostConfig.Sysctls", []string{"sysctls." + name, "sysctls." + name + "=" + value, "sysctls"}}, name+"="+value,
			checks.Msg("%s weakens its network with %s", c.Settings.Name, name+"="+value))
		f.Key = name
		f.Fixes = []checks.Fix{{
			ID:      "remove-sysctl",
			Title:   checks.Msg("leave %s as it is", name),
			Caution: checks.Msg("routers and VPN gateways may need it"),
			Change:  func(s *checks.Settings, _ checks.Values) error { delete(s.Host.Sysctls, name); return nil },
		}}
		report(f)
	}
})

// anyInterface replaces the interface in the name of a setting by an asterisk.
func anyInterface(name string) string {
	parts := strings.Split(strings.ReplaceAll(name, "/", "."), ".")
	if len(parts) == 5 && parts[2] == "conf" {
		parts[3] = "*"
	}
	return strings.Join(parts, ".")
}
