package host

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
)

// A Swarm is what a manager tells of its swarm beyond docker info.
type Swarm struct {
	Services []swarm.Service // nil when unknown
	Nodes    []swarm.Node
	Secrets  []swarm.Secret
	Configs  []swarm.Config // without their data

	Local *Node // of this machine; nil when unknown
	Keys  *Keys // nil when there is no record
}

// A Node is what the engine on this machine has written down of its place in
// the swarm.
type Node struct {
	ListenAddr    string // "0.0.0.0:2377"
	AdvertiseAddr string // "10.0.0.5:2377"
	DataPathAddr  string // "" means that of AdvertiseAddr
	Source        string // where it was read
}

// Keys are the keys of a swarm as this program has seen them: the engine does
// not say when they were made. A zero time means that one was never seen.
type Keys struct {
	Worker  time.Time `json:"worker-token,omitzero"`  // since when the join token of workers is the same
	Manager time.Time `json:"manager-token,omitzero"` // that of managers
	Unlock  time.Time `json:"unlock-key,omitzero"`
}

// uses reports whether a service is in n.
func (s *Swarm) uses(n network.Network) bool {
	return s != nil && slices.ContainsFunc(s.Services, func(service swarm.Service) bool {
		return slices.ContainsFunc(service.Spec.TaskTemplate.Networks, func(a swarm.NetworkAttachmentConfig) bool {
			return a.Target == n.ID || a.Target == n.Name
		})
	})
}

// mounts reports whether a service mounts the volume called name.
func (s *Swarm) mounts(name string) bool {
	return s != nil && slices.ContainsFunc(s.Services, func(service swarm.Service) bool {
		spec := service.Spec.TaskTemplate.ContainerSpec
		return spec != nil && slices.ContainsFunc(spec.Mounts, func(m mount.Mount) bool {
			return m.Type == mount.TypeVolume && m.Source == name
		})
	})
}

// inSwarm reports whether the engine is a member of a swarm.
func (h *Host) inSwarm() bool { return h.Info.Swarm.LocalNodeState == swarm.LocalNodeStateActive }

var swarmUnused = check(checks.Check{
	ID:       "swarm-enabled-unused",
	Title:    "Swarm mode is on and unused",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.1 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.inSwarm() || h.Swarm == nil || h.Swarm.Services == nil || len(h.Swarm.Services) > 0 {
		return
	}
	members := h.members()
	for _, n := range h.Networks {
		if n.Scope == "swarm" && !n.Ingress && len(members.of(n)) > 0 {
			return // plain containers use a network of the swarm
		}
	}
	report(checks.Finding{
		Message: checks.Msg("%s opens the ports of a swarm for no service", h.Ref().Name),
		Evidence: []checks.Evidence{
			{Source: "docker info, Swarm.LocalNodeState", Detail: string(h.Info.Swarm.LocalNodeState)},
			{Source: "docker service ls", Detail: "none"},
		},
	})
})

// mostManagers is the number from which more managers only slow each other.
const mostManagers = 7

var swarmManagers = check(checks.Check{
	ID:       "swarm-manager-count",
	Title:    "Number of managers does not help",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 7.1 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	n := h.Info.Swarm.Managers
	f := checks.Finding{Evidence: []checks.Evidence{{Source: "docker info, Swarm.Managers", Detail: strconv.Itoa(n)}}}
	switch {
	case n > mostManagers:
		f.Message = checks.Msg("%d managers agree more slowly than %d and are more keys to everything", n, mostManagers)
	case n > 0 && n%2 == 0:
		f.Message = checks.Msg("%d managers survive the loss of %d, as %d would", n, (n-1)/2, n-1)
	default:
		return
	}
	report(f)
})

var swarmListen = check(checks.Check{
	ID:       "swarm-listen-all-interfaces",
	Title:    "Managers' port is open on all addresses",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 7.2 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.inSwarm() || h.Swarm == nil || h.Swarm.Local == nil {
		return
	}
	at, err := netip.ParseAddrPort(h.Swarm.Local.ListenAddr)
	if err != nil || !at.Addr().IsUnspecified() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("whoever reaches any address of %s can talk to the manager on port %s", h.Ref().Name, strconv.Itoa(int(at.Port()))),
		Evidence: []checks.Evidence{{Source: h.Swarm.Local.Source + ", ListenAddr", Detail: h.Swarm.Local.ListenAddr}},
	})
})

var swarmPlanes = check(checks.Check{
	ID:       "swarm-planes-not-separated",
	Title:    "Data and control of the swarm share one address",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 7.9 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if !h.inSwarm() || h.Swarm == nil || h.Swarm.Local == nil || h.Info.Swarm.Nodes < 2 {
		return // a single node sends nothing
	}
	local := h.Swarm.Local
	control, err := netip.ParseAddrPort(local.AdvertiseAddr)
	if err != nil {
		return
	}
	if data, err := netip.ParseAddr(local.DataPathAddr); err == nil && data != control.Addr() {
		return
	}
	detail := local.DataPathAddr
	if detail == "" {
		detail = "not set"
	}
	report(checks.Finding{
		Message: checks.Msg("what services send and what managers decide travel over %s", control.Addr().String()),
		Evidence: []checks.Evidence{
			{Source: local.Source + ", AdvertiseAddr", Detail: local.AdvertiseAddr},
			{Source: local.Source + ", DataPathAddr", Detail: detail},
		},
	})
})

var swarmAutolock = check(checks.Check{
	ID:       "swarm-autolock-off",
	Title:    "Managers unlock themselves",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 7.5 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	c := h.Info.Swarm.Cluster
	if !h.inSwarm() || c == nil || c.Spec.EncryptionConfig.AutoLockManagers {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("a copy of the disk of %s opens every secret of the swarm", h.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker info, Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers", Detail: "false"}},
	})
})

// Ages above which keys are old: what may be known to former colleagues, and
// what is hard to change.
const (
	oldKey = 180 * 24 * time.Hour
	oldCA  = 365 * 24 * time.Hour
)

var swarmAutolockKey = check(checks.Check{
	ID:       "swarm-autolock-key-old",
	Title:    "Unlock key of the managers is old",
	Severity: checks.Info,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 7.6 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Swarm == nil || h.Swarm.Keys == nil || !h.old(h.Swarm.Keys.Unlock, oldKey) {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("the key that unlocks the managers has not changed for %d days", h.days(h.Swarm.Keys.Unlock)),
		Evidence: []checks.Evidence{{Source: "first seen by plimsoll", Detail: h.Swarm.Keys.Unlock.UTC().Format(time.DateOnly)}},
	})
})

var swarmJoinTokens = check(checks.Check{
	ID:       "swarm-join-tokens-old",
	Title:    "Join token of the swarm is old",
	Severity: checks.Low,
	Chapter:  checks.Secrets,
}, func(h *Host, report func(checks.Finding)) {
	if h.Swarm == nil || h.Swarm.Keys == nil {
		return
	}
	for _, token := range []struct {
		role  string
		since time.Time
	}{{"manager", h.Swarm.Keys.Manager}, {"worker", h.Swarm.Keys.Worker}} {
		if !h.old(token.since, oldKey) {
			continue
		}
		report(checks.Finding{
			Key:      token.role,
			Message:  checks.Msg("whoever ever saw the %s token can still add a machine to the swarm: it has not changed for %d days", token.role, h.days(token.since)),
			Evidence: []checks.Evidence{{Source: "first seen by plimsoll", Detail: token.since.UTC().Format(time.DateOnly)}},
		})
	}
})

// old reports whether since is known and longer ago than age.
func (h *Host) old(since time.Time, age time.Duration) bool {
	return !since.IsZero() && h.Now.Sub(since) > age
}

func (h *Host) days(since time.Time) int { return int(h.Now.Sub(since) / (24 * time.Hour)) }

// longestCertificate is how long an engine lets certificates of nodes live
// unless it is told otherwise.
const longestCertificate = 90 * 24 * time.Hour

var swarmCertificates = check(checks.Check{
	ID:       "swarm-node-cert-lifetime",
	Title:    "Certificates of nodes live too long",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 7.7 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	c := h.Info.Swarm.Cluster
	if !h.inSwarm() || c == nil || c.Spec.CAConfig.NodeCertExpiry <= longestCertificate {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("a stolen node certificate is good for up to %d days", int(c.Spec.CAConfig.NodeCertExpiry/(24*time.Hour))),
		Evidence: []checks.Evidence{{Source: "docker info, Swarm.Cluster.Spec.CAConfig.NodeCertExpiry", Detail: c.Spec.CAConfig.NodeCertExpiry.String()}},
	})
})

var swarmCA = check(checks.Check{
	ID:       "swarm-ca-old",
	Title:    "Root certificate of the swarm is old",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 7.8 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	c := h.Info.Swarm.Cluster
	if !h.inSwarm() || c == nil || c.RootRotationInProgress {
		return
	}
	made := newest(c.TLSInfo.TrustRoot)
	if !h.old(made, oldCA) {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("the key that vouches for every node has not changed for %d days", h.days(made)),
		Evidence: []checks.Evidence{{Source: "docker info, Swarm.Cluster.TLSInfo.TrustRoot, not before", Detail: made.UTC().Format(time.DateOnly)}},
	})
})

// newest returns when the youngest of the certificates in text was made; zero
// without any.
func newest(text string) (made time.Time) {
	for rest := []byte(text); ; {
		block, more := pem.Decode(rest)
		if block == nil {
			return made
		}
		rest = more
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotBefore.After(made) {
			made = c.NotBefore
		}
	}
}

var swarmChecks = []*checks.Check{
	swarmListen, overlayUnencrypted, swarmPlanes, swarmUnused,
	swarmAutolock, swarmAutolockKey, swarmJoinTokens, secretsUnused, secretOld,
	serviceLimits, swarmCertificates, swarmCA,
	swarmManagers, serviceRollback, serviceImage,
}
