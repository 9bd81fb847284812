package source_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/inventory"
	"plimsoll/fixes"
	"plimsoll/fixes/container"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
	"plimsoll/fixes/source"
)

// A stack is the same shop on a swarm, as docker stack deploy makes it.
type stack struct {
	*testing.T
	engine   *dockertest.Engine
	inv      *inventory.Inventory
	fix      *fixer.Dispatcher
	services map[string]string // ids by name
}

// up makes networks, volume and services.
func (s *stack) up() {
	s.Helper()
	ctx := s.Context()
	_, err := s.engine.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"})
	must(s.T, err)
	dockertest.Load(s.T, s.engine.Client, "", dockertest.Probe("web:1"), dockertest.Probe("api:1"), dockertest.Probe("postgres:17"))
	labels := map[string]string{"com.docker.stack.namespace": "shop"}
	for _, name := range []string{"shop_front", "shop_back"} {
		_, err := s.engine.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "overlay", Labels: labels})
		must(s.T, err)
	}
	two, one := uint64(2), uint64(1)
	for _, spec := range []struct {
		name     string
		tasks    *uint64
		networks []string
		c        swarm.ContainerSpec
		ports    []swarm.PortConfig
	}{
		{"web", &two, []string{"front"}, swarm.ContainerSpec{Image: "web:1", Args: []string{"-serve", ":8080"}}, []swarm.PortConfig{{Protocol: "tcp", TargetPort: 8080, PublishedPort: 8080}}},
		{"api", &one, []string{"front", "back"}, swarm.ContainerSpec{Image: "api:1", CapabilityAdd: []string{"CAP_NET_ADMIN"}, Env: []string{"API_TOKEN=" + projectSecret}}, nil},
		{"db", &one, []string{"back"}, swarm.ContainerSpec{
			Image: "postgres:17", Env: []string{"POSTGRES_USER=shop", "POSTGRES_PASSWORD=" + projectSecret},
			Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "shop_data", Target: filepath.Dir(ordersFile)}},
		}, nil},
	} {
		c := spec.c
		c.Labels = labels
		full := swarm.ServiceSpec{
			Annotations:  swarm.Annotations{Name: "shop_" + spec.name, Labels: labels},
			Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: spec.tasks}},
			EndpointSpec: &swarm.EndpointSpec{Ports: spec.ports},
			UpdateConfig: &swarm.UpdateConfig{Monitor: time.Second}, // all tasks at once
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &c},
		}
		for _, n := range spec.networks {
			full.TaskTemplate.Networks = append(full.TaskTemplate.Networks, swarm.NetworkAttachmentConfig{Target: "shop_" + n, Aliases: []string{spec.name}})
		}
		made, err := s.engine.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: full})
		must(s.T, err)
		s.services[spec.name] = made.ID
	}
}

// tasks returns the containers of a service's running tasks as soon as all run.
func (s *stack) tasks(name string) []*subject.Container {
	s.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		list, err := s.engine.ContainerList(s.Context(), client.ContainerListOptions{Filters: client.Filters{}.Add("label", subject.LabelService+"="+s.services[name])})
		if err == nil && len(list.Items) == int(*s.spec(name).Mode.Replicated.Replicas) {
			var all []*subject.Container
			for _, c := range list.Items {
				read, err := s.inv.Read(s.Context(), checks.Ref{Kind: checks.Container, ID: c.ID})
				must(s.T, err)
				all = append(all, read.(*subject.Container))
			}
			return all
		}
		if time.Now().After(deadline) {
			s.Fatalf("%d tasks of %s, %v", len(list.Items), name, err)
		}
	}
}

func (s *stack) spec(name string) swarm.ServiceSpec {
	s.Helper()
	result, err := s.engine.ServiceInspect(s.Context(), s.services[name], client.ServiceInspectOptions{})
	must(s.T, err)
	return result.Service.Spec
}

// severe returns what is medium or worse.
func severe(findings []checks.Finding) []checks.Finding {
	return slices.DeleteFunc(findings, func(f checks.Finding) bool { return f.Severity < checks.Medium })
}

// TestStack takes a stack on a real swarm from its first posture to one without
// findings of medium or above, by the fixes that are offered. Its data stays, and
// one undo per step brings it back.
func TestStack(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	t.Parallel()
	s := &stack{T: t, engine: dockertest.PrivateEngine(t, "{}"), services: map[string]string{}}
	address := s.engine.DaemonHost()
	target, err := engine.Resolve(address)
	must(t, err)
	s.inv = inventory.New(inventory.Options{Target: &target})
	state := t.TempDir()
	s.fix = fixer.New(fixer.Options{
		Ledger: ledger.New(filepath.Join(state, "ledger")),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Container: container.New(s.engine.Client, container.Options{Grace: time.Second, Secrets: filepath.Join(state, "secrets")}),
			checks.Host:      files.New(checks.Host, files.Options{Checks: host.Checks(), Policy: &checks.Policy{Profile: checks.All}, Secrets: filepath.Join(state, "vault")}),
		},
		Reader: s.inv, Source: source.Of(s.inv, source.Options{}),
		Engine: func(ctx context.Context) (string, error) {
			info, err := s.engine.Info(ctx, client.InfoOptions{})
			return info.Info.ID, err
		},
	})
	s.up()
	orders(t, s.engine.Client, s.tasks("db")[0].Settings.Name, "one order")
	before := map[string]swarm.ServiceSpec{}

	// The swarm of this engine cannot say it for a service: the engine does.
	var undo []string
	undo = append(undo, s.harden("host", func(f checks.Finding) bool { return f.Check.ID == "daemon-new-privileges-allowed" }))
	s.restart()
	var specs []swarm.ServiceSpec
	var changed []string
	for _, name := range []string{"web", "api", "db"} {
		before[name] = s.spec(name)
		for _, secrets := range []bool{true, false} {
			was := s.spec(name)
			if id := s.harden(name, func(f checks.Finding) bool { return (f.Check.Chapter == checks.Secrets) == secrets }); id != "" {
				undo, specs, changed = append(undo, id), append(specs, was), append(changed, name)
			}
		}
		for _, c := range s.tasks(name) {
			for _, f := range severe(checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings) {
				t.Errorf("left: %s %s", f.Check.ID, f.Message)
			}
			if strings.Contains(strings.Join(c.Settings.Config.Env, " "), projectSecret) {
				t.Errorf("%s has %q", c.Settings.Name, c.Settings.Config.Env)
			}
		}
	}
	if len(specs) != 5 {
		t.Errorf("%d steps: %q", len(specs), changed)
	}
	for _, f := range severe(checks.Run(s.host(), host.Checks(), &checks.Policy{Profile: checks.All}).Findings) {
		if strings.HasPrefix(f.Check.ID, "swarm-service") || f.Check.ID == "swarm-secrets-unused" {
			t.Errorf("left: %s %s", f.Check.ID, f.Message)
		}
	}
	db := s.tasks("db")[0]
	if got := readFrom(t, s.engine.Client, db.Settings.Name, ordersFile); got != "one order" {
		t.Errorf("orders %q", got)
	}
	for i, id := range slices.Backward(undo[1:]) {
		must(t, s.fix.Undo(t.Context(), id, nil))
		if now := s.spec(changed[i]); !sameService(specs[i], now) {
			t.Errorf("undo of step %d leaves %s as %+v", i, changed[i], now.TaskTemplate.ContainerSpec)
		}
	}
	must(t, s.fix.Undo(t.Context(), undo[0], nil))
	s.restart()
	for name, spec := range before {
		for _, c := range s.tasks(name) {
			if !sameService(spec, s.spec(name)) || c.NoNewPrivileges || c.Settings.Host.Memory != 0 {
				t.Errorf("%s is not what it was", name)
			}
		}
	}
	if got := readFrom(t, s.engine.Client, s.tasks("db")[0].Settings.Name, ordersFile); got != "one order" {
		t.Errorf("orders %q at last", got)
	}
}

func sameService(a, b swarm.ServiceSpec) bool { return asText(a) == asText(b) }

// harden cures what is severe about a service, or the host, and chosen. It returns
// the id of the change, "" where there is nothing to do.
func (s *stack) harden(name string, chosen func(checks.Finding) bool) string {
	s.Helper()
	var of checks.Subject
	suite := subject.Checks()
	if name == "host" {
		of, suite = s.host(), host.Checks()
	} else {
		of = s.tasks(name)[0]
	}
	request := fixes.Request{Values: checks.Values{"path-variable-of-api-token": "API_TOKEN_FILE"}}
	for _, f := range severe(checks.Run(of, suite, &checks.Policy{Profile: checks.All}).Findings) {
		if f.Fixable() && chosen(f) {
			request.Findings = append(request.Findings, f)
		}
	}
	if len(request.Findings) == 0 {
		return ""
	}
	plan, err := s.fix.Plan(s.Context(), of, request)
	must(s.T, err)
	if _, err := s.fix.Apply(s.Context(), plan, nil); err != nil {
		s.Fatalf("%s of %s: %v", plan.Title, name, err)
	}
	return plan.ID
}

func (s *stack) host() checks.Subject {
	s.Helper()
	items, err := s.inv.Gather(s.Context(), inventory.Selection{Host: true})
	must(s.T, err)
	return items[0].Subject
}

// restart starts the engine again, with what its file says by then.
func (s *stack) restart() {
	s.Helper()
	s.engine.Stop()
	must(s.T, s.engine.Start())
	for name := range s.services {
		s.tasks(name)
	}
}

func asText(spec swarm.ServiceSpec) string {
	data, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	return string(data)
}
