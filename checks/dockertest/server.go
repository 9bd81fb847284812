// Package dockertest is an in-memory Docker Engine. It speaks the engine's
// HTTP API over a unix socket, so that the real client talks to it, and does
// for the engine what net/http/httptest does for a web server.
//
// The engine keeps the rules that programs trip over: names that are locks,
// anonymous volumes, the update call's conflicts, the order of events. A table
// of scenarios is run against it and against a real engine, and must agree.
// Every event is sent before the call that caused it is answered.
//
// The comparison was made with API 1.41. What later versions do otherwise is
// modelled where it decides how a container is created: several endpoints and
// their MAC addresses (1.44), annotations (1.43), names of endpoints (1.45).
//
// Containers do not run programs. What one does is its [Behaviour]: it exits,
// turns healthy, ignores signals, uses memory.
package dockertest

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

// A Server is an engine. Its methods may be called at any time, from any
// goroutine, also before [Server.Start].
type Server struct {
	api     version // highest version spoken
	clock   Clock
	restart time.Duration // first delay before a restart policy acts, and before a swarm makes another task
	monitor time.Duration // how long a swarm watches a new task where its service does not say

	mu         sync.Mutex // guards everything below and all that hangs off it
	serial     int
	info       system.Info
	containers map[string]*ctr // by id
	names      map[string]*ctr // by name, without slash
	order      []*ctr          // oldest first
	images     map[string]*img // by id
	tags       map[string]*img // by familiar reference: "app:1"
	published  map[string]Image
	networks   map[string]*nw // by id
	volumes    map[string]*vol
	execs      []*execution    // oldest first
	cluster    *cluster        // nil unless the engine manages a swarm
	missing    map[string]bool // paths that the host does not have
	stopLive   func()

	events hub
	faults faults

	pullDelay atomic.Int64

	wire    sync.Mutex // guards the fields below
	dir     string
	ownDir  bool
	sock    string
	http    *http.Server
	closing chan struct{} // closed when the connections are dropped
}

// An Option changes how [New] makes a server.
type Option func(*Server)

// API sets the highest API version that is spoken: "1.41" when not given.
// Rules depend on the version that a request names, as they do in an engine.
// The engine calls itself a release of that time.
func API(v string) Option {
	return func(s *Server) {
		s.api = parseVersion(v)
		for _, r := range releases {
			if s.api.atLeast(1, r.minor) {
				s.info.ServerVersion = r.version
			}
		}
	}
}

// releases are versions of engines by the minor version of the API they began.
var releases = []struct {
	minor   int
	version string
}{{0, "19.03.15"}, {41, "20.10.24"}, {42, "23.0.6"}, {43, "24.0.9"}, {44, "25.0.5"}, {45, "26.1.4"}, {46, "27.1.2"}, {47, "27.5.1"}, {48, "28.0.4"}, {50, "28.2.2"}, {51, "28.5.2"}, {52, "29.0.0"}}

// WithClock lets tests move the time.
func WithClock(c Clock) Option { return func(s *Server) { s.clock = c } }

// WithInfo changes what the engine says about itself.
func WithInfo(change func(*system.Info)) Option { return func(s *Server) { change(&s.info) } }

// RestartDelay sets how long a restart policy waits the first time; it doubles
// each time. An engine waits 100 ms.
func RestartDelay(d time.Duration) Option { return func(s *Server) { s.restart = d } }

// Monitor sets how long a swarm watches new tasks of an update whose service does
// not say: 5 s in an engine.
func Monitor(d time.Duration) Option { return func(s *Server) { s.monitor = d } }

// New returns an engine with the three networks that every engine has and
// nothing else.
func New(opts ...Option) *Server {
	s := &Server{
		api:        version{1, 41},
		clock:      wallClock{},
		restart:    100 * time.Millisecond,
		monitor:    5 * time.Second,
		info:       defaultInfo(),
		containers: map[string]*ctr{},
		names:      map[string]*ctr{},
		images:     map[string]*img{},
		tags:       map[string]*img{},
		published:  map[string]Image{},
		networks:   map[string]*nw{},
		volumes:    map[string]*vol{},
		missing:    map[string]bool{},
	}
	for _, o := range opts {
		o(s)
	}
	s.events.now = s.clock.Now
	s.addDefaultNetworks()
	return s
}

// Start listens on a socket in dir, or in a new temporary directory when dir
// is "". Paths of sockets are short: about a hundred bytes are allowed.
func (s *Server) Start(dir string) error {
	s.wire.Lock()
	defer s.wire.Unlock()
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "dockertest"); err != nil {
			return err
		}
		s.ownDir = true
	}
	s.dir, s.sock = dir, filepath.Join(dir, "docker.sock")
	return s.listen()
}

func (s *Server) listen() error {
	l, err := net.Listen("unix", s.sock)
	if err != nil {
		return fmt.Errorf("listening on the engine's socket: %w", err)
	}
	s.closing = make(chan struct{})
	s.http = &http.Server{
		Handler:           s.handler(s.closing),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(discard{}, "", 0),
	}
	go s.http.Serve(l)
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Host returns the address for DOCKER_HOST: "unix:///tmp/…/docker.sock".
func (s *Server) Host() string {
	s.wire.Lock()
	defer s.wire.Unlock()
	return "unix://" + s.sock
}

// Close drops all connections and removes the socket, and the directory when
// Start made it.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.stopLive != nil {
		s.stopLive()
	}
	for _, c := range s.order {
		c.stopTimers()
	}
	if s.cluster != nil {
		s.cluster.halt()
	}
	s.mu.Unlock()
	s.drop()
	s.wire.Lock()
	defer s.wire.Unlock()
	if s.ownDir {
		return os.RemoveAll(s.dir)
	}
	return nil
}

func (s *Server) drop() {
	s.wire.Lock()
	defer s.wire.Unlock()
	if s.http == nil {
		return
	}
	close(s.closing)
	s.http.Close()
	s.http = nil
	os.Remove(s.sock)
}

// Drop cuts all connections and refuses new ones until [Server.Resume], like
// an engine that is out of reach while its containers run on.
func (s *Server) Drop() { s.drop() }

// Resume listens again after [Server.Drop].
func (s *Server) Resume() error {
	s.wire.Lock()
	defer s.wire.Unlock()
	if s.http != nil {
		return nil
	}
	return s.listen()
}

// Restart is a restart of the engine without live-restore: all connections are
// cut, all containers end, and those with a restart policy come back as an
// engine brings them back, "always" even when it had been stopped by hand.
func (s *Server) Restart() error {
	s.drop()
	s.reboot()
	return s.Resume()
}

// TB is what this package needs of testing.TB. It keeps package testing out of
// programs that use a Server.
type TB interface {
	Helper()
	Cleanup(func())
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Run returns a started engine that is closed at the end of the test.
func Run(tb TB, opts ...Option) *Server {
	tb.Helper()
	s := New(opts...)
	if err := s.Start(""); err != nil {
		tb.Fatalf("dockertest: %v", err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// Client returns a client of the engine that is closed at the end of the test.
func (s *Server) Client(tb TB) *client.Client {
	tb.Helper()
	c, err := client.New(client.WithHost(s.Host()))
	if err != nil {
		tb.Fatalf("dockertest: %v", err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}
