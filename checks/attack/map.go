package attack

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/host"
)

// A Map knows what an attacker could use of each subject. It is kept current
// subject by subject; paths are searched for only when somebody asks and a
// fact has changed. Its methods are for one goroutine at a time.
type Map struct {
	subjects map[identity][]*node
	engine   *engine
	nodes    []*node            // of all subjects, in the order of their names
	members  map[string][]*node // of networks, by id
	sharing  map[string][]*node // of volumes, by id
	paths    []Path
	fresh    bool // paths are of the facts as they are
	changes  int
}

type identity struct {
	kind checks.Kind
	id   string
}

// Put takes in a subject that is new or has changed, with its report. It does
// not change either.
func (m *Map) Put(subject checks.Subject, report *checks.Report) {
	if m.subjects == nil {
		m.subjects = map[identity][]*node{}
	}
	switch s := subject.(type) {
	case *host.Host:
		if e := engineOf(s, report); !e.equal(m.engine) {
			m.engine = e
			m.changed()
		}
	case *container.Container, *compose.File:
		ref := subject.Ref()
		key := identity{ref.Kind, ref.ID}
		old, now := m.subjects[key], nodesOf(subject)
		if slices.EqualFunc(old, now, (*node).equal) {
			return
		}
		if len(now) == 0 {
			delete(m.subjects, key)
		} else {
			m.subjects[key] = now
		}
		m.changed()
	}
}

// Remove forgets a subject that is gone.
func (m *Map) Remove(ref checks.Ref) {
	key := identity{ref.Kind, ref.ID}
	switch {
	case m.subjects[key] != nil:
		delete(m.subjects, key)
		m.changed()
	case m.engine != nil && m.engine.spot.Ref.Kind == ref.Kind && m.engine.spot.Ref.ID == ref.ID:
		m.engine = nil
		m.changed()
	}
}

func (m *Map) changed() {
	m.fresh = false
	m.changes++
}

// Changes counts how often a fact has changed.
func (m *Map) Changes() int { return m.changes }

// Paths returns every path, the worst first. The slice is the map's own.
func (m *Map) Paths() []Path {
	if !m.fresh {
		m.arrange()
		m.paths, m.fresh = m.run(nil), true
	}
	return m.paths
}

// arrange indexes the nodes by what they share.
func (m *Map) arrange() {
	m.nodes, m.members, m.sharing = m.nodes[:0], map[string][]*node{}, map[string][]*node{}
	running := map[string]bool{} // compose files that containers came from: those tell how it really is
	for _, nodes := range m.subjects {
		for _, n := range nodes {
			for file := range strings.SplitSeq(n.files, ",") {
				running[file] = n.files != ""
			}
		}
	}
	for _, nodes := range m.subjects {
		for _, n := range nodes {
			if !n.planned() || !running[n.spot.Ref.ID] {
				m.nodes = append(m.nodes, n)
			}
		}
	}
	slices.SortFunc(m.nodes, func(a, b *node) int {
		return cmp.Or(compareSpots(a.spot, b.spot), cmp.Compare(a.spot.Ref.ID, b.spot.Ref.ID))
	})
	for _, n := range m.nodes {
		for _, l := range n.networks {
			m.members[l.id] = append(m.members[l.id], n)
		}
		for _, v := range n.volumes {
			m.sharing[v.id] = append(m.sharing[v.id], n)
		}
	}
}

// A Cut is what one fix does to the paths.
type Cut struct {
	Ground Ground // what it takes away
	Ends   bool   // the path is gone afterwards
	Gone   int    // paths that are gone afterwards
	Left   []Path // paths that are left, the worst first
}

// weights say how much a path matters when cuts are compared.
var weights = [checks.Critical + 1]float64{checks.Info: 0.1, checks.Low: 1, checks.Medium: 3, checks.High: 10, checks.Critical: 30}

func risk(paths []Path) float64 {
	sum := 0.0
	for i := range paths {
		sum += weights[paths[i].Severity] * paths[i].Ease
	}
	return sum
}

// Cuts returns what the fix of each finding that p rests on would do, the best
// first: what ends the path, then what takes the most away from all paths,
// then what fixable says can be fixed. Closing the port of a program that is
// there to be reached comes last: it ends the program's purpose, too.
func (m *Map) Cuts(p *Path, fixable func(Ground) bool) []Cut {
	m.Paths() // so that the indexes are current
	var cuts []Cut
	seen := map[factKey]bool{}
	late := map[factKey]bool{}
	consider := func(g Ground, entry bool) {
		key := factKey{g.Subject.Kind, g.Subject.ID, g.Check, g.Key}
		if g.Check == "" || seen[key] {
			return
		}
		seen[key] = true
		late[key] = entry
		left := m.run(map[factKey]bool{key: true})
		cuts = append(cuts, Cut{
			Ground: g, Left: left, Gone: max(0, len(m.paths)-len(left)),
			Ends: !slices.ContainsFunc(left, func(o Path) bool { return o.same(p) }),
		})
	}
	for i, s := range p.Steps() {
		for _, g := range s.Grounds {
			consider(g, i == 0 && len(p.steps) > 1 && p.Entry == Network)
		}
	}
	for _, s := range p.Also() {
		for _, g := range s.Grounds {
			consider(g, false)
		}
	}
	slices.SortStableFunc(cuts, func(a, b Cut) int {
		ka, kb := factKey{a.Ground.Subject.Kind, a.Ground.Subject.ID, a.Ground.Check, a.Ground.Key}, factKey{b.Ground.Subject.Kind, b.Ground.Subject.ID, b.Ground.Check, b.Ground.Key}
		return cmp.Or(compareBool(b.Ends, a.Ends), compareBool(late[ka], late[kb]), cmp.Compare(risk(a.Left), risk(b.Left)),
			compareBool(fixable(b.Ground), fixable(a.Ground)))
	})
	return cuts
}

// same reports whether p and o lead from the same entry through the same
// container to the same impact, by whatever steps.
func (p *Path) same(o *Path) bool {
	return p.Entry == o.Entry && p.Impact == o.Impact && p.Target == o.Target && p.last() == o.last()
}

// last is the container from which the last step is taken.
func (p *Path) last() Spot {
	if len(p.steps) < 2 {
		return Spot{}
	}
	return p.steps[len(p.steps)-2].at
}
