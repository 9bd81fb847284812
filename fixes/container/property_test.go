package container

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// randomContainers says how many containers the property is tried on at the
// real engine, which takes seconds for each, and randomSeed with which seed.
const (
	randomContainers = "PLIMSOLL_TEST_CONTAINERS"
	randomSeed       = "PLIMSOLL_TEST_SEED"
)

// TestNothingButTheIntendedChange: a container of any settings that is
// recreated for the sake of one label differs by that label, and by what engines
// make up for each container. The same goes for each way to harden it. What
// differs is found in what the engine says, by no means of the package.
//
//scenario:1,2,3,36,37,41,43,44
func TestNothingButTheIntendedChange(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv(randomSeed), 10, 64); err == nil {
		seed = s
	}
	onEngines(t, func(t *testing.T, l *lab) {
		n := 25
		if l.server == nil {
			n = 3
			if given, err := strconv.Atoi(os.Getenv(randomContainers)); err == nil {
				n = given
			}
		}
		image := dockertest.Probe("app:1")
		image.Config.Volumes = map[string]struct{}{"/image": {}}
		image.Config.Labels = map[string]string{"of-image": "1"}
		image.Config.ExposedPorts = map[string]struct{}{"9000/tcp": {}}
		l.load(image)
		l.network("a", "10.213.3.0/24")
		l.network("b", "10.213.4.0/24")
		tried := map[string]int{}
		for i := range n {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			name := fmt.Sprintf("%sr%d", l.prefix, i)
			if !l.arbitrary(r, name) {
				continue
			}
			for _, check := range []*checks.Check{labelling, l.anyHardening(r, name)} {
				if check == nil {
					continue
				}
				tried[check.ID]++
				before := l.raw(name)
				p := l.plan(name, fixes.Request{Findings: l.findings(name, check)[:1]})
				if !p.Blocked.IsZero() {
					if check == labelling {
						t.Errorf("seed %d, container %d: blocked: %s\n%s", seed, i, p.Blocked, pretty(before))
					}
					continue // by a reason of that fix
				}
				if _, err := l.fixer.Apply(t.Context(), p, nil); err != nil {
					// A program may not live with less; it must have been put back.
					if check == labelling || len(unlike(before, l.raw(name), l.prefix)) > 0 {
						t.Errorf("seed %d, container %d, %s: %v", seed, i, check.ID, err)
					}
					continue
				}
				intended := map[string]bool{}
				for _, c := range p.Changes {
					intended[strings.Replace(c.Field, "Networks.", "NetworkSettings.Networks.", 1)] = true
				}
				for _, field := range unlike(before, l.raw(name), l.prefix) {
					if !covers(intended, field) {
						t.Errorf("seed %d, container %d, %s: %s differs: was %s, is %s", seed, i, check.ID, field, at(before, field), at(l.raw(name), field))
					}
				}
			}
			for _, c := range l.family(name) {
				if _, err := l.cli.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
					t.Error(err)
				}
			}
		}
		t.Logf("seed %d: %v", seed, tried)
		if tried[labelling.ID] < n*3/4 {
			t.Errorf("only %d of %d containers could be made", tried[labelling.ID], n)
		}
	})
}

// labelling is a check whose fix is the smallest change there is.
var labelling = &checks.Check{ID: "test-label", Title: "No label", Kind: checks.Container, Severity: checks.Low, Chapter: checks.Hygiene,
	Run: func(s checks.Subject, report func(checks.Finding)) {
		c := s.(*subject.Container)
		if c.Settings.Config.Labels["mark"] != "" {
			return
		}
		report(checks.Finding{Message: checks.Message{Format: "no label"}, Fixes: []checks.Fix{{ID: "label", Title: checks.Message{Format: "label it"},
			Change: func(s *checks.Settings, _ checks.Values) error {
				if s.Config.Labels == nil {
					s.Config.Labels = map[string]string{}
				}
				s.Config.Labels["mark"] = "1"
				return nil
			}}}})
	}}

// findings returns what check finds about the container.
func (l *lab) findings(name string, check *checks.Check) []checks.Finding {
	l.Helper()
	found := checks.Run(l.subject(name), []*checks.Check{check}, &checks.Policy{Profile: checks.All}).Findings
	if len(found) == 0 {
		l.Fatalf("%s finds nothing about %s", check.ID, name)
	}
	return found
}

// anyHardening returns one of the checks that offer to harden the container.
func (l *lab) anyHardening(r *rand.Rand, name string) *checks.Check {
	var offers []*checks.Check
	for _, f := range checks.Run(l.subject(name), subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Fixable() && f.Fixes[0].Change != nil && !slices.Contains(offers, f.Check) {
			offers = append(offers, f.Check)
		}
	}
	if len(offers) == 0 {
		return nil
	}
	return offers[r.IntN(len(offers))]
}

// raw returns what the engine says of a container.
func (l *lab) raw(name string) map[string]any {
	l.Helper()
	result, err := l.cli.ContainerInspect(l.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		l.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(result.Raw, &all); err != nil {
		l.Fatal(err)
	}
	return all
}

// madeUp are fields that an engine makes up for each container, or that tell
// what became of it. A star stands for one name.
var madeUp = []string{
	"Id", "Created", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "RestartCount", "GraphDriver", "ExecIDs",
	"NetworkSettings.SandboxID", "NetworkSettings.SandboxKey", "NetworkSettings.EndpointID", "NetworkSettings.Ports", "NetworkSettings.IPAddress",
	"NetworkSettings.Gateway", "NetworkSettings.IPPrefixLen", "NetworkSettings.MacAddress", "NetworkSettings.IPv6Gateway",
	"NetworkSettings.GlobalIPv6Address", "NetworkSettings.GlobalIPv6PrefixLen", "NetworkSettings.HairpinMode",
	"NetworkSettings.Networks.*.EndpointID", "NetworkSettings.Networks.*.Gateway", "NetworkSettings.Networks.*.IPAddress", "NetworkSettings.Networks.*.IPPrefixLen",
	"NetworkSettings.Networks.*.MacAddress", "NetworkSettings.Networks.*.NetworkID", "NetworkSettings.Networks.*.DNSNames",
	// How a volume without a name was asked for; what is mounted is in Mounts.
	"Config.Volumes", "HostConfig.Mounts",
	// The image is named by its id where the tag has moved, as labels tell.
	"Config.Labels.plimsoll", "Config.Hostname",
}

// unlike returns the fields in which two containers differ but for what is
// made up.
func unlike(a, b map[string]any, prefix string) []string {
	was, is := fields(a), fields(b)
	var out []string
	for field, value := range was {
		if is[field] != value {
			out = append(out, field)
		}
	}
	for field := range is {
		if _, ok := was[field]; !ok {
			out = append(out, field)
		}
	}
	out = slices.DeleteFunc(out, func(field string) bool {
		return slices.ContainsFunc(madeUp, func(m string) bool { return begins(field, m, prefix) })
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// begins reports whether field is m or below it.
func begins(field, m, prefix string) bool {
	want, got := strings.Split(m, "."), strings.Split(field, ".")
	if len(got) < len(want) {
		return false
	}
	for i := range want {
		if want[i] != "*" && want[i] != got[i] {
			return false
		}
	}
	return true
}

func covers(intended map[string]bool, field string) bool {
	for name := range intended {
		if field == name || strings.HasPrefix(field, name+".") || strings.HasPrefix(name, field+".") {
			return true
		}
	}
	return false
}

// fields returns the values of an inspection by field: mounts by where they
// are, lists that are sets in order, aliases without the id of the container
// and its host name, which the engine adds when it starts.
func fields(all map[string]any) map[string]string {
	out := map[string]string{}
	id, _ := all["Id"].(string)
	config, _ := all["Config"].(map[string]any)
	var add func(path string, v any)
	add = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				add(path+"."+k, e)
			}
		case []any:
			var items []string
			for _, e := range v {
				if m, ok := e.(map[string]any); ok && path == ".Mounts" {
					delete(m, "Mode") // "z" where it was asked for as a mount
					add(path+"."+fmt.Sprint(m["Destination"]), m)
					continue
				}
				data, _ := json.Marshal(e) // it was just unmarshalled
				if strings.HasSuffix(path, ".Aliases") && (strings.HasPrefix(id, fmt.Sprint(e)) || e == config["Hostname"]) {
					continue
				}
				items = append(items, string(data))
			}
			switch {
			case path == ".Mounts":
				return
			case path != ".Config.Cmd" && path != ".Config.Entrypoint" && path != ".Args":
				slices.Sort(items)
				items = slices.Compact(items)
			}
			if len(items) > 0 || strings.HasSuffix(path, "Paths") {
				out[path[1:]] = strings.Join(items, " ")
			}
		case nil:
		default:
			text := fmt.Sprint(v)
			if path == ".HostConfig.RestartPolicy.Name" && text == "no" {
				text = "" // the same, by its name
			}
			if text != "" && text != "0" && text != "false" {
				out[path[1:]] = text
			}
		}
	}
	for k, v := range all {
		add("."+k, v)
	}
	return out
}

func at(all map[string]any, field string) string { return fields(all)[field] }

// arbitrary makes a container of arbitrary settings, started where it can be.
// It reports whether the engine takes them together.
func (l *lab) arbitrary(r *rand.Rand, name string) bool {
	l.Helper()
	o := l.arbitraryOptions(r)
	o.Name = name
	result, err := l.cli.ContainerCreate(l.Context(), o)
	if err != nil {
		l.Logf("not made: %v", err)
		return false
	}
	if r.IntN(3) == 0 && !o.HostConfig.NetworkMode.IsHost() && !o.HostConfig.NetworkMode.IsNone() {
		e := &network.EndpointSettings{Aliases: []string{"second"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(fmt.Sprintf("10.213.4.%d", 10+r.IntN(200)))}}
		if _, err := l.cli.NetworkConnect(l.Context(), l.prefix+"b", client.NetworkConnectOptions{Container: result.ID, EndpointConfig: e}); err != nil {
			l.Fatal(err)
		}
	}
	if r.IntN(3) > 0 {
		if _, err := l.cli.ContainerStart(l.Context(), result.ID, client.ContainerStartOptions{}); err != nil {
			l.Logf("not started: %v", err)
		}
		pause()
		if c := l.inspect(result.ID); c.State.Restarting || c.HostConfig.RestartPolicy.Name != "" && !c.State.Running {
			if _, err := l.cli.ContainerStop(l.Context(), result.ID, client.ContainerStopOptions{}); err != nil {
				l.Fatal(err)
			}
		}
	}
	return true
}

func pickOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// sometimes does one thing or leaves it.
func sometimes(r *rand.Rand, do func()) {
	if r.IntN(3) == 0 {
		do()
	}
}

func (l *lab) arbitraryOptions(r *rand.Rand) client.ContainerCreateOptions {
	c := &api.Config{Image: l.prefix + "app:1", Labels: map[string]string{"team": "blue"}}
	h := &api.HostConfig{}
	o := client.ContainerCreateOptions{Config: c, HostConfig: h}
	port := network.MustParsePort("8080/tcp")
	seconds := 1 + r.IntN(5)
	yes := true
	for _, do := range []func(){
		func() { c.User = pickOf(r, "0", "0:0", "1000", "1000:1000") },
		func() { c.Env = []string{"A=1", "B=with = signs", "PATH=/own"} },
		func() { c.Env = append(c.Env, "C=", "UNICODE=ä") },
		func() { c.Cmd = []string{"-x", pickOf(r, "a b", "$HOME", "'")} },
		func() { c.Entrypoint = []string{"/probe", "-x", "own"} },
		func() { c.Entrypoint, c.Cmd = []string{""}, []string{"/probe", "-x", "emptied"} },
		func() { c.WorkingDir = "/work/here" },
		func() { c.Domainname = "example.com" },
		func() { c.Tty, c.OpenStdin = r.IntN(2) == 0, true },
		func() { c.StopSignal = pickOf(r, "SIGINT", "SIGTERM") },
		func() { c.StopTimeout = &seconds },
		func() { c.Healthcheck = dockertest.ProbeCheck() },
		func() { c.Healthcheck = &api.HealthConfig{Test: []string{"NONE"}} },
		func() { c.Volumes = map[string]struct{}{"/anon": {}} },
		func() { c.Labels["odd key/ä"] = "multi\nline" },
		func() {
			h.RestartPolicy = pickOf(r, api.RestartPolicy{Name: "always"}, api.RestartPolicy{Name: "unless-stopped"}, api.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}, api.RestartPolicy{Name: "no"})
		},
		func() { h.Memory, h.MemoryReservation = 64<<20, pickOf[int64](r, 0, 32<<20) },
		func() { h.Memory, h.MemorySwap = 64<<20, pickOf[int64](r, 64<<20, 96<<20, -1) },
		func() { h.NanoCPUs = 5e8 },
		func() {
			if h.NanoCPUs == 0 {
				h.CPUPeriod, h.CPUQuota = 50_000, 25_000
			}
		},
		func() { h.CPUShares = 512 },
		func() { h.CpusetCpus = "0" },
		func() { h.PidsLimit = pickOf(r, new(int64(100)), new(int64(-1))) },
		func() { h.CapAdd = []string{"NET_ADMIN", "CAP_SYS_TIME"} },
		func() { h.CapDrop = pickOf(r, []string{"ALL"}, []string{"MKNOD", "CAP_NET_RAW"}) },
		func() { h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges") },
		func() { h.SecurityOpt = append(h.SecurityOpt, "seccomp=unconfined") },
		func() { h.ReadonlyRootfs = true },
		func() { h.Tmpfs = map[string]string{"/scratch": "size=1m,mode=1777", "/run": ""} },
		func() { h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Target: "/nameless"}) },
		func() {
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Source: l.prefix + "named", Target: "/named", ReadOnly: r.IntN(2) == 0})
		},
		func() {
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeTmpfs, Target: "/memory", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20}})
		},
		func() { h.Binds = append(h.Binds, l.TempDir()+":/bound:"+pickOf(r, "ro", "rw", "ro,rprivate")) },
		func() { h.Binds = append(h.Binds, l.prefix+"other:/other") },
		func() { h.Ulimits = []*api.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}} },
		func() { h.Sysctls = map[string]string{"net.core.somaxconn": "256"} },
		func() { h.ShmSize = 16 << 20 },
		func() { h.Init = &yes },
		func() { h.IpcMode = pickOf[api.IpcMode](r, "private", "shareable", "host", "none") },
		func() { h.PidMode = "host" },
		func() { h.UTSMode = "host" },
		func() { h.CgroupnsMode = pickOf[api.CgroupnsMode](r, "host", "private") },
		func() { h.ExtraHosts = []string{"db:10.0.0.1", "db6:::1"} },
		func() { h.DNS, h.DNSSearch = []netip.Addr{netip.MustParseAddr("10.0.0.53")}, []string{"example.com"} },
		func() { h.DNSOptions = []string{"ndots:2"} },
		func() { h.GroupAdd = []string{"1234", "5678"} },
		func() { h.OomScoreAdj = 200 },
		func() {
			h.LogConfig = api.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "2"}}
		},
		func() { h.LogConfig = api.LogConfig{Type: "none"} },
		func() {
			h.Devices = []api.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/nothing", CgroupPermissions: pickOf(r, "rwm", "r")}}
		},
		func() { h.DeviceCgroupRules = []string{"c 1:3 rw"} },
		func() { h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{} },
		func() { h.MaskedPaths = []string{"/proc/kcore", "/own"} },
		func() {
			c.ExposedPorts = network.PortSet{port: {}}
			h.PortBindings = network.PortMap{port: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "0"}}}
		},
		func() { h.PublishAllPorts = true },
	} {
		sometimes(r, do)
	}
	switch r.IntN(5) {
	case 0:
		h.NetworkMode = pickOf[api.NetworkMode](r, "bridge", "default")
	case 1:
		h.NetworkMode = pickOf[api.NetworkMode](r, "none", "host")
		h.Sysctls = nil
	case 2, 3:
		h.NetworkMode = api.NetworkMode(l.prefix + "a")
		e := &network.EndpointSettings{Aliases: []string{"front", "web"}}
		if r.IntN(2) == 0 {
			e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(fmt.Sprintf("10.213.3.%d", 10+r.IntN(200)))}
		}
		o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{l.prefix + "a": e}}
	}
	if h.UTSMode == "" && h.NetworkMode != "host" {
		sometimes(r, func() { c.Hostname = "box" })
	}
	if h.UTSMode == "host" {
		c.Domainname = ""
	}
	return o
}
