package container

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
)

// A hostMount is a place of the host, or a volume, seen inside a container.
type hostMount struct {
	kind        mount.Type
	source      string // path of a bind or pipe, name of a volume
	target      string
	readOnly    bool
	propagation mount.Propagation
	field       string // of the inspection that shows it
	description string // what stands there
}

// inherited is the field that shows mounts which the settings do not name.
const inherited = "Mounts"

// mounts returns what c mounts from outside by its settings, and what it
// inherits from other containers by its state.
func (c *Container) mounts() []hostMount {
	var all []hostMount
	add := func(m hostMount) {
		if !slices.ContainsFunc(all, func(o hostMount) bool { return o.target == m.target }) {
			all = append(all, m)
		}
	}
	if host := c.Settings.Host; host != nil {
		for _, bind := range host.Binds {
			if m, ok := parseBind(bind); ok {
				add(m)
			}
		}
		for _, m := range host.Mounts {
			h := hostMount{kind: m.Type, source: m.Source, target: m.Target, readOnly: m.ReadOnly, field: "HostConfig.Mounts", description: m.Source + ":" + m.Target}
			if m.BindOptions != nil {
				h.propagation = m.BindOptions.Propagation
			}
			add(h)
		}
	}
	if c.Inspect != nil {
		asked := (&Container{Settings: checks.Settings{Host: c.Inspect.HostConfig}}).mounts()
		for _, m := range c.Inspect.Mounts {
			if slices.ContainsFunc(asked, func(o hostMount) bool { return o.target == m.Destination }) {
				continue // judged above, unless a fix took it away
			}
			source := m.Source
			if m.Type == mount.TypeVolume {
				source = m.Name
			}
			add(hostMount{
				kind: m.Type, source: source, target: m.Destination, readOnly: !m.RW, propagation: m.Propagation,
				field: inherited, description: source + ":" + m.Destination,
			})
		}
	}
	return all
}

// parseBind reads "source:target" and "source:target:options". Sources that
// are no paths are names of volumes.
func parseBind(bind string) (hostMount, bool) {
	m := hostMount{kind: mount.TypeBind, field: "HostConfig.Binds", description: bind}
	rest := bind
	if hasDrive(rest) {
		m.source, rest = rest[:2], rest[2:]
	}
	source, rest, ok := strings.Cut(rest, ":")
	if !ok {
		return m, false
	}
	m.source += source
	if m.source == "" {
		return m, false
	}
	target, options, _ := strings.Cut(rest, ":")
	m.target = target
	for _, option := range strings.Split(options, ",") {
		switch option {
		case "ro":
			m.readOnly = true
		case "shared", "rshared", "slave", "rslave", "private", "rprivate":
			m.propagation = mount.Propagation(option)
		}
	}
	switch {
	case strings.Contains(strings.ToLower(m.source), `\pipe\`):
		m.kind = mount.TypeNamedPipe
	case !strings.HasPrefix(m.source, "/") && !strings.HasPrefix(m.source, "~") && !strings.HasPrefix(m.source, ".") && !strings.Contains(m.source, `\`):
		m.kind = mount.TypeVolume
	}
	return m, true
}

// hasDrive reports whether p is a Windows path such as `C:\x`.
func hasDrive(p string) bool {
	letter := len(p) > 2 && ('a' <= p[0]|0x20 && p[0]|0x20 <= 'z')
	return letter && p[1] == ':' && (p[2] == '\\' || p[2] == '/')
}

// hostPath returns the path on the host in its shortest form. /var/run is a
// link to /run everywhere.
func hostPath(source string) string {
	p := path.Clean("/" + strings.ReplaceAll(source, `\`, "/"))
	if p == "/var/run" || strings.HasPrefix(p, "/var/run/") {
		p = strings.TrimPrefix(p, "/var")
	}
	return p
}

// within reports whether p is dir or below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// sockets are file names of the interfaces of engines. Whoever may write to
// one of them is root on the host; a read-only mount does not prevent that.
var sockets = []string{
	"docker.sock", "docker.raw.sock", "containerd.sock", "podman.sock", "crio.sock", "cri-dockerd.sock",
	"dockershim.sock", "buildkitd.sock", "balena-engine.sock",
}

// socketFolders hold them.
var socketFolders = []string{"/", "/run", "/run/containerd", "/run/podman", "/run/crio", "/run/k3s", "/run/k3s/containerd", "/run/docker/containerd", "/run/buildkit"}

var dockerSocketMounted = hostRule(checks.Check{
	ID:       "container-docker-socket-mounted",
	Title:    "Engine socket mounted",
	Severity: checks.Critical,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.32 (v1.6.0)", "OWASP Docker rule 1", "CWE-250"},
}, func(c *Container, _ *container.HostConfig, report func(checks.Finding)) {
	for _, m := range c.mounts() {
		p := hostPath(m.source)
		pipe := m.kind == mount.TypeNamedPipe && strings.HasSuffix(strings.ToLower(p), "/pipe/docker_engine")
		message := checks.Msg("%s can command the engine through %s", c.Settings.Name, m.source)
		switch {
		case pipe, m.kind == mount.TypeBind && slices.Contains(sockets, path.Base(p)):
		case m.kind == mount.TypeBind && slices.Contains(socketFolders, p):
			message = checks.Msg("%s can reach the socket of the engine through %s", c.Settings.Name, m.source)
		default:
			continue
		}
		f := c.found(mountSetting(m), m.description, message)
		f.Key = m.target
		report(f)
	}
})

func mountSetting(m hostMount) setting {
	return setting{m.field, []string{"volumes." + m.target, "volumes"}}
}

// A sensitivePath is a folder of the host that decides about the host.
type sensitivePath struct {
	path  string
	depth depth
}

// depth says how far down a folder is sensitive.
type depth int

const (
	itself  depth = iota // only all of it
	written              // below it too when it can be written
	all                  // below it too
)

var sensitivePaths = []sensitivePath{
	{"/", itself},
	{"/bin", written}, {"/boot", all}, {"/dev", itself}, {"/etc", written}, {"/lib", written}, {"/lib64", written},
	{"/proc", all}, {"/root", itself}, {"/sbin", written}, {"/sys", written}, {"/usr", written}, {"/var", itself},
	{"/etc/kubernetes", all}, {"/etc/shadow", all}, {"/etc/ssh", all}, {"/etc/sudoers", all}, {"/etc/sudoers.d", all},
	{"/var/lib/containerd", all}, {"/var/lib/containers", all}, {"/var/lib/docker", all}, {"/var/lib/kubelet", all},
	{"/var/spool/cron", all},
}

// harmless are files below sensitive folders that many containers share with
// the host and that decide nothing.
var harmless = []string{"/etc/localtime", "/etc/timezone", "/usr/local/share", "/usr/share", "/usr/src"}

var sensitiveHostPath = hostRule(checks.Check{
	ID:       "container-sensitive-host-path",
	Title:    "Sensitive host path mounted",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.6 (v1.6.0)", "CWE-668"},
}, func(c *Container, _ *container.HostConfig, report func(checks.Finding)) {
	for _, m := range c.mounts() {
		p := hostPath(m.source)
		if m.kind != mount.TypeBind || !isSensitive(p, m.readOnly) {
			continue
		}
		message, severity := checks.Msg("%s can change %s of the host", c.Settings.Name, p), checks.High
		if m.readOnly {
			message, severity = checks.Msg("%s can read %s of the host", c.Settings.Name, p), checks.Medium
		}
		f := c.found(mountSetting(m), m.description, message)
		f.Key, f.Severity = m.target, severity
		report(f)
	}
})

func isSensitive(p string, readOnly bool) bool {
	if slices.ContainsFunc(harmless, func(h string) bool { return within(p, h) }) {
		return false
	}
	return slices.ContainsFunc(sensitivePaths, func(s sensitivePath) bool {
		switch {
		case p == s.path:
			return true
		case s.depth == all:
			return within(p, s.path)
		case s.depth == written:
			return !readOnly && within(p, s.path)
		}
		return false
	})
}
