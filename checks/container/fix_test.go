package container

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

func defaults(fix checks.Fix) checks.Values {
	values := checks.Values{}
	for _, choice := range fix.Choices {
		values[choice.Key] = cmp.Or(choice.Default, choice.Example)
	}
	return values
}

// tryFix returns c as the fix would leave it.
func tryFix(t *testing.T, c *Container, fix checks.Fix, values checks.Values) *Container {
	t.Helper()
	for _, choice := range fix.Choices {
		if choice.Valid != nil {
			if err := choice.Valid(cmp.Or(choice.Default, choice.Example)); err != nil {
				t.Errorf("%s: default %q of %s: %v", fix.ID, choice.Default, choice.Key, err)
			}
		}
	}
	fixed := *c
	fixed.Settings = *c.Settings.Clone()
	if err := fix.Change(&fixed.Settings, values); err != nil {
		t.Errorf("%s: %v", fix.ID, err)
	}
	return &fixed
}

// TestFixesCure applies every fix of every case with its defaults: the finding
// goes, none comes, and doing it again changes nothing.
func TestFixesCure(t *testing.T) {
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c := sound()
			test.change(c)
			before := judge(t, c)
			for _, f := range before.Findings {
				for _, fix := range f.Fixes {
					fixed := tryFix(t, c, fix, defaults(fix))
					if fix.ID == "update" || fix.ID == "renew" {
						if !fixed.Settings.Update || fixed.Settings.Pull != (fix.ID == "renew") {
							t.Error("no update asked for")
						}
						continue // cured by another image, not by settings
					}
					for _, found := range judge(t, fixed).Findings {
						if found.ID() == f.ID() {
							t.Errorf("%s does not cure %s", fix.ID, f.Check.ID)
						}
						known := slices.ContainsFunc(before.Findings, func(b checks.Finding) bool { return b.ID() == found.ID() })
						if !known && !slices.Contains(f.Check.Covers, found.Check.ID) {
							t.Errorf("%s causes %s", fix.ID, found.Check.ID)
						}
					}
					again := tryFix(t, fixed, fix, defaults(fix))
					if !reflect.DeepEqual(again.Settings.Clone(), fixed.Settings.Clone()) {
						t.Errorf("%s is not the same twice", fix.ID)
					}
				}
			}
		})
	}
}

func fixOf(t *testing.T, c *Container, check, fix string) checks.Fix {
	t.Helper()
	for _, f := range judge(t, c).Findings {
		for _, x := range f.Fixes {
			if f.Check.ID == check && x.ID == fix {
				return x
			}
		}
	}
	t.Fatalf("%s offers no %s", check, fix)
	return checks.Fix{}
}

// TestLiveFixes requires that limits change only what an engine can change
// while the container runs.
func TestLiveFixes(t *testing.T) {
	live := map[string]bool{
		"Memory": true, "MemorySwap": true, "MemoryReservation": true, "NanoCpus": true, "CpuQuota": true,
		"PidsLimit": true, "RestartPolicy": true,
	}
	c := sound()
	c.Settings.Host.Resources = container.Resources{}
	c.Settings.Host.RestartPolicy.Name = "always"
	for check, id := range map[string]string{
		"container-memory-unlimited": "memory-limit", "container-cpu-unlimited": "cpu-limit",
		"container-pids-unlimited": "pids-limit", "container-restart-unbounded": "restart-limit",
	} {
		fix := fixOf(t, c, check, id)
		fixed := tryFix(t, c, fix, defaults(fix))
		if !reflect.DeepEqual(fixed.Settings.Config, c.Settings.Clone().Config) {
			t.Errorf("%s changes the config", id)
		}
		before, after := fields(t, c.Settings.Host), fields(t, fixed.Settings.Host)
		for name := range after {
			if !live[name] && string(before[name]) != string(after[name]) {
				t.Errorf("%s changes %s", id, name)
			}
		}
	}
}

func fields(t *testing.T, host *container.HostConfig) map[string]json.RawMessage {
	t.Helper()
	data, err := json.Marshal(host)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMemoryFix(t *testing.T) {
	c := sound()
	c.Settings.Host.Memory, c.Settings.Host.MemorySwap, c.Settings.Host.MemoryReservation = 0, -1, 1<<40
	c.Observed = &Observed{MemoryPeak: 300 << 20}
	fix := fixOf(t, c, "container-memory-unlimited", "memory-limit")
	if got := fix.Choices[0].Default; got != "512m" { // 450 MiB, rounded up
		t.Errorf("suggests %s", got)
	}
	fixed := tryFix(t, c, fix, checks.Values{"memory": "1g"}).Settings.Host
	if fixed.Memory != 1<<30 || fixed.MemorySwap != 2<<30 || fixed.MemoryReservation != 1<<30 {
		t.Errorf("memory %d, with swap %d, reserved %d", fixed.Memory, fixed.MemorySwap, fixed.MemoryReservation)
	}
	for _, value := range []string{"", "much", "-1", "1m", "299m", "1e30", "99999999t", "0"} {
		if fix.Choices[0].Valid(value) == nil {
			t.Errorf("accepts %q", value)
		}
	}
}

func TestSuggestedMemory(t *testing.T) {
	for peak, want := range map[int64]string{
		1: "80m", 10 << 20: "80m", 100 << 20: "176m", 200 << 20: "320m", 1 << 30: "1536m", 10 << 30: "15g",
	} {
		if got := memorySize(suggestedMemory(peak)); got != want {
			t.Errorf("%d bytes: %s, want %s", peak, got, want)
		}
	}
}

func TestCPUFix(t *testing.T) {
	c := sound()
	c.Settings.Host.NanoCPUs = 0
	c.Observed = &Observed{CPUPeak: 3, CPUs: 4}
	fix := fixOf(t, c, "container-cpu-unlimited", "cpu-limit")
	if got := fix.Choices[0].Default; got != "4" {
		t.Errorf("suggests %s", got)
	}
	if got := tryFix(t, c, fix, checks.Values{"cpus": "0.25"}).Settings.Host.NanoCPUs; got != 25e7 {
		t.Errorf("sets %d", got)
	}
	c.Settings.Host.CPUPeriod = 50000
	fixed := tryFix(t, c, fix, checks.Values{"cpus": "1.5"}).Settings.Host
	if fixed.NanoCPUs != 0 || fixed.CPUQuota != 75000 {
		t.Errorf("beside a period: nano %d, quota %d", fixed.NanoCPUs, fixed.CPUQuota)
	}
	for _, value := range []string{"", "x", "0", "-1", "5", "NaN", "inf", "1e99", "0.0000000001", "1/2", "0.01234567890123"} {
		if fix.Choices[0].Valid(value) == nil {
			t.Errorf("accepts %q", value)
		}
	}
}

func TestPidsFix(t *testing.T) {
	c := sound()
	c.Settings.Host.PidsLimit = nil
	c.Observed = &Observed{PidsPeak: 200}
	fix := fixOf(t, c, "container-pids-unlimited", "pids-limit")
	if got := fix.Choices[0].Default; got != "400" {
		t.Errorf("suggests %s", got)
	}
	for _, value := range []string{"", "x", "399", "0", "-1", "99999999999999999999"} {
		if fix.Choices[0].Valid(value) == nil {
			t.Errorf("accepts %q", value)
		}
	}
}

//scenario:77
func TestCapabilityProposals(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Container)
		want   string
	}{
		{"not root", func(c *Container) {}, ""},
		{"not root, with additions", func(c *Container) { c.Settings.Host.CapAdd = []string{"cap_net_admin", "NET_ADMIN"} }, "NET_ADMIN"},
		{"root", func(c *Container) { c.Settings.Config.User = "root" }, "CHOWN,SETGID,SETUID"},
		{"root on a mounted folder", func(c *Container) { c.Settings.Config.User = "root"; bind(c, "/srv:/srv") }, "CHOWN,DAC_OVERRIDE,SETGID,SETUID"},
		{"root on a volume", func(c *Container) { c.Settings.Config.User = "root"; bind(c, "data:/srv") }, "CHOWN,SETGID,SETUID"},
		{"postgres", func(c *Container) {
			c.Settings.Config.User, c.Settings.Image = "root", "registry.example:5000/library/postgres:16@sha256:0"
		}, "CHOWN,DAC_READ_SEARCH,FOWNER,SETGID,SETUID"},
	}
	for _, test := range tests {
		c := sound()
		c.Settings.Host.CapDrop = nil
		test.change(c)
		fix := fixOf(t, c, "container-capabilities-not-dropped", "drop-capabilities")
		if got := fix.Choices[0].Default; got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	for _, value := range []string{"ALL", "chown,everything", "CAP_"} {
		if _, err := parseCapabilities(value); (err == nil) != (value == "CAP_") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// In its own network every port is open to every user; in that of the host those
// below 1024 are root's.
//
//scenario:78
func TestLowPorts(t *testing.T) {
	for mode, warned := range map[container.NetworkMode]bool{"bridge": false, "host": true} {
		for user, check := range map[string]string{"root": "container-runs-as-root", "1000": "container-capabilities-not-dropped"} {
			c := sound()
			c.Settings.Config.User, c.Settings.Host.CapDrop, c.Settings.Host.NetworkMode = user, nil, mode
			c.Settings.Config.ExposedPorts = network.PortSet{port("8080/tcp"): {}, port("80/tcp"): {}}
			fix := fixOf(t, c, check, map[string]string{"root": "user", "1000": "drop-capabilities"}[user])
			said := fix.Caution.String() + fix.Choices[0].Why.String()
			if strings.Contains(said, "open port 80/tcp") != warned && strings.Contains(said, "opens port 80/tcp") != warned {
				t.Errorf("%s in %s: %s", user, mode, said)
			}
			if strings.Contains(fix.Choices[0].Default, "NET_BIND") {
				t.Errorf("%s in %s keeps %s", user, mode, fix.Choices[0].Default)
			}
		}
	}
}

// Who needs setuid programs is not kept from them.
//
//scenario:79
func TestSetuidInUse(t *testing.T) {
	const first = 900
	app := Process{PID: first, Parent: 1, UID: 1000, Command: "/app"}
	for name, c := range map[string]struct {
		all  []Process
		uses bool
	}{
		"nothing":               {[]Process{app}, false},
		"a child of its own":    {[]Process{app, {PID: 901, Parent: first, UID: 1000, Command: "/worker"}}, false},
		"a child that is root":  {[]Process{app, {PID: 901, Parent: first, UID: 0, Command: "/usr/bin/ping"}}, true},
		"root drops itself":     {[]Process{{PID: first, Parent: 1, UID: 0, Command: "nginx: master"}, {PID: 901, Parent: first, UID: 33, Command: "nginx: worker"}}, false},
		"somebody came as root": {[]Process{app, {PID: 901, Parent: 7, UID: 0, Command: "sh"}}, false},
		"somebody used sudo":    {[]Process{app, {PID: 901, Parent: 7, UID: 1000, Command: "sh"}, {PID: 902, Parent: 901, UID: 0, Command: "sudo"}}, false},
	} {
		s := sound()
		s.Settings.Host.SecurityOpt, s.Processes, s.Engine = nil, c.all, &Engine{}
		s.Inspect.State.Pid = first
		for _, f := range checks.Run(s, Checks(), &checks.Policy{Profile: checks.All}).Findings {
			if f.Check.ID == "container-new-privileges-allowed" && f.Fixable() == c.uses {
				t.Errorf("%s: fixable %t: %s", name, f.Fixable(), f.Message)
			}
		}
	}
}

// What another user could no longer write is named.
//
//scenario:80
func TestFilesOfRootAreNamed(t *testing.T) {
	c := sound()
	c.Settings.Config.User = "root"
	bind(c, "/srv:/data")
	c.Places = map[string]Place{"/data": {Roots: []string{"db", "db/journal"}, RootCount: 7}}
	caution := fixOf(t, c, "container-runs-as-root", "user").Caution.String()
	for _, want := range []string{"/data/db", "/data/db/journal", "(+5)"} {
		if !strings.Contains(caution, want) {
			t.Errorf("%s is not named: %s", want, caution)
		}
	}
}

//scenario:9
func TestReadOnlyProposals(t *testing.T) {
	add, modify := container.ChangeAdd, container.ChangeModify
	type change = container.FilesystemChange
	c := sound()
	c.Settings.Host.ReadonlyRootfs = false
	bind(c, "/srv:/data")
	c.Changed = []change{
		{Kind: modify, Path: "/tmp"}, {Kind: add, Path: "/tmp/upload"},
		{Kind: modify, Path: "/run"}, {Kind: add, Path: "/run/app.pid"},
		{Kind: modify, Path: "/data"}, {Kind: add, Path: "/data/x"},
		{Kind: modify, Path: "/var"}, {Kind: modify, Path: "/var/cache"},
		{Kind: add, Path: "/var/cache/app"}, {Kind: add, Path: "/var/cache/app/deep"}, {Kind: add, Path: "/var/cache/app/deep/file"},
		{Kind: modify, Path: "/etc"}, {Kind: modify, Path: "/etc/app.conf"},
	}
	fix := fixOf(t, c, "container-rootfs-writable", "read-only")
	if got := fix.Choices[0].Default; got != "/run,/tmp,/var/cache/app" {
		t.Errorf("proposes %s", got)
	}
	if got := fix.Caution.Args[0]; got != "/etc" {
		t.Errorf("warns of %v", got)
	}
	host := tryFix(t, c, fix, checks.Values{"tmpfs": "/data,/tmp,/var/cache/app/"}).Settings.Host
	want := map[string]string{
		"/tmp":           "rw,nosuid,nodev,noexec,size=64m,mode=1777",
		"/var/cache/app": "rw,nosuid,nodev,noexec,size=64m,mode=0755,uid=1000",
	}
	if !host.ReadonlyRootfs || !maps.Equal(host.Tmpfs, want) {
		t.Errorf("sets %v", host.Tmpfs)
	}
	for _, value := range []string{"tmp", "/", "/proc", "/dev/shm", "/a:b"} {
		if fix.Choices[0].Valid(value) == nil {
			t.Errorf("accepts %q", value)
		}
	}
}

func TestUserFix(t *testing.T) {
	c := sound()
	c.Settings.Config.User = "root"
	c.Passwd = []byte(passwd)
	fix := fixOf(t, c, "container-runs-as-root", "user")
	if got := fix.Choices[0].Default; got != "1001:1002" {
		t.Errorf("suggests %s", got)
	}
	for _, value := range []string{"", "app", "1000", "0:0", "00:1", "-1:1", "1000:x", "1:2:3", "99999999999:1"} {
		if fix.Choices[0].Valid(value) == nil {
			t.Errorf("accepts %q", value)
		}
	}
}

func TestNetworkFix(t *testing.T) {
	c := sound()
	c.Settings.Host.NetworkMode = "default"
	c.Settings.Networks = map[string]*network.EndpointSettings{"bridge": {NetworkID: "b"}, "other": {NetworkID: "o"}}
	fix := fixOf(t, c, "container-default-bridge", "own-network")
	s := tryFix(t, c, fix, checks.Values{"network": "other"}).Settings
	if s.Host.NetworkMode != "other" || len(s.Networks) != 1 || s.Networks["other"].NetworkID != "o" {
		t.Errorf("mode %s, networks %v", s.Host.NetworkMode, s.Networks)
	}
	for _, value := range []string{"", "host", "bridge", "-x", "a b", "\x1b[2J"} {
		if fix.Choices[0].Valid(value) == nil {
			t.Errorf("accepts %q", value)
		}
	}
	c.Settings.Host.Links = []string{"/db:/web/db"}
	for _, f := range judge(t, c).Findings {
		if f.Fixable() {
			t.Errorf("%s is offered although links would break", f.Fixes[0].ID)
		}
	}
}

func TestPrivilegedFix(t *testing.T) {
	c := sound()
	c.Settings.Host.Privileged = true
	c.Settings.Host.SecurityOpt = []string{"label=disable", "no-new-privileges"}
	fix := fixOf(t, c, "container-privileged", "unprivileged")
	host := tryFix(t, c, fix, checks.Values{"capabilities": "net_admin"}).Settings.Host
	if host.Privileged || !slices.Equal(host.CapAdd, []string{"NET_ADMIN"}) || !slices.Equal(host.SecurityOpt, []string{"no-new-privileges"}) {
		t.Errorf("leaves %+v", host)
	}
}
