package dockertest

import (
	"net/http"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
)

func serviceName(v *service) string { return v.Spec.Name }

func (s *Server) listServices(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer(w, http.StatusOK, sorted(s.cluster.services, serviceName))
}

func (s *Server) inspectService(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := pick(s.cluster.services, r.PathValue("id"), "service", serviceName)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, v)
}

// completed fills in what a manager decides, and drops what it does not know at
// the version of the request. It refuses what leads nowhere.
func (s *Server) completed(spec *swarm.ServiceSpec, spoken version) error {
	c := spec.TaskTemplate.ContainerSpec
	if c == nil || c.Image == "" {
		return badRequest("rpc error: code = InvalidArgument desc = ContainerSpec: image reference must be provided")
	}
	for i, n := range spec.TaskTemplate.Networks {
		found, err := s.networkByRef(n.Target)
		if err != nil {
			return err
		}
		spec.TaskTemplate.Networks[i].Target = found.ID
	}
	for _, ref := range c.Secrets {
		if s.cluster.secrets[ref.SecretID] == nil {
			return badRequest("rpc error: code = InvalidArgument desc = secret not found: %s", ref.SecretName)
		}
	}
	if spec.Mode == (swarm.ServiceMode{}) {
		one := uint64(1)
		spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &one}
	}
	spec.Labels = labelled(spec.Labels)
	c.Isolation = container.IsolationDefault
	spec.TaskTemplate.Runtime = swarm.RuntimeContainer
	if spec.EndpointSpec == nil {
		spec.EndpointSpec = &swarm.EndpointSpec{}
	}
	if spec.EndpointSpec.Mode == "" {
		spec.EndpointSpec.Mode = swarm.ResolutionModeVIP
	}
	for i := range spec.EndpointSpec.Ports {
		p := &spec.EndpointSpec.Ports[i]
		if p.PublishMode == "" {
			p.PublishMode = swarm.PortConfigPublishModeIngress
		}
	}
	if !spoken.atLeast(1, 44) && c.Privileges != nil {
		c.Privileges = &swarm.Privileges{CredentialSpec: c.Privileges.CredentialSpec, SELinuxContext: c.Privileges.SELinuxContext}
	}
	if !spoken.atLeast(1, 46) {
		c.OomScoreAdj = 0
	}
	return nil
}

func (s *Server) createService(w http.ResponseWriter, r *http.Request) error {
	var spec swarm.ServiceSpec
	if err := read(r, &spec); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.completed(&spec, requested(r)); err != nil {
		return err
	}
	for _, v := range s.cluster.services {
		if v.Spec.Name == spec.Name {
			return conflict("rpc error: code = AlreadyExists desc = name conflicts with an existing object: service %s already exists", spec.Name)
		}
	}
	v := &service{Service: swarm.Service{ID: s.short("service"), Meta: s.meta(), Spec: spec}}
	s.give(v)
	s.cluster.services[v.ID] = v
	s.emitSwarm(events.ServiceEventType, events.ActionCreate, v.ID, spec.Name)
	s.emitSwarm(events.ServiceEventType, events.ActionUpdate, v.ID, spec.Name) // its addresses are given
	if s.cluster.stop == nil {
		s.orchestrate()
	}
	return answer(w, http.StatusCreated, swarm.ServiceCreateResponse{ID: v.ID})
}

// give gives a service what it is reached by.
func (s *Server) give(v *service) {
	v.Endpoint = swarm.Endpoint{Spec: *v.Spec.EndpointSpec, Ports: v.Spec.EndpointSpec.Ports}
}

func (s *Server) updateService(w http.ResponseWriter, r *http.Request) error {
	var spec swarm.ServiceSpec
	if err := read(r, &spec); err != nil {
		return err
	}
	index, err := strconv.ParseUint(r.FormValue("version"), 10, 64)
	if err != nil {
		return badRequest("invalid service version '%s': %v", r.FormValue("version"), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := pick(s.cluster.services, r.PathValue("id"), "service", serviceName)
	if err != nil {
		return err
	}
	back := r.FormValue("rollback") == "previous"
	if back {
		if v.PreviousSpec == nil {
			return badRequest("rpc error: code = FailedPrecondition desc = service %s does not have a previous spec", v.Spec.Name)
		}
		spec = *v.PreviousSpec
	} else if err := s.completed(&spec, requested(r)); err != nil {
		return err
	}
	if index != v.Version.Index {
		return internal("rpc error: code = Unknown desc = update out of sequence")
	}
	if spec.Name != v.Spec.Name {
		return &failure{http.StatusNotImplemented, "rpc error: code = Unimplemented desc = renaming services is not supported"}
	}
	before := v.Spec
	v.Spec, v.PreviousSpec, v.UpdateStatus, v.UpdatedAt = spec, &before, nil, s.clock.Now().UTC()
	s.serial++
	v.Version.Index = uint64(s.serial)
	if back {
		now := v.UpdatedAt
		s.status(v, swarm.UpdateStatus{State: swarm.UpdateStateRollbackStarted, StartedAt: &now, Message: "manually requested rollback"})
	}
	s.give(v)
	s.emitSwarm(events.ServiceEventType, events.ActionUpdate, v.ID, spec.Name)
	return answer(w, http.StatusOK, swarm.ServiceUpdateResponse{})
}

func (s *Server) removeService(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := pick(s.cluster.services, r.PathValue("id"), "service", serviceName)
	if err != nil {
		return err
	}
	s.endService(v)
	delete(s.cluster.services, v.ID)
	s.emitSwarm(events.ServiceEventType, events.ActionRemove, v.ID, v.Spec.Name)
	w.WriteHeader(http.StatusOK)
	return nil
}

// endService removes the tasks of a service, past ones too.
func (s *Server) endService(v *service) {
	for len(v.tasks) > 0 {
		s.removeTask(v, v.tasks[0])
	}
}
