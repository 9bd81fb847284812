package container

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// expose publishes a port of the container, and lets its image expose others.
func expose(c *Container, inside, hostIP, hostPort string, exposed ...string) {
	b := network.PortBinding{HostPort: hostPort}
	if hostIP != "" {
		b.HostIP = netip.MustParseAddr(hostIP)
	}
	c.Settings.Host.PortBindings = network.PortMap{port(inside): {b}}
	c.Image.Config.ExposedPorts = map[string]struct{}{}
	for _, e := range exposed {
		c.Image.Config.ExposedPorts[e] = struct{}{}
	}
}

var networkCases = []testCase{
	{"database for all", func(c *Container) { expose(c, "5432/tcp", "", "5432") },
		[]string{"container-datastore-port-public 5432:5432/tcp"}},
	{"database for a network", func(c *Container) { expose(c, "6379/tcp", "192.0.2.1", "7000") }, []string{"container-datastore-port-public 7000:6379/tcp"}},
	{"database by its image", func(c *Container) {
		expose(c, "8080/tcp", "192.0.2.1", "8080")
		c.Settings.Image, c.Settings.Host.BlkioWeight = "adminer:4", 300
	}, []string{"container-datastore-port-public 8080:8080/tcp"}},
	{"database for this machine", func(c *Container) { expose(c, "5432/tcp", "127.0.0.1", "5432") }, nil},
	{"database bound by the engine", func(c *Container) {
		expose(c, "5432/tcp", "", "5432")
		c.Inspect.NetworkSettings.Ports = network.PortMap{port("5432/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "5432"}}}
	}, nil},
	{"database on no network", func(c *Container) {
		expose(c, "5432/tcp", "", "5432")
		c.Settings.Host.NetworkMode, c.Settings.Networks = "none", nil
	}, nil},
	{"port of ssh", func(c *Container) { expose(c, "2222/tcp", "127.0.0.1", "22") }, []string{"container-privileged-port 22:2222/tcp"}},
	{"port of the web", func(c *Container) { expose(c, "8080/tcp", "127.0.0.1", "443") }, nil},
	{"port that is not exposed", func(c *Container) { expose(c, "9000/tcp", "127.0.0.1", "9000", "80/tcp") }, []string{"container-port-unneeded 9000:9000/tcp"}},
	{"port that is exposed", func(c *Container) { expose(c, "80/tcp", "127.0.0.1", "9000", "80") }, nil},
	{"port of an image that exposes none", func(c *Container) { expose(c, "80/tcp", "127.0.0.1", "9000") }, nil},

	{"link", func(c *Container) { c.Settings.Host.Links = []string{"/db:/web/database"} }, []string{"container-legacy-links /db:/web/database"}},
	{"names", func(c *Container) {
		c.Settings.Host.ExtraHosts = []string{"host.docker.internal:host-gateway", "pay.example.com:192.0.2.7", "odd"}
		c.Settings.Host.DNS = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	}, []string{"container-hosts-or-dns-override dns", "container-hosts-or-dns-override pay.example.com"}},
	{"fixed address", func(c *Container) {
		c.Settings.Networks["shop"] = &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("192.0.2.9")}}
	}, []string{"container-static-mac-or-ip shop"}},
	{"address of the engine", func(c *Container) {
		c.Settings.Networks["shop"] = &network.EndpointSettings{IPAddress: netip.MustParseAddr("192.0.2.9"), IPAMConfig: &network.EndpointIPAMConfig{}}
	}, nil},
}

var stateCases = []testCase{
	{"unhealthy", func(c *Container) {
		c.Inspect.State.Health = &container.Health{Status: container.Unhealthy, FailingStreak: 3, Log: []*container.HealthcheckResult{{ExitCode: 1, Output: "refused"}}}
	}, []string{"container-unhealthy"}},
	{"healthy", func(c *Container) { c.Inspect.State.Health = &container.Health{Status: container.Healthy} }, nil},
	{"was unhealthy", func(c *Container) {
		c.Inspect.State = &container.State{Status: container.StateExited, Health: &container.Health{Status: container.Unhealthy}}
	}, nil},
	{"out of memory", func(c *Container) {
		c.Inspect.State.OOMKilled = true
		c.Observed = &Observed{MemoryPeak: 64 << 20}
	}, []string{"container-limit-too-tight memory", "container-oom-killed"}},
	{"out of memory, far from the limit", func(c *Container) { c.Inspect.State.OOMKilled = true }, []string{"container-oom-killed"}},
	{"no tag", func(c *Container) { c.Settings.Image = "registry.example:5000/shop" }, []string{"container-image-mutable-ref"}},
	{"latest", func(c *Container) { c.Settings.Image = "shop:latest" }, []string{"container-image-mutable-ref"}},
	{"digest", func(c *Container) { c.Settings.Image = "shop@sha256:1" }, nil},
	{"id", func(c *Container) { c.Settings.Image = "0123456789ab" }, nil},
	{"old", func(c *Container) { c.Inspect.Created = "2026-01-01T00:00:00Z" }, []string{"container-too-old"}},
	{"young", func(c *Container) { c.Inspect.Created = "2026-11-01T00:00:00.123Z" }, nil},
	{"left behind", func(c *Container) {
		c.Inspect.State = &container.State{Status: container.StateExited, FinishedAt: "2026-11-01T00:00:00Z"}
	}, []string{"container-stopped-leftover"}},
	{"never started", func(c *Container) {
		c.Inspect.Created = "2026-11-01T00:00:00Z"
		c.Inspect.State = &container.State{Status: container.StateCreated, FinishedAt: "0001-01-01T00:00:00Z"}
	}, []string{"container-stopped-leftover"}},
	{"just stopped", func(c *Container) {
		c.Inspect.State = &container.State{Status: container.StateExited, FinishedAt: "2026-11-24T11:00:00Z"}
	}, nil},
	{"removes itself", func(c *Container) { c.Settings.Host.AutoRemove = true }, []string{"container-attributes-unsupported auto-remove"}},
	{"image gone", func(c *Container) { c.Image = nil }, []string{"container-attributes-unsupported image"}},
	{"managed", func(c *Container) { c.Settings.Config.Labels = map[string]string{"io.kubernetes.pod.name": "x"} },
		[]string{"container-attributes-unsupported io.kubernetes.pod.name"}},
	{"managed, says the image", func(c *Container) {
		c.Settings.Config.Labels = map[string]string{"io.kubernetes.pod.name": "x"}
		c.Image.Config.Labels = c.Settings.Config.Labels
	}, nil},
}

func TestUnpublish(t *testing.T) {
	c := sound()
	expose(c, "5432/tcp", "192.0.2.1", "5432")
	p := port("5432/tcp")
	c.Settings.Host.PortBindings[p] = append(c.Settings.Host.PortBindings[p], network.PortBinding{HostPort: "6000", HostIP: netip.MustParseAddr("127.0.0.1")})
	fix := fixOf(t, c, "container-datastore-port-public", "unpublish")
	left := tryFix(t, c, fix, checks.Values{}).Settings.Host.PortBindings[p]
	if len(left) != 1 || left[0].HostPort != "6000" {
		t.Errorf("leaves %v", left)
	}
}

func TestDeviceSeverity(t *testing.T) {
	for path, want := range map[string]checks.Severity{
		"/dev/sda": checks.High, "/dev/nvme0n1p2": checks.High, "/dev/mem": checks.High, "/dev": checks.High, "/dev/mapper/root": checks.High,
		"/dev/snd": checks.Medium, "/dev/bus/usb": checks.Medium, "/dev/kmsg": checks.Medium, "/dev/net/tun": checks.Medium, "/dev/ttyUSB0": checks.Medium,
	} {
		c := sound()
		c.Settings.Host.Devices = devices(path)
		if f := judge(t, c).Findings; len(f) != 1 || f[0].Severity != want {
			t.Errorf("%s: %v", path, f)
		}
	}
}
