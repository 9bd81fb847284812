package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
)

// cluster returns a swarm of three managers that nothing is wrong with.
func cluster(t *testing.T) *Host {
	h := sound()
	h.Now, h.Attached = today, []Attached{}
	h.Info.Swarm = swarm.Info{
		LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true, Nodes: 3, Managers: 3,
		Cluster: &swarm.ClusterInfo{
			Spec:    swarm.Spec{EncryptionConfig: swarm.EncryptionConfig{AutoLockManagers: true}, CAConfig: swarm.CAConfig{NodeCertExpiry: 90 * 24 * time.Hour}},
			TLSInfo: swarm.TLSInfo{TrustRoot: certificate(t, today.AddDate(0, -6, 0))},
		},
	}
	h.Swarm = &Swarm{
		Services: []swarm.Service{service(func(*swarm.ServiceSpec) {})},
		Secrets:  []swarm.Secret{{Meta: swarm.Meta{CreatedAt: today.AddDate(0, -1, 0)}, Spec: swarm.SecretSpec{Annotations: swarm.Annotations{Name: "db-password"}}}},
		Configs:  []swarm.Config{},
		Local:    &Node{ListenAddr: "10.0.0.5:2377", AdvertiseAddr: "10.0.0.5:2377", DataPathAddr: "10.1.0.5", Source: "docker-state.json"},
		Keys:     &Keys{Worker: today.AddDate(0, -1, 0), Manager: today.AddDate(0, -1, 0)},
	}
	return h
}

func service(change func(*swarm.ServiceSpec)) swarm.Service {
	s := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "web"},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "shop:1@sha256:" + strings.Repeat("0", 64)},
			Resources:     &swarm.ResourceRequirements{Limits: &swarm.Limit{MemoryBytes: 1 << 28, NanoCPUs: 1e9}},
		},
		UpdateConfig: &swarm.UpdateConfig{FailureAction: swarm.UpdateFailureActionRollback},
	}
	change(&s)
	return swarm.Service{Spec: s}
}

func certificate(t *testing.T, from time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.AddDate(20, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestSwarm(t *testing.T) {
	var wants []string
	t.Cleanup(func() {
		everyFires(t, slices.DeleteFunc(slices.Clone(swarmChecks), func(c *checks.Check) bool { return c == overlayUnencrypted }), wants)
	})
	long := today.AddDate(-1, -1, 0)
	serve := func(change func(*swarm.ServiceSpec)) func(*Host) {
		return func(h *Host) { h.Swarm.Services = []swarm.Service{service(change)} }
	}
	for _, test := range []struct {
		name   string
		change func(h *Host)
		want   string
	}{
		{"nothing", func(*Host) {}, ""},

		{"no service", func(h *Host) { h.Swarm.Services = []swarm.Service{} }, "swarm-enabled-unused"},
		{"services not known", func(h *Host) { h.Swarm.Services = nil }, ""},
		{"no service, but a container uses its network", func(h *Host) {
			h.Swarm.Services = []swarm.Service{}
			h.Networks = []network.Network{made("a", "overlay", "encrypted=")}
			h.Attached = []Attached{{Name: "app", Networks: []string{"a"}}}
		}, ""},
		{"a worker", func(h *Host) { h.Swarm, h.Info.Swarm.Cluster, h.Info.Swarm.Managers = nil, nil, 0 }, ""},

		{"two managers", func(h *Host) { h.Info.Swarm.Managers = 2 }, "swarm-manager-count"},
		{"nine managers", func(h *Host) { h.Info.Swarm.Managers = 9 }, "swarm-manager-count"},
		{"one manager", func(h *Host) { h.Info.Swarm.Managers = 1 }, ""},

		{"listens everywhere", func(h *Host) { h.Swarm.Local.ListenAddr = "0.0.0.0:2377" }, "swarm-listen-all-interfaces"},
		{"listens everywhere, by the kernel", func(h *Host) { h.Swarm.Local = &Node{ListenAddr: "[::]:2377", Source: "/proc/net/tcp6"} }, "swarm-listen-all-interfaces"},
		{"where it listens is not known", func(h *Host) { h.Swarm.Local = nil }, ""},

		{"one address for all", func(h *Host) { h.Swarm.Local.DataPathAddr = "" }, "swarm-planes-not-separated"},
		{"the same address said twice", func(h *Host) { h.Swarm.Local.DataPathAddr = "10.0.0.5" }, "swarm-planes-not-separated"},
		{"one node", func(h *Host) { h.Swarm.Local.DataPathAddr, h.Info.Swarm.Nodes = "", 1 }, ""},

		{"no lock", func(h *Host) { h.Info.Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers = false }, "swarm-autolock-off"},
		{"an old unlock key", func(h *Host) { h.Swarm.Keys.Unlock = long }, "swarm-autolock-key-old"},
		{"a new unlock key", func(h *Host) { h.Swarm.Keys.Unlock = today.AddDate(0, -5, 0) }, ""},
		{"old join tokens", func(h *Host) { h.Swarm.Keys.Worker, h.Swarm.Keys.Manager = long, long }, "swarm-join-tokens-old manager, swarm-join-tokens-old worker"},
		{"no record", func(h *Host) { h.Swarm.Keys = nil }, ""},

		{"certificates for a year", func(h *Host) { h.Info.Swarm.Cluster.Spec.CAConfig.NodeCertExpiry = 365 * 24 * time.Hour }, "swarm-node-cert-lifetime"},
		{"an old root", func(h *Host) { h.Info.Swarm.Cluster.TLSInfo.TrustRoot = certificate(t, long) }, "swarm-ca-old"},
		{"a root that is being replaced", func(h *Host) {
			h.Info.Swarm.Cluster.TLSInfo.TrustRoot, h.Info.Swarm.Cluster.RootRotationInProgress = certificate(t, long), true
		}, ""},
		{"an old root beside its heir", func(h *Host) {
			h.Info.Swarm.Cluster.TLSInfo.TrustRoot = certificate(t, long) + certificate(t, today)
		}, ""},
		{"no root", func(h *Host) { h.Info.Swarm.Cluster.TLSInfo.TrustRoot = "-----BEGIN" }, ""},

		{"no limits", serve(func(s *swarm.ServiceSpec) { s.TaskTemplate.Resources = nil }), "swarm-service-no-limits web"},
		{"memory only", serve(func(s *swarm.ServiceSpec) { s.TaskTemplate.Resources.Limits.NanoCPUs = 0 }), "swarm-service-no-limits web"},
		{"a plug-in", serve(func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec, s.TaskTemplate.Resources = nil, nil }), ""},

		{"stays on a failed update", serve(func(s *swarm.ServiceSpec) { s.UpdateConfig = nil }), "swarm-service-no-rollback web"},
		{"goes on with a failed update", serve(func(s *swarm.ServiceSpec) { s.UpdateConfig.FailureAction = "continue" }), "swarm-service-no-rollback web"},
		{"a job", serve(func(s *swarm.ServiceSpec) { s.UpdateConfig, s.Mode.ReplicatedJob = nil, &swarm.ReplicatedJob{} }), ""},

		{"a moving image", serve(func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "shop:1" }), "swarm-service-mutable-image web"},

		{"secrets in the environment", func(h *Host) {
			h.Swarm.Secrets = []swarm.Secret{}
			serve(func(s *swarm.ServiceSpec) {
				s.TaskTemplate.ContainerSpec.Env = []string{"DB_PASSWORD=not-a-real-one", "LEVEL=debug"}
			})(h)
		}, "swarm-secrets-unused web"},
		{"secrets in the environment beside secrets", serve(func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Env = []string{"DB_PASSWORD=not-a-real-one"}
		}), ""},
		{"nothing secret in the environment", func(h *Host) {
			h.Swarm.Secrets = []swarm.Secret{}
			serve(func(s *swarm.ServiceSpec) {
				s.TaskTemplate.ContainerSpec.Env = []string{"DB_PASSWORD_FILE=/run/secrets/db", "LEVEL=debug"}
			})(h)
		}, ""},

		{"an old secret", func(h *Host) { h.Swarm.Secrets[0].CreatedAt = long }, "swarm-secret-old db-password"},
		{"a secret of a driver", func(h *Host) {
			h.Swarm.Secrets[0].CreatedAt, h.Swarm.Secrets[0].Spec.Driver = long, &swarm.Driver{Name: "vault"}
		}, ""},
		{"old configs", func(h *Host) {
			for _, name := range []string{"tls-key", "nginx.conf"} {
				h.Swarm.Configs = append(h.Swarm.Configs, swarm.Config{Meta: swarm.Meta{CreatedAt: long}, Spec: swarm.ConfigSpec{Annotations: swarm.Annotations{Name: name}}})
			}
		}, "swarm-secret-old config/tls-key"},

		{"a network of a service", func(h *Host) {
			h.Networks = []network.Network{made("a", "overlay", "encrypted="), made("b", "overlay", "encrypted=")}
			serve(func(s *swarm.ServiceSpec) {
				s.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: h.Networks[0].ID}}
			})(h)
		}, "network-unused b"},
		{"a volume of a service", func(h *Host) {
			h.Volumes = []Volume{vol("data", ""), vol("other", "")}
			serve(func(s *swarm.ServiceSpec) {
				s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "data", Target: "/data"}}
			})(h)
		}, "volume-unused other"},
	} {
		wants = append(wants, test.want)
		t.Run(test.name, func(t *testing.T) {
			h := cluster(t)
			test.change(h)
			if got := found(t, h); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// The limits decide how bad it is.
func TestSeverityOfLimits(t *testing.T) {
	for _, test := range []struct {
		limit swarm.Limit
		want  checks.Severity
	}{{swarm.Limit{}, checks.Medium}, {swarm.Limit{NanoCPUs: 1e9}, checks.Medium}, {swarm.Limit{MemoryBytes: 1 << 20}, checks.Low}} {
		h := cluster(t)
		h.Swarm.Services[0].Spec.TaskTemplate.Resources.Limits = &test.limit
		report := checks.Run(h, Checks(), nil)
		if len(report.Findings) != 1 || report.Findings[0].Severity != test.want {
			t.Errorf("%+v: %v, want one finding of %s", test.limit, report.Findings, test.want)
		}
	}
}
