package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// A serviceRun applies the plan of a service.
type serviceRun struct {
	m        *Mechanic
	d        *detail
	plan     *fixes.Plan
	j        serviceJournal
	specs    specs
	record   fixer.Record
	progress func(fixes.Progress)
	step     int
	warnings []string
}

func (m *Mechanic) applyService(ctx context.Context, tx string, plan *fixes.Plan, d *detail, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	if d.pull {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s has to be fetched first", clean(d.world.reference())))
	}
	began := m.o.Now()
	s, err := m.serviceNow(ctx, d.world.service.ID)
	if err != nil {
		return nil, err
	}
	if s.fingerprint() != plan.Fingerprint {
		return nil, fmt.Errorf("%s: %w", clean(s.Spec.Name), fixes.ErrChanged)
	}
	if busy := s.busy(); !busy.IsZero() {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(busy.String())
	}
	r := &serviceRun{
		m: m, d: d, plan: plan, record: record, progress: progress,
		j:     serviceJournal{Tx: tx, Service: s.ID, Name: s.Spec.Name, Listening: m.servesPorts(ctx, s.Service)},
		specs: specs{Before: s.Spec, After: scaledAs(*cloned(d.after), s.Spec)},
	}
	for _, secret := range d.want.Secrets {
		r.j.Secrets = append(r.j.Secrets, d.names[secret.Name])
	}
	for i, stage := range d.stages {
		r.step, r.j.Stage = i, stage
		if err = record(i, r.j); err == nil {
			r.say(plan.Steps[i].Why, -1)
			err = r.do(ctx, stage)
		}
		if err != nil {
			progress(fixes.Progress{Step: i, Message: checks.Msg("it failed: everything is put back"), Ratio: -1, Undoing: true})
			return nil, errors.Join(err, m.serviceBack(context.WithoutCancel(ctx), &r.j, undoing(r.step, progress)))
		}
	}
	receipt, err := r.receipt(ctx)
	if err != nil {
		return nil, errors.Join(err, m.serviceBack(context.WithoutCancel(ctx), &r.j, undoing(r.step, progress)))
	}
	receipt.Took = m.o.Now().Sub(began)
	r.j.Stage = committed
	_ = record(r.step, r.j) // the entry says that it was being verified otherwise, from where it can be finished
	return receipt, nil
}

func (r *serviceRun) say(m checks.Message, ratio float64) {
	r.progress(fixes.Progress{Step: r.step, Message: m, Ratio: ratio})
}

// do carries out one stage.
func (r *serviceRun) do(ctx context.Context, s stage) error {
	switch s {
	case keeping:
		return r.makeSecret(ctx)
	case networking:
		return r.makeNetwork(ctx)
	case serving:
		if err := r.m.keepSpecs(&r.j, r.specs); err != nil {
			return err
		}
		warnings, err := r.m.updateService(ctx, r.j.Service, r.specs.Before, r.specs.After)
		r.warnings = append(r.warnings, warnings...)
		return err
	case settling:
		return r.m.settled(ctx, r.j.Service, r.specs.After, r.say)
	case forgetting:
		_, err := r.m.updateService(ctx, r.j.Service, r.specs.After, r.specs.After)
		return err
	case reading:
		return r.m.stillServes(ctx, &r.j)
	}
	return nil
}

// makeSecret makes the secret that this step names.
func (r *serviceRun) makeSecret(ctx context.Context) error {
	for _, s := range r.d.want.Secrets {
		name := r.d.names[s.Name]
		if clean(name) != r.plan.Steps[r.step].Target {
			continue
		}
		made, err := r.m.engine.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{
			Annotations: swarm.Annotations{Name: name, Labels: map[string]string{labelTx: r.j.Tx}}, Data: []byte(s.Value.Reveal()),
		}})
		if err != nil {
			return fmt.Errorf("make the secret %s: %w", clean(name), err)
		}
		for _, ref := range r.specs.After.TaskTemplate.ContainerSpec.Secrets {
			if ref.SecretName == name {
				ref.SecretID = made.ID
			}
		}
	}
	return nil
}

// makeNetwork makes the network that this step names. A service is told its id.
func (r *serviceRun) makeNetwork(ctx context.Context) error {
	r.j.Network = r.plan.Steps[r.step].Target
	made, err := r.m.engine.NetworkCreate(ctx, r.j.Network, client.NetworkCreateOptions{Driver: "overlay", Labels: map[string]string{labelTx: r.j.Tx}})
	if err != nil {
		return fmt.Errorf("create network %s: %w", clean(r.j.Network), err)
	}
	networks := r.specs.After.TaskTemplate.Networks
	for i := range networks {
		if networks[i].Target == r.j.Network {
			networks[i].Target = made.ID
		}
	}
	return nil
}

// serviceNow returns the service id as it is.
func (m *Mechanic) serviceNow(ctx context.Context, id string) (*swarmService, error) {
	result, err := m.engine.ServiceInspect(ctx, id, client.ServiceInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("inspect service: %w", err)
	}
	return &swarmService{Service: result.Service}, nil
}

// attempts are how often an update is tried while the swarm itself writes down
// something about the service, which makes another version of it.
const attempts = 5

// updateService makes the service id what to is, if it is from still.
func (m *Mechanic) updateService(ctx context.Context, id string, from, to swarm.ServiceSpec) (warnings []string, err error) {
	for range attempts {
		s, err := m.serviceNow(ctx, id)
		if err != nil {
			return nil, err
		}
		if field := changedSince(from, s.Spec); field != "" {
			return nil, fmt.Errorf("%s, %s: %w", clean(s.Spec.Name), clean(field), fixes.ErrChanged)
		}
		options := client.ServiceUpdateOptions{Version: s.Version, Spec: scaledAs(*cloned(&to), s.Spec), RegistryAuthFrom: swarm.RegistryAuthFromSpec}
		if image := to.TaskTemplate.ContainerSpec.Image; m.o.Auth != nil && image != from.TaskTemplate.ContainerSpec.Image {
			options.EncodedRegistryAuth, _ = m.o.Auth(ctx, image) // many images need none
		}
		result, err := m.engine.ServiceUpdate(ctx, id, options)
		if err == nil {
			return result.Warnings, nil
		}
		if now, gone := m.serviceNow(ctx, id); gone != nil || now.Version.Index == s.Version.Index {
			return nil, fmt.Errorf("update service: %w", err)
		}
	}
	return nil, errdefs.ErrConflict.WithMessage("something else keeps changing the service")
}

// servesPorts returns the published ports that a task on this engine listens on.
func (m *Mechanic) servesPorts(ctx context.Context, s swarm.Service) []uint16 {
	open := m.opened(ctx, s.ID)
	var out []uint16
	for _, p := range s.Endpoint.Ports {
		if port := uint16(p.TargetPort); open[port] && !slices.Contains(out, port) {
			out = append(out, port)
		}
	}
	return out
}

// opened returns the ports that the running tasks on this engine all listen on,
// nil where that is not known.
func (m *Mechanic) opened(ctx context.Context, service string) map[uint16]bool {
	var all map[uint16]bool
	for _, id := range m.ours(ctx, service) {
		c, err := m.inspect(ctx, id)
		if err != nil {
			return nil
		}
		open, known := m.listeners(c)
		if !known {
			return nil
		}
		if all == nil {
			all = open
		}
		for port := range all {
			if !open[port] {
				delete(all, port)
			}
		}
	}
	return all
}

// ours returns the containers of the running tasks of a service on this engine.
func (m *Mechanic) ours(ctx context.Context, service string) []string {
	info, err := m.engineInfo(ctx)
	if err != nil {
		return nil
	}
	tasks, err := m.tasks(ctx, service)
	if err != nil {
		return nil
	}
	return m.here(running(tasks), info.Swarm.NodeID)
}

// stillServes waits until the tasks listen on the ports that they listened on before.
func (m *Mechanic) stillServes(ctx context.Context, j *serviceJournal) error {
	for began := m.o.Now(); ; {
		open := m.opened(ctx, j.Service)
		var missing []string
		for _, port := range j.Listening {
			if open != nil && !open[port] {
				missing = append(missing, fmt.Sprint(port))
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if m.o.Now().Sub(began) >= m.o.Listen {
			return failed("nothing listens on port %s any more", strings.Join(missing, ", "))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(m.o.Poll):
		}
	}
}

// receipt proves the change by what the swarm and the new tasks say.
func (r *serviceRun) receipt(ctx context.Context) (*fixes.Receipt, error) {
	s, err := r.m.serviceNow(ctx, r.j.Service)
	if err != nil {
		return nil, err
	}
	if field := changedSince(r.specs.After, s.Spec); field != "" {
		return nil, errdefs.ErrFailedPrecondition.WithMessage("the swarm made something else of the service: " + clean(field))
	}
	tasks, err := r.m.tasks(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	receipt := &fixes.Receipt{Cured: r.plan.Cures, Left: r.plan.Leaves}
	say := func(m checks.Message) { receipt.Proof = append(receipt.Proof, m) }
	say(checks.Msg("%d tasks of the service %s run as it says now; the swarm watched each for %s", len(running(tasks)), clean(s.Spec.Name), r.specs.After.UpdateConfig.Monitor.String()))
	for _, c := range r.plan.Changes {
		say(checks.Msg("read back: %s is %s", c.Field, c.After))
	}
	if n := len(r.j.Listening); n > 0 {
		say(checks.Msg("it listens on the same %d ports as before", n))
	}
	for _, w := range r.warnings {
		say(checks.Msg("the engine says: %s", clean(w)))
	}
	containers := r.m.ours(ctx, s.ID)
	if len(containers) == 0 {
		say(checks.Msg("none of its tasks runs on this node, so that their containers could not be looked at"))
	} else if receipt.Cured, receipt.Left, err = r.judged(ctx, containers[0]); err != nil {
		return nil, err
	}
	proof, reminders, err := r.secretsGone(ctx, s, containers)
	receipt.Proof, receipt.Reminders = append(receipt.Proof, proof...), reminders
	return receipt, err
}

// judged returns what is gone and what is left by the checks' word on a new task.
func (r *serviceRun) judged(ctx context.Context, id string) (cured, left []checks.Finding, err error) {
	now, err := r.m.inspect(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	image, err := r.m.image(ctx, now.Image)
	if err != nil {
		return nil, nil, err
	}
	c := *r.d.world.container
	fresh := subject.New(*now, image, "", r.m.o.Now())
	c.Settings, c.Inspect, c.Image, c.Now = fresh.Settings, fresh.Inspect, fresh.Image, fresh.Now
	c.Processes, c.TagID = nil, now.Image
	cured, left = verdict(&c, r.plan)
	return cured, left, nil
}

// secretsGone proves that neither the service nor its tasks show a secret that
// was moved, and says what is left to a person.
func (r *serviceRun) secretsGone(ctx context.Context, s *swarmService, containers []string) (proof, reminders []checks.Message, err error) {
	for _, secret := range r.d.want.Secrets {
		entry := secret.Variable + "=" + secret.Value.Reveal()
		shown := slices.Contains(s.Spec.TaskTemplate.ContainerSpec.Env, entry)
		if p := s.PreviousSpec; p != nil && p.TaskTemplate.ContainerSpec != nil {
			shown = shown || slices.Contains(p.TaskTemplate.ContainerSpec.Env, entry)
		}
		for _, id := range containers {
			c, err := r.m.inspect(ctx, id)
			if err != nil {
				return nil, nil, err
			}
			shown = shown || slices.Contains(c.Config.Env, entry)
		}
		if shown {
			return nil, nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("the engine still shows the value of %s", clean(secret.Variable)))
		}
		proof = append(proof,
			checks.Msg("neither docker service inspect nor docker inspect of its tasks shows the value of %s any more", clean(secret.Variable)),
			checks.Msg("the swarm keeps it as the secret %s, encrypted", clean(r.d.names[secret.Name])))
		reminders = append(reminders, checks.Msg("the old value of %s is still in past tasks that the swarm remembers and in the record that undo needs, and known to whoever inspected it: replace it at its issuer", clean(secret.Variable)))
	}
	return proof, reminders, nil
}

// serviceBack makes the service what it was before, as far as it was changed. It
// can be repeated.
func (m *Mechanic) serviceBack(ctx context.Context, j *serviceJournal, say func(checks.Message, float64)) error {
	kept, err := m.specs(j)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// it had not come so far, or is back already
	case err != nil:
		return errors.Join(fixes.ErrBroken, err)
	default:
		if err := m.restoreService(ctx, j, kept, say); err != nil {
			return err
		}
	}
	m.clearService(ctx, j)
	return nil
}

func (m *Mechanic) restoreService(ctx context.Context, j *serviceJournal, kept specs, say func(checks.Message, float64)) error {
	now, err := m.serviceNow(ctx, j.Service)
	if errdefs.IsNotFound(err) {
		return broken(err, "the service %s is gone", clean(j.Name))
	}
	if err != nil {
		return errors.Join(fixes.ErrBroken, err)
	}
	field := changedSince(kept.Before, now.Spec)
	switch {
	case field == "": // the swarm went back by itself, or was not asked yet
	case changedSince(kept.After, now.Spec) != "":
		return broken(nil, "the service %s was changed by somebody else meanwhile (%s) and is left as it is", clean(j.Name), clean(field))
	default:
		if _, err := m.updateService(ctx, j.Service, kept.After, kept.Before); err != nil {
			return broken(err, "the service %s is not what it was: docker service rollback %s", clean(j.Name), clean(j.Name))
		}
	}
	if err := m.settled(ctx, j.Service, kept.Before, say); err != nil {
		return broken(err, "the service %s is what it was, but its tasks do not all run", clean(j.Name))
	}
	return nil
}

// clearService removes what was made for a change that is taken back. What
// cannot be removed does no harm.
func (m *Mechanic) clearService(ctx context.Context, j *serviceJournal) {
	_ = m.folder().Remove(j.file())
	if len(j.Secrets) > 0 {
		list, err := m.engine.SecretList(ctx, client.SecretListOptions{Filters: client.Filters{}.Add("label", labelTx+"="+j.Tx)})
		if err != nil {
			return
		}
		for _, s := range list.Items {
			if s.Spec.Labels[labelTx] == j.Tx {
				_, _ = m.engine.SecretRemove(ctx, s.ID, client.SecretRemoveOptions{}) // the swarm refuses one in use
			}
		}
	}
	if j.Network != "" {
		m.removeOverlay(ctx, j.Tx)
	}
}
