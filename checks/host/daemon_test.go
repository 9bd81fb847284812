package host

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseFlags(t *testing.T) {
	got := ParseFlags(strings.Fields("-H fd:// --containerd=/run/containerd/containerd.sock -Htcp://127.0.0.1:2375 -D --log-opt max-size=1m --log-opt max-file=2 --iptables=false --icc false"))
	want := map[string][]string{
		"host": {"fd://", "tcp://127.0.0.1:2375"}, "containerd": {"/run/containerd/containerd.sock"}, "debug": {"true"},
		"log-opt": {"max-size=1m", "max-file=2"}, "iptables": {"false"}, "icc": {"false"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSetting(t *testing.T) {
	d := &Daemon{File: "/d.json", Config: config(`{"hosts": ["unix:///s", "tcp://:1"], "log-opts": {"max-size": "1m"}, "debug": true, "mtu": 1400}`), Flags: map[string][]string{"log-level": {"warn"}}}
	for key, want := range map[string]string{"hosts": "unix:///s tcp://:1", "log-opts": "max-size=1m", "debug": "true", "mtu": "1400", "log-level": "warn", "ip": ""} {
		s, ok := d.setting(key, "")
		if got := strings.Join(s.values, " "); !ok || got != want {
			t.Errorf("%s is %q (known: %v), want %q", key, got, ok, want)
		}
		if from := s.evidence.Source; (key == "log-level") != strings.HasPrefix(from, "command line") {
			t.Errorf("%s is said to come from %s", key, from)
		}
	}
	d.Unread = "the command line"
	if _, ok := d.setting("ip", ""); ok {
		t.Error("what is not set is known although not everything was read")
	}
	if s, ok := d.setting("debug", ""); !ok || !s.isTrue() {
		t.Error("what is set is unknown because something else was not read")
	}
	if _, ok := (*Daemon)(nil).setting("debug", ""); ok {
		t.Error("a daemon elsewhere has settings")
	}
}

func TestParseDaemonConfig(t *testing.T) {
	for _, text := range []string{"", "  \n", "{}"} {
		if c, err := ParseDaemonConfig([]byte(text)); err != nil || c == nil {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	if _, err := ParseDaemonConfig([]byte(`["a"]`)); err == nil {
		t.Error("a list is taken for a configuration")
	}
}

func TestParseAuditRules(t *testing.T) {
	got := ParseAuditRules(`# -w /not/this
-D
-w /usr/bin/dockerd -k docker
-w /etc/docker -p wa -k docker  # -w /nor/this
-a always,exit -F arch=b64 -F path=/usr/bin/runc -F perm=x -k docker
-a always,exit -F dir=/var/lib/docker -F perm=wa
-w`)
	want := []string{"/usr/bin/dockerd", "/etc/docker", "/usr/bin/runc", "/var/lib/docker"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	a := Audit{Watched: got}
	for path, want := range map[string]bool{"/etc/docker/daemon.json": true, "/etc/docker": true, "/etc/docker2": false, "/usr/bin/runc": true, "/usr/bin": false} {
		if a.watches(path) != want {
			t.Errorf("%s is watched: %v", path, !want)
		}
	}
}

func TestMountOf(t *testing.T) {
	m := &Machine{Mounts: []Mount{{"/", "1:1", "a"}, {"/var", "1:2", "b"}, {"/var/lib/docker", "1:3", "c"}, {"/var/lib/docker", "1:4", "d"}}}
	for path, want := range map[string]string{"/": "1:1", "/srv": "1:1", "/variety": "1:1", "/var/lib": "1:2", "/var/lib/docker": "1:4", "/var/lib/docker/x": "1:4"} {
		if got := m.mountOf(path).Device; got != want {
			t.Errorf("%s is on %s, want %s", path, got, want)
		}
	}
	if got := (&Machine{}).mountOf("/"); got.Device != "" {
		t.Errorf("no mounts, and yet %v", got)
	}
}
