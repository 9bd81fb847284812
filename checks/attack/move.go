package attack

import "plimsoll/checks"

// How easily an attacker gets from one container into the next: what listens
// there needs a flaw of its own, what is read from a volume has to be run.
const (
	easeNeighbour = 0.5
	easeVolume    = 0.3
	easeStore     = 0.8
	easeLoopback  = 0.7
)

var sharedNetwork = &Rule{
	ID:    "path-shared-network",
	Title: "On to a neighbour on the network",
	Refs:  []string{"T1021", "T1210"},
	move: func(r *Rule, s *search, a *arrival) {
		if a.entry == Supplier {
			return
		}
		for _, l := range a.node.networks {
			id := l.id
			grounds, open := s.network(a.node, l)
			if !open || !s.once("network "+id) {
				continue
			}
			for _, n := range s.m.members[id] {
				if _, still := s.network(n, l); n == a.node || !still || !n.listens || n.store != "" {
					continue
				}
				s.arrive(a, a.entry, n, r.step(easeNeighbour, func() (checks.Message, []Ground) {
					return checks.Msg("from %s every port of %s can be reached; a flaw in its program is enough", a.node.spot.Name(), n.spot.Name()), s.groundsOf(a.node, id, grounds)
				}))
			}
		}
	},
}

// network returns what says that n reaches others through the network l,
// besides its being there, and whether it does.
func (s *search) network(n *node, l link) (because []fact, open bool) {
	if l.apart {
		return nil, false
	}
	if l.id != n.scope+bridge {
		return nil, !s.gone(n.spot.Ref, fact{check: flat})
	}
	member, ok := s.fact(n, onBridge)
	if !ok {
		return nil, false
	}
	because = []fact{member}
	if e := s.m.engine; e != nil {
		facts := s.all(e.spot, e.facts, bridgeOpen)
		return append(because, facts...), len(facts) > 0
	}
	return because, true
}

// flat is the check that reports networks which hold more than need each other.
const flat = "container-network-flat"

// groundsOf tells what network found.
func (s *search) groundsOf(n *node, id string, because []fact) []Ground {
	name := shown(n, id)
	if len(because) == 0 {
		return []Ground{n.ground(fact{check: flat, source: "NetworkSettings.Networks", seen: name}, checks.Msg("shared network %s", name))}
	}
	grounds := []Ground{n.ground(because[0], checks.Msg("default bridge"))}
	for _, f := range because[1:] {
		grounds = append(grounds, groundOf(s.m.engine.spot.Ref, f, checks.Message{}))
	}
	return grounds
}

// shown returns the name of a network or volume without its scope.
func shown(n *node, id string) string { return id[len(n.scope):] }

var sharedVolume = &Rule{
	ID:    "path-shared-volume",
	Title: "On through a shared volume",
	Refs:  []string{"T1080"},
	move: func(r *Rule, s *search, a *arrival) {
		if a.entry == Supplier {
			return
		}
		for _, v := range a.node.volumes {
			if v.readOnly || !s.once("volume "+v.id) {
				continue
			}
			for _, n := range s.m.sharing[v.id] {
				if n == a.node {
					continue
				}
				s.arrive(a, a.entry, n, r.step(easeVolume, func() (checks.Message, []Ground) {
					return checks.Msg("%s writes to %s, which %s trusts: a script, a library or a configuration placed there runs in it", a.node.spot.Name(), v.name, n.spot.Name()), []Ground{Ground{Subject: a.node.spot.Ref, Check: "container-volume-shared", Label: checks.Msg("shared volume %s", v.name).Clean(),
						Evidence: checks.Evidence{Source: "Mounts", Detail: v.name}.Clean()}}
				}))
			}
		}
	},
}

var hostNetwork = &Rule{
	ID:    "path-host-network",
	Title: "On to what only the host should reach",
	Refs:  []string{"T1021", "T1046"},
	escape: func(r *Rule, s *search, a *arrival) {
		f, ok := s.fact(a.node, onHost)
		if !ok {
			return
		}
		if e := s.m.engine; e != nil && !a.node.planned() {
			for _, local := range s.all(e.spot, e.facts, engineLocal) {
				s.lose(a, Takeover, e.spot, r.step(easeOpen, func() (checks.Message, []Ground) {
					return checks.Msg("127.0.0.1 of %s is that of the host: the engine takes commands there at %s", a.node.spot.Name(), local.detail), []Ground{a.node.ground(f, checks.Msg("network of the host")), groundOf(e.spot.Ref, local, checks.Msg("engine on loopback without TLS"))}
				}))
			}
		}
	},
	move: func(r *Rule, s *search, a *arrival) {
		f, ok := s.fact(a.node, onHost)
		if !ok || a.entry == Supplier {
			return
		}
		if !s.once("loopback " + a.node.scope) {
			return
		}
		for _, n := range s.m.nodes {
			if n == a.node || n.scope != a.node.scope {
				continue
			}
			local, ok := s.fact(n, publishedIn)
			if !ok {
				continue
			}
			if n.store != "" {
				s.lose(a, Data, n.spot, r.step(easeLoopback, func() (checks.Message, []Ground) {
					return checks.Msg("127.0.0.1 of %s is that of the host: port %s of %s, published for the host only, is open to it", a.node.spot.Name(), local.detail, n.spot.Name()), []Ground{a.node.ground(f, checks.Msg("network of the host")), n.ground(local, checks.Msg("data store on loopback"))}
				}))
				continue
			}
			s.arrive(a, a.entry, n, r.step(easeNeighbour, func() (checks.Message, []Ground) {
				return checks.Msg("127.0.0.1 of %s is that of the host: port %s of %s, published for the host only, is open to it", a.node.spot.Name(), local.detail, n.spot.Name()), []Ground{a.node.ground(f, checks.Msg("network of the host")), n.ground(local, checks.Message{})}
			}))
		}
	},
}
