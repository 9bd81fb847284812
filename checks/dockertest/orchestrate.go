package dockertest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/swarm"
)

// A service is one of the swarm, with the tasks that it has or had.
type service struct {
	swarm.Service
	tasks []*task // oldest first
}

const (
	// beat is how often the swarm compares its tasks with its services.
	beat = 10 * time.Millisecond

	// retention is how many tasks of one slot are remembered, that which runs included.
	retention = 5
)

// orchestrate makes the tasks what the services say, now and after each beat.
// It runs with the lock held.
func (s *Server) orchestrate() {
	c := s.cluster
	if c == nil {
		return
	}
	for _, v := range sorted(c.services, func(v *service) string { return v.Spec.Name }) {
		s.reconcile(v)
	}
	c.stop = s.clock.AfterFunc(beat, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cluster == c && c.stop != nil {
			s.orchestrate()
		}
	})
}

// halt ends the beat.
func (c *cluster) halt() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// slots returns the numbers of the tasks that v is to have. A global service has
// one on this node, without a number.
func (v *service) slots() (all []int) {
	r := v.Spec.Mode.Replicated
	if r == nil {
		return []int{0}
	}
	for n := range *r.Replicas {
		all = append(all, int(n)+1)
	}
	return all
}

// active returns the latest task of a slot, nil for none.
func (v *service) active(slot int) *task {
	for _, t := range slices.Backward(v.tasks) {
		if t.Slot == slot {
			return t
		}
	}
	return nil
}

// current reports whether t was made from what v says now.
func (v *service) current(t *task) bool {
	return encoded(t.template) == encoded(v.Spec.TaskTemplate) && encoded(t.endpoint) == encoded(v.Spec.EndpointSpec)
}

// reconcile does the next step for one service.
func (s *Server) reconcile(v *service) {
	for _, t := range v.tasks {
		s.look(t)
	}
	slots := v.slots()
	for _, t := range v.tasks {
		if !slices.Contains(slots, t.Slot) {
			s.shutDown(t)
		}
	}
	var dirty []int
	starting, watched := 0, 0
	for _, slot := range slots {
		t := v.active(slot)
		switch {
		case t == nil:
			s.startTask(v, slot)
		case t.ended():
			if s.clock.Now().Sub(t.over) >= s.restart && !v.stuck() {
				s.startTask(v, slot)
			}
		case !v.current(t):
			dirty = append(dirty, slot)
		case t.Status.State != swarm.TaskStateRunning:
			starting++
		case s.clock.Now().Sub(t.CreatedAt) < s.monitors(v):
			watched++
		}
	}
	s.roll(v, dirty, starting, watched)
	s.forgetTasks(v)
}

// updating reports whether v is on its way to other tasks.
func (v *service) updating() bool {
	return v.UpdateStatus != nil && (v.UpdateStatus.State == swarm.UpdateStateUpdating || v.UpdateStatus.State == swarm.UpdateStateRollbackStarted)
}

// stuck reports whether an update of v stopped halfway.
func (v *service) stuck() bool {
	return v.UpdateStatus != nil && (v.UpdateStatus.State == swarm.UpdateStatePaused || v.UpdateStatus.State == swarm.UpdateStateRollbackPaused)
}

// config returns how the tasks of v are to be replaced.
func (v *service) config() swarm.UpdateConfig {
	c := v.Spec.UpdateConfig
	if v.UpdateStatus != nil && v.UpdateStatus.State == swarm.UpdateStateRollbackStarted {
		c = v.Spec.RollbackConfig
	}
	if c == nil {
		return swarm.UpdateConfig{Parallelism: 1}
	}
	return *c
}

// monitors returns how long each new task of v is watched.
func (s *Server) monitors(v *service) time.Duration { return cmp.Or(v.config().Monitor, s.monitor) }

// roll goes on with an update: some tasks are dirty, some of the new ones are
// starting or being watched.
func (s *Server) roll(v *service, dirty []int, starting, watched int) {
	if len(dirty) > 0 && v.UpdateStatus == nil {
		now := s.clock.Now().UTC()
		s.status(v, swarm.UpdateStatus{State: swarm.UpdateStateUpdating, StartedAt: &now, Message: "update in progress"})
	}
	if !v.updating() {
		return
	}
	if t := s.failed(v); t != nil {
		s.giveUp(v, t)
		return
	}
	if len(dirty) == 0 && starting == 0 && watched == 0 {
		now := s.clock.Now().UTC()
		done := *v.UpdateStatus
		done.CompletedAt, done.State, done.Message = &now, swarm.UpdateStateCompleted, "update completed"
		if v.UpdateStatus.State == swarm.UpdateStateRollbackStarted {
			done.State, done.Message = swarm.UpdateStateRollbackCompleted, "rollback completed"
		}
		s.status(v, done)
		return
	}
	c := v.config()
	room := len(dirty)
	if c.Parallelism > 0 {
		room = max(0, int(c.Parallelism)-starting)
	}
	for _, slot := range dirty[:min(room, len(dirty))] {
		old := v.active(slot)
		if c.Order == swarm.UpdateOrderStartFirst {
			if fresh := s.startTask(v, slot); fresh.Status.State == swarm.TaskStateRunning {
				s.shutDown(old)
			}
			continue
		}
		if s.shutDown(old); old.ended() {
			s.startTask(v, slot)
		}
	}
}

// failed returns a new task of an update that ended while it was watched.
func (s *Server) failed(v *service) *task {
	for _, t := range v.tasks {
		early := t.over.Sub(t.CreatedAt) < s.monitors(v)
		if v.current(t) && t.ended() && t.DesiredState == swarm.TaskStateRunning && early && !t.CreatedAt.Before(v.UpdatedAt) {
			return t
		}
	}
	return nil
}

// giveUp does what v wants after a failed update.
func (s *Server) giveUp(v *service, t *task) {
	u := *v.UpdateStatus
	because := "due to failure or early termination of task " + t.ID
	switch {
	case u.State == swarm.UpdateStateRollbackStarted:
		u.State, u.Message = swarm.UpdateStateRollbackPaused, "rollback paused "+because
	case v.config().FailureAction == swarm.UpdateFailureActionContinue:
		return
	case v.config().FailureAction == swarm.UpdateFailureActionRollback && v.PreviousSpec != nil:
		u.State, u.Message = swarm.UpdateStateRollbackStarted, "update rolled back "+because
		v.Spec, v.PreviousSpec = *v.PreviousSpec, nil
		v.UpdatedAt = s.clock.Now().UTC()
	default:
		u.State, u.Message = swarm.UpdateStatePaused, "update paused "+because
	}
	s.status(v, u)
}

// status notes how far an update is, which makes another version of the service.
func (s *Server) status(v *service, u swarm.UpdateStatus) {
	v.UpdateStatus = &u
	s.serial++
	v.Version.Index = uint64(s.serial)
}

// forgetTasks removes the oldest past tasks, and their containers.
func (s *Server) forgetTasks(v *service) {
	for _, slot := range append(v.slots(), -1) {
		var past []*task
		for _, t := range v.tasks {
			if t.Slot == slot && t.ended() {
				past = append(past, t)
			}
		}
		for _, t := range past[:max(0, len(past)-retention+1)] {
			s.removeTask(v, t)
		}
	}
}

func (s *Server) removeTask(v *service, t *task) {
	v.tasks = slices.DeleteFunc(v.tasks, func(o *task) bool { return o == t })
	if t.c != nil && s.containers[t.c.ID] == t.c {
		if t.c.running() {
			s.halt(t.c, sigkill, 0)
		}
		s.destroy(t.c, false)
	}
}

// name returns that of the container of a task.
func (v *service) name(t *task) string {
	where := fmt.Sprint(t.Slot)
	if t.Slot == 0 {
		where = t.NodeID
	}
	return v.Spec.Name + "." + where + "." + t.ID
}
