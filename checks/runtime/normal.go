package runtime

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A Normal is what a container does when nothing is wrong: learned from looking
// at it, or declared in the configuration.
type Normal struct {
	Image     string        `json:"image,omitempty"` // id that it was learned of
	Since     time.Time     `json:"since"`
	Watched   time.Duration `json:"watched"` // without the time in which nobody looked
	Looks     int           `json:"looks"`
	Last      time.Time     `json:"last"`
	Programs  []string      `json:"programs,omitempty"`  // paths or names, sorted
	Listeners []string      `json:"listeners,omitempty"` // "80/tcp", sorted
	CPU       float64       `json:"cpu,omitempty"`       // CPUs, the most that was seen

	// Declared says that nothing is learned: what is not in it is not normal,
	// where it says anything. Nil says nothing of programs or listeners.
	Declared bool `json:"-"`
}

// Bounds of what is learned.
const (
	fewestLooks  = 20
	longestGap   = 30 * time.Minute // between two looks that count as watching
	mostPrograms = 200              // a container that starts more has no normal
	mostPorts    = 100
)

// settled reports whether n is known well enough that something else stands out.
func (n *Normal) settled(learn time.Duration) bool {
	return n.Declared || n.Watched >= learn && n.Looks >= fewestLooks && len(n.Programs) < mostPrograms
}

// longestName is how many bytes of a program's name are kept.
const longestName = 100

func insert(list []string, s string, most int) []string {
	s = s[:min(len(s), longestName)]
	i, found := slices.BinarySearch(list, s)
	if found || len(list) >= most {
		return list
	}
	return slices.Insert(list, i, s)
}

func contains(list []string, s string) bool { _, found := slices.BinarySearch(list, s); return found }

// watch counts a look at the container.
func (n *Normal) watch(at time.Time) {
	if gap := at.Sub(n.Last); !n.Last.IsZero() && gap > 0 {
		n.Watched += min(gap, longestGap)
	}
	if n.Since.IsZero() {
		n.Since = at
	}
	n.Last = at
	n.Looks++
}

// Normals are what is normal for each service, by [Facts.Service]. The zero
// value knows nothing and learns.
type Normals struct {
	Declared func(f *Facts) *Normal // by the configuration; nil: nothing is

	learned map[string]*Normal
	changed bool
}

// normalKey is what a normal is kept by: another image is another program, and
// while a service is updated both run.
func normalKey(service, image string) string { return service + "@" + image }

// mostServices is how many normals are kept; the one that was not looked at
// the longest goes.
const mostServices = 512

// of returns the normal of a container, to be learned from it or to be kept to.
func (ns *Normals) of(f *Facts) *Normal {
	if ns.Declared != nil {
		if n := ns.Declared(f); n != nil {
			return n
		}
	}
	key := normalKey(f.Service, f.Image)
	n := ns.learned[key]
	if n == nil {
		n = &Normal{Image: f.Image}
		if ns.learned == nil {
			ns.learned = map[string]*Normal{}
		}
		ns.learned[key] = n
		ns.trim()
	}
	return n
}

// A Standing is how well a container is known.
type Standing struct {
	Facts  Facts
	Normal Normal
	Left   time.Duration // that it has to be watched still, 0 when it is known
	Never  bool          // it starts more programs than are remembered, so that it has no normal
}

// Settled reports whether what is not in the normal stands out.
func (s *Standing) Settled() bool { return s.Left == 0 && !s.Never }

// standing tells how well a container is known. Nothing is learned from asking.
func (ns *Normals) standing(f *Facts, learn time.Duration) Standing {
	s := Standing{Facts: *f}
	if ns.Declared != nil {
		if n := ns.Declared(f); n != nil {
			s.Normal = *n
			return s
		}
	}
	n := ns.learned[normalKey(f.Service, f.Image)]
	if n == nil {
		n = &Normal{}
	}
	s.Normal = n.clone()
	if !n.settled(learn) {
		s.Left = max(learn-n.Watched, time.Duration(fewestLooks-n.Looks)*time.Second, 0)
		s.Never = s.Left == 0
	}
	return s
}

func (n *Normal) clone() Normal {
	c := *n
	c.Programs, c.Listeners = slices.Clone(n.Programs), slices.Clone(n.Listeners)
	return c
}

func (ns *Normals) trim() { trim(ns.learned, func(n *Normal) time.Time { return n.Last }) }

// Trim leaves as many of all, of several engines, as a file has room for.
func Trim(all map[string]Normal) { trim(all, func(n Normal) time.Time { return n.Last }) }

func trim[N any](all map[string]N, last func(N) time.Time) {
	if len(all) <= mostServices {
		return
	}
	oldest := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return last(all[a]).Compare(last(all[b])) })
	for _, key := range oldest[:len(all)-mostServices] {
		delete(all, key)
	}
}

// Learned returns a copy of what was learned, and whether it changed since the
// last time.
func (ns *Normals) Learned() (map[string]Normal, bool) {
	out := map[string]Normal{}
	for service, n := range ns.learned {
		out[service] = n.clone()
	}
	changed := ns.changed
	ns.changed = false
	return out, changed
}

// Restore takes over what was learned before.
func (ns *Normals) Restore(learned map[string]Normal) {
	ns.learned = map[string]*Normal{}
	for service, n := range learned {
		slices.Sort(n.Programs)
		slices.Sort(n.Listeners)
		if !strings.Contains(service, "@") { // written by an earlier version
			service = normalKey(service, n.Image)
		}
		ns.learned[service] = &n
	}
	ns.trim()
}
