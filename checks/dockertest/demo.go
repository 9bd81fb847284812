package dockertest

import (
	"fmt"
	"net/netip"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Demo returns an engine with a small web shop that was set up carelessly:
// eight containers, most with something to find and one without. Its secrets
// are made up. It is not started yet; [Server.Live] makes it move.
func Demo(opts ...Option) *Server {
	s := New(append([]Option{WithInfo(func(i *system.Info) {
		i.ID, i.Name = "DEMO:DEMO:DEMO:DEMO:DEMO:DEMO:DEMO:DEMO:DEMO:DEMO:DEMO:DEMO", "demo-harbour"
		i.OperatingSystem, i.NCPU, i.MemTotal = "Demo Linux", 4, 8<<30
	})}, opts...)...)
	s.SetPullStep(150 * time.Millisecond)
	s.demoImages()
	s.demoNetworks()
	for _, c := range demoContainers() {
		if _, err := s.AddContainer(c); err != nil {
			panic("dockertest: the demo cannot be set up: " + err.Error())
		}
	}
	s.demoUpdates()
	s.demoCrashes()
	return s
}

const day = 24 * time.Hour

// demoImage returns an image with a history, newest step first.
func (s *Server) demoImage(tag string, age time.Duration, size int64, config v1.DockerOCIImageConfig, steps ...string) Image {
	i := Image{Tags: []string{tag}, Config: config, Created: s.clock.Now().Add(-age), Size: size}
	for n, step := range steps {
		one := image.HistoryResponseItem{ID: "<missing>", Created: i.Created.Add(-time.Duration(n) * time.Second).Unix(), CreatedBy: step}
		if n == len(steps)-1 {
			one.Size = size
		}
		i.History = append(i.History, one)
	}
	i.Layers = []string{sha(tag + " base"), sha(tag + " app")}
	i.Content = demoContent(tag)
	for len(i.Layers) < len(i.Content) {
		i.Layers = append(i.Layers, sha(fmt.Sprint(tag, " layer ", len(i.Layers))))
	}
	i.Files = map[string]string{"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\napp:x:10001:10001:app:/app:/sbin/nologin\n"}
	return i
}

func runs(user string, entrypoint []string, env []string) v1.DockerOCIImageConfig {
	return v1.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{
		User: user, Entrypoint: entrypoint, Env: append([]string{"PATH=/usr/local/bin:/usr/bin:/bin"}, env...), WorkingDir: "/app",
	}}
}

func (s *Server) demoImages() {
	proxy := s.demoImage("shop/proxy:latest", 400*day, 187<<20, runs("", []string{"/usr/sbin/proxy"}, nil),
		`ENTRYPOINT ["/usr/sbin/proxy"]`, "EXPOSE map[80/tcp:{}]", "RUN /bin/sh -c apt-get update && apt-get install -y proxy curl vim # buildkit", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	proxy.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}}
	proxy.Run = Behaviour{Memory: 21 << 20, MemoryPeak: 34 << 20, CPU: 0.04, Pids: 5, Processes: [][]string{
		{"root", "1041", "1020", "0", "06:02", "?", "00:00:03", "proxy: main process"},
		{"101", "1077", "1041", "0", "06:02", "?", "00:01:12", "proxy: worker process"},
		{"101", "1078", "1041", "0", "06:02", "?", "00:01:09", "proxy: worker process"},
	}, Changes: []container.FilesystemChange{
		{Kind: container.ChangeModify, Path: "/var/cache/proxy"}, {Kind: container.ChangeAdd, Path: "/var/cache/proxy/pages"},
		{Kind: container.ChangeModify, Path: "/run"}, {Kind: container.ChangeAdd, Path: "/run/proxy.pid"},
	}}
	proxy.Behave = proxyBehaviour(proxy.Run)
	s.AddImage(proxy)

	web := s.demoImage("shop/web:1.4", 35*day, 312<<20, runs("", []string{"node", "server.js"}, []string{"NODE_ENV=production"}),
		`ENTRYPOINT ["node" "server.js"]`, "RUN |1 NPM_TOKEN=npm_DEMOnotARealToken0123456789abcdefABCD /bin/sh -c npm ci # buildkit",
		"ARG NPM_TOKEN", "COPY . /app # buildkit", "WORKDIR /app", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	web.Run = Behaviour{Memory: 94 << 20, MemoryPeak: 131 << 20, CPU: 0.12, Pids: 11, Changes: []container.FilesystemChange{
		{Kind: container.ChangeModify, Path: "/tmp"}, {Kind: container.ChangeAdd, Path: "/tmp/sessions"},
	}}
	s.AddImage(web)

	db := s.demoImage("shop/db:14", 120*day, 240<<20, runs("", []string{"docker-entrypoint.sh"}, []string{"PGDATA=/var/lib/db"}),
		`CMD ["db"]`, "VOLUME [/var/lib/db]", "RUN /bin/sh -c useradd --system db # buildkit", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	db.Config.Cmd = []string{"db"}
	db.Config.Volumes = map[string]struct{}{"/var/lib/db": {}}
	db.Config.ExposedPorts = map[string]struct{}{"5432/tcp": {}}
	db.Run = Behaviour{Memory: 160 << 20, MemoryPeak: 420 << 20, CPU: 0.08, Pids: 14, Writes: map[string]string{"/var/lib/db/log": "ready to accept connections"}}
	s.AddImage(db)

	worker := s.demoImage("shop/worker:2", 12*day, 96<<20, runs("10001:10001", []string{"/app/worker"}, nil),
		`ENTRYPOINT ["/app/worker"]`, "USER 10001:10001", "COPY worker /app/worker # buildkit", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	worker.Run = Behaviour{Exits: true, After: 4 * time.Second, Code: 1, Memory: 18 << 20, Stderr: "cannot reach the queue at queue:5672\n"}
	s.AddImage(worker)

	runner := s.demoImage("tools/runner:3", 700*day, 540<<20, runs("root", []string{"/usr/bin/runner"}, nil),
		`ENTRYPOINT ["/usr/bin/runner"]`, "USER root", "RUN /bin/sh -c curl -sSL https://tools.example/install.sh | sh # buildkit", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	runner.Run = Behaviour{Memory: 210 << 20, MemoryPeak: 900 << 20, CPU: 0.6, Pids: 31}
	s.AddImage(runner)

	payments := s.demoImage("shop/payments:3.1.0", 5*day, 19<<20, runs("10001:10001", []string{"/app/payments"}, nil),
		`ENTRYPOINT ["/app/payments"]`, "HEALTHCHECK &{[\"CMD\" \"/app/payments\" \"health\"] \"30s\" \"3s\" \"5s\" '\\x03'}", "USER 10001:10001", "COPY /out/payments /app/payments # buildkit")
	payments.Config.Healthcheck = &v1.HealthcheckConfig{Test: []string{"CMD", "/app/payments", "health"}, Interval: 30 * time.Second, Timeout: 3 * time.Second, StartPeriod: 5 * time.Second, Retries: 3}
	payments.Digests = []string{manifest("shop/payments:3.1.0", Image{ID: "payments"})}
	payments.Run = Behaviour{Memory: 14 << 20, MemoryPeak: 22 << 20, CPU: 0.02, Pids: 8}
	s.AddImage(payments)
}

// proxyBehaviour lets the proxy fail when it is hardened too far: it starts as
// root, gives its workers another user and writes two directories.
func proxyBehaviour(usual Behaviour) func(*container.Config, *container.HostConfig) Behaviour {
	return func(c *container.Config, h *container.HostConfig) Behaviour {
		root := c.User == "" || c.User == "root" || c.User == "0"
		switch {
		case root && (!capable(h, "CAP_SETUID") || !capable(h, "CAP_SETGID")):
			return Behaviour{Exits: true, Code: 1, Stderr: "proxy: setgid(101) failed: operation not permitted\n"}
		case h.ReadonlyRootfs && !(onMount("/run/proxy.pid", c, h) && onMount("/var/cache/proxy/pages", c, h)):
			return Behaviour{Exits: true, Code: 1, Stderr: "proxy: cannot write: read-only file system\n"}
		}
		return usual
	}
}

func (s *Server) demoNetworks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addNetwork(network.Network{Name: "shop_front", Driver: "bridge", IPAM: subnet("172.20.0.0/16"), Labels: map[string]string{"com.docker.compose.network": "front", "com.docker.compose.project": "shop"}})
	s.addNetwork(network.Network{Name: "shop_back", Driver: "bridge", Internal: true, IPAM: subnet("172.21.0.0/16"), Labels: map[string]string{"com.docker.compose.network": "back", "com.docker.compose.project": "shop"}})
}

func subnet(text string) network.IPAM {
	p := netip.MustParsePrefix(text)
	return network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: p, Gateway: p.Addr().Next()}}}
}

func demoContainers() []Container {
	front := map[string]*network.EndpointSettings{"shop_front": {Aliases: []string{"web"}}}
	always := container.RestartPolicy{Name: "always"}
	pids, init := int64(100), true
	return []Container{
		{
			Name: "proxy", Age: 41 * day,
			Config: container.Config{Image: "shop/proxy:latest"},
			Host: container.HostConfig{
				Binds:         []string{"/var/run/docker.sock:/var/run/docker.sock", "/srv/shop/proxy.conf:/etc/proxy.conf:ro"},
				PortBindings:  network.PortMap{network.MustParsePort("80/tcp"): {{HostPort: "80"}}},
				RestartPolicy: always,
			},
		},
		{
			Name: "web", Age: 9 * day, Networks: front,
			Config: container.Config{
				Image: "shop/web:1.4", Env: []string{"SESSION_SECRET=demo-not-a-real-secret-4711"}, ExposedPorts: network.PortSet{network.MustParsePort("3000/tcp"): {}},
				Labels: map[string]string{"team": "storefront"},
			},
			Host: container.HostConfig{
				NetworkMode:   "shop_front",
				PortBindings:  network.PortMap{network.MustParsePort("3000/tcp"): {{HostPort: "3000"}}},
				RestartPolicy: container.RestartPolicy{Name: "unless-stopped"},
			},
		},
		{
			Name: "db", Age: 41 * day,
			Config: container.Config{Image: "shop/db:14", Env: []string{"DB_PASSWORD=demo-hunter2-not-real", "DB_NAME=shop"}},
			Host: container.HostConfig{
				PortBindings:  network.PortMap{network.MustParsePort("5432/tcp"): {{HostPort: "5432"}}},
				RestartPolicy: always,
			},
		},
		{
			Name: "worker", Age: 2 * time.Hour, Networks: map[string]*network.EndpointSettings{"shop_back": {}},
			Config: container.Config{Image: "shop/worker:2"},
			Host:   container.HostConfig{NetworkMode: "shop_back", RestartPolicy: always, Resources: container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20}},
		},
		{
			Name: "runner", Age: 200 * day,
			Config: container.Config{Image: "tools/runner:3", Env: []string{"RUNNER_TOKEN=demo-not-a-real-token-0815"}},
			Host: container.HostConfig{
				Privileged: true, PidMode: "host", NetworkMode: "host",
				Binds: []string{"/:/host", "/var/run/docker.sock:/var/run/docker.sock"},
			},
		},
		{
			Name: "payments", Age: 4 * day, Networks: map[string]*network.EndpointSettings{"shop_back": {Aliases: []string{"payments"}}},
			Config: container.Config{Image: "shop/payments:3.1.0", User: "10001:10001", Labels: map[string]string{"team": "payments"}},
			Host: container.HostConfig{
				NetworkMode: "shop_back", ReadonlyRootfs: true, Tmpfs: map[string]string{"/tmp": "rw,noexec,nosuid,nodev,size=16m"},
				CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"}, Init: &init,
				RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 5},
				LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}},
				Resources:     container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20, NanoCPUs: 5e8, PidsLimit: &pids},
			},
		},
		{
			Name: "shop-search-1", Age: 20 * day, Networks: map[string]*network.EndpointSettings{"shop_front": {Aliases: []string{"search"}}, "shop_back": {}},
			Config: container.Config{Image: "shop/web:1.4", Cmd: []string{"--search"}, Labels: map[string]string{
				"com.docker.compose.project": "shop", "com.docker.compose.service": "search", "com.docker.compose.container-number": "1",
			}},
			Host: container.HostConfig{
				NetworkMode: "shop_front", RestartPolicy: always, CapAdd: []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN"},
				Mounts:    []mount.Mount{{Type: mount.TypeVolume, Source: "shop_index", Target: "/app/index"}},
				Resources: container.Resources{Memory: 256 << 20, MemorySwap: 512 << 20},
			},
		},
		{
			Name: "db-migration", Age: 41 * day, Stopped: true,
			Config: container.Config{Image: "shop/db:14", Cmd: []string{"migrate"}, Env: []string{"DB_PASSWORD=demo-hunter2-not-real"}},
		},
	}
}

// demoUpdates moves a tag on and publishes newer images, after the containers
// were made.
func (s *Server) demoUpdates() {
	web := s.demoImage("shop/web:1.4", 2*day, 298<<20, runs("10001:10001", []string{"node", "server.js"}, []string{"NODE_ENV=production"}),
		`ENTRYPOINT ["node" "server.js"]`, "USER 10001:10001", "RUN /bin/sh -c npm ci # buildkit", "COPY . /app # buildkit", "WORKDIR /app", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	web.Layers = []string{sha("web 1.4.1 base"), sha("web 1.4.1 app")}
	web.Run = Behaviour{Memory: 90 << 20, MemoryPeak: 120 << 20, CPU: 0.1, Pids: 11}
	s.AddImage(web)
	proxy := s.demoImage("shop/proxy:latest", day, 61<<20, runs("", []string{"/usr/sbin/proxy"}, nil),
		`ENTRYPOINT ["/usr/sbin/proxy"]`, "EXPOSE map[80/tcp:{}]", "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends proxy && rm -rf /var/lib/apt/lists/* # buildkit", "/bin/sh -c #(nop) ADD file:rootfs in / ")
	proxy.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}}
	proxy.Layers = []string{sha("proxy new base"), sha("proxy new app")}
	proxy.Run = Behaviour{Memory: 19 << 20, MemoryPeak: 30 << 20, CPU: 0.03, Pids: 5}
	proxy.Behave = proxyBehaviour(proxy.Run)
	s.Publish("shop/proxy:latest", proxy)
	s.Publish("shop/web:1.4", web)
}

// demoCrashes gives the worker its past: it has been failing for hours.
func (s *Server) demoCrashes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	worker := s.names["worker"]
	worker.RestartCount, worker.failures = 212, 6
	worker.started = s.clock.Now().Add(-time.Second)
	worker.State.StartedAt, worker.State.FinishedAt, worker.State.ExitCode = stamp(worker.started), stamp(worker.started.Add(-time.Minute)), 1
	worker.touch()
}

// Live lets something small happen every few seconds until the engine is
// closed: a container restarts, somebody enters one.
func (s *Server) Live(every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopLive != nil {
		s.stopLive()
	}
	stopped := false
	var stop func()
	turn := 0
	var tick func()
	tick = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if stopped {
			return
		}
		turn++
		s.bounce(turn)
		s.meddle(turn)
		stop = s.clock.AfterFunc(every, tick)
	}
	stop = s.clock.AfterFunc(every, tick)
	s.stopLive = func() { stopped = true; stop() }
}

// settled is how long a container of the demo runs before anything happens to it:
// longer than a change of it takes to be proved.
const settled = 30 * time.Second

// bounce ends one running container that its restart policy brings back.
func (s *Server) bounce(turn int) {
	var can []*ctr
	for _, c := range s.order {
		if p := c.HostConfig.RestartPolicy; c.running() && s.clock.Now().Sub(c.started) > settled && !c.State.Restarting && !c.State.Paused && !c.doing.Exits && (p.IsAlways() || p.IsUnlessStopped()) {
			can = append(can, c)
		}
	}
	if len(can) > 0 {
		c := can[turn%len(can)]
		c.failures = 0
		s.exit(c, 0, false)
	}
}

// meddlers are what people start in the demo's containers now and then.
var meddlers = []struct {
	container string
	request   container.ExecCreateRequest
}{
	{"web", container.ExecCreateRequest{Cmd: []string{"bash"}, Tty: true, AttachStdin: true}},
	{"db", container.ExecCreateRequest{Cmd: []string{"pg_dump", "shop"}}},
	{"runner", container.ExecCreateRequest{Cmd: []string{"sh", "-c", "apt-get update && apt-get install -y nmap"}}},
	{"payments", container.ExecCreateRequest{Cmd: []string{"id"}, User: "root"}},
	{"proxy", container.ExecCreateRequest{Cmd: []string{"mount"}, Privileged: true}},
}

// meddle lets somebody start something in a container, every third turn.
func (s *Server) meddle(turn int) {
	m := meddlers[turn/3%len(meddlers)]
	c, known := s.names[m.container]
	if turn%3 != 1 || !known {
		return
	}
	if e, err := s.newExec(c, m.request); err == nil && s.startExec(e) == nil {
		s.endExec(e, 0)
	}
}
