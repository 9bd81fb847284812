package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/suite"
)

// A specimen is a container that somebody made, and what a human says is wrong
// with it: every finding of medium severity and above, written down before any
// check was run. A specimen is sound but for what change does to it.
type specimen struct {
	name   string
	change func(*made)
	starts bool // it is run, on a real engine only
	want   string
}

// made is what a specimen is made from.
type made struct {
	prefix string
	image  string // without the prefix
	config api.Config
	host   api.HostConfig
}

func soundlyMade(prefix string) *made {
	pids := int64(50)
	return &made{
		prefix: prefix, image: "app:1",
		config: api.Config{User: "1000:1000", Cmd: []string{"sleep", "600"}},
		host: api.HostConfig{
			NetworkMode: "none", ReadonlyRootfs: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
			LogConfig: api.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m"}},
			Resources: api.Resources{Memory: 64 << 20, MemorySwap: 64 << 20, NanoCPUs: 5e8, PidsLimit: &pids},
		},
	}
}

func (m *made) env(vars ...string)         { m.config.Env = vars }
func (m *made) add(capabilities ...string) { m.host.CapAdd = capabilities }
func (m *made) binds(b ...string)          { m.host.Binds = b }
func (m *made) security(opts ...string) {
	m.host.SecurityOpt = append(opts, m.host.SecurityOpt...)
}

func (m *made) device(path string) {
	m.host.Devices = []api.DeviceMapping{{PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm"}}
}

// publish puts the container on a network of the test and publishes ports:
// "8080:80", "127.0.0.1:8080:80".
func (m *made) publish(ports ...string) {
	m.host.NetworkMode = api.NetworkMode(m.prefix + "net")
	m.host.PortBindings = network.PortMap{}
	m.config.ExposedPorts = network.PortSet{}
	for _, p := range ports {
		parts := strings.Split(p, ":")
		inside := network.MustParsePort(parts[len(parts)-1] + "/tcp")
		b := network.PortBinding{HostPort: parts[len(parts)-2]}
		if len(parts) == 3 {
			b.HostIP = netip.MustParseAddr(parts[0])
		}
		m.host.PortBindings[inside] = append(m.host.PortBindings[inside], b)
		m.config.ExposedPorts[inside] = struct{}{}
	}
	m.host.Ulimits = []*api.Ulimit{{Name: "nofile", Soft: 1024, Hard: 1024}}
}

func (m *made) compose(service string) {
	m.config.Labels = map[string]string{
		"com.docker.compose.project": "hostile", "com.docker.compose.service": service,
		"com.docker.compose.project.config_files": "/srv/hostile/compose.yaml", "com.docker.compose.project.working_dir": "/srv/hostile",
	}
}

const canary = "not-a-real-canary-7f3a91c4"

var specimens = []specimen{
	{"sound", func(m *made) {}, false, ""},
	{"ordinary", func(m *made) {
		m.config = api.Config{Cmd: m.config.Cmd}
		m.host = api.HostConfig{NetworkMode: "none"}
	}, false, "runs-as-root capabilities-not-dropped new-privileges-allowed memory-unlimited pids-unlimited log-unbounded"},

	{"root", func(m *made) { m.config.User = "" }, false, "runs-as-root"},
	{"root-number", func(m *made) { m.config.User = "0:1000" }, false, "runs-as-root"},
	{"privileged", func(m *made) { m.host.Privileged = true }, false, "privileged"},
	{"privileged-root", func(m *made) { m.host.Privileged, m.host.CapDrop, m.config.User = true, nil, "root" }, false, "privileged runs-as-root"},
	{"cap-admin", func(m *made) { m.add("SYS_ADMIN") }, false, "cap-escape-class"},
	{"cap-prefix", func(m *made) { m.add("CAP_SYS_MODULE") }, false, "cap-escape-class"},
	{"cap-all", func(m *made) { m.add("ALL") }, false, "cap-escape-class"},
	{"cap-net", func(m *made) { m.add("NET_ADMIN") }, false, "capabilities-added"},
	{"cap-net-host", func(m *made) { m.add("NET_ADMIN"); m.host.NetworkMode = "host" }, false, "cap-escape-class network-host"},
	{"cap-two", func(m *made) { m.add("SYS_PTRACE", "SYS_TIME") }, false, "cap-escape-class capabilities-added"},
	{"cap-default", func(m *made) { m.add("CHOWN", "SETUID") }, false, ""},
	{"cap-kept", func(m *made) { m.host.CapDrop = nil }, false, "capabilities-not-dropped"},
	{"cap-one-dropped", func(m *made) { m.host.CapDrop = []string{"NET_RAW"} }, false, ""},
	{"new-privileges", func(m *made) { m.host.SecurityOpt = nil }, false, "new-privileges-allowed"},
	{"new-privileges-off", func(m *made) { m.host.SecurityOpt = []string{"no-new-privileges:false"} }, false, "new-privileges-allowed"},
	{"seccomp", func(m *made) { m.security("seccomp=unconfined") }, false, "seccomp-unconfined"},
	{"unmasked", func(m *made) { m.host.MaskedPaths, m.host.ReadonlyPaths = []string{}, []string{} }, false, "system-paths-unmasked"},
	{"userns", func(m *made) { m.host.UsernsMode = "host" }, false, ""}, // the engine remaps nobody
	{"pid", func(m *made) { m.host.PidMode = "host" }, false, "pid-host"},
	{"ipc", func(m *made) { m.host.IpcMode = "host" }, false, "ipc-host"},
	{"uts", func(m *made) { m.host.UTSMode = "host" }, false, "uts-host"},
	{"all-of-host", func(m *made) { m.host.PidMode, m.host.IpcMode, m.host.NetworkMode = "host", "host", "host" }, false, "pid-host ipc-host network-host"},
	{"disk", func(m *made) { m.device("/dev/sda") }, false, "devices-exposed"},
	{"serial", func(m *made) { m.device("/dev/ttyUSB0") }, false, "devices-exposed"},
	{"null-device", func(m *made) { m.device("/dev/null") }, false, ""},
	{"device-rule", func(m *made) { m.host.DeviceCgroupRules = []string{"b *:* rwm"} }, false, "devices-exposed"},
	{"sysctl", func(m *made) { m.host.Sysctls = map[string]string{"net.ipv4.conf.all.accept_redirects": "1"} }, false, ""},

	{"socket", func(m *made) { m.binds("/var/run/docker.sock:/var/run/docker.sock:ro") }, false, "docker-socket-mounted"},
	{"socket-folder", func(m *made) { m.binds("/var/run:/host/run:ro") }, false, "docker-socket-mounted"},
	{"containerd", func(m *made) { m.binds("/run/containerd/containerd.sock:/c.sock") }, false, "docker-socket-mounted"},
	{"whole-host", func(m *made) { m.binds("/:/host:ro") }, false, "docker-socket-mounted sensitive-host-path"},
	{"etc", func(m *made) { m.binds("/etc:/host/etc") }, false, "sensitive-host-path"},
	{"proc", func(m *made) { m.binds("/proc:/host/proc:ro") }, false, "sensitive-host-path"},
	{"engine-data", func(m *made) { m.binds("/var/lib/docker:/d:ro") }, false, "sensitive-host-path"},
	{"clock", func(m *made) { m.binds("/etc/localtime:/etc/localtime:ro") }, false, ""},
	{"ssh-keys", func(m *made) { m.binds("/home/me/.ssh:/keys:ro") }, false, "user-secrets-mounted"},
	{"cloud-keys", func(m *made) { m.binds("/root/.aws:/aws") }, false, "user-secrets-mounted"},
	{"shared-mount", func(m *made) { m.binds("/srv:/srv:rshared") }, false, "mount-propagation-shared"},
	{"data-nameless", func(m *made) { m.config.Volumes = map[string]struct{}{"/var/lib/mysql": {}} }, false, "data-in-writable-layer"},
	{"cache-nameless", func(m *made) { m.config.Volumes = map[string]struct{}{"/var/cache/app": {}} }, false, ""},
	{"named", func(m *made) { m.binds(m.prefix + "data:/var/lib/mysql") }, false, ""},

	{"secret-env", func(m *made) { m.env("DB_PASSWORD=" + canary) }, false, "secret-in-env"},
	{"secrets-env", func(m *made) {
		m.env("API_TOKEN="+canary, "DATABASE_URL=postgres://app:"+canary+"@db/app", "MODE=fast")
	}, false, "secret-in-env secret-in-env"},
	{"secret-elsewhere", func(m *made) { m.env("DB_PASSWORD_FILE=/run/secrets/db", "PUBLIC_KEY=abc") }, false, ""},
	{"secret-args", func(m *made) { m.config.Cmd = []string{"serve", "--password", canary} }, false, "secret-in-args"},
	{"secret-label", func(m *made) { m.config.Labels = map[string]string{"acme.api_token": canary} }, false, "secret-in-args"},
	{"secret-health", func(m *made) {
		m.config.Healthcheck = &api.HealthConfig{Test: []string{"CMD-SHELL", "ping --password=" + canary}}
	}, false, "secret-in-args"},

	{"memory", func(m *made) { m.host.Memory, m.host.MemorySwap = 0, 0 }, false, "memory-unlimited"},
	{"pids", func(m *made) { m.host.PidsLimit = nil }, false, "pids-unlimited"},
	{"swap", func(m *made) { m.host.MemorySwap = -1 }, false, ""},
	{"oom-score", func(m *made) { m.host.OomScoreAdj = -900 }, false, "oom-protection-abused"},
	{"oom-off", func(m *made) { yes := true; m.host.OomKillDisable = &yes }, false, "oom-protection-abused"},
	{"log", func(m *made) { m.host.LogConfig.Config = nil }, false, "log-unbounded"},
	{"log-local", func(m *made) { m.host.LogConfig = api.LogConfig{Type: "local"} }, false, ""},

	{"port", func(m *made) { m.publish("18080:80") }, false, "port-on-all-interfaces"},
	{"ports", func(m *made) { m.publish("18081:80", "18082:81", "127.0.0.1:18083:82") }, false, "port-on-all-interfaces port-on-all-interfaces"},
	{"port-local", func(m *made) { m.publish("127.0.0.1:18084:80") }, false, ""},
	{"redis", func(m *made) { m.publish("16379:6379") }, false, "datastore-port-public"},
	{"database-image", func(m *made) { m.image = "x/postgres:17"; m.publish("192.0.2.1:15000:5000") }, false, "datastore-port-public"},
	{"publish-all", func(m *made) { m.publish("127.0.0.1:18085:80"); m.host.PublishAllPorts = true }, false, "port-on-all-interfaces"},
	{"host-network", func(m *made) { m.host.NetworkMode = "host" }, false, "network-host"},

	{"compose-web", func(m *made) { m.compose("web"); m.publish("18086:80"); m.config.User = "root" }, false, "port-on-all-interfaces runs-as-root"},
	{"compose-db", func(m *made) {
		m.compose("db")
		m.image, m.host.NetworkMode = "x/postgres:17", api.NetworkMode(m.prefix+"net")
		m.env("POSTGRES_PASSWORD=" + canary)
	}, false, "secret-in-env"},
	{"compose-proxy", func(m *made) { m.compose("proxy"); m.binds("/run/docker.sock:/s") }, false, "docker-socket-mounted"},

	{"running", func(m *made) {}, true, ""},
	{"unhealthy", func(m *made) {
		m.config.Healthcheck = &api.HealthConfig{Test: []string{"CMD", "false"}, Interval: time.Second, Retries: 1}
	}, true, "unhealthy"},
	{"crashing", func(m *made) { m.config.Cmd = []string{"false"}; m.host.RestartPolicy.Name = "always" }, true, "crash-looping"},
	{"miner", func(m *made) { m.config.Cmd = []string{"sh", "-c", "sleep 600; : stratum+tcp://pool.example:3333"} }, true, "unexpected-process"},
	{"backdoor", func(m *made) { m.config.Cmd = []string{"sh", "-c", "sleep 600; : >/dev/tcp/192.0.2.1/4444"} }, true, "unexpected-process"},
	{"drifted", func(m *made) {
		m.config.User, m.host.ReadonlyRootfs = "", false
		m.config.Cmd = []string{"sh", "-c", "echo " + canary + "; cp /bin/busybox /usr/bin/nmap; exec sleep 600"}
	}, true, "runs-as-root file-drift"},
	{"entered", func(m *made) {}, true, "exec-root"},
}

func TestHostileContainers(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		s := dockertest.Run(t)
		prefix := "hostile-"
		for _, image := range []string{"app:1", "x/postgres:17"} {
			s.AddImage(dockertest.Image{Tags: []string{prefix + image}})
		}
		judgeSpecimens(t, caller(t, s), s.Host(), prefix, false)
	})
	t.Run("real", func(t *testing.T) {
		c := dockertest.Real(t)
		prefix := dockertest.Prefix(t, c)
		dockertest.Busybox(t, c, prefix, "app:1")
		if _, err := c.ImageTag(t.Context(), client.ImageTagOptions{Source: prefix + "app:1", Target: prefix + "x/postgres:17"}); err != nil {
			t.Fatal(err)
		}
		judgeSpecimens(t, c, c.DaemonHost(), prefix, true)
	})
}

func judgeSpecimens(t *testing.T, c *client.Client, host, prefix string, real bool) {
	ctx := t.Context()
	if _, err := c.NetworkCreate(ctx, prefix+"net", client.NetworkCreateOptions{Driver: "bridge", Internal: true}); err != nil {
		t.Fatal(err)
	}
	var names []string
	want := map[string]string{}
	for _, s := range specimens {
		if s.starts && !real {
			continue
		}
		m := soundlyMade(prefix)
		s.change(m)
		name := prefix + s.name
		m.config.Image = prefix + m.image
		created, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: &m.config, HostConfig: &m.host})
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if s.starts {
			if _, err := c.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
				t.Errorf("%s: %v", s.name, err)
				continue
			}
		}
		names, want[name] = append(names, name), s.want
	}
	if real {
		waitForSpecimens(t, c, prefix)
	}
	found, err := engineOf(t, host).Gather(ctx, Selection{Containers: names, Closely: true})
	if err != nil {
		t.Fatal(err)
	}
	limited, err := limitsLogs(ctx, c, prefix+"log")
	if err != nil {
		t.Fatal(err)
	}
	agree := 0
	for _, item := range found {
		for _, err := range item.Report.Errors {
			t.Errorf("%s: %v", item.Ref.Name, err)
		}
		got, expected := worst(item), strings.Fields(want[item.Ref.Name])
		slices.Sort(expected)
		if limited {
			expected = slices.DeleteFunc(expected, func(id string) bool { return id == "log-unbounded" })
		}
		if slices.Equal(got, expected) {
			agree++
		} else {
			t.Errorf("%s: found %q, want %q", strings.TrimPrefix(item.Ref.Name, prefix), got, expected)
		}
		if shown := everything(item); strings.Contains(shown, canary) {
			t.Errorf("%s shows the canary: %s", item.Ref.Name, shown)
		}
	}
	t.Logf("%d of %d containers are judged as expected", agree, len(names))
}

// limitsLogs reports whether daemon.json of the engine limits the logs of
// every container that does not say otherwise.
func limitsLogs(ctx context.Context, c *client.Client, silent string) (bool, error) {
	i, err := c.ContainerInspect(ctx, silent, client.ContainerInspectOptions{})
	if err != nil {
		return false, err
	}
	return i.Container.HostConfig.LogConfig.Config["max-size"] != "", nil
}

func engineOf(t *testing.T, host string) *Inventory {
	return New(Options{Target: target(t, host), Suite: suite.All()})
}

// worst returns the checks that found something of medium severity or above,
// without the beginning that all have in common.
func worst(item Item) []string {
	var ids []string
	for _, f := range item.Report.Findings {
		if f.Severity >= checks.Medium {
			ids = append(ids, strings.TrimPrefix(f.Check.ID, "container-"))
		}
	}
	slices.Sort(ids)
	return ids
}

// everything is all text of the findings of item.
func everything(item Item) string {
	var b strings.Builder
	for _, f := range item.Report.Findings {
		fmt.Fprintln(&b, f.Key, f.Message.String(), f.Evidence)
		for _, fix := range f.Fixes {
			fmt.Fprintln(&b, fix.Title.String(), fix.Caution.String())
			for _, choice := range fix.Choices {
				fmt.Fprintln(&b, choice.Label.String(), choice.Why.String(), choice.Default)
			}
		}
	}
	return b.String()
}

// waitForSpecimens waits until those that do something have done it.
func waitForSpecimens(t *testing.T, c *client.Client, prefix string) {
	t.Helper()
	exec, err := c.ExecCreate(t.Context(), prefix+"entered", client.ExecCreateOptions{User: "0", Cmd: []string{"sleep", "600"}})
	if err == nil {
		_, err = c.ExecStart(t.Context(), exec.ID, client.ExecStartOptions{Detach: true})
	}
	if err != nil {
		t.Errorf("entering a container: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	state := func(name string, done func(api.InspectResponse) bool) {
		for {
			i, err := c.ContainerInspect(ctx, prefix+name, client.ContainerInspectOptions{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if done(i.Container) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	state("unhealthy", func(i api.InspectResponse) bool {
		return i.State.Health != nil && i.State.Health.Status == api.Unhealthy
	})
	state("crashing", func(i api.InspectResponse) bool { return i.RestartCount >= 3 })
	state("drifted", func(api.InspectResponse) bool {
		diff, err := c.ContainerDiff(ctx, prefix+"drifted", client.ContainerDiffOptions{})
		return err != nil || slices.ContainsFunc(diff.Changes, func(f api.FilesystemChange) bool { return f.Path == "/usr/bin/nmap" })
	})
	state("entered", func(api.InspectResponse) bool {
		top, err := c.ContainerTop(ctx, prefix+"entered", client.ContainerTopOptions{})
		return err != nil || len(top.Processes) == 2
	})
}
