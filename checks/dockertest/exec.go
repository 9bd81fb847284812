package dockertest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// An execution is something that was, or is to be, started in a running container.
type execution struct {
	id      string
	c       *ctr
	request container.ExecCreateRequest
	running bool
	code    *int
}

// mostExecs is how many are remembered: an engine forgets them after minutes.
const mostExecs = 256

// Exec starts something in a running container, as docker exec does, and
// returns its id. It goes on until [Server.ExecEnds].
func (s *Server) Exec(ref string, request container.ExecCreateRequest) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(ref)
	if err != nil {
		return "", err
	}
	e, err := s.newExec(c, request)
	if err != nil {
		return "", err
	}
	return e.id, s.startExec(e)
}

// ExecEnds ends what was started in a container.
func (s *Server) ExecEnds(id string, code int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findExec(id)
	if err != nil {
		return err
	}
	if !e.running {
		return conflict("exec %s is not running", id)
	}
	s.endExec(e, code)
	return nil
}

func (s *Server) endExec(e *execution, code int) {
	e.running, e.code = false, &code
	s.emitContainer(e.c, events.ActionExecDie, map[string]string{"execID": e.id, "exitCode": strconv.Itoa(code)})
}

func (s *Server) newExec(c *ctr, request container.ExecCreateRequest) (*execution, error) {
	switch {
	case len(request.Cmd) == 0:
		return nil, badRequest("No exec command specified")
	case !c.running():
		return nil, conflict("Container %s is not running", c.ID)
	case c.State.Paused:
		return nil, conflict("Container %s is paused, unpause the container before exec", c.ID)
	case c.State.Restarting:
		return nil, conflict("Container %s is restarting, wait until the container is running", c.ID)
	}
	e := &execution{id: s.id("exec"), c: c, request: request}
	s.execs = append(s.execs, e)
	if over := len(s.execs) - mostExecs; over > 0 {
		s.execs = slices.Delete(s.execs, 0, over)
	}
	s.emitContainer(c, events.Action("exec_create: "+strings.Join(request.Cmd, " ")), map[string]string{"execID": e.id})
	return e, nil
}

func (s *Server) startExec(e *execution) error {
	switch {
	case e.running:
		return conflict("Error: Exec command %s is already running", e.id)
	case e.code != nil:
		return conflict("Error: Exec command %s has already run", e.id)
	}
	e.running = true
	s.emitContainer(e.c, events.Action("exec_start: "+strings.Join(e.request.Cmd, " ")), map[string]string{"execID": e.id})
	return nil
}

func (s *Server) findExec(id string) (*execution, error) {
	i := slices.IndexFunc(s.execs, func(e *execution) bool { return e.id == id })
	if i < 0 || !s.execs[i].c.running() {
		return nil, notFound("No such exec instance: %s", id)
	}
	return s.execs[i], nil
}

func (s *Server) createExec(w http.ResponseWriter, r *http.Request) error {
	var request container.ExecCreateRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return badRequest("%s", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	e, err := s.newExec(c, request)
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, container.ExecCreateResponse{ID: e.id})
}

// serveExecStart starts what nobody wants to talk to: there is no program that
// would answer.
func (s *Server) serveExecStart(w http.ResponseWriter, r *http.Request) error {
	var request container.ExecStartRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return badRequest("%s", err)
	}
	if !request.Detach {
		return badRequest("dockertest: only detached commands can be started")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findExec(r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.startExec(e); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) inspectExec(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findExec(r.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, container.ExecInspectResponse{
		ID: e.id, ContainerID: e.c.ID, Running: e.running, ExitCode: e.code,
		ProcessConfig: &container.ExecProcessConfig{
			Tty: e.request.Tty, Entrypoint: e.request.Cmd[0], Arguments: slices.Clone(e.request.Cmd[1:]),
			Privileged: &e.request.Privileged, User: cmp.Or(e.request.User, e.c.Config.User),
		},
		OpenStdin: e.request.AttachStdin, OpenStdout: e.request.AttachStdout, OpenStderr: e.request.AttachStderr,
	})
}
