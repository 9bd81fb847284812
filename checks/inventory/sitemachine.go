package inventory

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plimsoll/checks/host"
)

// machine reads what is asked of a machine that an engine runs on.
func (s *Site) machine(h *host.Host) *host.Machine {
	m := &host.Machine{
		Mounts: s.mounts(),
		Sysctl: s.sysctl(),
		Audit:  s.audit(),
	}
	s.kernel(m)
	if !rootless(h) {
		m.Group = s.dockerGroup(h)
		m.Files = s.files(h)
		m.AuditWorthy = s.auditWorthy(h)
		m.Packages = s.packages()
	}
	if content, ok := s.read("/etc/ufw/ufw.conf"); ok && regexp.MustCompile(`(?m)^\s*ENABLED=yes`).Match(content) {
		m.Firewall, m.FirewallSource = "ufw", "/etc/ufw/ufw.conf"
	} else if slices.Contains(h.Processes, "firewalld") {
		m.Firewall, m.FirewallSource = "firewalld", "processes"
	}
	m.Unread = s.unread
	return m
}

// kernel tells the stable kernel behind a distribution's own number.
func (s *Site) kernel(m *host.Machine) {
	if found := regexp.MustCompile(`Debian (\d+\.\d+\.\d+)-`).FindStringSubmatch(s.line("/proc/version")); found != nil {
		m.Kernel, m.KernelSource = found[1], "/proc/version"
		return
	}
	// "Ubuntu 5.15.0-119.129-generic 5.15.160"
	if field := strings.Fields(s.line("/proc/version_signature")); len(field) == 3 && field[0] == "Ubuntu" {
		m.Kernel, m.KernelSource, m.Patched = field[2], "/proc/version_signature", true
	}
}

// mounts reads mountinfo: "36 35 98:0 /root /point options … - type source options".
func (s *Site) mounts() []host.Mount {
	content, _ := s.read("/proc/self/mountinfo")
	var mounts []host.Mount
	for line := range strings.Lines(string(content)) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		field, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(field) < 5 || len(rest) < 2 {
			continue
		}
		mounts = append(mounts, host.Mount{Point: unescape(field[4]), Device: field[2], Source: unescape(rest[1])})
	}
	return mounts
}

var octal = regexp.MustCompile(`\\[0-7]{3}`)

// unescape reads the octal escapes of mountinfo: a space is \040.
func unescape(text string) string {
	return octal.ReplaceAllStringFunc(text, func(e string) string {
		n, _ := strconv.ParseUint(e[1:], 8, 8)
		return string(rune(n))
	})
}

func (s *Site) sysctl() map[string]string {
	values := map[string]string{}
	for _, name := range host.SysctlNames() {
		if value := s.line("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); value != "" {
			values[name] = value
		}
	}
	return values
}

// audit reads the rules of auditd; nil when they may not be read.
func (s *Site) audit() *host.Audit {
	a := &host.Audit{}
	files := []string{"/etc/audit/audit.rules"}
	if _, err := fs.Stat(s.Root, rooted("/etc/audit")); err != nil && !missing(err) {
		s.note("/etc/audit", err)
		return nil
	}
	before := len(s.unread)
	for _, n := range s.list("/etc/audit/rules.d") {
		if strings.HasSuffix(n, ".rules") {
			files = append(files, "/etc/audit/rules.d/"+n)
		}
	}
	for _, file := range files {
		if content, ok := s.read(file); ok {
			a.Files = append(a.Files, file)
			a.Watched = append(a.Watched, host.ParseAuditRules(string(content))...)
		}
	}
	if len(s.unread) > before {
		return nil
	}
	return a
}

// dockerGroup returns the group that the engine's socket belongs to, with its
// members.
func (s *Site) dockerGroup(h *host.Host) *host.Group {
	info, ok := s.stat(socketOf(h))
	if !ok {
		return nil
	}
	_, gid, ok := owner(info)
	if !ok || gid == 0 || info.Mode().Perm()&0o020 == 0 {
		return nil
	}
	g := &host.Group{Name: strconv.Itoa(gid)}
	groups, _ := s.read("/etc/group")
	for line := range strings.Lines(string(groups)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) < 4 || field[2] != strconv.Itoa(gid) {
			continue
		}
		g.Name = field[0]
		for _, member := range strings.Split(field[3], ",") {
			if member != "" && member != "root" {
				g.Members = append(g.Members, member)
			}
		}
	}
	users, _ := s.read("/etc/passwd")
	for line := range strings.Lines(string(users)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) > 3 && field[3] == strconv.Itoa(gid) && field[0] != "root" && !slices.Contains(g.Members, field[0]) {
			g.Members = append(g.Members, field[0])
		}
	}
	return g
}

// socketOf returns the path of the engine's unix socket.
func socketOf(h *host.Host) string {
	if socket, ok := strings.CutPrefix(h.Endpoint, "unix://"); ok {
		return socket
	}
	return "/var/run/docker.sock"
}

// units are the directories of systemd's units, those of the administrator first.
var units = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unitFiles returns the units of the engine and their drop-ins.
func (s *Site) unitFiles() []string {
	var found []string
	for _, dir := range units {
		if top := "/" + strings.Split(dir, "/")[1]; s.isLink(top) {
			continue // /lib is /usr/lib on most machines
		}
		for _, unit := range []string{"docker.service", "docker.socket", "containerd.service"} {
			if info, err := fs.Stat(s.Root, rooted(path.Join(dir, unit))); err == nil && info.Mode().IsRegular() {
				found = append(found, path.Join(dir, unit))
			}
			for _, n := range s.list(path.Join(dir, unit+".d")) {
				if strings.HasSuffix(n, ".conf") {
					found = append(found, path.Join(dir, unit+".d", n))
				}
			}
		}
	}
	return found
}

func (s *Site) isLink(p string) bool {
	info, err := fs.Lstat(s.Root, rooted(p))
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// files returns those that decide over the engine and exist, with what they
// should be at most.
func (s *Site) files(h *host.Host) []host.File {
	users, groups := s.accounts("/etc/passwd"), s.accounts("/etc/group")
	var files []host.File
	add := func(p string, mode fs.FileMode, group ...string) {
		info, ok := s.stat(p)
		if !ok || slices.ContainsFunc(files, func(f host.File) bool { return f.Path == p }) {
			return
		}
		uid, gid, ok := owner(info)
		if !ok {
			return
		}
		files = append(files, host.File{
			Path: p, Mode: info.Mode().Perm(), Owner: called(users, uid), Group: called(groups, gid),
			Owners: []string{"root"}, Groups: group, Most: mode,
		})
	}
	for _, unit := range s.unitFiles() {
		add(unit, 0o644, "root")
	}
	add("/etc/docker", 0o755, "root")
	add(h.Daemon.File, 0o644, "root")
	add("/etc/default/docker", 0o644, "root")
	add("/etc/sysconfig/docker", 0o644, "root")
	for _, registry := range s.list("/etc/docker/certs.d") {
		dir := path.Join("/etc/docker/certs.d", registry)
		for _, n := range s.list(dir) {
			if strings.HasSuffix(n, ".key") {
				add(path.Join(dir, n), 0o600, "root")
			} else {
				add(path.Join(dir, n), 0o644, "root")
			}
		}
	}
	for setting, mode := range map[string]fs.FileMode{"tlscacert": 0o644, "tlscert": 0o644, "tlskey": 0o600} {
		if file := h.Daemon.Value(setting); strings.HasPrefix(file, "/") {
			add(file, mode, "root")
		}
	}
	// Any group may own the socket: its members are a finding of their own.
	add(socketOf(h), 0o660)
	add("/run/containerd/containerd.sock", 0o660, "root")
	return files
}

// auditWorthy returns what exists of the engine's files and programs whose
// change should be recorded.
func (s *Site) auditWorthy(h *host.Host) []string {
	candidates := []string{
		h.Info.DockerRootDir, "/etc/docker", h.Daemon.File, "/etc/containerd/config.toml", "/run/containerd", "/run/containerd/containerd.sock",
		socketOf(h), "/etc/default/docker", "/etc/sysconfig/docker",
	}
	candidates = append(candidates, s.unitFiles()...)
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/local/bin"} {
		for _, program := range []string{"containerd", "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2", "runc"} {
			candidates = append(candidates, path.Join(dir, program))
		}
	}
	var found []string
	for _, p := range candidates {
		if p == "" || slices.Contains(found, p) {
			continue
		}
		if _, err := fs.Stat(s.Root, rooted(p)); err == nil {
			found = append(found, p)
		}
	}
	return found
}
