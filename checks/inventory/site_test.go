package inventory

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"plimsoll/checks/host"
)

type ids struct{ uid, gid int }

func (i ids) Owner() (uid, gid int) { return i.uid, i.gid }

func file(text string, mode fs.FileMode, owner ids) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(text), Mode: mode, Sys: owner}
}

// careless is a Debian machine with an engine whose owner was careless.
func careless() fstest.MapFS {
	var root, anna = ids{}, ids{1000, 1000}
	return fstest.MapFS{
		"etc/passwd":                            file("root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\ndeploy:x:1001:999::/:/bin/sh\n", 0o644, root),
		"etc/group":                             file("root:x:0:\ndocker:x:999:anna,root\nanna:x:1000:\ndev:x:50:\n", 0o644, root),
		"etc/docker":                            {Mode: fs.ModeDir | 0o755, Sys: root},
		"etc/docker/daemon.json":                file(`{"log-opts": {"max-size": "1m"}, "tlskey": "/etc/docker/key.pem"}`, 0o664, ids{0, 50}),
		"etc/docker/key.pem":                    file("", 0o644, root),
		"etc/docker/certs.d/r/ca.crt":           file("", 0o644, root),
		"etc/docker/certs.d/r/c.key":            file("", 0o644, root),
		"etc/audit/rules.d/d.rules":             file("-w /usr/bin/dockerd -k docker\n", 0o640, root),
		"etc/ufw/ufw.conf":                      file("# comment\nENABLED=yes\n", 0o644, root),
		"usr/lib/systemd/system/docker.service": file("", 0o644, root),
		"etc/systemd/system/docker.service.d/override.conf":     file("", 0o666, root),
		"etc/systemd/system/docker.service.d/override.conf.bak": file("", 0o666, root),
		"lib":                                    {Data: []byte("usr/lib"), Mode: fs.ModeSymlink | 0o777},
		"run/docker.sock":                        {Mode: fs.ModeSocket | 0o666, Sys: ids{0, 999}},
		"run/fifo":                               {Mode: fs.ModeNamedPipe | 0o666, Sys: root},
		"usr/bin/runc":                           file("", 0o755, root),
		"proc/7/cmdline":                         file("/usr/bin/dockerd\x00-H\x00fd://\x00--userland-proxy=false\x00", 0o444, root),
		"proc/self/mountinfo":                    file("23 1 8:1 / / rw - ext4 /dev/sda1 rw\n24 23 8:2 / /var/lib/my\\040docker rw shared:1 - xfs /dev/sdb rw\n", 0o444, root),
		"proc/version":                           file("Linux version 6.1.0-28-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)\n", 0o444, root),
		"proc/sys/kernel/kptr_restrict":          file("0\n", 0o644, root),
		"var/lib/dpkg/status":                    file("Package: runc\nStatus: install ok installed\nVersion: 1.1.5+ds1-1+deb12u1\n\nPackage: containerd\nStatus: deinstall ok config-files\nVersion: 1.6\n", 0o644, root),
		"usr/share/doc/runc/changelog.Debian.gz": file(packed("* CVE-2024-21626: several breakouts"), 0o644, root),

		"home/anna/.docker/config.json":                   file(`{"auths": {"b.example": {"auth": "bm90OnJlYWw="}, "a.example": {"identitytoken": "not-real"}, "c.example": {}}}`, 0o644, anna),
		"home/anna/.docker/contexts/meta/1/meta.json":     file(`{"Name": "plain", "Endpoints": {"docker": {"Host": "tcp://plain:2375"}}}`, 0o644, anna),
		"home/anna/.docker/contexts/meta/2/meta.json":     file(`{"Name": "sealed", "Endpoints": {"docker": {"Host": "tcp://sealed:2376"}}}`, 0o644, anna),
		"home/anna/.docker/contexts/meta/3/meta.json":     file(`{broken`, 0o644, anna),
		"home/anna/.docker/contexts/tls/2/docker/key.pem": file("", 0o640, anna),
		"home/anna/.docker/buildx/instances/root":         file(`{"Name": "root", "Nodes": [{"Flags": ["--allow-insecure-entitlement=security.insecure"], "Files": {"buildkitd.toml": "aW5zZWN1cmUtZW50aXRsZW1lbnRzID0gWyAic2VjdXJpdHkuaW5zZWN1cmUiIF0="}}]}`, 0o644, anna),
		"home/anna/.docker/buildx/instances/usual":        file(`{"Name": "usual", "Nodes": [{"Flags": ["--allow-insecure-entitlement=network.host"]}]}`, 0o644, anna),
		"home/anna/.docker/cli-plugins/docker-buildx":     file("", 0o755, anna),
		"home/anna/.docker/cli-plugins/docker-scan":       file("", 0o775, ids{1000, 50}),
		"home/anna/.docker/cli-plugins/notes.txt":         file("", 0o666, anna),
		"usr/libexec/docker/cli-plugins/docker-buildx":    file("", 0o755, root),
		"usr/libexec/docker/cli-plugins/docker-compose":   file("", 0o755, root),
	}
}

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	z.Close()
	return b.String()
}

func described(root fs.FS, env map[string]string, change func(*host.Host)) *host.Host {
	h := host.Host{Endpoint: "unix:///run/docker.sock"}
	h.Info.OSType, h.Info.DockerRootDir = "linux", "/var/lib/my docker"
	if change != nil {
		change(&h)
	}
	return Site{Root: root, Home: "/home/anna", Env: func(k string) string { return env[k] }, Daemon: 7}.Describe(h)
}

func TestDaemonOfSite(t *testing.T) {
	d := described(careless(), nil, nil).Daemon
	if d.File != "/etc/docker/daemon.json" || d.Unread != "" || d.Value("tlskey") != "/etc/docker/key.pem" || d.Value("userland-proxy") != "false" {
		t.Errorf("got %+v", d)
	}
	files := careless()
	files["proc/7/cmdline"].Data = []byte("dockerd\x00--config-file=/srv/d.json\x00")
	files["srv/d.json"] = file(`{"debug": tru`, 0o644, ids{})
	if d = described(files, nil, nil).Daemon; d.File != "/srv/d.json" || !strings.Contains(d.Unread, "/srv/d.json") {
		t.Errorf("a broken file: %+v", d)
	}
	delete(files, "srv/d.json")
	if d = described(files, nil, nil).Daemon; d.Unread != "" {
		t.Errorf("no file: %+v", d)
	}
	rootless := func(h *host.Host) { h.Info.SecurityOptions = []string{"name=rootless"} }
	if d = described(careless(), nil, rootless).Daemon; d.File != "/home/anna/.config/docker/daemon.json" {
		t.Errorf("a rootless engine reads %s", d.File)
	}
}

func TestMachineOfSite(t *testing.T) {
	m := described(careless(), nil, nil).Machine
	if m.Kernel != "6.1.119" || m.Patched {
		t.Errorf("kernel %q", m.Kernel)
	}
	if len(m.Mounts) != 2 || m.Mounts[1] != (host.Mount{Point: "/var/lib/my docker", Device: "8:2", Source: "/dev/sdb"}) {
		t.Errorf("mounts %v", m.Mounts)
	}
	if m.Group == nil || m.Group.Name != "docker" || !slices.Equal(m.Group.Members, []string{"anna", "deploy"}) {
		t.Errorf("group %v", m.Group)
	}
	if m.Audit == nil || !slices.Equal(m.Audit.Watched, []string{"/usr/bin/dockerd"}) {
		t.Errorf("audit %v", m.Audit)
	}
	if m.Firewall != "ufw" || m.Sysctl["kernel.kptr_restrict"] != "0" || len(m.Unread) != 0 {
		t.Errorf("firewall %q, sysctl %v, unread %v", m.Firewall, m.Sysctl, m.Unread)
	}
	if p := m.Packages["runc"]; len(m.Packages) != 1 || p.Version != "1.1.5+ds1-1+deb12u1" || !p.Fixed["CVE-2024-21626"] || p.Fixed["CVE-2025-31133"] {
		t.Errorf("packages %v", m.Packages)
	}
	for _, p := range []string{"/etc/docker", "/run/docker.sock", "/usr/bin/runc", "/usr/lib/systemd/system/docker.service"} {
		if !slices.Contains(m.AuditWorthy, p) {
			t.Errorf("%s is not worth an audit, only %v", p, m.AuditWorthy)
		}
	}
}

func TestFilesOfSite(t *testing.T) {
	bad := map[string]bool{}
	for _, f := range described(careless(), nil, nil).Machine.Files {
		if f.Mode&^f.Most != 0 || f.Owner != "root" || len(f.Groups) > 0 && !slices.Contains(f.Groups, f.Group) {
			bad[f.Path] = true
		}
		if strings.HasPrefix(f.Path, "/lib/") || strings.HasSuffix(f.Path, ".bak") {
			t.Errorf("%s is looked at", f.Path)
		}
	}
	for _, p := range []string{"/etc/docker/daemon.json", "/etc/docker/key.pem", "/etc/docker/certs.d/r/c.key", "/run/docker.sock", "/etc/systemd/system/docker.service.d/override.conf"} {
		if !bad[p] {
			t.Errorf("nothing wrong with %s", p)
		}
		delete(bad, p)
	}
	if len(bad) > 0 {
		t.Errorf("wrong with %v, too", bad)
	}
}

// A rootless engine is this user's own: root's files do not decide over it.
func TestRootlessSite(t *testing.T) {
	m := described(careless(), nil, func(h *host.Host) { h.Info.SecurityOptions = []string{"name=rootless"} }).Machine
	if m.Group != nil || len(m.Files) > 0 || len(m.AuditWorthy) > 0 {
		t.Errorf("got %+v", m)
	}
}

func TestClientOfSite(t *testing.T) {
	env := map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375", "DOCKER_CONTENT_TRUST": "1"}
	c := described(careless(), env, nil).Client
	if !slices.Equal(c.Plain, []string{"a.example", "b.example"}) || c.Trust != "1" {
		t.Errorf("got %+v", c)
	}
	verified := map[string]bool{}
	for _, e := range c.Endpoints {
		verified[e.Name] = e.Verified
	}
	if len(verified) != 3 || verified["plain"] || !verified["sealed"] || verified["DOCKER_HOST"] {
		t.Errorf("endpoints %v", c.Endpoints)
	}
	var exposed []string
	for _, e := range c.Exposed {
		exposed = append(exposed, e.Path)
	}
	if !slices.Equal(exposed, []string{"/home/anna/.docker/config.json", "/home/anna/.docker/contexts/tls/2/docker/key.pem"}) {
		t.Errorf("exposed %q", exposed)
	}
	for _, b := range c.Builders {
		if want := map[string]int{"root": 2, "usual": 0}[b.Name]; len(b.Insecure) != want {
			t.Errorf("builder %s grants %q", b.Name, b.Insecure)
		}
	}
	if len(c.Plugins) != 2 || c.Plugins[0].Shadows != "/usr/libexec/docker/cli-plugins/docker-buildx" || c.Plugins[1].Writers != "group dev" {
		t.Errorf("plugins %+v", c.Plugins)
	}
	for trust, want := range map[string]string{"0": "", "false": "", "": "", "yes": "yes"} {
		if c = described(careless(), map[string]string{"DOCKER_CONTENT_TRUST": trust}, nil).Client; c.Trust != want {
			t.Errorf("DOCKER_CONTENT_TRUST=%s is read as %q", trust, c.Trust)
		}
	}
}

// A directory that is closed to others keeps all below it.
func TestClosedDirectory(t *testing.T) {
	files := careless()
	files["home/anna/.docker"] = &fstest.MapFile{Mode: fs.ModeDir | 0o700, Sys: ids{1000, 1000}}
	if c := described(files, nil, nil).Client; len(c.Exposed) > 0 {
		t.Errorf("exposed %v", c.Exposed)
	}
}

// What needs more rights is a note, not a finding, and nothing is concluded
// from it.
func TestWithoutRights(t *testing.T) {
	h := described(refusing{careless(), []string{"etc/audit/rules.d", "etc/docker/daemon.json"}}, nil, nil)
	if h.Machine.Audit != nil || h.Daemon.Unread == "" {
		t.Errorf("audit %v, daemon %+v", h.Machine.Audit, h.Daemon)
	}
	if len(h.Notes()) != 2 || !strings.Contains(h.Notes()[0].String()+h.Notes()[1].String(), "/etc/audit/rules.d: only root") {
		t.Errorf("notes %v", h.Notes())
	}
}

// refusing is a file system that some of may not be read.
type refusing struct {
	fstest.MapFS
	paths []string
}

func (r refusing) Open(name string) (fs.File, error) {
	if slices.Contains(r.paths, name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return r.MapFS.Open(name)
}

// Nothing but regular files of a sensible size is opened.
func TestBounds(t *testing.T) {
	files := careless()
	files["run/large"] = file(strings.Repeat("x", most+1), 0o644, ids{})
	s := Site{Root: files}
	for _, p := range []string{"/run/fifo", "/run/docker.sock", "/run/large", "/etc", "/run/none", "../etc/passwd/.."} {
		if content, ok := s.read(p); ok {
			t.Errorf("%s is read: %d bytes", p, len(content))
		}
	}
	for i := range entries + 10 {
		files["many/"+strings.Repeat("x", 1+i%200)+time.Duration(i).String()] = file("", 0o644, ids{})
	}
	if n := len(s.list("/many")); n != entries {
		t.Errorf("%d entries are looked at, want %d", n, entries)
	}
}

func TestUbuntuKernel(t *testing.T) {
	files := careless()
	files["proc/version"] = file("Linux version 5.15.0-119-generic (buildd@lcy02) #129-Ubuntu SMP\n", 0o444, ids{})
	files["proc/version_signature"] = file("Ubuntu 5.15.0-119.129-generic 5.15.160\n", 0o444, ids{})
	if m := described(files, nil, nil).Machine; m.Kernel != "5.15.160" || !m.Patched {
		t.Errorf("kernel %q, patched %v", m.Kernel, m.Patched)
	}
}
