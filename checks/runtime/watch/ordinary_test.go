package watch

import (
	"context"
	"fmt"
	"testing"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/runtime"
)

// A simulation is what an engine goes through while a clock is turned.
type simulation struct {
	*testing.T
	engine *dockertest.Server
	clock  *dockertest.ManualClock
	w      *Watcher
	seen   *witness
	ctx    context.Context
}

// simulate watches an engine in memory.
func simulate(t *testing.T, o runtime.Options) *simulation {
	t.Helper()
	s := &simulation{T: t, clock: dockertest.NewManualClock(time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)), seen: &witness{}}
	s.engine = dockertest.Run(t, dockertest.WithClock(s.clock))
	s.w = New(Options{Engine: s.engine.Client(t), Emit: s.seen.emit, Looking: true, Clock: s.clock, Monitor: runtime.NewMonitor(o)})
	ctx, stop := context.WithCancel(t.Context())
	s.ctx = ctx
	done := make(chan struct{})
	go func() { defer close(done); s.w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

// settle waits until the watcher has heard the last event, and has nothing to
// look at before the clock is turned again.
func (s *simulation) settle() {
	s.Helper()
	for end := time.Now().Add(hang); time.Now().Before(end); {
		quiet := make(chan bool, 1)
		s.w.post(s.ctx, func(context.Context) {
			_, at := s.w.look.next(s.clock.Now())
			quiet <- s.w.last >= s.lastHeard() && !s.w.look.busy && (at.IsZero() || at.After(s.clock.Now()))
		})
		if <-quiet {
			return
		}
		s.clock.Advance(0)
		time.Sleep(100 * time.Microsecond)
	}
	s.Fatal("the watcher does not come to rest")
}

// lastHeard is the time of the latest event that the watcher asked for.
func (s *simulation) lastHeard() int64 {
	var last int64
	for _, e := range s.engine.Events() {
		switch action := string(e.Action); {
		case e.Type != "container":
		case action == "start", action == "die", action == "kill", action == "destroy", action == "oom", len(action) > 11 && action[:11] == "exec_create":
			last = max(last, e.TimeNano)
		}
	}
	return last
}

// turn lets time pass.
func (s *simulation) turn(d time.Duration) {
	s.clock.Advance(d)
	s.settle()
}

func (s *simulation) do(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *simulation) exec(ref string, request api.ExecCreateRequest) {
	s.Helper()
	id, err := s.engine.Exec(ref, request)
	s.do(err)
	s.do(s.engine.ExecEnds(id, 0))
}

func row(user string, pid, parent int, command string) []string {
	return []string{user, fmt.Sprint(pid), fmt.Sprint(parent), "0", "08:00", "?", "00:00:01", command}
}

// shop starts what an ordinary project consists of: a web server with a health
// check that asks a shell, a database, and a container that runs cron.
func (s *simulation) shop() {
	s.Helper()
	image := func(tag string, cmd ...string) {
		s.engine.AddImage(dockertest.Image{Tags: []string{tag}, Config: v1.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Cmd: cmd}}})
	}
	image("web:1", "nginx")
	image("db:1", "postgres")
	image("jobs:1", "crond", "-f")
	for name, config := range map[string]api.Config{
		"web": {Image: "web:1", Healthcheck: &v1.HealthcheckConfig{Test: []string{"CMD-SHELL", "curl -fs http://localhost/ || exit 1"}, Interval: 10 * time.Second}},
		"db":  {Image: "db:1", User: "999"}, "jobs": {Image: "jobs:1"},
	} {
		made, err := s.engine.Client(s.T).ContainerCreate(s.Context(), client.ContainerCreateOptions{Name: name, Config: &config})
		s.do(err)
		_, err = s.engine.Client(s.T).ContainerStart(s.Context(), made.ID, client.ContainerStartOptions{})
		s.do(err)
	}
	s.settle()
}

// behave sets the processes of a container beside its first one.
func (s *simulation) behave(ref string, changes []api.FilesystemChange, cpu float64, more ...[]string) {
	s.Helper()
	i, err := s.w.o.Engine.ContainerInspect(s.Context(), ref, client.ContainerInspectOptions{})
	s.do(err)
	pid := i.Container.State.Pid
	rows := [][]string{row("root", pid, pid-1, i.Container.Path)}
	for _, m := range more {
		m = append([]string{}, m...)
		switch m[2] {
		case "1":
			m[2] = fmt.Sprint(pid) // a child of the first process
		case "0":
			m[2] = fmt.Sprint(pid - 1) // entered
		}
		rows = append(rows, m)
	}
	s.do(s.engine.Behave(ref, dockertest.Behaviour{Processes: rows, Changes: changes, CPU: cpu}))
}

// hour lets an ordinary hour pass, a step at a time. It begins at hour n.
func (s *simulation) hour(n int) {
	added := func(path string) api.FilesystemChange {
		return api.FilesystemChange{Kind: api.ChangeAdd, Path: path}
	}
	var cache []api.FilesystemChange
	for step := range 360 {
		pid := 50_000 + n*10_000 + step*10
		web := [][]string{row("101", 4001, 1, "nginx: worker process"), row("101", 4002, 1, "nginx: worker process")}
		switch step % 6 {
		case 1: // the health check is caught in the act
			s.do(s.engine.SetHealth("web", api.Healthy))
			web = append(web, row("root", pid, 0, "/bin/sh -c curl -fs http://localhost/ || exit 1"), row("root", pid+1, pid, "curl -fs http://localhost/"))
		case 4:
			s.do(s.engine.SetHealth("web", api.Healthy))
			cache = append(cache, added(fmt.Sprintf("/var/cache/nginx/%d", pid)))
		}
		s.behave("web", cache, 0.2, web...)
		db := [][]string{row("999", 4101, 1, "postgres: checkpointer"), row("999", pid+2, 1, "postgres: shop shop 172.18.0.3 SELECT")}
		switch step {
		case 30: // a backup by the host's cron
			s.exec("db", api.ExecCreateRequest{Cmd: []string{"pg_dump", "-U", "shop", "shop"}, AttachStdout: true})
			db = append(db, row("999", pid+3, 0, "pg_dump -U shop shop"))
		case 60: // somebody looks at a table
			s.exec("db", api.ExecCreateRequest{Cmd: []string{"psql", "-U", "shop"}, Tty: true, AttachStdin: true})
		case 61: // a script of a deployment
			s.exec("web", api.ExecCreateRequest{Cmd: []string{"sh", "-c", "nginx -t && nginx -s reload"}})
			s.exec("web", api.ExecCreateRequest{Cmd: []string{"/bin/sh", "/usr/local/bin/warm-cache"}, User: "root"})
		case 62: // a scanner asks what is installed
			s.exec("web", api.ExecCreateRequest{Cmd: []string{"dpkg", "-l"}})
			s.exec("web", api.ExecCreateRequest{Cmd: []string{"apk", "info", "-v"}})
		}
		s.behave("db", nil, 0.3, db...)
		jobs := [][]string{}
		if n > 0 && step == 200 { // what cron does was not seen in the hour before
			jobs = append(jobs, row("root", pid+4, 1, "/bin/sh -c run-parts /etc/periodic/daily"), row("root", pid+5, pid+4, "logrotate /etc/logrotate.conf"))
		}
		s.behave("jobs", nil, 0.01, jobs...)
		switch step {
		case 100: // the web server is stopped and started again
			c := s.engine.Client(s.T)
			_, err := c.ContainerRestart(s.Context(), "web", client.ContainerRestartOptions{})
			s.do(err)
		case 150: // one failure is no loop
			s.do(s.engine.Exit("jobs", 1, false))
			_, err := s.engine.Client(s.T).ContainerStart(s.Context(), "jobs", client.ContainerStartOptions{})
			s.do(err)
		}
		s.turn(10 * time.Second)
	}
}

// TestOrdinaryHours lets ordinary work happen, an hour to learn and another to
// be held to it: health checks, backups, deployments, cron, restarts. None of
// it may raise an alert; a program that was never there before must.
func TestOrdinaryHours(t *testing.T) {
	s := simulate(t, runtime.Options{})
	s.shop()
	s.hour(0)
	s.hour(1)
	if alerts := s.seen.all(); len(alerts) > 0 {
		t.Errorf("ordinary work raises %d alerts:\n%s", len(alerts), show(alerts))
	}
	s.behave("web", nil, 0.2, row("101", 4001, 1, "nginx: worker process"), row("101", 99_999, 4001, "perl -e x"))
	s.turn(2 * time.Second)
	if alerts := s.seen.all(); len(alerts) != 1 || alerts[0].Check != runtime.UnexpectedProcess || alerts[0].Key != "perl" {
		t.Errorf("what was never there before raises\n%s", show(alerts))
	}
}

// TestHealthCheckCostsNothing holds that an event of a health check leads to no
// question to the engine.
func TestHealthCheckCostsNothing(t *testing.T) {
	s := simulate(t, runtime.Options{})
	s.w.Attend(s.ctx, false)
	s.shop()
	s.do(s.engine.SetHealth("web", api.Healthy)) // the first one asks what the health check is
	s.settle()
	s.engine.Forget()
	for range 50 {
		s.do(s.engine.SetHealth("web", api.Healthy))
	}
	s.settle()
	if calls := s.engine.Calls(); len(calls) > 0 {
		t.Errorf("50 health checks lead to %v", calls)
	}
}

// TestIdle holds that nothing is asked while nothing happens and nobody looks.
func TestIdle(t *testing.T) {
	s := simulate(t, runtime.Options{})
	s.w.Attend(s.ctx, false)
	s.shop()
	s.turn(time.Second) // the first health check asks what the health check is
	s.engine.Forget()
	s.clock.Advance(time.Hour)
	s.settle()
	if calls := s.engine.Calls(); len(calls) > 0 {
		t.Errorf("an hour without events leads to %v", calls)
	}
}

// TestReconnect holds that what happens while the connection is lost is told
// afterwards.
func TestReconnect(t *testing.T) {
	s := simulate(t, runtime.Options{})
	s.w.Attend(s.ctx, false)
	s.shop()
	s.engine.Drop()
	_, err := s.engine.Exec("web", api.ExecCreateRequest{Cmd: []string{"bash"}, Tty: true})
	s.do(err)
	s.do(s.engine.Resume())
	if _, ok := s.seen.until(func(a runtime.Alert) bool { return a.Check == runtime.ShellOpened && a.Key == "bash" }); !ok {
		t.Error("a shell that was opened meanwhile is not told of")
	}
}
