// Package suppress lets people say which findings they accept, and keeps them
// to it: an acceptance needs a reason, may expire, and is reported when nothing
// needs it any more.
//
// Rules come from comments in Dockerfiles and compose files, [Dockerfile] and
// [YAML], and from the exceptions of a policy. [Apply] moves what they match
// from the findings of a report to its suppressed ones. What is wrong with a
// rule itself is a finding.
package suppress

import (
	"slices"
	"strings"
	"sync"

	"plimsoll/checks"
)

// A Rule suppresses findings of one subject.
type Rule struct {
	checks.Suppression
	Checks      []string // ids
	First, Last int      // lines that it speaks of; 0 for the whole subject

	// Foreign rules were written for another tool: they need no reason, and
	// only that tool can tell whether they are of use.
	Foreign bool

	// Wrong says why the rule does not count; zero when it does.
	Wrong checks.Message
}

// matches reports whether r speaks of f.
func (r *Rule) matches(f *checks.Finding) bool {
	return slices.Contains(r.Checks, f.Check.ID) && (r.First == 0 || r.First <= f.Line && f.Line <= r.Last)
}

// Names knows checks by their own ids and by those of other tools.
type Names struct {
	index func() *index // made at the first comment: most files have none
}

type index struct {
	ids     map[string]bool
	foreign map[string][]string // by "hadolint dl3006"
}

// NewNames returns the names of the checks of suite.
func NewNames(suite []*checks.Check) *Names {
	return &Names{sync.OnceValue(func() *index {
		x := &index{map[string]bool{}, map[string][]string{}}
		for _, c := range suite {
			x.ids[c.ID] = true
			for _, ref := range c.Refs {
				ref = strings.ToLower(ref)
				if !slices.Contains(x.foreign[ref], c.ID) {
					x.foreign[ref] = append(x.foreign[ref], c.ID)
				}
			}
		}
		return x
	})}
}

// of returns the checks that tool calls by one of names.
func (n *Names) of(tool string, names []string) []string {
	var ids []string
	for _, name := range names {
		ids = append(ids, n.index().foreign[strings.ToLower(tool+" "+name)]...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// all returns every check that tool has a name for.
func (n *Names) all(tool string) []string {
	var ids []string
	for ref, checks := range n.index().foreign {
		if strings.HasPrefix(ref, strings.ToLower(tool)+" ") {
			ids = append(ids, checks...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
