package container

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A lab is an engine with what a scenario needs.
type lab struct {
	*testing.T
	cli    *client.Client
	server *dockertest.Server // nil on a real engine
	prefix string
	m      *Mechanic
	ledger *ledger.Ledger
	fixer  *fixer.Dispatcher
}

// short times, so that the scenarios take a minute and not an hour.
var quickly = Options{Grace: 300 * time.Millisecond, Listen: 2 * time.Second, Poll: 20 * time.Millisecond}

// TestMain lets more tests run at once than there are processors: what they do
// is wait for programs to start, to stop and to be watched.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(4, 2*runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// onEngines runs a scenario on the engine in memory and on the real one, beside
// other scenarios.
func onEngines(t *testing.T, scenario func(*testing.T, *lab)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { scenario(t, memoryLab(t)) })
	t.Run("real", func(t *testing.T) { scenario(t, realLab(t)) })
}

func memoryLab(t *testing.T, options ...dockertest.Option) *lab {
	t.Helper()
	server := dockertest.New(options...)
	if err := server.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	cli, err := client.New(client.WithHost(server.Host()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	l := newLab(t, cli, "test-")
	l.server = server
	return l
}

func realLab(t *testing.T) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short")
	}
	cli := dockertest.Real(t)
	return newLab(t, cli, dockertest.Prefix(t, cli))
}

func newLab(t *testing.T, cli *client.Client, prefix string) *lab {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	o := quickly
	o.Written = filepath.Join(state, "written")
	l := &lab{T: t, cli: cli, prefix: prefix, m: New(cli, o), ledger: ledger.New(state)}
	l.fixer = l.dispatcher(l.m)
	return l
}

func (l *lab) dispatcher(m fixer.Mechanic) *fixer.Dispatcher {
	return fixer.New(fixer.Options{
		Ledger:    l.ledger,
		Mechanics: map[checks.Kind]fixer.Mechanic{checks.Container: m, checks.Image: NewGroup(l.m)},
		Engine:    l.engineID,
	})
}

func (l *lab) engineID(ctx context.Context) (string, error) {
	info, err := l.cli.Info(ctx, client.InfoOptions{})
	return info.Info.ID, err
}

// load puts images into the engine; their tags get the prefix of the lab.
func (l *lab) load(images ...dockertest.Image) []string {
	l.Helper()
	for i := range images {
		for j := range images[i].Tags {
			images[i].Tags[j] = l.prefix + images[i].Tags[j]
		}
	}
	if l.server == nil {
		return dockertest.Load(l, l.cli, l.prefix, images...)
	}
	var ids []string
	for _, i := range images {
		ids = append(ids, l.server.AddImage(i))
	}
	return ids
}

// run creates a container and starts it.
func (l *lab) run(name string, o client.ContainerCreateOptions) string {
	l.Helper()
	id := l.create(name, o)
	if _, err := l.cli.ContainerStart(l.Context(), id, client.ContainerStartOptions{}); err != nil {
		l.Fatal(err)
	}
	return id
}

func (l *lab) create(name string, o client.ContainerCreateOptions) string {
	l.Helper()
	o.Name = l.prefix + name
	o.Config.Image = l.prefix + o.Config.Image
	result, err := l.cli.ContainerCreate(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	return result.ID
}

func (l *lab) network(name, subnet string) string {
	l.Helper()
	o := client.NetworkCreateOptions{}
	if subnet != "" {
		o.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: prefixOf(subnet)}}}
	}
	if _, err := l.cli.NetworkCreate(l.Context(), l.prefix+name, o); err != nil {
		l.Fatal(err)
	}
	return l.prefix + name
}

func (l *lab) inspect(ref string) *api.InspectResponse {
	l.Helper()
	result, err := l.cli.ContainerInspect(l.Context(), ref, client.ContainerInspectOptions{})
	if err != nil {
		l.Fatal(err)
	}
	return &result.Container
}

// subject returns the snapshot that an inventory would take.
func (l *lab) subject(ref string) *subject.Container {
	l.Helper()
	i := l.inspect(ref)
	image, err := l.m.image(l.Context(), i.Image)
	if err != nil {
		l.Fatal(err)
	}
	tag := ""
	if t, err := l.m.image(l.Context(), i.Config.Image); err != nil {
		l.Fatal(err)
	} else if t != nil {
		tag = t.ID
	}
	return subject.New(*i, image, tag, time.Now())
}

// asking returns a request to cure findings of c by the ids of their checks.
func (l *lab) asking(c *subject.Container, ids ...string) fixes.Request {
	l.Helper()
	var r fixes.Request
	for _, f := range checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if slices.Contains(ids, f.Check.ID) {
			r.Findings = append(r.Findings, f)
		}
	}
	if len(r.Findings) < len(ids) {
		l.Fatalf("%s has %d findings of %v", c.Settings.Name, len(r.Findings), ids)
	}
	return r
}

func (l *lab) plan(ref string, r fixes.Request) *fixes.Plan {
	l.Helper()
	p, err := l.fixer.Plan(l.Context(), l.subject(ref), r)
	if err != nil {
		l.Fatal(err)
	}
	return p
}

// planFor plans a cure by the ids of checks.
func (l *lab) planFor(ref string, ids ...string) *fixes.Plan {
	l.Helper()
	c := l.subject(ref)
	p, err := l.fixer.Plan(l.Context(), c, l.asking(c, ids...))
	if err != nil {
		l.Fatal(err)
	}
	return p
}

func (l *lab) apply(p *fixes.Plan) *fixes.Receipt {
	l.Helper()
	if !p.Blocked.IsZero() {
		l.Fatalf("blocked: %s", p.Blocked)
	}
	r, err := l.fixer.Apply(l.Context(), p, nil)
	if err != nil {
		l.Fatal(err)
	}
	return r
}

// applyFails applies p and returns the error that it has to end with.
func (l *lab) applyFails(p *fixes.Plan) error {
	l.Helper()
	if !p.Blocked.IsZero() {
		l.Fatalf("blocked: %s", p.Blocked)
	}
	_, err := l.fixer.Apply(l.Context(), p, nil)
	if err == nil {
		l.Fatal("it was applied")
	}
	return err
}

// same fails unless two containers were created alike, but for fields that
// begin with one of except.
func (l *lab) same(a, b *api.InspectResponse, except ...string) {
	l.Helper()
	was, is := created(a), created(b)
	for _, f := range was.differences(is) {
		if !slices.ContainsFunc(except, func(e string) bool { return strings.HasPrefix(f, e) }) {
			l.Errorf("%s: was %s, is %s", f, was[f], is[f])
		}
	}
}

// back fails unless the original runs under its name and nothing else is left.
func (l *lab) back(before *api.InspectResponse) {
	l.Helper()
	name := containerName(before)
	now := l.inspect(name)
	if now.ID != before.ID || now.State.Running != before.State.Running {
		l.Errorf("%s is %s, running %t; want %s, running %t", name, short(now.ID), now.State.Running, short(before.ID), before.State.Running)
	}
	if !samePolicy(now.HostConfig.RestartPolicy, before.HostConfig.RestartPolicy) {
		l.Errorf("restart policy %v, want %v", now.HostConfig.RestartPolicy, before.HostConfig.RestartPolicy)
	}
	l.same(before, now)
	l.alone(name)
}

// alone fails unless all containers of the lab have the given names.
func (l *lab) alone(names ...string) {
	l.Helper()
	list, err := l.cli.ContainerList(l.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", l.prefix)})
	if err != nil {
		l.Fatal(err)
	}
	for _, c := range list.Items {
		if !slices.Contains(names, strings.TrimPrefix(c.Names[0], "/")) {
			l.Errorf("%s is left", c.Names[0])
		}
	}
}

func (l *lab) entry(id string) ledger.Entry {
	l.Helper()
	e, err := l.ledger.Entry(id)
	if err != nil {
		l.Fatal(err)
	}
	return e
}

func pretty(v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func pause() { time.Sleep(20 * time.Millisecond) }
