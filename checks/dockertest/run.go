package dockertest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
)

// start begins a run of c. The caller holds the lock.
func (s *Server) start(c *ctr) error {
	switch {
	case c.State.Paused:
		return conflict("cannot start a paused container, try unpause instead")
	case c.running():
		return errNotModified
	case c.removing || c.State.Dead:
		return conflict("container is marked for removal and cannot be started")
	}
	if _, err := s.verifyResources(&c.HostConfig.Resources); err != nil {
		return err
	}
	c.stopTimers()
	if err := s.join(c); err != nil {
		return s.failStart(c, 128, err)
	}
	s.eachMount(c, events.ActionMount)
	b := behaviourOf(c)
	if b.StartError != "" {
		s.leave(c)
		return s.failStart(c, 127, badRequest("OCI runtime create failed: container_linux.go:380: starting container process caused: %s", b.StartError))
	}
	c.run++
	c.doing, c.manual, c.started = b, false, s.clock.Now()
	s.serial++
	*c.State = container.State{
		Status: container.StateRunning, Running: true, Pid: 1000 + s.serial,
		StartedAt: stamp(c.started), FinishedAt: c.State.FinishedAt,
	}
	s.write(c)
	c.print("stdout", b.Stdout, c.started)
	c.print("stderr", b.Stderr, c.started)
	if checked(c) {
		c.State.Health = &container.Health{Status: container.Starting, Log: []*container.HealthcheckResult{}}
	}
	c.touch()
	s.emitContainer(c, events.ActionStart, nil)
	if b.Exits {
		s.later(c, b.After, func() { s.exit(c, b.Code, b.OOM) })
	}
	if checked(c) {
		s.later(c, cmp.Or(b.HealthAfter, 20*time.Millisecond), func() {
			if c.State.Health.Status == container.Starting { // nobody has said otherwise meanwhile
				s.health(c, b.verdict())
			}
		})
	}
	return nil
}

// failStart records that a start failed and why.
func (s *Server) failStart(c *ctr, code int, err error) error {
	c.State.ExitCode, c.State.Error = code, err.Error()
	c.touch()
	return err
}

// later calls f with the lock held unless c's present run is over by then.
func (s *Server) later(c *ctr, d time.Duration, f func()) {
	run := c.run
	c.timers = append(c.timers, s.clock.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.run == run && c.running() {
			f()
		}
	}))
}

func checked(c *ctr) bool {
	h := c.Config.Healthcheck
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// join connects c to its networks and takes its ports.
func (s *Server) join(c *ctr) error {
	mode := c.HostConfig.NetworkMode
	if mode.IsContainer() {
		donor, err := s.find(mode.ConnectedContainer())
		if err != nil {
			return err
		}
		if !donor.running() {
			return conflict("cannot join network of a non running container: %s", donor.ID)
		}
		return nil
	}
	for _, l := range c.links {
		if !l.to.running() {
			return internal("Cannot link to a non running container: %s AS %s/%s", l.to.Name, c.Name, l.alias)
		}
	}
	for i, name := range attachOrder(c) {
		e := c.NetworkSettings.Networks[name]
		n, err := s.networkByRef(name)
		if err == nil {
			err = n.allows(e)
		}
		if err != nil {
			s.leave(c)
			return err
		}
		inside := i > 0
		if i == 0 {
			err = s.publish(c)
			inside = err != nil // ports are taken after the address
		}
		if err == nil {
			err = s.attach(c, n, e)
		}
		if err != nil {
			s.leave(c)
			if inside {
				s.detach(c, n, e) // announced although it never was in
			}
			return err
		}
	}
	c.NetworkSettings.SandboxID = s.id("sandbox")
	c.NetworkSettings.SandboxKey = "/var/run/docker/netns/" + c.NetworkSettings.SandboxID[:12]
	return nil
}

// attachOrder returns c's networks, the one of its network mode first.
func attachOrder(c *ctr) []string {
	names := slices.Sorted(maps.Keys(c.NetworkSettings.Networks))
	primary := string(c.HostConfig.NetworkMode)
	if i := slices.Index(names, primary); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, primary)
	}
	return names
}

// leave undoes join.
func (s *Server) leave(c *ctr) {
	for _, name := range attachOrder(c) {
		if n, err := s.networkByRef(name); err == nil && n.endpoints[c] != nil {
			s.detach(c, n, c.NetworkSettings.Networks[name])
		}
	}
	c.NetworkSettings.Ports, c.NetworkSettings.SandboxID, c.NetworkSettings.SandboxKey = nil, "", ""
}

func (s *Server) eachMount(c *ctr, action events.Action) {
	for _, m := range c.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		attributes := map[string]string{"driver": m.Driver, "container": c.ID}
		if action == events.ActionMount {
			attributes["destination"], attributes["propagation"], attributes["read/write"] = m.Destination, string(m.Propagation), strconv.FormatBool(m.RW)
		}
		s.events.emit(events.VolumeEventType, action, m.Name, attributes)
	}
}

// write does to the volumes, and to its own layer, what the program does to them.
func (s *Server) write(c *ctr) {
	for file, text := range c.doing.Writes {
		if !onMount(file, c.Config, c.HostConfig) {
			s.append(c, file, text+"\n")
			continue
		}
		for _, m := range c.Mounts {
			inside, ok := strings.CutPrefix(file, m.Destination+"/")
			if v := s.volumes[m.Name]; ok && v != nil && m.RW {
				v.content[inside] += text + "\n"
			}
		}
	}
}

// end takes a container out of its run, without asking its restart policy.
func (s *Server) end(c *ctr, code int, oom bool) {
	if oom {
		s.emitContainer(c, events.ActionOOM, nil)
	}
	c.stopTimers()
	c.finished = s.clock.Now()
	c.State.Running, c.State.Paused, c.State.Restarting, c.State.Pid = false, false, false, 0
	c.State.Status, c.State.ExitCode, c.State.OOMKilled, c.State.FinishedAt = container.StateExited, code, oom, stamp(c.finished)
	if c.State.Health != nil && c.State.Health.Status != container.Unhealthy {
		c.State.Health.Status = container.Unhealthy
	}
	s.emitContainer(c, events.ActionDie, map[string]string{"exitCode": strconv.Itoa(code)})
	s.leave(c)
	s.eachMount(c, events.ActionUnmount)
	c.touch()
}

// exit is a program's end that nobody asked for, or that a kill brought.
func (s *Server) exit(c *ctr, code int, oom bool) {
	ran := s.clock.Now().Sub(c.started)
	s.end(c, code, oom)
	if s.comesBack(c, code) {
		if ran > 10*time.Second {
			c.failures = 0
		}
		c.RestartCount++
		c.State.Restarting, c.State.Running, c.State.Status = true, true, container.StateRestarting
		delay := min(s.restart<<c.failures, time.Minute)
		c.failures = min(c.failures+1, 20)
		c.touch()
		run := c.run
		c.timers = append(c.timers, s.clock.AfterFunc(delay, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.run == run && c.State.Restarting {
				c.State.Restarting, c.State.Running, c.State.Status = false, false, container.StateExited
				s.start(c)
				s.wake(c)
			}
		}))
		s.wake(c)
		return
	}
	s.wake(c)
	if c.HostConfig.AutoRemove {
		s.destroy(c, true)
	}
}

func (s *Server) comesBack(c *ctr, code int) bool {
	p := c.HostConfig.RestartPolicy
	switch {
	case c.manual || c.removing:
		return false
	case p.IsAlways(), p.IsUnlessStopped():
		return true
	case p.IsOnFailure():
		return code != 0 && (p.MaximumRetryCount == 0 || c.RestartCount < p.MaximumRetryCount)
	}
	return false
}

// wake tells those who wait that the state of c changed.
func (s *Server) wake(c *ctr) {
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
}

func (s *Server) health(c *ctr, status container.HealthStatus) {
	if c.State.Health == nil {
		c.State.Health = &container.Health{}
	}
	now, code := s.clock.Now(), 0
	c.State.Health.FailingStreak = 0
	if status == container.Unhealthy {
		code = 1
		c.State.Health.FailingStreak = max(3, c.Config.Healthcheck.Retries)
	}
	c.State.Health.Log = append(c.State.Health.Log, &container.HealthcheckResult{Start: now, End: now, ExitCode: code})
	if over := len(c.State.Health.Log) - 5; over > 0 {
		c.State.Health.Log = c.State.Health.Log[over:]
	}
	before := c.State.Health.Status
	c.State.Health.Status = status
	c.touch()
	command := strings.Join(c.Config.Healthcheck.Test[min(1, len(c.Config.Healthcheck.Test)):], " ")
	if c.Config.Healthcheck.Test[0] == "CMD-SHELL" {
		command = "/bin/sh -c " + command
	}
	exec := map[string]string{"execID": s.id("exec")}
	s.emitContainer(c, events.Action("exec_create: "+command), exec)
	s.emitContainer(c, events.Action("exec_start: "+command), exec)
	s.emitContainer(c, events.ActionExecDie, map[string]string{"execID": exec["execID"], "exitCode": strconv.Itoa(code)})
	if before != status {
		s.emitContainer(c, events.Action("health_status: "+string(status)), nil)
	}
}

// reboot ends everything and brings back what an engine brings back.
func (s *Server) reboot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var back []*ctr
	for _, c := range s.order {
		ran := c.running()
		if ran {
			c.State.Restarting = false
			s.end(c, 0, false)
		}
		p := c.HostConfig.RestartPolicy
		if c.State.Status != container.StateCreated && (p.IsAlways() || ran && !c.manual && (p.IsUnlessStopped() || p.IsOnFailure())) {
			back = append(back, c)
		}
		c.failures = 0
		s.wake(c)
	}
	for _, c := range slices.Clone(s.order) {
		if c.HostConfig.AutoRemove && !c.running() && c.State.Status != container.StateCreated {
			s.destroy(c, true)
		}
	}
	for _, c := range back {
		s.start(c)
	}
}

// destroy removes a container that does not run.
func (s *Server) destroy(c *ctr, volumes bool) {
	c.removing = true
	c.stopTimers()
	s.forget(c)
	if volumes {
		for _, name := range c.anonymous {
			if s.volumes[name] != nil && len(s.users(name)) == 0 {
				s.destroyVolume(name)
			}
		}
	}
	s.emitContainer(c, events.ActionDestroy, nil)
	close(c.gone)
	s.wake(c)
}

// publish takes the host's ports for c.
func (s *Server) publish(c *ctr) error {
	taken := map[string]bool{}
	for _, other := range s.order {
		if other == c || other.NetworkSettings == nil {
			continue
		}
		for port, bindings := range other.NetworkSettings.Ports {
			for _, b := range bindings {
				taken[fmt.Sprint(b.HostPort, "/", port.Proto())] = true
			}
		}
	}
	ports, err := choosePorts(c, taken)
	if err != nil {
		return err
	}
	c.NetworkSettings.Ports = ports
	return nil
}
