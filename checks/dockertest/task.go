package dockertest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
)

// A task is one run of a service, on this node.
type task struct {
	swarm.Task
	c        *ctr // nil before there is one, or where there cannot be one
	template swarm.TaskSpec
	endpoint *swarm.EndpointSpec // published then
	over     time.Time           // when it ended
}

func (t *task) ended() bool { return !t.over.IsZero() }

// startTask makes the next task of a slot and runs it.
func (s *Server) startTask(v *service, slot int) *task {
	t := &task{template: v.Spec.TaskTemplate, endpoint: v.Spec.EndpointSpec}
	t.ID, t.Meta, t.ServiceID, t.Slot, t.Labels = s.short("task"), s.meta(), v.ID, slot, map[string]string{}
	t.Spec = v.Spec.TaskTemplate
	t.Spec.Runtime = ""
	t.DesiredState = swarm.TaskStateRunning
	if before := v.active(slot); before != nil && before.ended() {
		before.DesiredState = swarm.TaskStateShutdown
	}
	v.tasks = append(v.tasks, t)
	if p := t.Spec.Placement; p != nil && len(p.Constraints) > 0 {
		s.set(t, swarm.TaskStatePending, "pending task scheduling")
		t.Status.Err = "no suitable node (scheduling constraints not satisfied on 1 node)"
		return t
	}
	t.NodeID = s.info.Swarm.NodeID
	c, err := s.containerOf(v, t)
	if err == nil {
		t.c = c
		err = s.start(c)
	}
	if err != nil {
		s.fails(t, swarm.TaskStateRejected, err.Error())
		return t
	}
	for _, e := range c.NetworkSettings.Networks { // the swarm gives addresses, the engine is told them
		if e.IPAddress.IsValid() {
			e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: e.IPAddress}
		}
	}
	s.look(t)
	return t
}

func (s *Server) set(t *task, state swarm.TaskState, message string) {
	now := s.clock.Now().UTC()
	t.UpdatedAt = now
	t.Status.Timestamp, t.Status.State, t.Status.Message = now, state, message
}

func (s *Server) fails(t *task, state swarm.TaskState, why string) {
	message := "started"
	if state == swarm.TaskStateRejected {
		message = "preparing"
	}
	s.set(t, state, message)
	t.Status.Err, t.over = why, s.clock.Now()
}

// look brings a task up to what its container does.
func (s *Server) look(t *task) {
	c := t.c
	if c == nil || t.ended() {
		return
	}
	t.Status.ContainerStatus = &swarm.ContainerStatus{ContainerID: c.ID, PID: c.State.Pid, ExitCode: c.State.ExitCode}
	healthy := container.Healthy
	if c.State.Health != nil {
		healthy = c.State.Health.Status
	}
	switch {
	case c.running() && healthy == container.Unhealthy && t.DesiredState == swarm.TaskStateRunning:
		s.fails(t, swarm.TaskStateFailed, "task: non-zero exit (137): dockerexec: unhealthy container")
		s.halt(c, sigkill, 0)
	case c.running() && healthy == container.Starting && t.Status.State != swarm.TaskStateRunning:
		if t.Status.State != swarm.TaskStateStarting {
			s.set(t, swarm.TaskStateStarting, "starting")
		}
	case c.running():
		if t.Status.State != swarm.TaskStateRunning {
			s.set(t, swarm.TaskStateRunning, "started")
		}
	case t.DesiredState == swarm.TaskStateShutdown:
		s.set(t, swarm.TaskStateShutdown, "shutdown")
		t.over = s.clock.Now()
	case c.State.ExitCode == 0:
		s.set(t, swarm.TaskStateComplete, "finished")
		t.over = s.clock.Now()
	default:
		s.fails(t, swarm.TaskStateFailed, fmt.Sprintf("task: non-zero exit (%d)", c.State.ExitCode))
	}
}

// shutDown ends a task, which takes as long as its program wants.
func (s *Server) shutDown(t *task) {
	if t.DesiredState == swarm.TaskStateShutdown {
		return
	}
	t.DesiredState = swarm.TaskStateShutdown
	c := t.c
	switch {
	case c == nil:
		s.set(t, swarm.TaskStateShutdown, "shutdown")
		t.over = s.clock.Now()
	case !c.running():
	case c.doing.IgnoresTERM:
		go func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.running() {
				s.halt(c, 15, 10*time.Second)
			}
		}()
	default:
		s.halt(c, 15, 0)
	}
	s.look(t)
}

// containerOf makes the container of a task.
func (s *Server) containerOf(v *service, t *task) (*ctr, error) {
	spec := t.Spec.ContainerSpec
	for _, ref := range spec.Secrets {
		if s.cluster.secrets[ref.SecretID] == nil {
			return nil, notFound("secret not found: %s", ref.SecretName)
		}
	}
	labels := map[string]string{
		"com.docker.swarm.node.id": t.NodeID, "com.docker.swarm.service.id": v.ID, "com.docker.swarm.service.name": v.Spec.Name,
		"com.docker.swarm.task": "", "com.docker.swarm.task.id": t.ID, "com.docker.swarm.task.name": v.name(t),
	}
	maps.Copy(labels, spec.Labels)
	config := &container.Config{
		Image: spec.Image, Entrypoint: spec.Command, Cmd: spec.Args, Hostname: spec.Hostname, Env: slices.Clone(spec.Env), WorkingDir: spec.Dir,
		User: spec.User, Tty: spec.TTY, OpenStdin: spec.OpenStdin, StopSignal: spec.StopSignal, Healthcheck: spec.Healthcheck, Labels: labels,
	}
	host := &container.HostConfig{
		ReadonlyRootfs: spec.ReadOnly, Init: spec.Init, CapAdd: spec.CapabilityAdd, CapDrop: spec.CapabilityDrop, Mounts: slices.Clone(spec.Mounts),
		Sysctls: spec.Sysctls, OomScoreAdj: int(spec.OomScoreAdj), PortBindings: network.PortMap{},
	}
	host.Ulimits = spec.Ulimits
	if p := spec.Privileges; p != nil {
		host.SecurityOpt = securityOf(p)
	}
	if r := t.Spec.Resources; r != nil && r.Limits != nil {
		host.Memory, host.NanoCPUs = r.Limits.MemoryBytes, r.Limits.NanoCPUs
		if n := r.Limits.Pids; n > 0 {
			host.PidsLimit = &n
		}
	}
	if d := t.Spec.LogDriver; d != nil {
		host.LogConfig = container.LogConfig{Type: d.Name, Config: maps.Clone(d.Options)}
	}
	endpoints := map[string]*network.EndpointSettings{}
	for _, n := range t.Spec.Networks {
		if found := s.networks[n.Target]; found != nil {
			endpoints[found.Name] = &network.EndpointSettings{Aliases: slices.Clone(n.Aliases)}
		}
	}
	for _, p := range portsOf(v) {
		if p.PublishMode == swarm.PortConfigPublishModeHost {
			port, err := network.ParsePort(fmt.Sprintf("%d/%s", p.TargetPort, p.Protocol))
			if err != nil {
				return nil, badRequest("%v", err)
			}
			host.PortBindings[port] = append(host.PortBindings[port], network.PortBinding{HostPort: strconv.Itoa(int(p.PublishedPort))})
		} else {
			endpoints["ingress"] = &network.EndpointSettings{}
		}
	}
	own := len(endpoints) > 0
	c, _, err := s.create(createRequest{name: v.name(t), config: config, host: host, endpoints: endpoints, version: version{1, 44}})
	if err == nil && own {
		delete(c.NetworkSettings.Networks, "bridge")
	}
	return c, err
}

// securityOf returns the options of a container for what a service asks for.
func securityOf(p *swarm.Privileges) (options []string) {
	if p.NoNewPrivileges {
		options = append(options, "no-new-privileges=true")
	}
	if p.Seccomp != nil && p.Seccomp.Mode == swarm.SeccompModeUnconfined {
		options = append(options, "seccomp=unconfined")
	}
	if p.AppArmor != nil && p.AppArmor.Mode == swarm.AppArmorModeDisabled {
		options = append(options, "apparmor=unconfined")
	}
	if p.SELinuxContext != nil && p.SELinuxContext.Disable {
		options = append(options, "label=disable")
	}
	return options
}

func portsOf(v *service) []swarm.PortConfig {
	if v.Spec.EndpointSpec == nil {
		return nil
	}
	return v.Spec.EndpointSpec.Ports
}

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("dockertest: " + err.Error())
	}
	return string(data)
}

func (s *Server) listTasks(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r)
	if err == nil {
		err = f.known("service", "id", "name", "node", "desired-state", "label", "runtime")
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []swarm.Task{}
	for _, v := range s.cluster.services {
		for _, t := range v.tasks {
			if f.exact("service", v.ID, v.Spec.Name) && f.exact("id", t.ID) && f.exact("name", v.name(t)) && f.exact("node", t.NodeID) && f.exact("desired-state", string(t.DesiredState)) {
				all = append(all, t.Task)
			}
		}
	}
	slices.SortFunc(all, func(a, b swarm.Task) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return answer(w, http.StatusOK, all)
}
