package tui

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/container"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/runtime"
	"plimsoll/checks/terminal"
)

// A world is everything that is known now.
type world struct {
	engine   inventory.EngineState
	complete bool
	subjects map[identity]*subject
	scores   scoreboard
	attack   attack.Map
	alerts   []runtime.Alert // the oldest first
}

// An identity tells subjects apart; the name of a [checks.Ref] may change.
type identity struct {
	kind checks.Kind
	id   string
}

// A subject is an item with what its row needs, worked out once.
type subject struct {
	inventory.Item
	name   string // safe to show
	lower  string // for filters
	counts counts
	score  float64
	since  []novelty // of its findings; nil until somebody asks
}

// counts are numbers of findings by severity.
type counts [checks.Critical + 1]int

func (c *counts) add(o counts) {
	for i := range c {
		c[i] += o[i]
	}
}

func (c *counts) total() int {
	n := 0
	for _, k := range c {
		n += k
	}
	return n
}

// worst returns the highest severity counted, or 0.
func (c *counts) worst() checks.Severity {
	for _, s := range checks.Severities {
		if c[s] > 0 {
			return s
		}
	}
	return 0
}

// A scoreboard is the posture and the numbers that it was made from.
type scoreboard struct {
	all      float64
	chapters [checks.Updates + 1]chapterScore // index 0 is hygiene, which has counts only
	counts   counts
	judged   int
}

type chapterScore struct {
	score  float64
	counts counts
}

func newSubject(item inventory.Item) *subject {
	s := &subject{Item: item, name: terminal.Line(item.Ref.Name)}
	if s.name == "" {
		s.name = terminal.Line(item.Ref.ID)
	}
	s.lower = strings.ToLower(s.name + " " + terminal.Line(item.Status.Image) + " " + item.Status.State)
	for i := range item.Report.Findings {
		s.counts[item.Report.Findings[i].Severity]++
	}
	s.score = subjectScore(item.Report.Findings, 0)
	return s
}

// judged reports whether s was read, so that no finding means something.
func (s *subject) judged() bool { return s.Subject != nil }

func (s *subject) identity() identity { return identity{s.Ref.Kind, s.Ref.ID} }

// apply takes in what changed.
func (w *world) apply(u inventory.Update) {
	if w.subjects == nil {
		w.subjects = map[identity]*subject{}
	}
	if w.engine.Endpoint != u.Engine.Endpoint {
		w.alerts = nil // they were of another engine
	}
	w.engine, w.complete = u.Engine, u.Complete
	w.alerts = append(w.alerts, u.Alerts...)
	w.alerts = w.alerts[max(0, len(w.alerts)-mostAlerts):]
	for _, ref := range u.Removed {
		delete(w.subjects, identity{ref.Kind, ref.ID})
		w.attack.Remove(ref)
	}
	for _, item := range u.Items {
		s := newSubject(item)
		w.subjects[s.identity()] = s
		if item.Subject != nil {
			w.attack.Put(item.Subject, &item.Report)
		}
	}
	if len(u.Items)+len(u.Removed) > 0 {
		w.scores = w.score()
	}
}

// items returns everything that was judged, in no order.
func (w *world) items() iter.Seq[*inventory.Item] {
	return func(yield func(*inventory.Item) bool) {
		for _, s := range w.subjects {
			if s.judged() && !yield(&s.Item) {
				return
			}
		}
	}
}

func (w *world) score() scoreboard {
	var b scoreboard
	var all []float64
	var perChapter [checks.Updates + 1][]float64
	for _, s := range w.subjects {
		b.counts.add(s.counts)
		if !s.judged() {
			continue
		}
		all = append(all, s.score)
		for _, c := range checks.Chapters {
			perChapter[c] = append(perChapter[c], subjectScore(s.Report.Findings, c))
		}
		for i := range s.Report.Findings {
			f := &s.Report.Findings[i]
			b.chapters[f.Check.Chapter].counts[f.Severity]++
		}
	}
	b.judged = len(all)
	// Sorted, because floating-point sums depend on the order and maps have none.
	slices.Sort(all)
	b.all = posture(all)
	for _, c := range checks.Chapters {
		slices.Sort(perChapter[c])
		b.chapters[c].score = posture(perChapter[c])
	}
	return b
}

// ofKind returns the subjects of kind that keep wants, in the order of compare.
func (w *world) ofKind(kind checks.Kind, keep func(*subject) bool, compare func(a, b *subject) int) []*subject {
	var out []*subject
	for _, s := range w.subjects {
		if s.Ref.Kind == kind && keep(s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *subject) int {
		return cmp.Or(compare(a, b), cmp.Compare(a.name, b.name), cmp.Compare(a.Ref.ID, b.Ref.ID))
	})
	return out
}

// disconnected reports whether there is no engine to talk to right now.
func (w *world) disconnected() bool {
	return w.engine.Phase == inventory.Absent || w.engine.Phase == inventory.Lost
}

// uses reports whether a container was created from i or from a tag of it.
func (w *world) uses(i *image.Image) bool {
	for _, s := range w.subjects {
		c, ok := s.Subject.(*container.Container)
		if ok && (slices.Contains(i.Inspect.RepoTags, c.Settings.Image) || slices.Contains(i.Inspect.RepoTags, s.Status.Image) || c.Inspect != nil && c.Inspect.Image == i.Inspect.ID) {
			return true
		}
	}
	return false
}
