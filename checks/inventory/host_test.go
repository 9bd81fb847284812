package inventory

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/host"
)

// hostChecks are options for an inventory that judges the host.
func hostChecks(t *testing.T, s *dockertest.Server) Options {
	o := options(t, s)
	o.Suite = host.Checks()
	return o
}

// finds reports whether the host has a finding of id about key.
func (v *view) finds(id, key string) bool {
	for _, i := range v.items {
		for _, f := range i.Report.Findings {
			if f.Check.ID == id && f.Key == key {
				return true
			}
		}
	}
	return false
}

func TestNetworksAndVolumesAreFollowed(t *testing.T) {
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	v, _ := watch(t, hostChecks(t, s))
	v.until("complete", func() bool { return v.done })
	c := s.Client(t)
	if _, err := c.NetworkCreate(t.Context(), "lonely", client.NetworkCreateOptions{}); err != nil {
		t.Fatal(err)
	}
	v.until("the new network is unused", func() bool { return v.finds("network-unused", "lonely") })
	id, err := s.AddContainer(dockertest.Container{
		Name: "app", Config: container.Config{Image: "app:1"},
		Host:     container.HostConfig{NetworkMode: "lonely", Binds: []string{"data:/data"}},
		Networks: map[string]*network.EndpointSettings{"lonely": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.until("it is used", func() bool { return !v.finds("network-unused", "lonely") && v.has(checks.Container, "app")() })
	if v.finds("volume-unused", "data") {
		t.Error("a volume in use is called unused")
	}
	if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	v.until("both are unused", func() bool { return v.finds("network-unused", "lonely") && v.finds("volume-unused", "data") })
	if _, err := c.VolumeRemove(t.Context(), "data", client.VolumeRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	v.until("the volume is gone", func() bool { return !v.finds("volume-unused", "data") })
}

// An event costs the question that it is about, and a burst of them hardly more.
func TestEventsOfTheHostCostOneQuestion(t *testing.T) {
	for _, test := range []struct {
		kind   events.Type
		action events.Action
		want   string
	}{
		{events.NetworkEventType, events.ActionCreate, "GET /networks"},
		{events.NetworkEventType, events.ActionDestroy, "GET /networks"},
		{events.VolumeEventType, events.ActionCreate, "GET /volumes"},
		{events.NodeEventType, events.ActionUpdate, "GET /info"},
		{events.DaemonEventType, events.ActionReload, "GET /info"},
		{events.ServiceEventType, events.ActionUpdate, ""}, // not a manager: there is nobody to ask
		{events.SecretEventType, events.ActionRemove, ""},
	} {
		t.Run(string(test.kind)+" "+string(test.action), func(t *testing.T) {
			t.Parallel()
			s := dockertest.Run(t)
			v, _ := watch(t, hostChecks(t, s))
			v.until("complete", func() bool { return v.done })
			time.Sleep(2 * quiet)
			s.Forget()
			for range 50 {
				s.Emit(test.kind, test.action, "x", map[string]string{})
			}
			time.Sleep(ceiling + 3*quiet)
			asked := map[string]int{}
			for _, c := range s.Calls() {
				asked[c.Endpoint]++
			}
			if calls := slices.Sorted(maps.Keys(asked)); strings.Join(calls, ", ") != test.want {
				t.Errorf("asked %v, want %q", calls, test.want)
			}
			for call, n := range asked {
				if n > 5 {
					t.Errorf("50 events cost %d × %s", n, call)
				}
			}
		})
	}
}

// What an engine does not show is said, and the rest is judged.
func TestGapsAreNamed(t *testing.T) {
	s := dockertest.Run(t)
	s.Inject(dockertest.Fault{Endpoint: "GET /volumes", Status: 403, Message: "volumes are not for you"})
	if _, err := s.Client(t).NetworkCreate(t.Context(), "lonely", client.NetworkCreateOptions{}); err != nil {
		t.Fatal(err)
	}
	items, err := New(hostChecks(t, s)).Gather(t.Context(), Selection{Host: true})
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	report := items[0].Report
	if len(report.Errors) != 1 || !strings.Contains(report.Errors[0].Error(), "volumes are not for you") {
		t.Errorf("errors are %v, want one about volumes", report.Errors)
	}
	if !slices.ContainsFunc(report.Findings, func(f checks.Finding) bool { return f.Check.ID == "network-unused" }) {
		t.Errorf("networks are not judged: %v", report.Findings)
	}
}

func TestKeyRecord(t *testing.T) {
	k := keyRecord{filepath.Join(t.TempDir(), "plimsoll", "swarm-keys.json")}
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	renew := func(swarm, worker string, now time.Time) time.Time {
		t.Helper()
		since, err := k.renew(swarm, map[string]string{"worker": worker, "unlock": ""}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := since["unlock"]; ok {
			t.Error("a key that is not there has an age")
		}
		return since["worker"]
	}
	const canary = "SWMTKN-1-canary-not-a-real-token"
	for _, step := range []struct {
		swarm, token string
		now, want    time.Time
	}{
		{"a", canary, day(1), day(1)},
		{"a", canary, day(9), day(1)},
		{"b", canary, day(9), day(9)},
		{"a", "SWMTKN-1-another", day(12), day(12)},
		{"b", canary, day(13), day(9)},
		{"a", canary, day(14), day(14)}, // not remembered for ever
	} {
		if got := renew(step.swarm, step.token, step.now); !got.Equal(step.want) {
			t.Errorf("%+v: since %s", step, got)
		}
	}
	data, err := os.ReadFile(k.path)
	if err != nil || strings.Contains(string(data), "canary") || strings.Contains(string(data), "SWMTKN") {
		t.Errorf("the record is %s, %v", data, err)
	}
	if err := os.WriteFile(k.path, []byte(`null`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := renew("a", canary, day(20)); !got.Equal(day(20)) {
		t.Errorf("a damaged record gives %s", got)
	}
}

func TestAddressesOfTheKernel(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F": "127.0.0.1", "00000000": "0.0.0.0", "00000000000000000000000000000000": "::", "00000000000000000000000001000000": "::1",
	} {
		if got, ok := parseAddress(text); !ok || got != netip.MustParseAddr(want) {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "01", "zz000000", "0100007F00"} {
		if got, ok := parseAddress(text); ok {
			t.Errorf("%q is %s, want nothing", text, got)
		}
	}
}

func TestContent(t *testing.T) {
	dir := t.TempDir()
	filled := filepath.Dir(write(t, dir, "filled/x", ""))
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filled, link); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]host.Content{
		filled: host.Filled, empty: host.Empty, link: host.Unknown, filepath.Join(filled, "x"): host.Unknown, filepath.Join(dir, "none"): host.Unknown,
	} {
		if got := contentOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
