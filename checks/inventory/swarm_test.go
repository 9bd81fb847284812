package inventory

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/host"
)

// A harbour full of mistakes, of which each is found and nothing else.
var (
	expectedOfSwarm = []string{
		"network-attachable-overlay plain",
		"network-macvlan-direct lan",
		"network-unused lan",
		"network-unused lonely",
		"network-unused plain",
		"swarm-autolock-off",
		"swarm-node-cert-lifetime",
		"swarm-overlay-unencrypted ingress",
		"swarm-overlay-unencrypted plain",
		"swarm-secrets-unused careless",
		"swarm-service-mutable-image careless",
		"swarm-service-no-limits careless",
		"swarm-service-no-rollback careless",
		"volume-bind-driver-sensitive config",
		"volume-unused config",
		"volume-unused forgotten",
	}
	// onlyReal are those that need the files of a real engine on this machine.
	onlyReal = []string{"swarm-listen-all-interfaces"}
)

// TestSwarm finds what is expected in a swarm of one node, on an engine in
// memory and on a real one, and follows what changes there.
func TestSwarm(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		s := dockertest.Run(t)
		testSwarm(t, s.Client(t), nil)
	})
	t.Run("real", func(t *testing.T) { testSwarm(t, dockertest.Private(t), onlyReal) })
}

func testSwarm(t *testing.T, c *client.Client, more []string) {
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "0.0.0.0:2377", AdvertiseAddr: "127.0.0.1", Spec: swarm.Spec{CAConfig: swarm.CAConfig{NodeCertExpiry: 8760 * 3600e9}}}))
	networks := map[string]client.NetworkCreateOptions{
		"plain": {Driver: "overlay", Attachable: true}, "sealed": {Driver: "overlay", Options: map[string]string{"encrypted": ""}},
		"lonely": {}, "lan": {Driver: "macvlan", Options: map[string]string{"parent": "lo.7"}},
	}
	expected := append(slices.Clone(more), expectedOfSwarm...)
	for _, name := range []string{"plain", "sealed", "lonely", "lan"} {
		if _, err := c.NetworkCreate(ctx, name, networks[name]); err != nil && name == "lan" {
			// Needs an interface to stand on, and a kernel that has the driver.
			t.Logf("no macvlan here: %v", err)
			expected = slices.DeleteFunc(expected, func(e string) bool { return strings.HasSuffix(e, " lan") })
		} else if err != nil {
			t.Fatal(err)
		}
	}
	must(c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "forgotten"}))
	must(c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "config", DriverOpts: map[string]string{"type": "none", "o": "bind", "device": "/etc"}}))
	service := func(name, image string, change func(*swarm.ServiceSpec)) {
		t.Helper()
		spec := swarm.ServiceSpec{Annotations: swarm.Annotations{Name: name}, TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: image}, Networks: []swarm.NetworkAttachmentConfig{{Target: "sealed"}},
			Placement: &swarm.Placement{Constraints: []string{"node.labels.nowhere==1"}}, // it has not to run
		}}
		change(&spec)
		must(c.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec}))
	}
	service("careless", "shop:1", func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Env = []string{"DB_PASSWORD=canary-not-a-real-one"}
	})
	service("careful", "shop:1@sha256:"+strings.Repeat("1", 64), func(s *swarm.ServiceSpec) {
		s.TaskTemplate.Resources = &swarm.ResourceRequirements{Limits: &swarm.Limit{MemoryBytes: 64 << 20, NanoCPUs: 1e9}}
		s.UpdateConfig = &swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionRollback}
	})

	o := Options{Target: target(t, c.DaemonHost()), Suite: host.Checks(), Keys: filepath.Join(t.TempDir(), "keys.json")}
	v, _ := watch(t, o)
	v.until("complete", func() bool { return v.done })
	slices.Sort(expected)
	v.until("everything expected is found: "+strings.Join(expected, ", "), func() bool {
		return slices.Equal(v.ofHost(t), expected) // overlays come a moment after they were made
	})
	if items, err := New(o).Gather(ctx, Selection{Host: true}); err != nil || !slices.Equal(findingsOf(t, items[0]), expected) {
		t.Errorf("gathered %v, %v; want %v", findingsOf(t, items[0]), err, expected)
	}

	// And live.
	secret, err := c.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{Annotations: swarm.Annotations{Name: "db"}, Data: []byte("canary")}})
	must(secret, err)
	v.until("there is a secret", func() bool { return !v.finds("swarm-secrets-unused", "careless") })
	must(c.SecretRemove(ctx, secret.ID, client.SecretRemoveOptions{}))
	v.until("there is none again", func() bool { return v.finds("swarm-secrets-unused", "careless") })
	must(c.ServiceRemove(ctx, "careless", client.ServiceRemoveOptions{}))
	v.until("the careless service is gone", func() bool { return !v.finds("swarm-service-no-limits", "careless") })
	must(c.ServiceRemove(ctx, "careful", client.ServiceRemoveOptions{}))
	v.until("the swarm is unused", func() bool { return v.finds("swarm-enabled-unused", "") && v.finds("network-unused", "sealed") })
}

// ofHost returns the findings of the host as "id key".
func (v *view) ofHost(t *testing.T) []string {
	for _, i := range v.items {
		if _, ok := i.Subject.(*host.Host); ok {
			return findingsOf(t, i)
		}
	}
	return nil
}

// ofTheWorld reports whether a check is about what stands on the engine, rather
// than about the engine and this machine, which nobody has set up for the test.
func ofTheWorld(id string) bool {
	kind, _, _ := strings.Cut(id, "-")
	return slices.Contains([]string{"network", "volume", "swarm"}, kind) && id != "network-overlapping-subnet"
}

func findingsOf(t *testing.T, i Item) []string {
	t.Helper()
	var all []string
	for _, f := range i.Report.Findings {
		if strings.Contains(f.Message.String(), "canary") {
			t.Errorf("a secret is shown: %s", f.Message)
		}
		if ofTheWorld(f.Check.ID) {
			all = append(all, strings.TrimSpace(f.Check.ID+" "+f.Key))
		}
	}
	if err := errors.Join(i.Report.Errors...); err != nil {
		t.Error(err)
	}
	slices.Sort(all)
	return all
}

// The record of keys begins with the first look and notices a rotation.
func TestKeysOfSwarm(t *testing.T) {
	s := dockertest.Run(t)
	c := s.Client(t)
	lock := swarm.Spec{EncryptionConfig: swarm.EncryptionConfig{AutoLockManagers: true}}
	if _, err := c.SwarmInit(t.Context(), client.SwarmInitOptions{AdvertiseAddr: "127.0.0.1", Spec: lock}); err != nil {
		t.Fatal(err)
	}
	o := Options{Target: target(t, s.Host()), Suite: host.Checks(), Keys: filepath.Join(t.TempDir(), "keys.json")}
	read := func(o Options) *host.Keys {
		t.Helper()
		items, err := New(o).Gather(context.Background(), Selection{Host: true})
		if err != nil {
			t.Fatal(err)
		}
		return items[0].Subject.(*host.Host).Swarm.Keys
	}
	first := read(o)
	if first == nil || first.Worker.IsZero() || first.Manager.IsZero() || first.Unlock.IsZero() {
		t.Fatalf("the record is %+v", first)
	}
	if again := read(o); *again != *first {
		t.Errorf("it changed by itself: %+v, then %+v", first, again)
	}
	s.Forget()
	o.Keys = ""
	if none := read(o); none != nil || s.Count("GET /swarm") > 0 || s.Count("GET /swarm/unlockkey") > 0 {
		t.Errorf("without a record there is %+v, and keys were asked for", none)
	}
}
