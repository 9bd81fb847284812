package container

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

const quarantineCanary = "not-a-real-canary-q7d2"

var suspects atomic.Int32 // each in a subnet of its own, since several are there at once

// suspect runs a container in two networks, with an address, aliases and
// secrets of its own.
func suspect(l *lab) string {
	l.Helper()
	l.load(dockertest.Probe("app:1"))
	subnet := fmt.Sprintf("10.91.%d.", suspects.Add(1))
	front, back := l.network("front", subnet+"0/24"), l.network("back", "")
	id := l.run("web", client.ContainerCreateOptions{
		Config:     &api.Config{Image: "app:1", Cmd: []string{"-print", "-x", "--password=" + quarantineCanary}, Env: []string{"DB_PASSWORD=" + quarantineCanary}},
		HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode(front), RestartPolicy: api.RestartPolicy{Name: "always"}},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			front: {Aliases: []string{"shop"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(subnet + "77")}},
		}},
	})
	if _, err := l.cli.NetworkConnect(l.Context(), back, client.NetworkConnectOptions{Container: id, EndpointConfig: &network.EndpointSettings{Aliases: []string{"inside"}}}); err != nil {
		l.Fatal(err)
	}
	return id
}

func (l *lab) quarantine(id string, values checks.Values) *fixes.Plan {
	l.Helper()
	if values == nil {
		values = checks.Values{}
	}
	if values[choiceEvidence] == "" {
		values[choiceEvidence] = filepath.Join(l.TempDir(), "evidence")
	}
	return l.plan(id, fixes.Request{Quarantine: true, Values: values})
}

// TestQuarantine isolates a container, keeps evidence, and lets it go again.
func TestQuarantine(t *testing.T) {
	for _, pause := range []string{"yes", "no"} {
		t.Run("pause "+pause, func(t *testing.T) {
			onEngines(t, func(t *testing.T, l *lab) {
				id := suspect(l)
				before := l.inspect(id)
				p := l.quarantine(id, checks.Values{choicePause: pause})
				r := l.apply(p)
				now := l.inspect(id)
				if len(now.NetworkSettings.Networks) > 0 || now.State.Paused != (pause == "yes") || !now.HostConfig.RestartPolicy.IsNone() || !now.State.Running {
					t.Errorf("networks %v, paused %t, restart policy %v", now.NetworkSettings.Networks, now.State.Paused, now.HostConfig.RestartPolicy)
				}
				entry := l.entry(r.Entry)
				j, err := decodeQuarantine(entry)
				if err != nil {
					t.Fatal(err)
				}
				testEvidence(t, j.Evidence)
				if text := pretty(entry) + pretty(p.Steps); strings.Contains(text, quarantineCanary) {
					t.Errorf("the ledger or the plan tells a secret: %s", text)
				}
				if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
					t.Fatal(err)
				}
				l.back(before)
				back := l.inspect(id)
				for name, e := range before.NetworkSettings.Networks {
					b := back.NetworkSettings.Networks[name]
					if b == nil || e.IPAMConfig != nil && e.IPAddress != b.IPAddress || !slices.Equal(sorted(e.Aliases), sorted(b.Aliases)) {
						t.Errorf("%s was %s, is %s", name, pretty(e), pretty(b))
					}
				}
				if back.State.Paused {
					t.Error("it is still paused")
				}
			})
		})
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// testEvidence holds that a bundle is complete, private, and tells no secret.
func testEvidence(t *testing.T, dir string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range m.Files {
		names = append(names, f.Name)
		data, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil || f.Missing != "" {
			t.Errorf("%s: %v %s", f.Name, err, f.Missing)
			continue
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 || len(data) != f.Bytes || len(data) == 0 {
			t.Errorf("%s is not what the manifest says", f.Name)
		}
		if strings.Contains(string(data), quarantineCanary) {
			t.Errorf("%s tells a secret", f.Name)
		}
		if info, err := os.Stat(filepath.Join(dir, f.Name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", f.Name, info.Mode())
		}
	}
	if got := strings.Join(names, " "); got != "inspect.json top.json diff.json stats.json logs.txt events.json" {
		t.Errorf("files: %s", got)
	}
	if logs, _ := os.ReadFile(filepath.Join(dir, "logs.txt")); !strings.Contains(string(logs), "ready") {
		t.Errorf("logs: %q", logs)
	}
}

// TestQuarantineRolledBack holds that a quarantine that fails leaves nothing
// behind, whichever step fails.
func TestQuarantineRolledBack(t *testing.T) {
	for _, endpoint := range []string{"POST /containers/{id}/pause", "POST /containers/{id}/update", "POST /networks/{id}/disconnect"} {
		t.Run(endpoint, func(t *testing.T) {
			l := memoryLab(t)
			id := suspect(l)
			before := l.inspect(id)
			p := l.quarantine(id, nil)
			nth := 1
			if strings.HasSuffix(endpoint, "disconnect") {
				nth = 2
			}
			l.server.Inject(dockertest.Fault{Endpoint: endpoint, Nth: nth, Status: 500, Message: "no"})
			l.applyFails(p)
			l.server.Heal()
			l.back(before)
			if l.inspect(id).State.Paused || l.entry(p.ID).State != ledger.RolledBack {
				t.Errorf("paused %t, entry %s", l.inspect(id).State.Paused, l.entry(p.ID).State)
			}
		})
	}
}

// TestQuarantineBlocked says when a container cannot be isolated.
func TestQuarantineBlocked(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	host := l.run("host", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}, HostConfig: &api.HostConfig{NetworkMode: "host"}})
	if p := l.quarantine(host, checks.Values{choicePause: "no"}); p.Blocked.IsZero() {
		t.Error("a container in the network of the host is isolated without a pause")
	}
	if p := l.quarantine(host, nil); !p.Blocked.IsZero() {
		t.Errorf("blocked: %s", p.Blocked)
	}
	stopped := l.create("stopped", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1"}})
	if p := l.quarantine(stopped, nil); p.Blocked.IsZero() {
		t.Error("a stopped container is isolated")
	}
	if _, err := l.fixer.Plan(t.Context(), l.subject(host), fixes.Request{Quarantine: true, Values: checks.Values{choicePause: "perhaps", choiceEvidence: "/x"}}); err == nil {
		t.Error("pause=perhaps is taken")
	}
	if absolute("relative/path") == nil || absolute("/a/../b") == nil || absolute("/a/b") != nil {
		t.Error("folders are not told apart")
	}
}

// TestQuarantineRecovered ends what a crash interrupted, both ways.
func TestQuarantineRecovered(t *testing.T) {
	for _, finish := range []bool{true, false} {
		l := memoryLab(t)
		id := suspect(l)
		before := l.inspect(id)
		p := l.quarantine(id, nil)
		d := p.Detail.(*quarantineDetail)
		j := d.j
		j.Tx, j.Stage, j.Evidence = p.ID, isolating, filepath.Join(d.j.Evidence, "x")
		if _, err := l.cli.ContainerPause(t.Context(), id, client.ContainerPauseOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.cli.NetworkDisconnect(t.Context(), j.Networks[0].Network, client.NetworkDisconnectOptions{Container: id}); err != nil {
			t.Fatal(err)
		}
		inverse, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		e := ledger.Entry{ID: p.ID, Mechanism: string(p.Mechanism), Subject: p.Subject, Engine: p.Engine, State: ledger.Running, Inverse: inverse}
		if err := l.ledger.Put(e); err != nil {
			t.Fatal(err)
		}
		if err := l.fixer.Recover(t.Context(), p.ID, finish, nil); err != nil {
			t.Fatal(err)
		}
		now := l.inspect(id)
		if finish {
			if len(now.NetworkSettings.Networks) > 0 || !now.State.Paused || l.entry(p.ID).State != ledger.Applied {
				t.Errorf("finished: %d networks, paused %t, %s", len(now.NetworkSettings.Networks), now.State.Paused, l.entry(p.ID).State)
			}
			continue
		}
		l.back(before)
		if now.State.Paused || l.entry(p.ID).State != ledger.RolledBack {
			t.Errorf("taken back: paused %t, %s", now.State.Paused, l.entry(p.ID).State)
		}
	}
}

// What somebody else froze between plan and apply is left alone, and is never
// thawed by taking a quarantine back.
func TestQuarantineOfWhatIsPaused(t *testing.T) {
	l := memoryLab(t)
	id := suspect(l)
	p := l.quarantine(id, nil)
	if _, err := l.cli.ContainerPause(t.Context(), id, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.fixer.Apply(t.Context(), p, nil); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("a container that was paused meanwhile: %v", err)
	}
	if !l.inspect(id).State.Paused {
		t.Fatal("it was thawed")
	}
	if p := l.quarantine(id, nil); p.Blocked.IsZero() {
		t.Error("a second pause is planned")
	}
}

// A tool that connects whatever starts or changes is seen: the container is not
// said to be cut off.
func TestQuarantineConnectedAgain(t *testing.T) {
	l := memoryLab(t)
	id := suspect(l)
	other := l.network("other", "")
	l.server.Watch(func(c dockertest.Call) {
		if c.Endpoint == "POST /networks/{id}/disconnect" {
			l.server.Watch(nil)
			if _, err := l.cli.NetworkConnect(t.Context(), other, client.NetworkConnectOptions{Container: id}); err != nil {
				t.Error(err)
			}
		}
	})
	if err := l.applyFails(l.quarantine(id, nil)); !strings.Contains(err.Error(), other) {
		t.Errorf("%v, want the network %s", err, other)
	}
}

// Of what is too much the end is kept, from the beginning of a line.
func TestTail(t *testing.T) {
	for _, test := range []struct {
		write []string
		want  string
		cut   bool
	}{
		{nil, "", false},
		{[]string{"a\n", "b\n"}, "a\nb\n", false},
		{[]string{"first\nsecond\n", "third\n"}, "third\n", true},
		{[]string{"0123456789012345678901234567890123456789\nend\n"}, "end\n", true},
		{[]string{strings.Repeat("x", 100)}, strings.Repeat("x", 10), true},
	} {
		end := tail{most: 10}
		for _, p := range test.write {
			if n, err := end.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if text, cut := end.text(); string(text) != test.want || cut != test.cut {
			t.Errorf("%q: kept %q, cut %t", test.write, text, cut)
		}
	}
}
