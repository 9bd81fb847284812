package attack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/host"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// run returns a running container with no root, no ports and a network of its
// own, and what changes make of it.
func run(name string, changes ...func(*container.Container)) *container.Container {
	c := container.New(dockercontainer.InspectResponse{
		ID: "id-" + name, Name: "/" + name, State: &dockercontainer.State{Status: "running", Running: true},
		Config:          &dockercontainer.Config{Image: "acme/" + name + ":1", User: "1000:1000"},
		HostConfig:      &dockercontainer.HostConfig{NetworkMode: dockercontainer.NetworkMode(name + "-net")},
		NetworkSettings: &dockercontainer.NetworkSettings{Networks: map[string]*network.EndpointSettings{name + "-net": {}}},
	}, nil, "", noon)
	for _, change := range changes {
		change(c)
	}
	return c
}

func publish(port string, address ...string) func(*container.Container) {
	return func(c *container.Container) {
		b := network.PortBinding{HostPort: port}
		if len(address) > 0 {
			b.HostIP = netip.MustParseAddr(address[0])
		}
		if c.Settings.Host.PortBindings == nil {
			c.Settings.Host.PortBindings = network.PortMap{}
		}
		c.Settings.Host.PortBindings[network.MustParsePort(port+"/tcp")] = []network.PortBinding{b}
	}
}

func listening(port string) func(*container.Container) {
	return func(c *container.Container) {
		c.Settings.Config.ExposedPorts = network.PortSet{network.MustParsePort(port + "/tcp"): {}}
	}
}

func on(networks ...string) func(*container.Container) {
	return func(c *container.Container) {
		c.Settings.Networks = map[string]*network.EndpointSettings{}
		for _, n := range networks {
			c.Settings.Networks[n] = &network.EndpointSettings{}
		}
		c.Settings.Host.NetworkMode = dockercontainer.NetworkMode(networks[0])
	}
}

// fenced says what the networks of a container keep apart.
func fenced(fence container.Fence) func(*container.Container) {
	return func(c *container.Container) {
		c.Around = &container.Around{Networks: map[string]container.Network{}}
		for name := range c.Settings.Networks {
			c.Around.Networks[name] = container.Network{Fence: fence}
		}
	}
}

var (
	closed = container.Fence{Internal: true}
	apart  = container.Fence{Apart: true}
)

func binds(all ...string) func(*container.Container) {
	return func(c *container.Container) { c.Settings.Host.Binds = all }
}

func env(all ...string) func(*container.Container) {
	return func(c *container.Container) { c.Settings.Config.Env = all }
}

func caps(all ...string) func(*container.Container) {
	return func(c *container.Container) { c.Settings.Host.CapAdd = all }
}

func img(ref string, digests ...string) func(*container.Container) {
	return func(c *container.Container) {
		c.Settings.Image, c.Settings.Config.Image = ref, ref
		c.Image = &dockerimage.InspectResponse{RepoDigests: digests}
	}
}

func root(c *container.Container)       { c.Settings.Config.User = "" }
func privileged(c *container.Container) { c.Settings.Host.Privileged = true }
func hostNet(c *container.Container) {
	c.Settings.Host.NetworkMode, c.Settings.Networks = "host", map[string]*network.EndpointSettings{"host": {}}
}
func hostPID(c *container.Container) { c.Settings.Host.PidMode = "host" }
func stopped(c *container.Container) {
	c.Inspect.State = &dockercontainer.State{Status: "exited"}
}
func hardenedOption(c *container.Container) {
	c.Settings.Host.SecurityOpt = []string{"no-new-privileges:true"}
}
func withDevice(path string) func(*container.Container) {
	return func(c *container.Container) {
		c.Settings.Host.Devices = []dockercontainer.DeviceMapping{{PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm"}}
	}
}
func volumes(all ...mount.Mount) func(*container.Container) {
	return func(c *container.Container) { c.Settings.Host.Mounts = all }
}

func engineHost(changes ...func(*host.Host)) *host.Host {
	h := &host.Host{Info: system.Info{ID: "ENGINE", Name: "harbour", OSType: "linux", KernelVersion: "6.1.0-18-amd64"},
		Bridge: &network.Inspect{Network: network.Network{Name: "bridge", Options: map[string]string{"com.docker.network.bridge.enable_icc": "true"}}}}
	for _, change := range changes {
		change(h)
	}
	return h
}

func warning(text string) func(*host.Host) {
	return func(h *host.Host) { h.Info.Warnings = append(h.Info.Warnings, text) }
}

const sock = "/var/run/docker.sock:/var/run/docker.sock"

// lines tells each path by its severity, its entry, the rules it follows, and
// what is lost.
func lines(m *Map) []string {
	var out []string
	for _, p := range m.Paths() {
		var rules []string
		for _, s := range p.Steps() {
			rules = append(rules, strings.TrimPrefix(s.Rule.ID, "path-"))
		}
		line := fmt.Sprintf("%s %s: %s → %s of %s", p.Severity, p.Entry, strings.Join(rules, " "), p.Impact, p.Target.Name())
		for _, s := range p.Also() {
			line += " or " + strings.TrimPrefix(s.Rule.ID, "path-")
		}
		out = append(out, line)
	}
	return out
}

func mapOf(subjects ...checks.Subject) *Map {
	m := &Map{}
	for _, s := range subjects {
		m.Put(s, &checks.Report{Subject: s.Ref()})
	}
	return m
}

func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		name     string
		subjects []checks.Subject
		want     []string
	}{
		{"nothing at all", nil, nil},
		{"a published program and nothing else", []checks.Subject{run("web", publish("80")), engineHost()}, nil},
		{"privileged but not reached", []checks.Subject{run("web", root, privileged), engineHost()}, nil},
		{"stopped", []checks.Subject{run("web", publish("80"), root, privileged, stopped), engineHost()}, nil},

		{"socket", []checks.Subject{run("web", publish("80"), root, binds(sock)), engineHost()},
			[]string{"critical network: published-port engine-socket → takeover of harbour"}},
		{"socket read-only, of another user", []checks.Subject{run("web", publish("80"), binds(sock+":ro")), engineHost()},
			[]string{"high network: published-port engine-socket → takeover of harbour"}},
		{"folder of the socket", []checks.Subject{run("web", publish("80"), root, binds("/run:/run")), engineHost()},
			[]string{"critical network: published-port engine-socket → takeover of harbour"}},
		{"privileged", []checks.Subject{run("web", publish("80"), root, privileged), engineHost()},
			[]string{"critical network: published-port privileged → takeover of harbour"}},
		{"privileged, denied new privileges", []checks.Subject{run("web", publish("80", "192.168.1.5"), privileged, hardenedOption), engineHost()},
			[]string{"medium network: published-port privileged → takeover of harbour"}},
		{"everything at once is one path", []checks.Subject{run("web", publish("80"), root, privileged, binds(sock, "/:/host")), engineHost()},
			[]string{"critical network: published-port engine-socket → takeover of harbour or privileged or host-path"}},
		{"published on loopback", []checks.Subject{run("web", publish("80", "127.0.0.1"), root, privileged), engineHost()}, nil},
		{"users are remapped", []checks.Subject{run("web", publish("80"), root, caps("SYS_ADMIN")), engineHost(func(h *host.Host) { h.Info.SecurityOptions = []string{"name=userns"} })},
			[]string{"medium network: published-port capability → takeover of harbour"}},
		{"an engine that remaps users still obeys", []checks.Subject{run("web", publish("80"), root, binds(sock)), engineHost(func(h *host.Host) { h.Info.SecurityOptions = []string{"name=userns"} })},
			[]string{"critical network: published-port engine-socket → takeover of harbour"}},
		{"rootless", []checks.Subject{run("web", publish("80"), root, binds(sock)), engineHost(func(h *host.Host) { h.Info.SecurityOptions = []string{"name=rootless"} })},
			[]string{"high network: published-port engine-socket → takeover of harbour"}},

		{"cron", []checks.Subject{run("web", publish("80"), root, binds("/etc/cron.d:/jobs")), engineHost()},
			[]string{"critical network: published-port host-path → takeover of harbour"}},
		{"keys that can be written", []checks.Subject{run("web", publish("80"), root, binds("/root/.ssh:/keys")), engineHost()},
			[]string{"critical network: published-port host-path → takeover of harbour"}},
		{"keys that can be read", []checks.Subject{run("web", publish("80"), root, binds("/root/.ssh:/keys:ro")), engineHost()},
			[]string{"high network: published-port host-path → credentials of harbour"}},
		{"data of a user", []checks.Subject{run("web", publish("80"), root, binds("/home/ann/photos:/photos")), engineHost()}, nil},
		{"the time", []checks.Subject{run("web", publish("80"), root, binds("/etc/localtime:/etc/localtime")), engineHost()}, nil},
		{"a disk", []checks.Subject{run("web", publish("80"), root, withDevice("/dev/nvme0n1p2")), engineHost()},
			[]string{"critical network: published-port host-device → takeover of harbour"}},
		{"a sound card", []checks.Subject{run("web", publish("80"), root, withDevice("/dev/snd")), engineHost()}, nil},
		{"a module", []checks.Subject{run("web", publish("80"), root, caps("CAP_SYS_MODULE")), engineHost()},
			[]string{"critical network: published-port capability → takeover of harbour"}},
		{"a harmless capability", []checks.Subject{run("web", publish("80"), root, caps("NET_BIND_SERVICE", "SYS_PTRACE")), engineHost()}, nil},
		{"processes of the host", []checks.Subject{run("web", publish("80"), root, hostPID), engineHost()},
			[]string{"medium network: published-port host-processes → credentials of harbour"}},
		{"processes of the host and ptrace", []checks.Subject{run("web", publish("80"), root, hostPID, caps("SYS_PTRACE")), engineHost()},
			[]string{"critical network: published-port host-processes → takeover of harbour"}},

		{"over the default bridge", []checks.Subject{run("web", publish("80"), on("bridge")), run("agent", root, privileged, listening("9000"), on("bridge")), engineHost()},
			[]string{"critical network: published-port shared-network privileged → takeover of harbour"}},
		{"the default bridge is closed", []checks.Subject{run("web", publish("80"), on("bridge")), run("agent", root, privileged, listening("9000"), on("bridge")),
			engineHost(func(h *host.Host) { h.Bridge.Options["com.docker.network.bridge.enable_icc"] = "false" })}, nil},
		{"a network without traffic between its members", []checks.Subject{run("web", publish("80"), on("n"), fenced(apart)), run("agent", root, privileged, listening("9000"), on("n"), fenced(apart)), engineHost()}, nil},
		{"data on a network without traffic", []checks.Subject{run("web", publish("80"), on("n"), fenced(apart)), run("db", img("postgres:16"), on("n"), fenced(apart)), engineHost()}, nil},
		{"a port on a closed network only", []checks.Subject{run("web", publish("80"), root, binds(sock), fenced(closed)), engineHost()}, nil},
		{"a data store on a closed network only", []checks.Subject{run("db", img("postgres:16"), publish("5432"), fenced(closed)), engineHost()}, nil},
		{"a port on loopback of a closed network", []checks.Subject{run("web", listening("80"), hostNet), run("db", img("postgres:16"), publish("5432", "127.0.0.1"), fenced(closed)), engineHost()}, nil},
		{"the metadata from a closed network", []checks.Subject{run("web", publish("80"), fenced(closed)), engineHost(func(h *host.Host) { h.Info.KernelVersion = "6.1.0-18-cloud-aws" })}, nil},
		{"through a closed network", []checks.Subject{run("web", publish("80"), on("front")), run("api", listening("80"), on("front", "back")), run("agent", root, privileged, listening("9000"), on("back"), fenced(closed)), engineHost()},
			[]string{"high network: published-port shared-network shared-network privileged → takeover of harbour"}},
		{"a neighbour that does not listen", []checks.Subject{run("web", publish("80"), on("bridge")), run("agent", root, privileged, on("bridge")), engineHost()}, nil},
		{"other networks", []checks.Subject{run("web", publish("80"), on("front")), run("agent", root, privileged, listening("9000"), on("back")), engineHost()}, nil},
		{"two hops", []checks.Subject{run("web", publish("80"), on("front")), run("api", listening("80"), on("front", "back")), run("agent", root, privileged, listening("9000"), on("back")), engineHost()},
			[]string{"high network: published-port shared-network shared-network privileged → takeover of harbour"}},
		{"a neighbour where the host falls anyway", []checks.Subject{run("web", publish("80"), root, privileged, on("n")), run("agent", root, privileged, listening("9000"), on("n")), engineHost()},
			[]string{"critical network: published-port privileged → takeover of harbour"}},

		{"a data store", []checks.Subject{run("db", img("postgres:16"), publish("5432")), engineHost()}, []string{"high network: datastore → data of db"}},
		{"a data store behind", []checks.Subject{run("web", publish("80"), on("n")), run("db", img("postgres:16"), on("n")), engineHost()},
			[]string{"high network: published-port datastore → data of db"}},
		{"a data store apart", []checks.Subject{run("web", publish("80"), on("n")), run("db", img("postgres:16"), on("m")), engineHost()}, nil},
		{"a data store on loopback and the network of the host", []checks.Subject{run("probe", hostNet, listening("9100")), run("db", img("redis:7"), publish("6379", "127.0.0.1")), engineHost()},
			[]string{"medium network: published-port host-network → data of db"}},
		{"secrets", []checks.Subject{run("web", publish("80"), env("API_TOKEN=not-a-real-secret-4711")), engineHost()},
			[]string{"high network: published-port secrets → credentials of web"}},
		{"secrets are the least problem", []checks.Subject{run("web", publish("80"), root, privileged, env("API_TOKEN=not-a-real-secret-4711")), engineHost()},
			[]string{"critical network: published-port privileged → takeover of harbour"}},
		{"a shared volume", []checks.Subject{
			run("web", publish("80"), volumes(mount.Mount{Type: "volume", Source: "site", Target: "/site"})),
			run("cron", root, binds(sock), volumes(mount.Mount{Type: "volume", Source: "site", Target: "/data", ReadOnly: true})), engineHost()},
			[]string{"high network: published-port shared-volume engine-socket → takeover of harbour"}},
		{"a shared volume that cannot be written", []checks.Subject{
			run("web", publish("80"), volumes(mount.Mount{Type: "volume", Source: "site", Target: "/site", ReadOnly: true})),
			run("cron", root, binds(sock), volumes(mount.Mount{Type: "volume", Source: "site", Target: "/data"})), engineHost()}, nil},

		{"the next image", []checks.Subject{run("agent", root, binds(sock), img("vendor/agent:latest", "vendor/agent@sha256:1")), engineHost()},
			[]string{"high supplier: mutable-image engine-socket → takeover of harbour"}},
		{"the next image of nothing important", []checks.Subject{run("agent", img("vendor/agent", "vendor/agent@sha256:1"), env("API_TOKEN=not-a-real-secret-4711")), engineHost()}, nil},
		{"built here", []checks.Subject{run("agent", root, binds(sock), img("agent:latest")), engineHost()}, nil},
		{"pinned", []checks.Subject{run("agent", root, binds(sock), img("vendor/agent:latest@sha256:1", "vendor/agent@sha256:1")), engineHost()}, nil},
		{"an open engine", []checks.Subject{engineHost(warning("WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n         Access to the remote API is equivalent to root access"))},
			[]string{"critical network: engine-tcp → takeover of harbour"}},
		{"an engine open to the host", []checks.Subject{engineHost(warning("[DEPRECATION NOTICE]: API is accessible on http://127.0.0.1:2375 without encryption."))}, nil},
		{"an engine open to the host and one on its network", []checks.Subject{run("probe", hostNet, listening("9100")), engineHost(warning("WARNING: API is accessible on http://127.0.0.1:2375 without encryption."))},
			[]string{"critical network: published-port host-network → takeover of harbour"}},
		{"a cloud", []checks.Subject{run("web", publish("80")), engineHost(func(h *host.Host) { h.Info.KernelVersion = "6.8.0-1021-aws" })},
			[]string{"high network: published-port metadata → cloud of harbour"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := lines(mapOf(tt.subjects...)); !slices.Equal(got, tt.want) {
				t.Errorf("paths are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestEveryRuleIsFollowed keeps the table free of rules that nothing triggers.
func TestEveryRuleIsFollowed(t *testing.T) {
	followed := map[string]bool{"path-docker-group": true, "path-runtime-escape": true} // see TestFindingsOfTheHost
	all := []checks.Subject{
		run("a", publish("1"), root, binds(sock), on("n")), run("b", publish("2"), root, privileged), run("c", publish("3"), root, binds("/etc:/e")),
		run("d", publish("4"), root, withDevice("/dev/sda")), run("e", publish("5"), root, caps("SYS_ADMIN")), run("f", publish("6"), hostPID),
		run("g", publish("7"), env("API_TOKEN=not-a-real-secret-4711"), on("m")), run("db", img("mysql:8"), on("m")),
		run("h", hostNet, listening("8")), run("cache", img("redis:7"), publish("6379", "127.0.0.1")),
		run("i", publish("9"), on("o"), volumes(mount.Mount{Type: "volume", Source: "v", Target: "/v"})), run("j", root, listening("1"), privileged, on("o")),
		run("k", root, privileged, volumes(mount.Mount{Type: "volume", Source: "v", Target: "/v"})),
		run("l", root, privileged, img("x/l", "x/l@sha256:1")),
		engineHost(warning("WARNING: API is accessible on http://0.0.0.0:2375 without encryption."), func(h *host.Host) { h.Info.KernelVersion = "5.15.0-1050-azure" }),
	}
	for _, p := range mapOf(all...).Paths() {
		for _, s := range append(p.Steps(), p.Also()...) {
			followed[s.Rule.ID] = true
			if len(s.Grounds) == 0 {
				t.Errorf("%s rests on nothing", s.Rule.ID)
			}
		}
	}
	for _, r := range Rules() {
		if !followed[r.ID] {
			t.Errorf("nothing follows %s", r.ID)
		}
		if !strings.HasPrefix(r.ID, "path-") || r.Title == "" || len(r.Refs) == 0 {
			t.Errorf("rule %+v is not complete", r)
		}
	}
}

func TestFindingsOfTheHost(t *testing.T) {
	h := engineHost()
	found := func(id, key string) checks.Finding {
		return checks.Finding{Check: &checks.Check{ID: id}, Severity: checks.Critical, Key: key, Evidence: []checks.Evidence{{Source: "docker info", Detail: "1.1.4"}}}
	}
	m := mapOf(run("web", publish("80"), root))
	m.Put(h, &checks.Report{Subject: h.Ref(), Findings: []checks.Finding{found("runc-escape-cve", "CVE-2024-21626"), found("host-docker-group-members", "")}})
	want := []string{
		"critical network: published-port runtime-escape → takeover of harbour",
		"high account: docker-group → takeover of harbour",
	}
	if got := lines(m); !slices.Equal(got, want) {
		t.Errorf("paths are %q", got)
	}
}

func TestComposeFiles(t *testing.T) {
	f, err := compose.Parse("/src/compose.yaml", "compose.yaml", []byte(`
services:
  web:
    image: acme/web:1
    ports: ["80:80"]
  db:
    image: postgres:16
  agent:
    image: acme/agent:1
    ports: ["9000:9000"]
    privileged: true
    user: root
`))
	if err != nil {
		t.Fatal(err)
	}
	m := mapOf(f)
	want := []string{
		"critical network: published-port privileged → takeover of ",
		"high network: published-port datastore → data of db",
	}
	if got := lines(m); !slices.Equal(got, want) {
		t.Fatalf("paths are %q", got)
	}
	p := m.Paths()[0]
	if !p.Planned || p.Steps()[0].Grounds[0].Key != "agent/9000:9000/tcp" || p.Steps()[1].Grounds[1].Key != "agent" {
		t.Errorf("path is %+v", p)
	}
	// What runs from the file tells how it really is.
	m.Put(run("src-web-1", publish("80"), func(c *container.Container) {
		c.Settings.Config.Labels = map[string]string{container.ComposeFilesLabel: "/src/compose.yaml,/src/override.yaml"}
	}), &checks.Report{})
	if got := lines(m); len(got) != 0 {
		t.Errorf("beside running containers the file tells %q", got)
	}
}

func TestCuts(t *testing.T) {
	m := mapOf(
		run("web", publish("80"), root, binds(sock), on("n")),
		run("api", publish("81"), root, privileged, binds(sock), on("m")),
		run("db", img("postgres:16"), on("n")), engineHost())
	fixable := func(g Ground) bool { return g.Check == "container-docker-socket-mounted" }
	of := func(name string) *Path {
		for i := range m.Paths() {
			if p := &m.Paths()[i]; p.Steps()[0].At.Name() == name {
				return p
			}
		}
		t.Fatalf("no path through %s", name)
		return nil
	}
	cut := m.Cuts(of("web"), fixable)[0]
	if cut.Ground.Check != "container-docker-socket-mounted" || !cut.Ends {
		t.Errorf("best cut is %+v", cut)
	}
	// Without the socket the way to the data behind web shows.
	left := []string{}
	for _, p := range cut.Left {
		left = append(left, string(p.Impact)+" "+p.Target.Name())
	}
	if want := []string{"takeover harbour", "data db"}; !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	// No single fix inside of api ends its path, so its port is what is left.
	cuts := m.Cuts(of("api"), fixable)
	if best := cuts[0]; best.Ground.Check != "container-port-on-all-interfaces" || !best.Ends {
		t.Errorf("best cut of two ways is %+v", best)
	}
	for _, c := range cuts[1:] {
		if c.Ends {
			t.Errorf("%s alone is said to end the path", c.Ground.Check)
		}
	}
	// The map itself is as it was.
	if n := len(m.Paths()); n != 2 {
		t.Errorf("%d paths after cuts were tried", n)
	}
}

// TestMapIsIncremental holds that what did not change leads to no search, and
// that a map that was changed tells the same as a new one.
func TestMapIsIncremental(t *testing.T) {
	web, db, h := run("web", publish("80"), root, privileged), run("db", img("postgres:16"), publish("5432")), engineHost()
	m := mapOf(web, db, h)
	m.Paths()
	before := m.Changes()
	again := run("web", publish("80"), root, privileged)
	again.Inspect.State.Health = &dockercontainer.Health{Status: "unhealthy"}
	m.Put(again, &checks.Report{})
	m.Put(engineHost(), &checks.Report{})
	m.Put(&container.Container{Settings: checks.Settings{Name: "half"}}, &checks.Report{})
	m.Remove(checks.Ref{Kind: checks.Container, ID: "never seen"})
	if m.Changes() != before || !m.fresh {
		t.Errorf("%d changes of facts, though none changed", m.Changes()-before)
	}
	m.Put(run("web", publish("80")), &checks.Report{})
	m.Remove(db.Ref())
	m.Put(run("job", root, privileged), &checks.Report{})
	m.Put(run("job", root, privileged, stopped), &checks.Report{})
	if got, want := lines(m), lines(mapOf(run("web", publish("80")), h)); !slices.Equal(got, want) {
		t.Errorf("changed map %q, new map %q", got, want)
	}
	m.Put(web, &checks.Report{})
	m.Remove(h.Ref())
	if got, want := lines(m), lines(mapOf(web)); !slices.Equal(got, want) || len(got) != 1 {
		t.Errorf("changed map %q, new map %q", got, want)
	}
}

func TestEquation(t *testing.T) {
	m := mapOf(run("web\x1b[2J", publish("80"), root, binds(sock)), engineHost())
	p := m.Paths()[0]
	if got, want := p.Equation(nil), "port 80 on all interfaces + runs as root + engine socket = takeover of the host"; got != want {
		t.Errorf("equation is %q, want %q", got, want)
	}
	if got := p.From().String() + p.Steps()[0].Message.String(); strings.Contains(got, "\x1b") {
		t.Errorf("hostile name reaches %q", got)
	}
}

// TestNoSecretIsTold looks for values of the environment in all that is said.
func TestNoSecretIsTold(t *testing.T) {
	m := mapOf(run("web", publish("80"), env("API_TOKEN=c4nary-not-real-0815", "DATABASE_URL=postgres://app:c4nary-not-real-0815@db/app")), engineHost())
	if len(m.Paths()) == 0 {
		t.Fatal("no path")
	}
	for _, p := range m.Paths() {
		if text := fmt.Sprintf("%+v %+v %s", p.Steps(), p.Also(), p.Equation(nil)); strings.Contains(text, "c4nary") {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

// large is a world of n containers on four networks, every third published.
func large(n int) []checks.Subject {
	all := []checks.Subject{engineHost()}
	for i := range n {
		c := run(fmt.Sprintf("service-%04d", i), on(fmt.Sprintf("net%d", i%4)), listening("80"))
		switch {
		case i%3 == 0:
			publish(fmt.Sprint(10000 + i))(c)
		case i%10 == 1:
			root(c)
			binds(sock)(c)
		case i%7 == 1:
			img("postgres:16")(c)
		}
		all = append(all, c)
	}
	return all
}

// effect returns what a change of subjects does to the paths among them.
func effect(all []checks.Subject, now, after []checks.Subject) (cut, opened []string) {
	e := mapOf(all...).Effect(now, after)
	for i := range e.Cut {
		cut = append(cut, e.Cut[i].What().String())
	}
	for i := range e.New {
		opened = append(opened, e.New[i].What().String())
	}
	return cut, opened
}

func TestEffect(t *testing.T) {
	front := run("front", on("shop"), listening("80"), publish("80"), root, binds(sock))
	tame := run("front", on("shop"), listening("80"), publish("80"))
	db := run("db", on("shop"), img("postgres:17"))
	all := []checks.Subject{engineHost(), front, db}
	m := mapOf(all...)
	n := len(m.Paths())
	cut, opened := effect(all, []checks.Subject{front}, []checks.Subject{tame})
	if fmt.Sprint(cut) != "[takeover of the host]" || fmt.Sprint(opened) != "[the data of db]" {
		t.Errorf("without the socket: cut %s, opened %s of %d", cut, opened, n)
	}
	away := run("db", on("store"), img("postgres:17"))
	cut, opened = effect([]checks.Subject{engineHost(), tame, db}, nil, []checks.Subject{away})
	if fmt.Sprint(cut) != "[the data of db]" || len(opened) > 0 {
		t.Errorf("with a network of its own: cut %s, opened %s", cut, opened)
	}
	if cut, opened = effect(all, nil, nil); len(cut)+len(opened) > 0 {
		t.Errorf("nothing changes: cut %s, opened %s", cut, opened)
	}
	m.Effect(nil, []checks.Subject{tame})
	if len(m.Paths()) != n {
		t.Error("asking has changed something")
	}
}

// What runs of a compose file is as the file would make it.
func TestEffectOfFile(t *testing.T) {
	parse := func(ports string) *compose.File {
		f, err := compose.Parse("/src/compose.yaml", "compose.yaml", []byte("services:\n  front:\n    image: acme/front:1\n    ports: ["+ports+"]\n    volumes: [/var/run/docker.sock:/var/run/docker.sock]\n"))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	running := run("front", on("shop"), listening("80"), publish("80"), root, binds(sock))
	running.Settings.Config.Labels = map[string]string{container.ComposeFilesLabel: "/src/compose.yaml"}
	open, closed := parse(`"80:80"`), parse("")
	for name, known := range map[string][]checks.Subject{"looked at": {engineHost(), running, open}, "only what runs of it": {engineHost(), running}} {
		cut, opened := effect(known, []checks.Subject{open}, []checks.Subject{closed})
		if fmt.Sprint(cut) != "[takeover of the host]" || len(opened) > 0 {
			t.Errorf("%s: cut %s, opened %s", name, cut, opened)
		}
	}
}

// BenchmarkEffect is what a plan costs that hardens a hundred of 1,000.
func BenchmarkEffect(b *testing.B) {
	all := large(1000)
	m := mapOf(all...)
	m.Paths()
	var after []checks.Subject
	for i := range 100 {
		after = append(after, run(fmt.Sprintf("service-%04d", i*10), on("net0"), listening("80")))
	}
	for b.Loop() {
		e := m.Effect(nil, after)
		b.ReportMetric(float64(len(e.Cut)), "cut")
	}
}

// BenchmarkChangeOfOne is what one changed container costs among 1,000: its
// facts, and the search when they differ. Plain is what parsing its inspection
// alone costs, for comparison.
func BenchmarkChangeOfOne(b *testing.B) {
	m := mapOf(large(1000)...)
	m.Paths()
	one, other := run("service-0500", on("net0"), listening("80")), run("service-0500", on("net0"), listening("80"), root)
	report := &checks.Report{}
	b.Run("same facts", func(b *testing.B) {
		m.Put(one, report)
		m.Paths()
		for b.Loop() {
			m.Put(one, report)
			m.Paths()
		}
	})
	b.Run("other facts", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if i%2 == 0 {
				m.Put(one, report)
			} else {
				m.Put(other, report)
			}
			m.Paths()
		}
		b.ReportMetric(float64(len(m.Paths())), "paths")
	})
}
