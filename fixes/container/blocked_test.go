package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// TestBlocked: where a replacement would destroy, or be undone, the plan says
// so and what to do instead.
func TestBlocked(t *testing.T) {
	label := func(k, v string) func(*world) {
		return func(w *world) { w.inspect().Config.Labels[k] = v }
	}
	for name, c := range map[string]struct {
		change func(*world)
		want   []string // words of the reason; none when it is not blocked
		live   []string // the same for a live change
	}{
		"nothing special": {},
		//scenario:4
		"--rm": {
			change: func(w *world) { w.inspect().HostConfig.AutoRemove = true },
			want:   []string{"--rm"},
		},
		//scenario:61
		"Swarm": {
			change: label("com.docker.swarm.service.name", "web"),
			want:   []string{"docker service update web"}, live: []string{"docker service update web"},
		},
		//scenario:61
		"Kubernetes": {change: label("io.kubernetes.pod.name", "p"), want: []string{"kubectl"}, live: []string{"kubectl"}},
		"Nomad":      {change: label("com.hashicorp.nomad.alloc_id", "p"), want: []string{"nomad job run"}, live: []string{"nomad"}},
		//scenario:61
		"systemd": {change: label("PODMAN_SYSTEMD_UNIT", "a.service"), want: []string{"systemctl restart a.service"}, live: []string{"systemctl"}},
		"Podman": {
			change: func(w *world) { w.container.Engine = &subject.Engine{Podman: true} },
			want:   []string{"podman run"}, live: []string{"podman run"},
		},
		//scenario:59
		"compose": {
			change: func(w *world) {
				label(composeProject, "shop")(w)
				label(composeService, "web")(w)
				label(composeFiles, "/srv/shop/compose.prod.yaml,/srv/other.yaml")(w)
			},
			want: []string{"security_opt", "docker compose up -d web", "compose.prod.yaml"},
		},
		//scenario:60
		"a claim of the image": {
			change: func(w *world) {
				label(composeProject, "shop")(w)
				w.container.Image.Config.Labels = map[string]string{composeProject: "shop"}
			},
		},
		"compose run": {change: label(composeOneOff, "True"), want: []string{"docker compose run"}},
		//scenario:62
		"itself": {
			change: func(w *world) { w.self = w.inspect().ID },
			want:   []string{"would stop itself"}, live: []string{"would stop itself"},
		},
		//scenario:62
		"proxy": {
			change: func(w *world) { w.host = "tcp://" + w.name() + ":2375" },
			want:   []string{"goes through"}, live: []string{"goes through"},
		},
		//scenario:73
		"not encrypted": {change: func(w *world) { w.plain = true }, want: []string{"not encrypted"}, live: []string{"not encrypted"}},
		//scenario:29
		"shelved original": {
			change: func(w *world) { w.container.Settings.Name = "a.plimsoll-old-1" },
			want:   []string{"kept original"}, live: []string{"kept original"},
		},
		"paused":     {change: func(w *world) { w.inspect().State.Paused = true }, want: []string{"docker unpause"}, live: []string{"docker unpause"}},
		"restarting": {change: func(w *world) { w.inspect().State.Restarting = true }, want: []string{"docker stop"}, live: []string{"docker stop"}},
		//scenario:46
		"unknown setting": {
			change: func(w *world) { w.unknown = []string{"HostConfig.Novelty"} },
			want:   []string{"HostConfig.Novelty"},
		},
		//scenario:38
		"hardware address": {change: func(w *world) { w.mac = "02:42:00:00:00:01" }, want: []string{"02:42:00:00:00:01"}},
		"image gone":       {change: func(w *world) { w.container.Image = nil }, want: []string{"no longer on the engine"}},
		//scenario:10
		"bind source gone": {change: func(w *world) { w.missing = []string{"/srv/x"} }, want: []string{"/srv/x"}},
		//scenario:30
		"network gone": {
			change: func(w *world) { w.container.Settings.Networks["lost"] = &network.EndpointSettings{NetworkID: "1"} },
			want:   []string{"no longer exist", "lost"},
		},
		"network donor": {change: dependant(func(h *api.HostConfig, id string) { h.NetworkMode = api.NetworkMode("container:" + id) }), want: []string{"sidecar"}},
		"ipc donor":     {change: dependant(func(h *api.HostConfig, id string) { h.IpcMode = api.IpcMode("container:" + id) }), want: []string{"sidecar"}},
		"pid donor":     {change: dependant(func(h *api.HostConfig, id string) { h.PidMode = api.PidMode("container:" + id) }), want: []string{"sidecar"}},
		"linked":        {change: dependant(func(h *api.HostConfig, _ string) { h.Links = []string{"/test-app:/sidecar/db"} }), want: []string{"sidecar"}},
		"volumes from":  {change: dependant(func(h *api.HostConfig, id string) { h.VolumesFrom = []string{id} })},
		"hostile name": {
			change: func(w *world) { w.missing = []string{"/srv/\x1b[2J"} },
			want:   []string{"/srv/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, func(w *world) {
				w.inspect().Config.Labels = map[string]string{}
				if c.change != nil {
					c.change(w)
				}
			})
			for _, try := range []struct {
				id   string
				want []string
			}{{"container-new-privileges-allowed", c.want}, {"container-pids-unlimited", c.live}} {
				p, err := w.plan(requestFor(t, w, try.id))
				if err != nil {
					t.Fatal(err)
				}
				blocked := p.Blocked.String()
				if len(try.want) == 0 && blocked != "" {
					t.Errorf("%s is blocked: %s", try.id, blocked)
				}
				for _, word := range try.want {
					if !strings.Contains(blocked, word) {
						t.Errorf("%s: %q does not say %q", try.id, blocked, word)
					}
				}
				if strings.Contains(blocked, "\x1b") {
					t.Errorf("%q", blocked)
				}
			}
		})
	}
}

// dependant adds a container that uses the one of the world.
func dependant(change func(*api.HostConfig, string)) func(*world) {
	return func(w *world) {
		host := &api.HostConfig{}
		change(host, w.inspect().ID)
		w.all = append(w.all, api.InspectResponse{
			ID: strings.Repeat("f", 64), Name: "/sidecar", HostConfig: host, State: &api.State{}, Config: &api.Config{},
		})
	}
}

func requestFor(t *testing.T, w *world, id string) fixes.Request {
	t.Helper()
	var r fixes.Request
	for _, f := range checks.Run(w.container, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == id {
			r.Findings = append(r.Findings, f)
		}
	}
	if len(r.Findings) == 0 {
		t.Fatalf("no finding of %s", id)
	}
	return r
}

// TestComposeMayBeLimitedLive: it lasts until compose looks again.
func TestComposeMayBeLimitedLive(t *testing.T) {
	w := worldOf(t, func(w *world) { w.inspect().Config.Labels = map[string]string{composeProject: "shop"} })
	p, err := w.plan(requestFor(t, w, "container-memory-unlimited"))
	if err != nil || !p.Blocked.IsZero() {
		t.Fatalf("%v, blocked %s", err, p.Blocked)
	}
	for _, n := range p.Notes {
		if strings.Contains(n.String(), "mem_limit") {
			return
		}
	}
	t.Errorf("notes %v", p.Notes)
}

// TestNetworkDonorOnAnEngine has two containers that share a network.
func TestNetworkDonorOnAnEngine(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		id := l.run("donor", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
		l.run("sharer", client.ContainerCreateOptions{
			Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + id)},
		})
		if p := l.planFor(id, "container-new-privileges-allowed"); !strings.Contains(p.Blocked.String(), l.prefix+"sharer") {
			t.Errorf("blocked %q", p.Blocked)
		}
		// The sharer itself can be replaced.
		l.apply(l.planFor(l.prefix+"sharer", "container-new-privileges-allowed"))
		if now := l.inspect(l.prefix + "sharer"); string(now.HostConfig.NetworkMode) != "container:"+id || !now.State.Running {
			t.Errorf("mode %s", now.HostConfig.NetworkMode)
		}
	})
}

//scenario:62
func TestSelf(t *testing.T) {
	id := strings.Repeat("0a", 32)
	file := filepath.Join(t.TempDir(), "mountinfo")
	text := "22 1 0:20 / / rw - overlay overlay rw\n" +
		"500 22 254:1 /var/lib/docker/containers/" + strings.Repeat("0b", 32) + "/resolv.conf /var/lib/docker/overlay2/x/merged/etc/resolv.conf rw - ext4 /dev/vda1 rw\n" +
		"601 22 254:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := self(file); got != id {
		t.Errorf("got %q", got)
	}
	if got := self(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("got %q", got)
	}
}
