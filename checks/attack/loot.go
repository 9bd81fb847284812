package attack

import (
	"strings"

	"plimsoll/checks"
)

var dataStore = &Rule{
	ID:    "path-datastore",
	Title: "To the data",
	Refs:  []string{"T1213.006", "T1005"},
	enter: func(r *Rule, s *search, n *node) {
		if n.store == "" {
			return
		}
		for _, t := range []trait{published, publishedAt} {
			f, ok := s.fact(n, t)
			if !ok {
				continue
			}
			ease := 0.6
			if t == publishedAt {
				ease = 0.4
			}
			step := r.step(ease, func() (checks.Message, []Ground) {
				return checks.Msg("%s answers other machines on port %s: a weak password or none, a flaw, and its data is read", n.spot.Name(), f.detail), []Ground{n.ground(f, checks.Msg("data store on port %s", f.detail))}
			})
			step.at = n.spot
			s.ends = append(s.ends, end{entry: Network, impact: Data, target: n.spot, step: step, ease: ease})
			return
		}
	},
	move: func(r *Rule, s *search, a *arrival) {
		for _, l := range a.node.networks {
			id := l.id
			grounds, open := s.network(a.node, l)
			if !open || a.entry == Supplier || !s.once("stores "+id) {
				continue
			}
			for _, n := range s.m.members[id] {
				if _, still := s.network(n, l); n == a.node || n.store == "" || !still || s.exposed(n) {
					continue
				}
				ease := easeStore
				password, ok := s.fact(a.node, secretKept)
				if ok {
					ease = 1
				}
				s.lose(a, Data, n.spot, r.step(ease, func() (checks.Message, []Ground) {
					if !ok {
						return checks.Msg("%s reaches %s and its data over the network that both are on", a.node.spot.Name(), n.spot.Name()), s.groundsOf(a.node, id, grounds)
					}
					return checks.Msg("%s reaches %s over the network that both are on, and has passwords in its environment", a.node.spot.Name(), n.spot.Name()),
						append(s.groundsOf(a.node, id, grounds), a.node.ground(password, checks.Msg("secret in %s", password.detail)))
				}))
			}
		}
	},
}

// exposed reports whether other machines reach n at once, so that no way
// through another container has to be told.
func (s *search) exposed(n *node) bool {
	_, everywhere := s.fact(n, published)
	_, somewhere := s.fact(n, publishedAt)
	return everywhere || somewhere
}

var secretsOfEnvironment = &Rule{
	ID:    "path-secrets",
	Title: "To the secrets in the environment",
	Refs:  []string{"T1552.001", "T1552.007"},
	move: func(r *Rule, s *search, a *arrival) {
		n := a.node
		kept := s.all(n.spot, n.facts, secretKept)
		if len(kept) == 0 {
			return
		}
		s.lose(a, Credentials, n.spot, r.step(0.9, func() (checks.Message, []Ground) {
			var names []string
			var grounds []Ground
			for _, f := range kept {
				names = append(names, f.detail)
				grounds = append(grounds, n.ground(f, checks.Msg("secret in %s", f.detail)))
			}
			const most = 4
			if len(names) > most {
				names = append(names[:most], "…")
			}
			return checks.Msg("every program in %s reads %s from its own environment; what it opens lies elsewhere", n.spot.Name(), strings.Join(names, ", ")), grounds
		}))
	},
}

var metadataService = &Rule{
	ID:    "path-metadata",
	Title: "To the identity of the machine",
	Refs:  []string{"T1552.005"},

	elsewhere: true,
	move: func(r *Rule, s *search, a *arrival) {
		e := s.m.engine
		if e == nil || a.node.planned() || a.from != nil || a.entry != Network || a.node.walled() {
			return // only what is published is known to reach beyond its own network
		}
		for _, f := range s.all(e.spot, e.facts, inCloud) {
			s.lose(a, Cloud, e.spot, r.step(0.6, func() (checks.Message, []Ground) {
				return checks.Msg("%s asks 169.254.169.254 for the keys of the machine, which is one of %s by its kernel", a.node.spot.Name(), f.detail), []Ground{groundOf(e.spot.Ref, f, checks.Msg("machine of a cloud"))}
			}))
		}
	},
}
