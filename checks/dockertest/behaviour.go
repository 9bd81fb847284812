package dockertest

import (
	"time"

	"github.com/moby/moby/api/types/container"
)

// A Behaviour is what the program in a container does. The zero value runs
// until it is stopped, obeys SIGTERM and passes its health check.
type Behaviour struct {
	Exits bool          // by itself
	After time.Duration // when it exits
	Code  int           // exit code then
	OOM   bool          // it exits because it was killed for its memory

	StartError string // the start fails with this message: "exec: \"x\": executable file not found in $PATH: unknown"

	IgnoresTERM bool // only SIGKILL ends it
	TERMCode    int  // exit code after SIGTERM

	Unhealthy   bool          // fails its health check
	HealthAfter time.Duration // when the check's result is settled: 20 ms when 0

	Memory, MemoryPeak uint64  // bytes; 0 is 8 MiB
	CPU                float64 // CPUs used
	Pids               uint64  // 0 is the number of Processes

	// Processes are the rows of top: UID, PID, PPID, C, STIME, TTY, TIME, CMD.
	// nil is one process of the configured user.
	Processes [][]string

	// Changes are what it writes to its root filesystem.
	Changes []container.FilesystemChange

	// Writes are files by path in the container, in a volume or beside what the
	// image has. They are appended to, one line for each start.
	Writes map[string]string

	Stdout, Stderr string // printed at each start
}

// OnExit returns a behaviour that ends after d with code.
func OnExit(d time.Duration, code int) Behaviour {
	return Behaviour{Exits: true, After: d, Code: code}
}

func (b Behaviour) verdict() container.HealthStatus {
	if b.Unhealthy {
		return container.Unhealthy
	}
	return container.Healthy
}

// Behave sets what the program of one container does from its next start on;
// what it uses, its processes and its changes count at once.
func (s *Server) Behave(ref string, b Behaviour) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(ref)
	if err != nil {
		return err
	}
	c.behaviour = &b
	if c.running() {
		c.doing.Memory, c.doing.MemoryPeak, c.doing.CPU, c.doing.Pids = b.Memory, b.MemoryPeak, b.CPU, b.Pids
		c.doing.Processes, c.doing.Changes, c.doing.IgnoresTERM, c.doing.TERMCode = b.Processes, b.Changes, b.IgnoresTERM, b.TERMCode
	}
	return nil
}

// SetHealth changes the health of a running container, as its check would. It
// fails when there is no check.
func (s *Server) SetHealth(ref string, status container.HealthStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(ref)
	if err != nil {
		return err
	}
	if !c.running() || !checked(c) {
		return conflict("container %s is not running or has no health check", c.ID)
	}
	s.health(c, status)
	return nil
}

// Exit ends the program of a running container.
func (s *Server) Exit(ref string, code int, oom bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(ref)
	if err != nil {
		return err
	}
	if !c.running() {
		return conflict("container %s is not running", c.ID)
	}
	s.exit(c, code, oom)
	return nil
}

// behaviourOf returns what the program of c does in its next run.
func behaviourOf(c *ctr) Behaviour {
	switch {
	case c.behaviour != nil:
		return *c.behaviour
	case c.image != nil && c.image.Behave != nil:
		return c.image.Behave(c.Config, c.HostConfig)
	case c.image != nil:
		return c.image.Run
	}
	return Behaviour{}
}
