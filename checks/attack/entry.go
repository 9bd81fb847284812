package attack

import "plimsoll/checks"

// How easily an attacker comes in. What listens on every interface is tried by
// everybody; an image has to be taken over first.
const (
	easeOpen     = 1.0
	easeAddress  = 0.7
	easeHost     = 0.6
	easeSupplier = 0.3
	easeAccount  = 0.4
)

var publishedPort = &Rule{
	ID:    "path-published-port",
	Title: "In through a published port",
	Refs:  []string{"T1190"},
	enter: func(r *Rule, s *search, n *node) {
		ease, first := 0.0, fact{}
		var facts []fact
		note := func(f fact, e float64) {
			if facts = append(facts, f); e > ease {
				ease, first = e, f
			}
		}
		for _, f := range s.all(n.spot, n.facts, published) {
			note(f, easeOpen)
		}
		for _, f := range s.all(n.spot, n.facts, publishedAt) {
			note(f, easeAddress)
		}
		if f, ok := s.fact(n, onHost); ok && n.listens {
			note(f, easeHost)
		}
		if ease == 0 {
			return
		}
		s.arrive(nil, Network, n, r.step(ease, func() (checks.Message, []Ground) {
			var grounds []Ground
			for _, f := range facts {
				grounds = append(grounds, n.ground(f, entryLabel(f)))
			}
			name := n.spot.Name()
			if first.trait == onHost {
				return checks.Msg("%s listens on the network of the host: a flaw in its program is a way in", name), grounds
			}
			return checks.Msg("%s takes connections from other machines on port %s: a flaw in its program is a way in", name, first.detail), grounds
		}))
	},
}

func entryLabel(f fact) checks.Message {
	switch f.trait {
	case published:
		return checks.Msg("port %s on all interfaces", f.detail)
	case publishedAt:
		return checks.Msg("port %s on the network", f.detail)
	}
	return checks.Msg("network of the host")
}

var mutableImage = &Rule{
	ID:    "path-mutable-image",
	Title: "In with the next image",
	Refs:  []string{"T1195.002", "T1525"},
	enter: func(r *Rule, s *search, n *node) {
		if f, ok := s.fact(n, movingTag); ok {
			s.arrive(nil, Supplier, n, r.step(easeSupplier, func() (checks.Message, []Ground) {
				return checks.Msg("whoever controls what %s means decides what %s runs after the next pull", f.detail, n.spot.Name()), []Ground{n.ground(f, checks.Msg("image that may change"))}
			}))
		}
	},
}

var engineTCP = &Rule{
	ID:    "path-engine-tcp",
	Title: "Commands to the open engine",
	Refs:  []string{"T1133", "T1610"},
	begin: func(r *Rule, s *search, e *engine) {
		for _, f := range s.all(e.spot, e.facts, engineOpen) {
			s.fall(e, Network, r.step(easeOpen, func() (checks.Message, []Ground) {
				return checks.Msg("the engine takes commands at %s from whoever connects: one starts a container that mounts the disk of the host", f.detail), []Ground{groundOf(e.spot.Ref, f, checks.Msg("engine on the network without TLS"))}
			}))
		}
	},
}

var dockerGroup = &Rule{
	ID:    "path-docker-group",
	Title: "Root through the group docker",
	Refs:  []string{"T1078.003", "T1548"},
	begin: func(r *Rule, s *search, e *engine) {
		for _, f := range s.all(e.spot, e.facts, groupMembers) {
			s.fall(e, Account, r.step(easeAccount, func() (checks.Message, []Ground) {
				return checks.Msg("what runs as a member of the group docker starts a container that mounts the disk of the host, without a password"), []Ground{groundOf(e.spot.Ref, f, checks.Msg("members of the group docker"))}
			}))
		}
	},
}

// fall notes that the host falls at once.
func (s *search) fall(e *engine, entry Entry, step step) {
	step.at = e.spot
	s.ends = append(s.ends, end{entry: entry, impact: Takeover, target: e.spot, step: step, ease: step.ease})
}

// ground says that f of n is what a step rests on, in the few words of label.
func (n *node) ground(f fact, label checks.Message) Ground { return groundOf(n.spot.Ref, f, label) }

func groundOf(ref checks.Ref, f fact, label checks.Message) Ground {
	return Ground{ref, f.check, f.key, label.Clean(), checks.Evidence{Source: f.source, Detail: f.seen}.Clean()}
}

// step returns a step of r. What it says is worked out when it is part of a path.
func (r *Rule) step(ease float64, tell func() (checks.Message, []Ground)) step {
	return step{rule: r, ease: ease, tell: tell}
}
