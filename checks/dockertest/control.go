package dockertest

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

func (s *Server) startContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if c.State.Restarting {
		c.State.Restarting, c.State.Running = false, false
	}
	if err := s.start(c); err != nil {
		return err
	}
	c.failures = 0
	c.RestartCount = 0
	return done(w)
}

// halt ends a running container with its stop signal, waiting at most timeout
// before SIGKILL. The lock is released while it waits.
func (s *Server) halt(c *ctr, signal int, timeout time.Duration) {
	c.manual = true
	if c.State.Restarting {
		c.stopTimers()
		c.State.Restarting, c.State.Running, c.State.Status = false, false, container.StateExited
		c.touch()
		s.wake(c)
		return
	}
	s.emitContainer(c, events.ActionKill, map[string]string{"signal": strconv.Itoa(signal)})
	if signal != sigkill && c.doing.IgnoresTERM {
		if run := c.run; !s.waitForEnd(c, timeout) || c.run != run {
			return
		}
		signal = sigkill
		s.emitContainer(c, events.ActionKill, map[string]string{"signal": strconv.Itoa(signal)})
	}
	code := c.doing.TERMCode
	if signal == sigkill {
		code = 128 + sigkill
	}
	s.exit(c, code, false)
}

// waitForEnd waits, with the lock released, until c has ended or d passed. It
// reports whether c still runs.
func (s *Server) waitForEnd(c *ctr, d time.Duration) bool {
	over := make(chan struct{})
	defer s.clock.AfterFunc(d, func() { close(over) })()
	for c.running() {
		woken := make(chan struct{})
		c.waiters = append(c.waiters, woken)
		s.mu.Unlock()
		select {
		case <-woken:
			s.mu.Lock()
		case <-over:
			s.mu.Lock()
			return c.running()
		}
	}
	return false
}

const (
	sigint  = 2
	sigkill = 9
	sigterm = 15
)

var signals = map[string]int{
	"HUP": 1, "INT": sigint, "QUIT": 3, "KILL": sigkill, "USR1": 10, "USR2": 12, "TERM": sigterm, "STOP": 19, "CONT": 18, "WINCH": 28,
}

func parseSignal(text string, otherwise int) (int, error) {
	if text == "" {
		return otherwise, nil
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > 64 {
			return 0, badRequest("Invalid signal: %s", text)
		}
		return n, nil
	}
	n, ok := signals[strings.TrimPrefix(strings.ToUpper(text), "SIG")]
	if !ok {
		return 0, badRequest("Invalid signal: %s", text)
	}
	return n, nil
}

// patience returns how long a stop may take: what the call says, what the
// container says, ten seconds.
func patience(c *ctr, r *http.Request) (time.Duration, error) {
	seconds := 10
	if c.Config.StopTimeout != nil {
		seconds = *c.Config.StopTimeout
	}
	if text := r.FormValue("t"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, badRequest("invalid timeout %q", text)
		}
		seconds = n
	}
	if seconds < 0 {
		return 24 * time.Hour, nil
	}
	return time.Duration(seconds) * time.Second, nil
}

func (s *Server) stopContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if !c.running() {
		return errNotModified
	}
	if err := s.stopBy(c, r); err != nil {
		return err
	}
	s.emitContainer(c, events.ActionStop, nil)
	return done(w)
}

func (s *Server) stopBy(c *ctr, r *http.Request) error {
	timeout, err := patience(c, r)
	if err != nil {
		return err
	}
	text := c.Config.StopSignal
	if requested(r).atLeast(1, 42) {
		text = cmp.Or(r.FormValue("signal"), text)
	}
	signal, err := parseSignal(text, sigterm)
	if err != nil {
		return err
	}
	s.halt(c, signal, timeout)
	return nil
}

func (s *Server) restartContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if c.running() {
		autoRemove := c.HostConfig.AutoRemove
		c.HostConfig.AutoRemove = false
		err := s.stopBy(c, r)
		c.HostConfig.AutoRemove = autoRemove
		if err != nil {
			return err
		}
		s.emitContainer(c, events.ActionStop, nil)
	}
	if err := s.start(c); err != nil {
		return err
	}
	c.failures = 0
	s.emitContainer(c, events.ActionRestart, nil)
	return done(w)
}

func (s *Server) killContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	signal, err := parseSignal(r.FormValue("signal"), sigkill)
	if err != nil {
		return err
	}
	if !c.running() || c.State.Restarting {
		return conflict("Cannot kill container: %s: Container %s is not running", r.PathValue("id"), c.ID)
	}
	stop, _ := parseSignal(c.Config.StopSignal, sigterm)
	ends := signal == sigkill || !c.doing.IgnoresTERM && (signal == sigterm || signal == sigint || signal == stop)
	if signal == sigkill || signal == stop {
		c.manual = true
	}
	s.emitContainer(c, events.ActionKill, map[string]string{"signal": strconv.Itoa(signal)})
	if ends {
		code := c.doing.TERMCode
		if signal == sigkill {
			code = 128 + sigkill
		}
		s.exit(c, code, false)
	}
	return done(w)
}

func (s *Server) pauseContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	switch {
	case !c.running():
		return conflict("Container %s is not running", c.ID)
	case c.State.Paused:
		return conflict("Container %s is already paused", c.ID)
	case c.State.Restarting:
		return conflict("Container %s is restarting, wait until the container is running", c.ID)
	}
	c.State.Paused, c.State.Status = true, container.StatePaused
	c.touch()
	s.emitContainer(c, events.ActionPause, nil)
	return done(w)
}

func (s *Server) unpauseContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if !c.State.Paused {
		return internal("Container %s is not paused", c.ID)
	}
	c.State.Paused, c.State.Status = false, container.StateRunning
	c.touch()
	s.emitContainer(c, events.ActionUnPause, nil)
	return done(w)
}

func (s *Server) renameContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(r.FormValue("name"), "/")
	switch {
	case name == "":
		return badRequest("Neither old nor new names may be empty")
	case name == c.name():
		return badRequest("Renaming a container with the same name as its current name")
	case !validName(name):
		return badRequest("Error when allocating new name: Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
	}
	if other := s.names[name]; other != nil {
		return conflict("Error when allocating new name: Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", "/"+name, other.ID)
	}
	old := c.Name
	delete(s.names, c.name())
	c.Name = "/" + name
	s.names[name] = c
	c.touch()
	s.emitContainer(c, events.ActionRename, map[string]string{"oldName": old})
	return done(w)
}

func (s *Server) removeContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if c.running() {
		if !truth(r, "force") {
			state := "running"
			if c.State.Paused {
				return conflict("You cannot remove a paused container %s. Unpause and then stop the container before attempting removal or force remove", c.ID)
			}
			if c.State.Restarting {
				state = "restarting"
			}
			return conflict("You cannot remove a %s container %s. Stop the container before attempting removal or force remove", state, c.ID)
		}
		autoRemove := c.HostConfig.AutoRemove
		c.HostConfig.AutoRemove = false
		s.halt(c, sigkill, 0)
		c.HostConfig.AutoRemove = autoRemove
	}
	s.destroy(c, truth(r, "v"))
	return done(w)
}

func (s *Server) waitContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		s.mu.Unlock()
		return err
	}
	condition := cmp.Or(r.FormValue("condition"), "not-running")
	run, finished := c.run, c.finished
	met := func() bool {
		select {
		case <-c.gone:
			return true
		default:
		}
		switch condition {
		case "next-exit":
			return c.finished != finished || c.run != run && !c.running()
		case "removed":
			return false
		}
		return !c.running()
	}
	switch condition {
	case "not-running", "next-exit", "removed":
	default:
		s.mu.Unlock()
		return badRequest("invalid condition: %q", condition)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	for !met() {
		woken := make(chan struct{})
		c.waiters = append(c.waiters, woken)
		s.mu.Unlock()
		select {
		case <-woken:
		case <-r.Context().Done():
			return nil
		case <-closing(r):
			return nil
		}
		s.mu.Lock()
	}
	code := c.State.ExitCode
	s.mu.Unlock()
	fmt.Fprintf(w, "{\"Error\":null,\"StatusCode\":%d}\n", code)
	return nil
}
