package dockertest_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// tasked runs a service, updates it well and badly, and takes that back.
func tasked(e *engine) {
	ctx := e.Context()
	_, err := e.cli.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"})
	if err != nil {
		e.Fatal(err)
	}
	e.images(dockertest.Probe("web:1"))
	e.overlays(1)
	made, err := e.cli.NetworkCreate(ctx, e.prefix+"back", client.NetworkCreateOptions{Driver: "overlay"})
	e.fails("overlay", err)
	e.know(made.ID, "network back")
	secret, err := e.cli.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{Annotations: swarm.Annotations{Name: e.prefix + "token", Labels: map[string]string{"kind": "token"}}, Data: []byte("not-a-real-one")}})
	e.fails("secret", err)
	e.know(secret.ID, "secret")
	two := uint64(2)
	service, err := e.cli.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: swarm.ServiceSpec{
		Annotations:  swarm.Annotations{Name: e.prefix + "web"},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &two}},
		EndpointSpec: &swarm.EndpointSpec{Ports: []swarm.PortConfig{{Protocol: "tcp", TargetPort: 80, PublishedPort: 8080}}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{
				Image: e.prefix + "web:1", Args: []string{"-serve", ":80"}, Env: []string{"A=b"}, Labels: map[string]string{"own": "yes"},
				Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: e.prefix + "data", Target: "/data"}},
			},
			Networks: []swarm.NetworkAttachmentConfig{{Target: e.prefix + "back"}},
		},
	}})
	e.fails("service", err)
	id := service.ID
	e.know(id, "service")
	e.steady(id, "")
	e.notesOfTasks(id)

	update := func(what string, change func(*swarm.ServiceSpec)) {
		e.Helper()
		s := e.service(id)
		change(&s.Spec)
		_, err := e.cli.ServiceUpdate(ctx, id, client.ServiceUpdateOptions{Version: s.Version, Spec: s.Spec})
		e.fails(what, err)
	}
	s := e.service(id)
	_, err = e.cli.ServiceUpdate(ctx, id, client.ServiceUpdateOptions{Version: swarm.Version{Index: s.Version.Index - 1}, Spec: s.Spec})
	e.fails("update of an old version", err)
	update("another name", func(spec *swarm.ServiceSpec) { spec.Name += "2" })
	update("a secret that is not there", func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Secrets = []*swarm.SecretReference{{SecretID: strings.Repeat("x", 25), SecretName: "none", File: &swarm.SecretReferenceFileTarget{Name: "n", UID: "0", GID: "0", Mode: 0o400}}}
	})

	update("harden", func(spec *swarm.ServiceSpec) {
		yes := true
		c := spec.TaskTemplate.ContainerSpec
		c.Env, c.User, c.ReadOnly, c.Init = []string{"TOKEN_FILE=/run/secrets/token"}, "1000:1000", true, &yes
		c.CapabilityAdd, c.CapabilityDrop = []string{"CAP_CHOWN"}, []string{"ALL"}
		c.Secrets = []*swarm.SecretReference{{SecretID: secret.ID, SecretName: e.prefix + "token", File: &swarm.SecretReferenceFileTarget{Name: "token", UID: "1000", GID: "1000", Mode: 0o400}}}
		c.Mounts = append(c.Mounts, mount.Mount{Type: mount.TypeTmpfs, Target: "/tmp", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 64 << 20, Mode: 0o1777}})
		c.Privileges = &swarm.Privileges{NoNewPrivileges: true}
		spec.TaskTemplate.Resources = &swarm.ResourceRequirements{Limits: &swarm.Limit{MemoryBytes: 64 << 20, NanoCPUs: 5e8, Pids: 100}}
		spec.TaskTemplate.LogDriver = &swarm.Driver{Name: "json-file", Options: map[string]string{"max-size": "10m"}}
		spec.UpdateConfig = &swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionRollback, Monitor: time.Second, Order: swarm.UpdateOrderStopFirst}
	})
	e.steady(id, swarm.UpdateStateCompleted)
	e.notesOfService(id)
	e.notesOfTasks(id)
	_, err = e.cli.SecretRemove(ctx, secret.ID, client.SecretRemoveOptions{})
	e.fails("a secret in use", err)
	list, err := e.cli.SecretList(ctx, client.SecretListOptions{Filters: client.Filters{}.Add("label", "kind=token")})
	e.note("secrets by label", []any{len(list.Items), err == nil})

	update("nothing", func(*swarm.ServiceSpec) {})
	e.steady(id, "")
	e.notesOfService(id)
	e.notesOfTasks(id)

	update("break", func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Args = []string{"-exit-after", "100ms", "-code", "3"}
	})
	e.steady(id, swarm.UpdateStateRollbackCompleted)
	e.notesOfService(id)
	e.notesOfTasks(id)

	update("break and stay", func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Args = []string{"-exit-after", "100ms", "-code", "4"}
		spec.UpdateConfig.FailureAction = swarm.UpdateFailureActionPause
	})
	e.steady(id, swarm.UpdateStatePaused)
	s = e.service(id)
	_, err = e.cli.ServiceUpdate(ctx, id, client.ServiceUpdateOptions{Version: s.Version, Spec: s.Spec, Rollback: "previous"})
	e.fails("go back", err)
	e.steady(id, swarm.UpdateStateRollbackCompleted)
	e.notesOfService(id)

	_, err = e.cli.ServiceRemove(ctx, id, client.ServiceRemoveOptions{})
	e.fails("remove the service", err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true})
		if err != nil || time.Now().After(deadline) {
			e.Fatalf("%d containers are left, %v", len(left.Items), err)
		}
		if len(left.Items) == 0 {
			break
		}
	}
	_, err = e.cli.ServiceInspect(ctx, id, client.ServiceInspectOptions{})
	e.fails("inspect it", err)
	_, err = e.cli.SecretRemove(ctx, secret.ID, client.SecretRemoveOptions{})
	e.fails("the secret", err)
	_, err = e.cli.SwarmLeave(ctx, client.SwarmLeaveOptions{Force: true})
	e.fails("leave", err)
	_, err = e.cli.TaskList(ctx, client.TaskListOptions{})
	e.fails("tasks afterwards", err)
}

func (e *engine) service(id string) swarm.Service {
	e.Helper()
	s, err := e.cli.ServiceInspect(e.Context(), id, client.ServiceInspectOptions{})
	if err != nil {
		e.Fatal(err)
	}
	return s.Service
}

// steady waits until all tasks of a service that are to run do, and its latest
// update came to state; to a paused one it is enough to be that.
func (e *engine) steady(id string, state swarm.UpdateState) {
	e.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		s, now := e.service(id), swarm.UpdateState("")
		if s.UpdateStatus != nil {
			now = s.UpdateStatus.State
		}
		running := e.tasks(id, swarm.TaskStateRunning)
		if now == state && (len(running) == 2 || state == swarm.UpdateStatePaused) {
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("state %q, %d running tasks; want %q", now, len(running), state)
		}
	}
}

// tasks returns those in a state that are to run on.
func (e *engine) tasks(id string, state swarm.TaskState) []swarm.Task {
	e.Helper()
	list, err := e.cli.TaskList(e.Context(), client.TaskListOptions{Filters: client.Filters{}.Add("service", id).Add("desired-state", "running")})
	if err != nil {
		e.Fatal(err)
	}
	found := slices.DeleteFunc(list.Items, func(t swarm.Task) bool { return t.Status.State != state })
	slices.SortFunc(found, func(a, b swarm.Task) int { return cmp.Compare(a.Slot, b.Slot) })
	return found
}

func (e *engine) notesOfService(id string) {
	e.Helper()
	s := e.service(id)
	e.note("spec", s.Spec)
	e.note("spec before", s.PreviousSpec)
	if u := s.UpdateStatus; u != nil {
		message, _, _ := strings.Cut(u.Message, " task ")
		e.note("status", []any{u.State, message, u.StartedAt != nil, u.CompletedAt != nil})
	}
}

func (e *engine) notesOfTasks(id string) {
	e.Helper()
	for _, t := range e.tasks(id, swarm.TaskStateRunning) {
		e.know(t.ID, "task")
		e.ids[t.NodeID] = "<node>"
		e.note("task", []any{t.Slot, t.ServiceID, t.Status.State, t.Status.Message, t.Status.Err, t.DesiredState, t.Spec})
		c, err := e.cli.ContainerInspect(e.Context(), t.Status.ContainerStatus.ContainerID, client.ContainerInspectOptions{})
		if err != nil {
			e.Fatal(err)
		}
		i := c.Container
		labels := maps.Clone(i.Config.Labels)
		maps.DeleteFunc(labels, func(name, _ string) bool { return strings.HasPrefix(name, dockertest.Label) })
		addresses := map[string]bool{}
		for name, n := range i.NetworkSettings.Networks {
			addresses[name] = n.IPAMConfig != nil && n.IPAMConfig.IPv4Address == n.IPAddress
		}
		var volumes []string // an engine lists mounts in any order
		for _, m := range i.Mounts {
			if m.Name != "" {
				volumes = append(volumes, m.Name)
			}
		}
		slices.Sort(volumes)
		h := i.HostConfig
		e.note("container", []any{
			i.Name, i.Path, i.Args, i.Config.Env, i.Config.User, labels, addresses, h.NetworkMode, h.PortBindings, h.RestartPolicy, h.Memory, h.MemorySwap, h.NanoCPUs,
			h.PidsLimit, h.ReadonlyRootfs, h.Init, h.CapAdd, h.CapDrop, h.Mounts, h.LogConfig, h.SecurityOpt, volumes, len(i.Mounts),
		})
	}
	past := map[string]int{}
	list, err := e.cli.TaskList(e.Context(), client.TaskListOptions{Filters: client.Filters{}.Add("service", id).Add("desired-state", "shutdown")})
	if err != nil {
		e.Fatal(err)
	}
	for _, t := range list.Items {
		if t.Status.State == swarm.TaskStateFailed {
			past[t.Status.Err]++
		}
	}
	kinds, err := json.Marshal(slices.Sorted(maps.Keys(past)))
	if err != nil {
		e.Fatal(err)
	}
	e.note("failed", string(kinds))
}
