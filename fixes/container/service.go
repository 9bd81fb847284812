package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// labelStack is what docker stack deploy puts on its services.
const labelStack = "com.docker.stack.namespace"

// serviceKind is that of a service among the members of a plan: it is what no
// two changes may touch at a time, whichever of its tasks they were planned on.
const serviceKind checks.Kind = "service"

// A swarmService is what a container is a task of. A swarm makes the container
// of each task from it, so that it is what has to change.
type swarmService struct {
	swarm.Service
	unknown []string        // settings that this program does not know
	tasks   []swarm.Task    // the latest first
	secrets map[string]bool // names of those in the swarm
}

func (s *swarmService) ref() checks.Ref {
	return checks.Ref{Kind: serviceKind, ID: s.ID, Name: s.Spec.Name}
}

// lookService reads the service that w's container is a task of. It is nil where
// there is none, or nobody here can tell.
func (m *Mechanic) lookService(ctx context.Context, w *world) (*swarmService, error) {
	id, _ := w.container.Service()
	if id == "" || !w.info.Swarm.ControlAvailable {
		return nil, nil
	}
	result, err := m.engine.ServiceInspect(ctx, id, client.ServiceInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("inspect service: %w", err)
	}
	s := &swarmService{Service: result.Service, secrets: map[string]bool{}}
	if s.unknown, err = unknownOf(result); err != nil {
		return nil, err
	}
	if s.tasks, err = m.tasks(ctx, id); err != nil {
		return nil, err
	}
	secrets, err := m.engine.SecretList(ctx, client.SecretListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	for _, one := range secrets.Items {
		s.secrets[one.Spec.Name] = true
	}
	return s, nil
}

// unknownOf returns the settings of an inspected service that have a value and
// no place in this program's types: an update would lose them.
func unknownOf(result client.ServiceInspectResult) ([]string, error) {
	var all, read map[string]any
	data, err := json.Marshal(result.Service)
	if err == nil {
		err = errors.Join(json.Unmarshal(result.Raw, &all), json.Unmarshal(data, &read))
	}
	if err != nil {
		return nil, fmt.Errorf("inspection of a service: %w", err)
	}
	var unknown []string
	compareKeys("Spec", all["Spec"], read["Spec"], &unknown)
	return unknown, nil
}

// tasks returns the tasks of a service, past ones too, the latest first.
func (m *Mechanic) tasks(ctx context.Context, id string) ([]swarm.Task, error) {
	result, err := m.engine.TaskList(ctx, client.TaskListOptions{Filters: client.Filters{}.Add("service", id)})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	slices.SortStableFunc(result.Items, func(a, b swarm.Task) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return result.Items, nil
}

// running returns those of tasks that run and are to go on.
func running(tasks []swarm.Task) []swarm.Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(t swarm.Task) bool {
		return t.DesiredState != swarm.TaskStateRunning || t.Status.State != swarm.TaskStateRunning
	})
}

// here returns the containers of tasks that are on this engine.
func (m *Mechanic) here(tasks []swarm.Task, node string) (ids []string) {
	for _, t := range tasks {
		if s := t.Status.ContainerStatus; t.NodeID == node && s != nil && s.ContainerID != "" {
			ids = append(ids, s.ContainerID)
		}
	}
	return ids
}

// fingerprint is [fingerprint] for a service. How many tasks there are is not
// part of it.
func (s *swarmService) fingerprint() string {
	spec := s.Spec
	spec.Mode = swarm.ServiceMode{}
	data, err := json.Marshal([]any{s.ID, spec})
	if err != nil {
		panic("fixes/container: fingerprint: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// busy says what else is changing the service.
func (s *swarmService) busy() checks.Message {
	u := s.UpdateStatus
	if u == nil {
		return checks.Message{}
	}
	switch u.State {
	case swarm.UpdateStateUpdating, swarm.UpdateStateRollbackStarted:
		return checks.Msg("the service %s is being updated right now: wait until that is over", clean(s.Spec.Name))
	case swarm.UpdateStatePaused, swarm.UpdateStateRollbackPaused:
		return checks.Msg("an update of the service %[1]s stopped halfway: see docker service ps %[1]s, then go on with docker service update %[1]s or go back with docker service rollback %[1]s", clean(s.Spec.Name))
	}
	return checks.Message{}
}

// unservable says why the service cannot be updated, zero if it can be.
func (pl *planner) unservable() checks.Message {
	s := pl.w.service
	name := clean(s.Spec.Name)
	if busy := s.busy(); !busy.IsZero() {
		return busy
	}
	switch {
	case s.Spec.TaskTemplate.ContainerSpec == nil:
		return checks.Msg("the service %s runs no containers of its own", name)
	case s.Spec.Mode.ReplicatedJob != nil || s.Spec.Mode.GlobalJob != nil:
		return checks.Msg("the service %s is a job, which the swarm cannot take back: change it with docker service update %s", name, fixes.Quote(name))
	case len(s.unknown) > 0:
		return checks.Msg("the engine knows settings of the service %s that plimsoll does not, and they would be lost: %s", name, clean(strings.Join(s.unknown, ", ")))
	case len(running(s.tasks)) == 0:
		return checks.Msg("no task of the service %s runs, so that nobody could see whether the change works", name)
	case s.fresh() < s.wanted() || s.stale() > 0:
		return checks.Msg("not all tasks of the service %[1]s run: see docker service ps %[1]s and put that right first", name)
	case !filepath.IsAbs(pl.w.secrets):
		return checks.Msg("there is no private place for secrets")
	}
	for _, secret := range pl.d.want.Secrets {
		if len(secret.Value.Reveal()) > largestSecret {
			return checks.Msg("the value of %s is longer than a secret of a swarm may be", clean(secret.Variable))
		}
		for _, m := range pl.w.inspect().Mounts {
			if m.Destination == secret.Target {
				return checks.Msg("something is mounted at %s already: give the secret another name", clean(secret.Target))
			}
		}
	}
	return checks.Message{}
}

// largestSecret is what a swarm takes, in bytes.
const largestSecret = 500 << 10

// serviceSteps lists what is done to the service.
func (pl *planner) serviceSteps() {
	before, after := &pl.w.service.Spec, pl.d.after
	name := before.Name
	if pl.d.pull {
		ref := pl.w.reference()
		pl.step(pulling, "pull", ref, checks.Msg("ask the registry for the newest image of the tag"), "docker", "pull", ref)
	}
	for _, s := range pl.d.want.Secrets {
		secret := pl.d.names[s.Name]
		pl.step(keeping, "secret", secret, checks.Msg("the swarm keeps %s as a secret before it leaves the environment", clean(s.Variable)), "docker", "secret", "create", secret, "-")
	}
	if network := pl.overlay(); network != "" {
		pl.step(networking, "network", network, checks.Msg("make the network that its tasks move to"), "docker", "network", "create", "--driver", "overlay", network)
	}
	pl.step(serving, "update", name, checks.Msg("the swarm replaces one task after the other, and goes back by itself when one fails"), serviceCommand(before, after)...)
	pl.step(settling, "watch", name, checks.Msg("every new task has to run for %s at least", after.UpdateConfig.Monitor.String()), "docker", "service", "ps", name)
	if len(pl.d.want.Secrets) > 0 {
		pl.step(forgetting, "forget", name, checks.Msg("a service remembers how it was before its latest update, secrets included: one that changes nothing, and restarts nothing, makes it forget"), "docker", "service", "update", name)
	}
	pl.step(reading, "verify", name, checks.Msg("what its new tasks are has to be what was asked for"), "docker", "service", "inspect", name)
}

func (pl *planner) serviceNotes() {
	s := pl.w.service
	note := func(m checks.Message) { pl.p.Notes = append(pl.p.Notes, m) }
	tasks := len(running(s.tasks))
	startFirst := pl.d.after.UpdateConfig.Order == swarm.UpdateOrderStartFirst
	parallel := int(pl.d.after.UpdateConfig.Parallelism)
	switch {
	case tasks == 1 && !startFirst, tasks > 1 && !startFirst && (parallel == 0 || parallel >= tasks):
		pl.p.Downtime = away
		note(checks.Msg("the service %s is away while its tasks are replaced", clean(s.Spec.Name)))
	case tasks > 1:
		note(checks.Msg("all %d tasks of the service %s are replaced, so that the others answer meanwhile", tasks, clean(s.Spec.Name)))
	}
	if paths := pl.w.written(); len(paths) > 0 {
		note(checks.Msg("what a task wrote outside of volumes is gone with its container, as at every update: %d paths, %s: %s",
			len(paths), bytes(pl.w.size), clean(strings.Join(paths[:min(maxPaths, len(paths))], " "))))
	}
	if stack := s.Spec.Labels[labelStack]; stack != "" {
		note(checks.Msg("the next docker stack deploy of %s takes it back: write it into the file of that stack too", clean(stack)))
	}
	if len(pl.d.want.Secrets) > 0 {
		note(checks.Msg("docker service rollback cannot bring the secret back into the environment afterwards: undo here can"))
	}
}

// overlay returns the network that is to be made for the service, "" for none.
func (pl *planner) overlay() string {
	name := pl.newNetwork()
	if name == "" || !slices.ContainsFunc(pl.d.after.TaskTemplate.Networks, func(n swarm.NetworkAttachmentConfig) bool { return n.Target == name }) {
		return ""
	}
	return name
}
