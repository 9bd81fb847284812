package container

import (
	"context"
	"fmt"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
)

// settled waits until every task of the service id runs as spec says, or it is
// known that they will not.
func (m *Mechanic) settled(ctx context.Context, id string, spec swarm.ServiceSpec, say func(checks.Message, float64)) error {
	moved, last := m.o.Now(), ""
	var began time.Time // as the engine's clock says
	for {
		tasks, err := m.tasks(ctx, id)
		if err != nil {
			return err
		}
		s, err := m.serviceNow(ctx, id) // after its tasks: new ones that run already are of an update that it knows of
		if err != nil {
			return err
		}
		s.tasks = tasks
		if began.IsZero() {
			began = s.UpdatedAt.Add(-time.Second) // the first tasks are as old as the update
		}
		done, err := s.settled(spec)
		if err != nil {
			return fmt.Errorf("%w%s", err, m.complaint(ctx, s.tasks, began))
		}
		fresh, wanted := s.fresh(), s.wanted()
		if done {
			return nil
		}
		say(checks.Msg("%d of %d tasks run as the service says", fresh, wanted), min(1, float64(fresh)/float64(max(1, wanted))))
		now := m.o.Now()
		if state := s.states(); state != last {
			moved, last = now, state
		}
		if now.Sub(moved) > m.stillness(&spec) {
			return failed("the tasks show no progress for %s%s", m.stillness(&spec).String(), m.complaint(ctx, s.tasks, began))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(m.o.Poll):
		}
	}
}

// settled reports whether the swarm has finished replacing the tasks by those of
// spec. It fails when it has given that up.
func (s *swarmService) settled(spec swarm.ServiceSpec) (bool, error) {
	var state swarm.UpdateState
	said := ""
	if u := s.UpdateStatus; u != nil {
		state, said = u.State, colon(u.Message)
	}
	switch {
	case state == swarm.UpdateStateRollbackStarted || state == swarm.UpdateStateUpdating:
		return false, nil
	case state == swarm.UpdateStatePaused || state == swarm.UpdateStateRollbackPaused:
		return false, failed("the update stopped halfway%s", said)
	case changedSince(spec, s.Spec) != "" && state == swarm.UpdateStateRollbackCompleted:
		return false, failed("the swarm took the update back")
	case changedSince(spec, s.Spec) != "":
		return false, failed("the service was changed by somebody else meanwhile: %s", clean(changedSince(spec, s.Spec)))
	}
	return s.fresh() >= s.wanted() && s.stale() == 0, nil
}

// current reports whether a task was made from what the service says now.
func (s *swarmService) current(t swarm.Task) bool {
	template := s.Spec.TaskTemplate
	template.Runtime = t.Spec.Runtime // which tasks leave out where there is no choice
	was, is := view{}, view{}
	was.flatten("", t.Spec)
	is.flatten("", template)
	return len(was.differences(is)) == 0
}

// fresh counts the tasks that run as the service says.
func (s *swarmService) fresh() (n int) {
	for _, t := range running(s.tasks) {
		if s.current(t) {
			n++
		}
	}
	return n
}

// stale counts the tasks that are to run and do not, or not as the service says.
func (s *swarmService) stale() (n int) {
	for _, t := range s.tasks {
		if t.DesiredState == swarm.TaskStateRunning && (t.Status.State != swarm.TaskStateRunning || !s.current(t)) {
			n++
		}
	}
	return n
}

// wanted returns how many tasks the service is to have, at least.
func (s *swarmService) wanted() int {
	if r := s.Spec.Mode.Replicated; r != nil && r.Replicas != nil {
		return int(*r.Replicas)
	}
	return 1 // a global service has one on each node that it fits on
}

// states tells one moment of the tasks from the next.
func (s *swarmService) states() string {
	text := ""
	for _, t := range s.tasks {
		text += t.ID + string(t.DesiredState) + string(t.Status.State)
	}
	return text
}

// stillness is how long the tasks of a service may stay as they are in the
// course of an update.
func (m *Mechanic) stillness(spec *swarm.ServiceSpec) time.Duration {
	long := m.o.Still
	if u := spec.UpdateConfig; u != nil {
		long += u.Monitor + u.Delay
	}
	if c := spec.TaskTemplate.ContainerSpec; c != nil {
		if c.StopGracePeriod != nil {
			long += *c.StopGracePeriod
		}
		if c.Healthcheck != nil {
			long += patience(c.Healthcheck)
		}
	}
	return long
}

// complaint returns what went wrong with the latest task that ended, or cannot
// begin, since then; "" for nothing.
func (m *Mechanic) complaint(ctx context.Context, tasks []swarm.Task, since time.Time) string {
	ctx = context.WithoutCancel(ctx)
	for _, t := range tasks {
		if t.CreatedAt.Before(since) {
			continue
		}
		why := clean(t.Status.Err)
		if t.Status.State == swarm.TaskStateComplete {
			why = "its program ended"
		}
		if why == "" {
			continue
		}
		if run := t.Status.ContainerStatus; run != nil && run.ContainerID != "" {
			if c, err := m.inspect(ctx, run.ContainerID); err == nil && health(c) == api.Unhealthy {
				why = "the health check fails" + colon(lastProbe(c))
			}
			if words := m.lastWords(ctx, run.ContainerID); words != "" {
				why += "; its last output: " + words
			}
		}
		return ": " + why
	}
	return ""
}
