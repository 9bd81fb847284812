package files

import (
	"cmp"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"plimsoll/checks"
)

// A trial is the project as it would be after some edits, judged.
type trial struct {
	mechanic *Mechanic
	project  *project
	file     document
	drafts   map[string]*draft // by Edit.Path
	findings map[key]checks.Finding
	count    map[key]int // of findings by key.twins
}

// A key identifies a finding within its file.
type key struct{ check, key string }

func keyOf(f *checks.Finding) key { return key{f.Check.ID, f.Key} }

// Findings that nothing but their order tells apart have keys with a number,
// "curl#2" after "curl", which changes when one before it is cured. So they
// are compared by how many there are.
var numbered = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`#([0-9]{1,6})$`) })

// twins returns the key without its number, and without that of a stage that has
// no name: it changes when a stage before it goes.
func (k key) twins() key {
	text := numbered().ReplaceAllString(k.key, "")
	if rest := strings.TrimLeft(text, "0123456789"); rest == "" || rest[0] == '/' {
		text = rest
	}
	return key{k.check, text}
}

// number returns the number of k among its twins.
func (k key) number() int {
	m := numbered().FindStringSubmatch(k.key)
	if m == nil {
		return 1
	}
	n, _ := strconv.Atoi(m[1]) // digits, by the expression
	return n
}

func (m *Mechanic) newTrial(project *project, file document) (*trial, error) {
	t := &trial{mechanic: m, project: project, file: file, drafts: map[string]*draft{"": newDraft(file.text().source, !file.text().absent)}}
	return t, t.judge()
}

// judge runs every check by itself, so that none is hidden by another that
// covers it and would come into view when that one is cured.
func (t *trial) judge() error {
	t.findings, t.count = map[key]checks.Finding{}, map[key]int{}
	for _, c := range t.mechanic.o.Checks {
		report := checks.Run(t.file.subject(), []*checks.Check{c}, &checks.Policy{Profile: checks.All})
		if err := errors.Join(report.Errors...); err != nil {
			return err
		}
		for _, f := range report.Findings {
			if _, known := t.findings[keyOf(&f)]; !known {
				t.findings[keyOf(&f)] = f
				t.count[keyOf(&f).twins()]++
			}
		}
	}
	return nil
}

// twin returns the last finding that differs from k by its number only.
func (t *trial) twin(k key) (last checks.Finding, ok bool) {
	for other, f := range t.findings {
		if other.twins() == k.twins() && (!ok || other.number() > keyOf(&last).number()) {
			last, ok = f, true
		}
	}
	return last, ok
}

// worse returns a problem that t has and before had not, or had less often,
// unless its check is one of those that may bring one.
func (t *trial) worse(before *trial, may []string) (key, bool) {
	var out []key
	for k, n := range t.count {
		if n > before.count[k] && !slices.Contains(may, k.check) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return key{}, false
	}
	return slices.MinFunc(out, func(a, b key) int {
		return cmp.Or(strings.Compare(a.check, b.check), strings.Compare(a.key, b.key))
	}), true
}

// mayBring returns the ids of checks that the fixes of cured may bring.
func (t *trial) mayBring(cured []checks.Finding) (ids []string) {
	for _, f := range cured {
		for _, fix := range t.findings[keyOf(&f)].Fixes {
			ids = append(ids, fix.Brings...)
		}
	}
	return ids
}

// visible returns the findings that the user's policy shows.
func (t *trial) visible() []checks.Finding {
	return checks.Run(t.file.subject(), t.mechanic.o.Checks, t.mechanic.o.Policy).Findings
}

// with returns the trial after more edits, parsed and judged again with the
// same facts about base images.
func (t *trial) with(edits []checks.Edit) (*trial, error) {
	byPath := map[string][]checks.Edit{}
	for _, e := range edits {
		path := e.Path
		if path != "" {
			path = filepath.Clean(path)
		}
		path = t.file.place(path)
		byPath[path] = append(byPath[path], e)
	}
	next := &trial{mechanic: t.mechanic, project: t.project, drafts: maps.Clone(t.drafts)}
	for path, edits := range byPath {
		d, ok := next.drafts[path]
		if !ok {
			data, id, err := t.project.read(path)
			if err != nil {
				return nil, err
			}
			d = newDraft(data, id.Exists)
		}
		d, err := d.with(edits)
		if err != nil {
			return nil, err
		}
		next.drafts[path] = d
	}
	var err error
	next.file, err = t.file.with(next.drafts[""].bytes(), func(path string) ([]byte, bool) {
		d, ok := next.drafts[path]
		if !ok {
			return nil, false
		}
		return d.bytes(), true
	})
	if err != nil {
		return nil, &unreadable{err}
	}
	return next, next.judge()
}
