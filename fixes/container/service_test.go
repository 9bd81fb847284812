package container

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// onSwarm runs a scenario on a swarm in memory and on a real one, which all
// scenarios of a test share.
func onSwarm(t *testing.T, scenarios map[string]func(*testing.T, *lab)) {
	t.Parallel()
	for name, scenario := range scenarios {
		t.Run("memory/"+name, func(t *testing.T) {
			t.Parallel()
			scenario(t, swarmLab(t))
		})
	}
	t.Run("real", func(t *testing.T) {
		if testing.Short() {
			t.Skip("not with -short")
		}
		t.Parallel()
		cli := dockertest.Private(t)
		join(t, cli)
		for name, scenario := range scenarios {
			t.Run(name, func(t *testing.T) {
				l := newLab(t, cli, strings.ReplaceAll(name, " ", "-")+"-")
				l.sheltered()
				scenario(t, l)
			})
		}
	})
}

// swarmLab is a swarm in memory.
func swarmLab(t *testing.T, options ...dockertest.Option) *lab {
	t.Helper()
	l := memoryLab(t, append(options, dockertest.Monitor(50*time.Millisecond), dockertest.RestartDelay(20*time.Millisecond))...)
	join(t, l.cli)
	l.sheltered()
	return l
}

// sheltered gives the mechanic a private place for secrets.
func (l *lab) sheltered() {
	o := quickly
	o.Secrets, o.Still = filepath.Join(l.TempDir(), "secrets"), 5*time.Second
	if l.server == nil {
		o.Grace, o.Still = time.Second, time.Minute
	}
	l.m = New(l.cli, o)
	l.fixer = l.dispatcher(l.m)
}

func join(t *testing.T, cli *client.Client) {
	t.Helper()
	if _, err := cli.SwarmInit(t.Context(), client.SwarmInitOptions{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
}

// serve runs a service of the probe with so many tasks, and returns its id.
func (l *lab) serve(tasks uint64, change func(*swarm.ServiceSpec), flags ...string) string {
	l.Helper()
	l.load(dockertest.Probe("app:1"))
	spec := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: l.prefix + "web"},
		Mode:        swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &tasks}},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{
			Image: l.prefix + "app:1", Args: flags, Env: []string{"A=b", "API_TOKEN=" + envCanary},
			Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: l.prefix + "data", Target: "/data"}},
		}},
	}
	if change != nil {
		change(&spec)
	}
	made, err := l.cli.ServiceCreate(l.Context(), client.ServiceCreateOptions{Spec: spec})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { l.cli.ServiceRemove(context.Background(), made.ID, client.ServiceRemoveOptions{}) })
	l.containers(made.ID, int(tasks))
	return made.ID
}

func (l *lab) service(id string) swarm.Service {
	l.Helper()
	s, err := l.cli.ServiceInspect(l.Context(), id, client.ServiceInspectOptions{})
	if err != nil {
		l.Fatal(err)
	}
	return s.Service
}

// containers returns those of the running tasks of a service, as soon as there
// are so many.
func (l *lab) containers(id string, count int) (ids []string) {
	l.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		tasks, err := l.m.tasks(l.Context(), id)
		if err != nil {
			l.Fatal(err)
		}
		ids = nil
		for _, t := range running(tasks) {
			ids = append(ids, t.Status.ContainerStatus.ContainerID)
		}
		if len(ids) == count {
			return ids
		}
		if time.Now().After(deadline) {
			l.Fatalf("%d of %d tasks run: %s", len(ids), count, pretty(tasks))
		}
	}
}

// curedInService is what is cured in most scenarios.
var curedInService = []string{"container-memory-unlimited", "container-capabilities-not-dropped", "container-secret-in-env"}

// hardening plans that for a task, with an answer to what only users know.
func (l *lab) hardening(task string, ids ...string) *fixes.Plan {
	l.Helper()
	if len(ids) == 0 {
		ids = curedInService
	}
	c := l.subject(task)
	r := l.asking(c, ids...)
	r.Values = checks.Values{"path-variable-of-api-token": "API_TOKEN_FILE"}
	p, err := l.fixer.Plan(l.Context(), c, r)
	if err != nil {
		l.Fatal(err)
	}
	return p
}

// secrets returns the names of those in the swarm that begin like the lab's.
func (l *lab) secrets() (names []string) {
	l.Helper()
	list, err := l.cli.SecretList(l.Context(), client.SecretListOptions{})
	if err != nil {
		l.Fatal(err)
	}
	for _, s := range list.Items {
		if strings.HasPrefix(s.Spec.Name, l.prefix) {
			names = append(names, s.Spec.Name)
		}
	}
	return names
}

// serviceAsBefore fails unless the service is what it was, and nothing is left of the change.
func (l *lab) serviceAsBefore(before swarm.Service) {
	l.Helper()
	now := l.service(before.ID)
	if field := changedSince(before.Spec, now.Spec); field != "" {
		l.Errorf("%s is not what it was: %s", field, pretty(now.Spec))
	}
	if names := l.secrets(); len(names) > 0 {
		l.Errorf("secrets are left: %q", names)
	}
	if left, err := l.m.folder().Names(); err == nil && len(left) > 0 {
		l.Errorf("files are left: %q", left)
	}
	for _, id := range l.containers(before.ID, int(*now.Spec.Mode.Replicated.Replicas)) {
		if env := l.inspect(id).Config.Env; !slices.Contains(env, "API_TOKEN="+envCanary) {
			l.Errorf("environment %q", env)
		}
	}
}

func TestServices(t *testing.T) {
	onSwarm(t, map[string]func(*testing.T, *lab){
		//scenario:89,91
		"is hardened and brought back": hardenedService,
		//scenario:90
		"fails": failedService,
		//scenario:92
		"in steps": serviceInSteps,
		//scenario:93
		"is changed by others":  serviceOfOthers,
		"on the default bridge": serviceOnBridge,
	})
}

func hardenedService(t *testing.T, l *lab) {
	id := l.serve(2, func(s *swarm.ServiceSpec) { s.Labels = map[string]string{labelStack: "shop"} }, "-serve", ":80", "-write", "/data/log=started")
	before := l.service(id)
	p := l.hardening(l.containers(id, 2)[1])
	if p.Mechanism != fixes.Service || len(p.Members) != 1 || p.Members[0].ID != id || len(p.Cures) < 3 {
		t.Fatalf("plan %s", pretty(p))
	}
	commands := strings.Join(p.Commands(), "\n")
	if strings.Contains(pretty(p.Changes)+commands, envCanary) || !strings.Contains(commands, "docker service update --env-rm API_TOKEN --env-add 'API_TOKEN_FILE=/run/secrets/api_token'") {
		t.Errorf("commands\n%s", commands)
	}
	if !slices.ContainsFunc(p.Notes, func(m checks.Message) bool {
		return strings.Contains(m.String(), "the next docker stack deploy of shop")
	}) {
		t.Errorf("no word of the stack: %v", p.Notes)
	}
	receipt := l.apply(p)
	if len(receipt.Cured) != len(p.Cures) || len(receipt.Reminders) != 1 {
		t.Errorf("cured %d of %d, reminders %v", len(receipt.Cured), len(p.Cures), receipt.Reminders)
	}
	now := l.service(id)
	if shown, err := json.Marshal(now); err != nil || strings.Contains(string(shown), envCanary) {
		t.Errorf("%v: the service shows the secret: %s", err, shown)
	}
	for _, one := range l.containers(id, 2) {
		i := l.inspect(one)
		if strings.Contains(strings.Join(i.Config.Env, " "), envCanary) || !slices.Contains(i.Config.Env, "API_TOKEN_FILE=/run/secrets/api_token") || i.HostConfig.Memory == 0 || !slices.Contains(i.HostConfig.CapDrop, "ALL") {
			t.Errorf("task %s", pretty(i.Config))
		}
	}
	if names := l.secrets(); len(names) != 1 || names[0] != l.prefix+"web_api_token" {
		t.Errorf("secrets %q", names)
	}
	entry := l.entry(p.ID)
	if entry.State != ledger.Applied || strings.Contains(pretty(entry), envCanary) {
		t.Errorf("entry %s", pretty(entry))
	}
	if found := holding(t, l.ledger.Path(), envCanary); len(found) > 0 {
		t.Errorf("the ledger holds the secret: %q", found)
	}
	// It was scaled since, which undo leaves alone.
	three := uint64(3)
	now.Spec.Mode.Replicated.Replicas = &three
	if _, err := l.cli.ServiceUpdate(t.Context(), id, client.ServiceUpdateOptions{Version: now.Version, Spec: now.Spec}); err != nil {
		t.Fatal(err)
	}
	l.containers(id, 3)
	if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.serviceAsBefore(before)
	l.containers(id, 3)
	log, err := l.cli.CopyFromContainer(t.Context(), l.containers(id, 3)[0], client.CopyFromContainerOptions{SourcePath: "/data/log"})
	if err != nil {
		t.Fatalf("the data is gone: %v", err)
	}
	log.Content.Close()
}

// failedService cannot work with a read-only root: the swarm goes back.
func failedService(t *testing.T, l *lab) {
	id := l.serve(2, nil, "-need-write", "/var/state")
	before := l.service(id)
	task := l.containers(id, 2)[0]
	c := l.subject(task)
	r := l.asking(c, "container-rootfs-writable", "container-secret-in-env")
	r.Values = checks.Values{"tmpfs": "", "path-variable-of-api-token": "API_TOKEN_FILE"}
	p := l.plan(task, r)
	began := time.Now()
	err := l.applyFails(p)
	if errors.Is(err, fixes.ErrBroken) || !strings.Contains(err.Error(), "non-zero exit (3)") || !strings.Contains(err.Error(), "took the update back") {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if e := l.entry(p.ID); e.State != ledger.RolledBack {
		t.Errorf("state %s: %s", e.State, e.Error)
	}
	l.serviceAsBefore(before)
}

// serviceInSteps is changed twice and brought back in the other order.
func serviceInSteps(t *testing.T, l *lab) {
	id := l.serve(1, nil)
	before := l.service(id)
	first := l.hardening(l.containers(id, 1)[0], "container-secret-in-env")
	l.apply(first)
	between := l.service(id)
	// The secret belongs to root alone: the new user gets it.
	second := l.hardening(l.containers(id, 1)[0], "container-runs-as-root", "container-pids-unlimited")
	l.apply(second)
	c := l.service(id).Spec.TaskTemplate.ContainerSpec
	if f := c.Secrets[0].File; c.User != "1000:1000" || f.UID != "1000" || f.GID != "1000" || f.Mode != 0o400 {
		t.Errorf("user %s, secret %+v", c.User, f)
	}
	if err := l.fixer.CanUndo(t.Context(), first.ID); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "undo the later change first") {
		t.Errorf("undo in the wrong order: %v", err)
	}
	if err := l.fixer.Undo(t.Context(), second.ID, nil); err != nil {
		t.Fatal(err)
	}
	if field := changedSince(between.Spec, l.service(id).Spec); field != "" {
		t.Errorf("%s is not what it was between", field)
	}
	if err := l.fixer.Undo(t.Context(), first.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.serviceAsBefore(before)
}

// serviceOfOthers is changed by somebody else between plan and apply, and after it.
func serviceOfOthers(t *testing.T, l *lab) {
	id := l.serve(2, nil)
	others := func(user string) {
		t.Helper()
		s := l.service(id)
		s.Spec.TaskTemplate.ContainerSpec.User = user
		if _, err := l.cli.ServiceUpdate(t.Context(), id, client.ServiceUpdateOptions{Version: s.Version, Spec: s.Spec}); err != nil {
			t.Fatal(err)
		}
		if err := l.m.settled(t.Context(), id, l.service(id).Spec, quiet); err != nil {
			t.Fatal(err)
		}
	}
	p := l.hardening(l.containers(id, 2)[0])
	others("1001")
	if err := l.applyFails(p); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("applied to another service than it was planned for: %v", err)
	}
	if names := l.secrets(); len(names) > 0 {
		t.Errorf("secrets %q", names)
	}

	// Two plans on two tasks are for one service, which one at a time may change.
	tasks := l.containers(id, 2)
	p, other := l.hardening(tasks[0]), l.hardening(tasks[1], "container-pids-unlimited")
	refused := false
	_, err := l.fixer.Apply(t.Context(), p, func(fixes.Progress) {
		if !refused {
			refused = true
			if _, err := l.fixer.Apply(t.Context(), other, nil); !errdefs.IsConflict(err) {
				t.Errorf("two changes at once: %v", err)
			}
		}
	})
	if err != nil || !refused {
		t.Fatalf("%v, %t", err, refused)
	}
	others("1002")
	hers := l.service(id)
	if err := l.fixer.Undo(t.Context(), p.ID, nil); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "ContainerSpec.User") {
		t.Errorf("undo overwrites what others did: %v", err)
	}
	if field := changedSince(hers.Spec, l.service(id).Spec); field != "" {
		t.Errorf("%s was changed", field)
	}
	if _, err := l.cli.ServiceRemove(t.Context(), id, client.ServiceRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := l.fixer.CanUndo(t.Context(), p.ID); !errdefs.IsNotFound(err) {
		t.Errorf("undo of a service that is gone: %v", err)
	}
}

// serviceOnBridge moves to a network of its own, which goes with the undo.
func serviceOnBridge(t *testing.T, l *lab) {
	id := l.serve(1, nil)
	before := l.service(id)
	p := l.hardening(l.containers(id, 1)[0], "container-default-bridge")
	l.apply(p)
	i := l.inspect(l.containers(id, 1)[0])
	if _, still := i.NetworkSettings.Networks["bridge"]; still || len(i.NetworkSettings.Networks) != 1 {
		t.Errorf("networks %s", pretty(i.NetworkSettings.Networks))
	}
	if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.serviceAsBefore(before)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, err := l.cli.NetworkList(t.Context(), client.NetworkListOptions{Filters: client.Filters{}.Add("label", labelTx+"="+p.ID)})
		if err == nil && len(left.Items) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v, %d networks are left", err, len(left.Items))
		}
	}
}

// fatal is a mechanic that dies at one call of record, before or after it is on disk.
type fatal struct {
	*Mechanic
	at   int
	late bool
	seen int
}

// died is what a panic of it says.
const died = "killed"

func (f *fatal) record(r fixer.Record) fixer.Record {
	return func(step int, inverse any) error {
		if f.seen == f.at && !f.late {
			panic(died)
		}
		if err := r(step, inverse); err != nil {
			return err
		}
		if f.seen == f.at {
			panic(died)
		}
		f.seen++
		return nil
	}
}

func (f *fatal) Apply(ctx context.Context, id string, p *fixes.Plan, r fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	return f.Mechanic.Apply(ctx, id, p, f.record(r), progress)
}

func (f *fatal) Undo(ctx context.Context, e ledger.Entry, r fixer.Record, progress func(fixes.Progress)) error {
	return f.Mechanic.Undo(ctx, e, f.record(r), progress)
}

// dies reports whether do ended by the death of its mechanic.
func dies(do func()) (dead bool) {
	defer func() {
		if why := recover(); why == died {
			dead = true
		} else if why != nil {
			panic(why)
		}
	}()
	do()
	return false
}

// TestServiceKilledAtEveryStep: whatever is then asked for, the service is what
// it was, or what it was to be, and nothing else is left.
//
//scenario:94
func TestServiceKilledAtEveryStep(t *testing.T) {
	for _, undo := range []bool{false, true} {
		for _, finish := range []bool{false, true} {
			t.Run(map[bool]string{false: "apply", true: "undo"}[undo]+map[bool]string{false: ", go back", true: ", finish"}[finish], func(t *testing.T) {
				t.Parallel()
				deaths := 0
				for n := 0; ; n++ {
					at, late := n/2, n%2 == 1
					l := swarmLab(t)
					id := l.serve(1, nil)
					before := l.service(id)
					p := l.hardening(l.containers(id, 1)[0])
					killer := l.dispatcher(&fatal{Mechanic: l.m, at: at, late: late})
					if undo {
						l.apply(p)
					}
					dead := dies(func() {
						var err error
						if undo {
							err = killer.Undo(t.Context(), p.ID, nil)
						} else {
							_, err = killer.Apply(t.Context(), p, nil)
						}
						if err != nil {
							t.Fatal(err)
						}
					})
					if !dead {
						break
					}
					deaths++
					e := l.crashed()
					if err := l.m.settled(t.Context(), id, l.service(id).Spec, quiet); err != nil {
						t.Fatal(err)
					}
					// Another task of the service is no way around what is unfinished.
					if _, err := l.fixer.Apply(t.Context(), l.hardening(l.containers(id, 1)[0], "container-pids-unlimited"), nil); !errdefs.IsFailedPrecondition(err) {
						t.Errorf("death %d: changed on top of an interrupted change: %v", n, err)
					}
					if err := l.fixer.Recover(t.Context(), e.ID, finish, nil); errors.Is(err, fixes.ErrBroken) {
						t.Errorf("death %d: %v", n, err)
					}
					switch state := l.entry(p.ID).State; state {
					case ledger.Applied:
						if !finish || len(l.secrets()) != 1 || l.service(id).Spec.TaskTemplate.Resources.Limits.MemoryBytes == 0 {
							t.Errorf("death %d: applied, finish %t, secrets %q", n, finish, l.secrets())
						}
						if shown, _ := json.Marshal(l.service(id)); strings.Contains(string(shown), envCanary) {
							t.Errorf("death %d: the service shows the secret", n)
						}
						if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
							t.Errorf("death %d: %v", n, err)
						}
					case ledger.RolledBack, ledger.Undone:
					default:
						t.Errorf("death %d: state %s", n, state)
					}
					l.serviceAsBefore(before)
				}
				if want := map[bool]int{false: 12, true: 2}[undo]; deaths != want {
					t.Errorf("died %d times, want %d", deaths, want)
				}
			})
		}
	}
}

// TestServiceRefusals: what a service cannot say is refused with the reason, and
// left out where other things can be cured.
//
//scenario:95
func TestServiceRefusals(t *testing.T) {
	t.Parallel()
	l := swarmLab(t)
	id := l.serve(1, func(s *swarm.ServiceSpec) {
		s.EndpointSpec = &swarm.EndpointSpec{Ports: []swarm.PortConfig{{Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: swarm.PortConfigPublishModeHost}}}
	}, "-serve", ":80")
	task := l.containers(id, 1)[0]
	for check, why := range map[string]string{
		"container-new-privileges-allowed": "set it in daemon.json",
		"container-port-on-all-interfaces": "only their firewall",
	} {
		if p := l.hardening(task, check); !strings.Contains(p.Blocked.String(), why) || p.Mechanism != fixes.Service {
			t.Errorf("%s: %q", check, p.Blocked)
		}
	}
	p := l.hardening(task, "container-new-privileges-allowed", "container-memory-unlimited")
	if !p.Blocked.IsZero() || len(p.Cures) != 1 || !slices.ContainsFunc(p.Notes, func(m checks.Message) bool { return strings.HasPrefix(m.String(), "left out, ") }) {
		t.Errorf("blocked %q, cures %d, notes %v", p.Blocked, len(p.Cures), p.Notes)
	}
	l.server.SetSwarm(func(i *swarm.Info) { i.ControlAvailable = false })
	if p := l.hardening(task, "container-memory-unlimited"); !strings.Contains(p.Blocked.String(), "no manager of the swarm") {
		t.Errorf("on a worker: %q", p.Blocked)
	}
	l.server.SetSwarm(func(i *swarm.Info) { i.ControlAvailable = true })
	plain := New(l.cli, Options{Plain: true, Secrets: l.m.o.Secrets})
	if p, err := plain.Plan(t.Context(), l.subject(task), l.asking(l.subject(task), "container-memory-unlimited")); err != nil || !strings.Contains(p.Blocked.String(), "not encrypted") {
		t.Errorf("over a plain connection: %v, %q", err, p.Blocked)
	}

	later := swarmLab(t, dockertest.API("1.44"))
	id = later.serve(1, nil)
	p = later.hardening(later.containers(id, 1)[0], "container-new-privileges-allowed")
	later.apply(p)
	if i := later.inspect(later.containers(id, 1)[0]); len(i.HostConfig.SecurityOpt) != 1 {
		t.Errorf("security options %q", i.HostConfig.SecurityOpt)
	}
	if !later.service(id).Spec.TaskTemplate.ContainerSpec.Privileges.NoNewPrivileges {
		t.Error("the service allows new privileges")
	}
}

// TestPastTaskIsNotChanged: the container of a task that has ended stays for a
// while and never runs again.
//
//scenario:96
func TestPastTaskIsNotChanged(t *testing.T) {
	t.Parallel()
	l := swarmLab(t)
	id := l.serve(1, nil)
	past := l.containers(id, 1)[0]
	l.apply(l.hardening(past))
	c := l.subject(past)
	if found := checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings; len(found) > 0 {
		t.Errorf("a past task is judged: %s", found[0].Message)
	}
}

// TestTasksOfOneServiceAreOnePart of a plan over many subjects, whichever of them
// what was asked about.
func TestTasksOfOneServiceAreOnePart(t *testing.T) {
	t.Parallel()
	l := swarmLab(t)
	id := l.serve(2, nil)
	before := l.service(id)
	tasks := l.containers(id, 2)
	lone := l.run("lone", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	var asks []fixes.Ask
	for container, check := range map[string]string{tasks[0]: "container-memory-unlimited", tasks[1]: "container-pids-unlimited", lone: "container-memory-unlimited"} {
		c := l.subject(container)
		asks = append(asks, fixes.Ask{Subject: c, Request: l.asking(c, check)})
	}
	batch, err := l.fixer.PlanBatch(t.Context(), asks)
	if err != nil {
		t.Fatal(err)
	}
	if len(batch.Parts) != 2 || batch.Applicable() != 2 || len(batch.Cures()) != 3 {
		t.Fatalf("%d parts, %d cures: %s", len(batch.Parts), len(batch.Cures()), pretty(batch))
	}
	receipt, err := l.fixer.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil)
	if err != nil || receipt.Done() != 2 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	if r := l.service(id).Spec.TaskTemplate.Resources.Limits; r.MemoryBytes == 0 || r.Pids == 0 {
		t.Errorf("limits %+v", r)
	}
	if err := l.fixer.UndoBatch(t.Context(), batch.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.serviceAsBefore(before)
}

// TestUnhealthyServiceGoesBack: a health check that nobody answers keeps the new
// task from ever running, though its program does.
func TestUnhealthyServiceGoesBack(t *testing.T) {
	t.Parallel()
	l := swarmLab(t)
	l.server.AddImage(dockertest.Probe("postgres:17", "-unhealthy"))
	id := l.serve(1, func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "postgres:17" })
	before := l.service(id)
	p := l.hardening(l.containers(id, 1)[0], "container-healthcheck-missing")
	if err := l.applyFails(p); !strings.Contains(err.Error(), "the health check fails") {
		t.Errorf("error %v", err)
	}
	l.serviceAsBefore(before)
}

// TestServiceMovesToANewerImage by its digest, and back to the one that it had.
func TestServiceMovesToANewerImage(t *testing.T) {
	t.Parallel()
	l := swarmLab(t)
	old := dockertest.Probe("shop:1", "-x", "old")
	pinned := "shop:1@sha256:" + strings.Repeat("1", 64)
	old.Digests = []string{strings.Replace(pinned, ":1", "", 1)}
	l.server.AddImage(old)
	of := func(name, image string) func(*swarm.ServiceSpec) {
		return func(s *swarm.ServiceSpec) { s.Name, s.TaskTemplate.ContainerSpec.Image = name, image }
	}
	newer := l.server.Publish("shop:1", dockertest.Probe("shop:1", "-x", "new"))
	move := func(id string) *fixes.Plan {
		t.Helper()
		task := l.containers(id, 1)[0]
		request := fixes.Request{Update: true, Pull: true}
		p := l.plan(task, request)
		if p.Fetch == "" {
			t.Fatalf("nothing to fetch: %s", pretty(p))
		}
		fetched, err := l.fixer.Fetch(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Fetched = fetched
		return l.plan(task, request)
	}
	id := l.serve(1, of("pinned", pinned))
	before := l.service(id)
	was := l.inspect(l.containers(id, 1)[0])
	p := move(id)
	if !p.Blocked.IsZero() || p.Mechanism != fixes.Service || p.Card == nil {
		t.Fatalf("plan %s", pretty(p))
	}
	l.apply(p)
	image := l.service(id).Spec.TaskTemplate.ContainerSpec.Image
	if now := l.inspect(l.containers(id, 1)[0]); now.Image != newer || !strings.HasPrefix(image, "shop:1@sha256:") || image == pinned {
		t.Errorf("it runs %s as %s, want %s", now.Image, image, newer)
	}
	if err := l.fixer.Undo(t.Context(), p.ID, nil); err != nil {
		t.Fatal(err)
	}
	l.serviceAsBefore(before)
	if now := l.inspect(l.containers(id, 1)[0]); now.Image != was.Image {
		t.Errorf("it runs %s, want %s", now.Image, was.Image)
	}
	// Without a digest nobody knows what going back leads to.
	if p := move(l.serve(1, of("loose", "shop:1"))); !strings.Contains(p.Blocked.String(), "docker service update --image shop:1") {
		t.Errorf("blocked %q", p.Blocked)
	}
}
