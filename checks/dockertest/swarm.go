package dockertest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
)

// A cluster is a swarm of one node, which is this engine and runs all tasks.
type cluster struct {
	swarm.Swarm
	unlock   string
	services map[string]*service // by id
	secrets  map[string]*swarm.Secret
	configs  map[string]*swarm.Config
	stop     func() // the beat of the orchestrator; nil when there is none
}

func (s *Server) swarmRoutes() map[string]handler {
	return map[string]handler{
		"POST /swarm/init":           s.initSwarm,
		"POST /swarm/leave":          s.leaveSwarm,
		"GET /swarm":                 s.inspectSwarm,
		"GET /swarm/unlockkey":       s.unlockKey,
		"GET /services":              s.managed(s.listServices),
		"POST /services/create":      s.managed(s.createService),
		"GET /services/{id}":         s.managed(s.inspectService),
		"POST /services/{id}/update": s.managed(s.updateService),
		"DELETE /services/{id}":      s.managed(s.removeService),
		"GET /tasks":                 s.managed(s.listTasks),
		"GET /secrets":               s.managed(s.listSecrets),
		"POST /secrets/create":       s.managed(s.createSecret),
		"DELETE /secrets/{id}":       s.managed(s.removeSecret),
		"GET /configs":               s.managed(s.listConfigs),
		"POST /configs/create":       s.managed(s.createConfig),
		"DELETE /configs/{id}":       s.managed(s.removeConfig),
	}
}

func unavailable(format string, args ...any) error {
	f := badRequest(format, args...).(*failure)
	f.status = http.StatusServiceUnavailable
	return f
}

// managed refuses a call on an engine that is no manager.
func (s *Server) managed(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s.mu.Lock()
		absent := s.cluster == nil
		s.mu.Unlock()
		if absent {
			return unavailable(`This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`)
		}
		return h(w, r)
	}
}

func (s *Server) initSwarm(w http.ResponseWriter, r *http.Request) error {
	var want swarm.InitRequest
	if err := read(r, &want); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		return unavailable(`This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.`)
	}
	address, _, _ := strings.Cut(want.AdvertiseAddr, ":")
	address = cmp.Or(address, "192.0.2.10")
	root, err := s.rootCertificate()
	if err != nil {
		return internal("making the root certificate: %v", err)
	}
	now := s.clock.Now().UTC()
	c := &cluster{services: map[string]*service{}, secrets: map[string]*swarm.Secret{}, configs: map[string]*swarm.Config{}}
	c.ID, c.CreatedAt, c.UpdatedAt, c.Version.Index = s.short("cluster"), now, now, 10
	c.SubnetSize, c.DataPathPort, c.TLSInfo.TrustRoot = 24, 4789, root
	c.Spec = want.Spec
	c.Spec.Name = "default"
	c.Spec.CAConfig.NodeCertExpiry = cmp.Or(want.Spec.CAConfig.NodeCertExpiry, 90*24*time.Hour)
	c.Spec.EncryptionConfig.AutoLockManagers = want.Spec.EncryptionConfig.AutoLockManagers // the field beside the specification is not read
	half := s.id("root")[:50]
	c.JoinTokens = swarm.JoinTokens{Worker: "SWMTKN-1-" + half + "-" + s.short("worker"), Manager: "SWMTKN-1-" + half + "-" + s.short("manager")}
	c.unlock = "SWMKEY-1-" + s.short("unlock")
	s.cluster = c
	node := s.short("node")
	port := ":2377"
	if _, p, ok := strings.Cut(want.ListenAddr, ":"); ok {
		port = ":" + p
	}
	s.info.Swarm = swarm.Info{
		NodeID: node, NodeAddr: address, LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true,
		RemoteManagers: []swarm.Peer{{NodeID: node, Addr: address + port}}, Nodes: 1, Managers: 1, Cluster: &c.ClusterInfo,
	}
	s.addOverlay(network.Network{Name: "ingress", Ingress: true, IPAM: network.IPAM{Driver: "default", Config: []network.IPAMConfig{{
		Subnet: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
	}}}})
	s.events.emitIn("swarm", events.NodeEventType, events.ActionUpdate, node, map[string]string{"name": s.info.Name, "state.new": "ready", "state.old": "unknown"})
	s.emitSwarm(events.NodeEventType, events.ActionUpdate, node, s.info.Name)
	return answer(w, http.StatusOK, node)
}

// addOverlay adds a network of the swarm.
func (s *Server) addOverlay(n network.Network) *nw {
	serial := 0
	for _, other := range s.networks {
		if other.Driver == "overlay" {
			serial++
		}
	}
	options := map[string]string{"com.docker.network.driver.overlay.vxlanid_list": strconv.Itoa(4096 + serial)}
	maps.Copy(options, n.Options)
	n.Driver, n.Options = "overlay", options
	one := s.addNetwork(n)
	delete(s.networks, one.ID)
	one.ID, one.Scope, one.Labels = one.ID[:25], "swarm", n.Labels
	s.networks[one.ID] = one
	return one
}

// leaveSwarm ends the swarm, whose last manager this is.
func (s *Server) leaveSwarm(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster == nil {
		return unavailable("This node is not part of a swarm")
	}
	if !truth(r, "force") {
		return unavailable("You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ")
	}
	for _, v := range s.cluster.services {
		s.endService(v)
	}
	s.cluster.halt()
	s.cluster = nil
	s.info.Swarm = swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive}
	for id, n := range s.networks {
		if n.Scope == "swarm" {
			delete(s.networks, id)
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) inspectSwarm(w http.ResponseWriter, r *http.Request) error {
	return s.managed(func(w http.ResponseWriter, r *http.Request) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return answer(w, http.StatusOK, s.cluster.Swarm)
	})(w, r)
}

func (s *Server) unlockKey(w http.ResponseWriter, r *http.Request) error {
	return s.managed(func(w http.ResponseWriter, r *http.Request) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		key := s.cluster.unlock
		if !s.cluster.Spec.EncryptionConfig.AutoLockManagers {
			key = ""
		}
		return answer(w, http.StatusOK, swarm.UnlockKeyResponse{UnlockKey: key})
	})(w, r)
}

// short returns an identity as swarms have them.
func (s *Server) short(kind string) string { return s.id(kind)[:25] }

func (s *Server) emitSwarm(kind events.Type, action events.Action, id, name string) {
	s.events.emitIn("swarm", kind, action, id, map[string]string{"name": name})
}

func (s *Server) meta() swarm.Meta {
	now := s.clock.Now().UTC()
	return swarm.Meta{CreatedAt: now, UpdatedAt: now, Version: swarm.Version{Index: uint64(s.serial)}}
}

func (s *Server) rootCertificate() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	from := s.clock.Now().Add(-5 * time.Minute)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "swarm-ca"}, NotBefore: from, NotAfter: from.AddDate(20, 0, 0), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

func (s *Server) listSecrets(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r)
	if err == nil {
		err = f.known("id", "label", "name", "names")
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := sorted(s.cluster.secrets, func(v *swarm.Secret) string { return v.Spec.Name })
	return answer(w, http.StatusOK, slices.DeleteFunc(all, func(v *swarm.Secret) bool {
		return !f.exact("id", v.ID) || !f.labels(v.Spec.Labels) || !f.beginning("name", v.Spec.Name) || !f.exact("names", v.Spec.Name)
	}))
}

func (s *Server) createSecret(w http.ResponseWriter, r *http.Request) error {
	var spec swarm.SecretSpec
	if err := read(r, &spec); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.cluster.secrets {
		if v.Spec.Name == spec.Name {
			return conflict("rpc error: code = AlreadyExists desc = secret %s already exists", spec.Name)
		}
	}
	spec.Labels = labelled(spec.Labels)
	spec.Data = nil // is never shown again
	v := &swarm.Secret{ID: s.short("secret"), Meta: s.meta(), Spec: spec}
	s.cluster.secrets[v.ID] = v
	s.emitSwarm(events.SecretEventType, events.ActionCreate, v.ID, spec.Name)
	return answer(w, http.StatusCreated, swarm.SecretCreateResponse{ID: v.ID})
}

func (s *Server) removeSecret(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := pick(s.cluster.secrets, r.PathValue("id"), "secret", func(v *swarm.Secret) string { return v.Spec.Name })
	if err != nil {
		return err
	}
	for _, one := range s.cluster.services {
		for _, ref := range one.Spec.TaskTemplate.ContainerSpec.Secrets {
			if ref.SecretID == v.ID {
				return badRequest("rpc error: code = InvalidArgument desc = secret '%s' is in use by the following service: %s", v.Spec.Name, one.Spec.Name)
			}
		}
	}
	delete(s.cluster.secrets, v.ID)
	s.emitSwarm(events.SecretEventType, events.ActionRemove, v.ID, v.Spec.Name)
	return done(w)
}

func (s *Server) listConfigs(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer(w, http.StatusOK, sorted(s.cluster.configs, func(v *swarm.Config) string { return v.Spec.Name }))
}

func (s *Server) createConfig(w http.ResponseWriter, r *http.Request) error {
	var spec swarm.ConfigSpec
	if err := read(r, &spec); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.cluster.configs {
		if v.Spec.Name == spec.Name {
			return conflict("rpc error: code = AlreadyExists desc = config %s already exists", spec.Name)
		}
	}
	spec.Labels = labelled(spec.Labels)
	v := &swarm.Config{ID: s.short("config"), Meta: s.meta(), Spec: spec}
	s.cluster.configs[v.ID] = v
	s.emitSwarm(events.ConfigEventType, events.ActionCreate, v.ID, spec.Name)
	return answer(w, http.StatusCreated, swarm.ConfigCreateResponse{ID: v.ID})
}

func (s *Server) removeConfig(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := pick(s.cluster.configs, r.PathValue("id"), "config", func(v *swarm.Config) string { return v.Spec.Name })
	if err != nil {
		return err
	}
	delete(s.cluster.configs, v.ID)
	s.emitSwarm(events.ConfigEventType, events.ActionRemove, v.ID, v.Spec.Name)
	return done(w)
}

// labelled returns labels as managers give them back.
func labelled(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

// sorted returns objects by their names.
func sorted[T any](all map[string]*T, name func(*T) string) []*T {
	list := slices.Collect(maps.Values(all))
	slices.SortFunc(list, func(a, b *T) int { return cmp.Compare(name(a), name(b)) })
	if list == nil {
		list = []*T{}
	}
	return list
}

// pick returns the object with that id or name.
func pick[T any](all map[string]*T, ref, kind string, name func(*T) string) (*T, error) {
	if v := all[ref]; v != nil {
		return v, nil
	}
	for _, v := range all {
		if name(v) == ref {
			return v, nil
		}
	}
	return nil, notFound("%s %s not found", kind, ref)
}

// SetSwarm changes what the engine tells of its swarm, such as the number of
// managers. It does nothing on an engine that manages none.
func (s *Server) SetSwarm(change func(*swarm.Info)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		change(&s.info.Swarm)
	}
}
