package attack

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A search finds the easiest way to every container and from there to what can
// be lost. Each container, network and volume is gone through once, so that
// it costs what there is, not what can be combined.
type search struct {
	m       *Map
	without map[factKey]bool // taken away, to see what is left
	best    map[*node]*arrival
	queue   arrivals
	crossed map[string]bool // networks and volumes gone through, impacts that count once
	ends    []end
}

// A factKey is what a fix takes away: a finding.
type factKey struct {
	kind           checks.Kind
	id, check, key string
}

// An arrival is an attacker who runs code in a container.
type arrival struct {
	node  *node
	entry Entry
	from  *arrival // nil at the entry
	step  step
	ease  float64
	done  bool
	falls bool // the host falls from here
}

// A step is a [Step] before anybody asked what it says.
type step struct {
	rule *Rule
	at   Spot
	ease float64
	tell func() (checks.Message, []Ground)
}

// told returns what steps say. That costs more than finding them, and is asked
// for few.
func told(steps []step) []Step {
	out := make([]Step, 0, len(steps))
	for _, s := range steps {
		message, grounds := s.tell()
		out = append(out, Step{Rule: s.rule, At: s.at, Message: message.Clean(), Grounds: grounds, Ease: s.ease})
	}
	return out
}

// An end is a step to something that is lost.
type end struct {
	from   *arrival // nil when it happens at once
	entry  Entry
	impact Impact
	target Spot
	step   step
	ease   float64
}

// arrivals is a heap, the easiest first.
type arrivals []*arrival

func (a arrivals) Len() int { return len(a) }
func (a arrivals) Less(i, j int) bool {
	if a[i].ease != a[j].ease {
		return a[i].ease > a[j].ease
	}
	return compareSpots(a[i].node.spot, a[j].node.spot) < 0
}
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)   { *a = append(*a, x.(*arrival)) }
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func compareSpots(a, b Spot) int {
	return cmp.Or(cmp.Compare(a.Ref.Kind, b.Ref.Kind), cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.Ref.ID, b.Ref.ID))
}

// least is the ease below which a way is not worth telling.
const least = 0.05

// run returns every path, the worst first.
func (m *Map) run(without map[factKey]bool) []Path {
	s := &search{m: m, without: without, best: map[*node]*arrival{}, crossed: map[string]bool{}}
	rules := Rules()
	for _, n := range m.nodes {
		for _, r := range rules {
			if r.enter != nil {
				r.enter(r, s, n)
			}
		}
	}
	if m.engine != nil {
		for _, r := range rules {
			if r.begin != nil {
				r.begin(r, s, m.engine)
			}
		}
	}
	for len(s.queue) > 0 {
		a := heap.Pop(&s.queue).(*arrival)
		if s.best[a.node] != a || a.done {
			continue // a better way was found meanwhile
		}
		a.done = true
		for _, r := range rules {
			if r.escape != nil {
				r.escape(r, s, a)
			}
		}
		if a.falls {
			continue // what else can be reached from here is the least problem
		}
		for _, r := range rules {
			if r.move != nil {
				r.move(r, s, a)
			}
		}
	}
	return s.paths()
}

// arrive notes a way into n, unless an easier one is known.
func (s *search) arrive(from *arrival, entry Entry, n *node, step step) {
	a := &arrival{node: n, entry: entry, from: from, step: step, ease: step.ease}
	if from != nil {
		a.ease *= from.ease
	}
	old := s.best[n]
	if a.ease < least || old != nil && (old.done || old.ease > a.ease || old.ease == a.ease && depth(old) <= depth(a)) {
		return
	}
	a.step.at = n.spot
	s.best[n] = a
	heap.Push(&s.queue, a)
}

func depth(a *arrival) int {
	n := 0
	for ; a != nil; a = a.from {
		n++
	}
	return n
}

// lose notes what is lost at target by a step from within a container.
func (s *search) lose(from *arrival, impact Impact, target Spot, step step) {
	if from.entry == Supplier && impact != Takeover {
		return // whoever controls an image has its data and secrets by definition
	}
	step.at = target
	if e := (end{from, from.entry, impact, target, step, from.ease * step.ease}); e.ease >= least {
		s.ends = append(s.ends, e)
		from.falls = from.falls || impact == Takeover && step.ease >= Possible && !step.rule.elsewhere
	}
}

// fact returns the first fact of n with a trait that was not taken away.
func (s *search) fact(n *node, t trait) (f fact, ok bool) {
	for _, f := range n.facts {
		if f.trait == t && !s.gone(n.spot.Ref, f) {
			return f, true
		}
	}
	return fact{}, false
}

// all returns the facts of n with a trait that were not taken away.
func (s *search) all(spot Spot, facts []fact, t trait) []fact {
	var all []fact
	for _, f := range facts {
		if f.trait == t && !s.gone(spot.Ref, f) {
			all = append(all, f)
		}
	}
	return all
}

func (s *search) gone(ref checks.Ref, f fact) bool {
	return len(s.without) > 0 && s.without[factKey{ref.Kind, ref.ID, f.check, f.key}]
}

// once reports whether key is met for the first time.
func (s *search) once(key string) bool {
	if s.crossed[key] {
		return false
	}
	s.crossed[key] = true
	return true
}

// paths makes paths of the ends: the ways out of one place to one impact are
// one path.
func (s *search) paths() []Path {
	type way struct {
		from   *arrival
		entry  Entry
		impact Impact
		target Spot
	}
	ways := map[way][]end{}
	for _, e := range s.ends {
		if e.from == nil || !e.from.falls || e.impact == Takeover {
			w := way{e.from, e.entry, e.impact, e.target}
			ways[w] = append(ways[w], e)
		}
	}
	paths := make([]Path, 0, len(ways))
	for _, ends := range ways {
		slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(b.ease, a.ease) })
		paths = append(paths, s.path(ends))
	}
	slices.SortFunc(paths, func(a, b Path) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), compareBool(a.Planned, b.Planned), cmp.Compare(b.Ease, a.Ease),
			cmp.Compare(len(a.steps), len(b.steps)), strings.Compare(a.ID, b.ID))
	})
	// Where the cure is the same for all, the easiest path stands for them.
	told := map[*Rule]bool{}
	return slices.DeleteFunc(paths, func(p Path) bool {
		r := p.steps[len(p.steps)-1].rule
		again := r.elsewhere && told[r]
		told[r] = true
		return again
	})
}

func (s *search) path(ends []end) Path {
	e := ends[0]
	p := Path{Entry: e.entry, Impact: e.impact, Target: e.target, Ease: e.ease}
	for a := e.from; a != nil; a = a.from {
		p.steps = append(p.steps, a.step)
	}
	slices.Reverse(p.steps)
	p.steps = append(p.steps, e.step)
	p.Planned = p.steps[0].at.Service != ""
	for _, other := range ends[1:] {
		p.also = append(p.also, other.step)
	}
	id := []string{string(p.Entry)}
	for _, s := range p.steps {
		at := s.at
		id = append(id, s.rule.ID, string(at.Ref.Kind), at.Ref.Name, at.Service)
	}
	p.ID = strings.Join(append(id, string(p.Impact)), "\x00")
	p.Severity = severityOf(p.Impact, p.Ease, s.m.engine != nil && s.m.engine.rootless)
	return p
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
