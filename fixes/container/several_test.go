package container

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// asksFor returns asks to cure the containers of a check each.
func (l *lab) asksFor(checkOf map[string]string) []fixes.Ask {
	l.Helper()
	var asks []fixes.Ask
	for _, name := range sortedKeys(checkOf) {
		c := l.subject(name)
		asks = append(asks, fixes.Ask{Subject: c, Request: l.asking(c, checkOf[name])})
	}
	return asks
}

// told returns the parts of a batch by name, mechanism and members.
func (l *lab) told(b *fixes.Batch) string {
	var out []string
	for _, p := range b.Parts {
		text := strings.TrimPrefix(p.Subject().Name, l.prefix)
		switch {
		case p.Err != nil:
			text += " error " + p.Err.Error()
		case !p.Plan.Blocked.IsZero():
			text += " blocked: " + p.Plan.Blocked.String()
		default:
			text += " " + string(p.Plan.Mechanism)
			for _, m := range p.Plan.Members {
				text += " " + strings.TrimPrefix(m.Name, l.prefix)
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// TestWhatNeedsEachOtherIsReplacedTogether: a container, one in its network that
// is to be changed as well, and one that is linked to it and that nobody asked to
// change. All are replaced, or none; and the batch is undone as one.
//
//scenario:63
func TestWhatNeedsEachOtherIsReplacedTogether(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		a := l.run("a", service("-serve", ":8080"))
		l.run("b", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + a)}})
		l.run("c", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{Links: []string{l.prefix + "a:a"}}})
		l.run("d", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
		names := []string{l.prefix + "a", l.prefix + "b", l.prefix + "c", l.prefix + "d"}
		before := l.inspected(names)

		asks := l.asksFor(map[string]string{names[0]: "container-rootfs-writable", names[1]: "container-memory-unlimited", names[3]: "container-memory-unlimited"})
		batch, err := l.fixer.PlanBatch(t.Context(), asks)
		if err != nil || l.told(batch) != "d update; a recreate a b c" {
			t.Fatalf("%v: %s", err, l.told(batch))
		}
		if joint := batch.Parts[1]; len(joint.Asks) != 2 || !strings.Contains(pretty(joint.Plan.Notes), "all or none") || len(joint.Plan.Cures) < 2 {
			t.Errorf("%d asks, cures %d, notes %s", len(joint.Asks), len(joint.Plan.Cures), pretty(joint.Plan.Notes))
		}
		receipt, err := l.fixer.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil)
		if err != nil || receipt.Done() != 2 {
			t.Fatalf("%+v, %v", receipt, err)
		}
		after := l.inspected(names)
		if !after[names[0]].HostConfig.ReadonlyRootfs || after[names[1]].HostConfig.Memory == 0 || after[names[3]].HostConfig.Memory == 0 {
			t.Error("not all is as it was to be")
		}
		if mode := after[names[1]].HostConfig.NetworkMode; mode.ConnectedContainer() != after[names[0]].ID {
			t.Errorf("b is in the network %s, a is %s", mode, after[names[0]].ID)
		}
		if after[names[2]].ID == before[names[2]].ID || after[names[2]].HostConfig.ReadonlyRootfs || fmt.Sprint(after[names[2]].HostConfig.Links) != fmt.Sprintf("[/%s:/%s/a]", names[0], names[2]) {
			t.Errorf("c is linked to %v", after[names[2]].HostConfig.Links)
		}
		if after[names[3]].ID != before[names[3]].ID {
			t.Error("d was replaced")
		}
		entries, err := l.fixer.Entries()
		if err != nil || len(entries) != 2 || entries[0].Batch == nil || entries[0].Batch.ID != batch.ID {
			t.Fatalf("%+v, %v", entries, err)
		}
		if _, err := l.fixer.Kept(t.Context(), entries[0].ID); err == nil {
			t.Error("one original of several could be removed")
		}
		if err := l.fixer.UndoBatch(t.Context(), batch.ID, nil); err != nil {
			t.Fatal(err)
		}
		delete(before, names[3]) // it was never away; see the tests of live changes
		l.asBefore(before)
	})
}

// TestTogetherFailsTogether: one of those that need each other does not come up,
// and all are as before.
func TestTogetherFailsTogether(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	a := l.run("a", service("-serve", ":8080"))
	l.run("b", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + a)}})
	names := []string{l.prefix + "a", l.prefix + "b"}
	before := l.inspected(names)
	batch, err := l.fixer.PlanBatch(t.Context(), l.asksFor(map[string]string{names[0]: "container-rootfs-writable"}))
	if err != nil || l.told(batch) != "a recreate a b" {
		t.Fatalf("%v: %s", err, l.told(batch))
	}
	l.server.Inject(dockertest.Fault{Endpoint: "POST /containers/{id}/rename", Nth: 3, Status: 500, Message: "no more of it"})
	receipt, err := l.fixer.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil)
	if err == nil || receipt.Failed != 0 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	l.asBefore(before)
	if e := l.entry(batch.Parts[0].Plan.ID); e.State != ledger.RolledBack {
		t.Errorf("the ledger says %s", e.State)
	}
}

// What can only be replaced together with one that cannot be says so, and what
// can do without it is changed all the same.
func TestTogetherOrNotAtAll(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	a := l.run("a", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{}})
	inA := api.NetworkMode("container:" + a)
	l.run("b", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: inA}})
	l.run("c", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Labels: map[string]string{composeProject: "shop"}}, HostConfig: &api.HostConfig{NetworkMode: inA}})
	batch, err := l.fixer.PlanBatch(t.Context(), l.asksFor(map[string]string{l.prefix + "a": "container-rootfs-writable", l.prefix + "b": "container-rootfs-writable"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.told(batch); !strings.HasPrefix(got, "b recreate; a blocked: ") || !strings.Contains(got, "together with "+l.prefix+"c, which cannot be: docker compose manages") {
		t.Error(got)
	}
}

// TestComposeOrder: what docker compose starts later comes later here as well.
func TestComposeOrder(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	var asks []fixes.Ask
	for _, s := range []struct{ name, needs string }{{"api", "db:service_healthy:true,cache:service_started:false"}, {"cache", ""}, {"db", "cache:service_started:false"}} {
		l.run(s.name, client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Labels: map[string]string{composeProject: "shop", composeService: s.name, composeNeeds: s.needs}}, HostConfig: &api.HostConfig{}})
		c := l.subject(l.prefix + s.name)
		asks = append(asks, fixes.Ask{Subject: c, Request: l.asking(c, "container-memory-unlimited")})
	}
	batch, err := l.fixer.PlanBatch(t.Context(), asks)
	if err != nil || l.told(batch) != "cache update; db update; api update" {
		t.Errorf("%v: %s", err, l.told(batch))
	}
}
