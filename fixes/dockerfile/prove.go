package dockerfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// A proof is a set of fixes that were tried on a copy, one after the other,
// and found to cure what they should without bringing in anything.
type proof struct {
	before, after *trial
	choices       []fixes.Choice
	cures, leaves []checks.Finding
	granted       []checks.Finding
	titles        []checks.Message // of the fixes that were taken
	notes         []checks.Message
	left          []checks.Message // why fixes were left out
	name          string
}

// A wish is one finding that is to be cured, and by which of its fixes.
type wish struct {
	finding checks.Finding // as it was before anything was fixed
	key     key
	fix     string
	why     checks.Message // why it could not be granted so far
}

// prove tries the fixes of request on a copy. Each starts from the result of
// those before it, with findings of its own, so that two fixes of one line do
// not collide and a fix that spoils something is found by itself.
func (m *Mechanic) prove(ctx context.Context, project *project, file *dockerfile.File, request fixes.Request) (*proof, error) {
	start, err := m.newTrial(project, file)
	if err != nil {
		return nil, err
	}
	p := &proof{before: start, after: start, name: terminal.Line(file.Name)}
	values := maps.Clone(request.Values)
	if values == nil {
		values = checks.Values{}
	}
	var wishes []*wish
	for _, f := range request.Findings {
		now, ok := start.findings[keyOf(&f)]
		if !ok {
			continue // cured already
		}
		w := &wish{finding: f, key: keyOf(&f), fix: request.Fix[f.ID()]}
		fix, err := choose(&now, w.fix)
		if err != nil {
			return nil, err
		}
		if fix == nil {
			p.left = append(p.left, checks.Msg("%s is left as it is: a person has to decide", f.Check.ID))
			continue
		}
		if err := p.decide(fix, values); err != nil {
			return nil, err
		}
		wishes = append(wishes, w)
	}
	// Numbered twins are counted from the first, so that the last goes first.
	slices.SortStableFunc(wishes, func(a, b *wish) int { return b.key.number() - a.key.number() })
	// What failed is tried once more when something else has changed.
	for before := len(wishes) + 1; len(wishes) < before; {
		before = len(wishes)
		if wishes, err = p.grantAll(ctx, wishes, values); err != nil {
			return nil, err
		}
	}
	for _, w := range wishes {
		p.left = append(p.left, w.why)
	}
	p.notes = append(p.notes, p.left...)
	p.conclude(request.Findings)
	return p, nil
}

// choose returns the fix of f called id, or its first; nil if f has none.
func choose(f *checks.Finding, id string) (*checks.Fix, error) {
	for i := range f.Fixes {
		if fix := &f.Fixes[i]; fix.Edit != nil && (id == "" || fix.ID == id) {
			return fix, nil
		}
	}
	if id != "" {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s has no fix called %q", f.Check.ID, id))
	}
	return nil, nil
}

// decide adds the choices of fix, with the values that are in force.
func (p *proof) decide(fix *checks.Fix, values checks.Values) error {
	for _, c := range fix.Choices {
		if slices.ContainsFunc(p.choices, func(known fixes.Choice) bool { return known.Key == c.Key }) {
			continue
		}
		value, ok := values[c.Key]
		if !ok {
			value = c.Default
			values[c.Key] = value
		}
		if c.Options != nil && !slices.Contains(c.Options, value) {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s cannot be %q: use one of %s", c.Key, value, strings.Join(c.Options, ", ")))
		}
		if c.Valid != nil {
			if err := c.Valid(value); err != nil {
				return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s cannot be %q: %v", c.Key, value, err))
			}
		}
		p.choices = append(p.choices, fixes.Choice{Choice: c, Value: value})
	}
	return nil
}

// grantAll grants what it can and returns the rest. Wishes are tried together
// and divided where that fails, so that a file with thousands of problems is
// not judged thousands of times.
func (p *proof) grantAll(ctx context.Context, wishes []*wish, values checks.Values) ([]*wish, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch n := len(wishes); {
	case n == 0:
		return nil, nil
	case n == 1:
		if p.grant(wishes[0], values) {
			return nil, nil
		}
		return wishes, nil
	case n > few && p.grantTogether(wishes, values):
		return nil, nil
	default:
		left, err := p.grantAll(ctx, wishes[:n/2], values)
		if err != nil {
			return nil, err
		}
		more, err := p.grantAll(ctx, wishes[n/2:], values)
		return slices.Concat(left, more), err
	}
}

// few is how many wishes are granted one by one: each then starts from
// findings that know of the others, which gives the better patch.
const few = 32

// grantTogether tries all wishes in one step, and takes the result if it holds.
func (p *proof) grantTogether(wishes []*wish, values checks.Values) bool {
	var edits []checks.Edit
	expected := maps.Clone(p.after.count)
	for _, w := range wishes {
		f, ok := p.after.findings[w.key]
		if !ok {
			return false
		}
		fix, err := choose(&f, w.fix)
		if err != nil || fix == nil || p.decide(fix, values) != nil {
			return false
		}
		more, err := fix.Edit(values)
		if err != nil {
			return false
		}
		edits = append(edits, more...)
		expected[w.key.twins()]--
	}
	next, err := p.after.with(edits)
	if err != nil {
		return false
	}
	for k, n := range next.count {
		if n > expected[k] {
			return false
		}
	}
	p.after = next
	for _, w := range wishes {
		p.took(w, w.finding)
	}
	return true
}

// took notes that the fix of w was taken.
func (p *proof) took(w *wish, f checks.Finding) {
	p.granted = append(p.granted, w.finding)
	fix, err := choose(&f, w.fix)
	if err != nil || fix == nil {
		return
	}
	p.titles = append(p.titles, fix.Title)
	if !fix.Caution.IsZero() && !slices.ContainsFunc(p.notes, func(n checks.Message) bool { return n.String() == fix.Caution.String() }) {
		p.notes = append(p.notes, fix.Caution)
	}
}

// grant tries one wish, and takes the result if it holds.
func (p *proof) grant(w *wish, values checks.Values) bool {
	check := w.key.check
	f, ok := p.after.findings[w.key]
	if !ok {
		if f, ok = p.after.twin(w.key); !ok || p.granting(w.key) {
			p.granted = append(p.granted, w.finding) // another fix cured it too
			return true
		}
	}
	fix, err := choose(&f, w.fix)
	if err == nil && fix == nil {
		err = errNoFix
	}
	next := p.after
	if err == nil {
		next, err = p.try(next, fix, values)
	}
	if err != nil {
		w.why = leftOut(check, err)
		return false
	}
	if twins := w.key.twins(); next.count[twins] >= p.after.count[twins] {
		w.why = checks.Msg("%s is left as it is: its fix does not cure it here", check)
		return false
	}
	if next = p.follow(next, values); next == nil {
		next, _ = p.try(p.after, fix, values)
		k, _ := next.worse(p.after)
		w.why = checks.Msg("%s is left as it is: its fix would bring in %s", check, k.check)
		return false
	}
	p.after = next
	p.took(w, f)
	return true
}

// try returns t with fix made.
func (p *proof) try(t *trial, fix *checks.Fix, values checks.Values) (*trial, error) {
	if err := p.decide(fix, values); err != nil {
		return nil, err
	}
	edits, err := fix.Edit(values)
	if err != nil {
		return nil, err
	}
	return t.with(edits)
}

// follow fixes what a fix has brought in: an image that gets a tag is then one
// without a digest. It returns nil if something is left of that.
func (p *proof) follow(next *trial, values checks.Values) *trial {
	for range 3 {
		k, ok := next.worse(p.after)
		if !ok {
			return next
		}
		f, _ := next.twin(k)
		fix, err := choose(&f, "")
		if err != nil || fix == nil {
			return nil
		}
		if next, err = p.try(next, fix, values); err != nil {
			return nil
		}
	}
	return nil
}

// errNoFix means that a finding has lost its fix to those before it.
var errNoFix = errors.New("no fix")

func leftOut(check string, err error) checks.Message {
	var refused *dockerfile.Refusal
	switch {
	case errors.Is(err, errNoFix):
		return checks.Msg("%s is left as it is: the other fixes leave none for it", check)
	case errors.Is(err, errOverlap):
		return checks.Msg("%s is left as it is: its edits contradict each other", check)
	case errors.As(err, &refused):
		return checks.Msg("%s is left as it is: its fix would not parse: %s", check, terminal.Line(refused.Error()))
	}
	return checks.Msg("%s is left as it is: %s", check, terminal.Line(err.Error()))
}

// granting reports whether fewer twins of k are left than wishes were granted
// for, so that one was cured along with another problem.
func (p *proof) granting(k key) bool {
	granted := 0
	for _, f := range p.granted {
		if keyOf(&f).twins() == k.twins() {
			granted++
		}
	}
	return p.before.count[k.twins()]-p.after.count[k.twins()] > granted
}

// conclude compares the findings before and after: what was asked for, in that
// order, and what was cured along with it.
func (p *proof) conclude(requested []checks.Finding) {
	gone := map[key]int{}
	for k, n := range p.before.count {
		gone[k] = n - p.after.count[k]
	}
	has := func(list []checks.Finding, f checks.Finding) bool {
		return slices.ContainsFunc(list, func(c checks.Finding) bool { return keyOf(&c) == keyOf(&f) })
	}
	for _, f := range requested {
		if twins := keyOf(&f).twins(); has(p.granted, f) && gone[twins] > 0 {
			gone[twins]--
			p.cures = append(p.cures, f)
		}
	}
	for _, f := range p.before.visible() {
		if twins := keyOf(&f).twins(); gone[twins] > 0 && !has(p.cures, f) {
			gone[twins]--
			p.cures = append(p.cures, f)
		}
	}
	p.leaves = p.after.visible()
}

func (p *proof) title() checks.Message {
	switch len(p.titles) {
	case 0:
		return checks.Msg("fix %s", p.name)
	case 1:
		return p.titles[0]
	}
	return checks.Msg("fix %d problems of %s", len(p.cures), p.name)
}

// nothing says why a proof has no result.
func (p *proof) nothing() checks.Message {
	if len(p.left) > 0 {
		return p.left[0]
	}
	return checks.Msg("%s has nothing left to fix", p.name)
}

// A trial is the project as it would be after some edits, judged.
type trial struct {
	mechanic *Mechanic
	project  *project
	file     *dockerfile.File
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
var numbered = regexp.MustCompile(`#([0-9]{1,6})$`)

// twins returns the key without its number.
func (k key) twins() key { return key{k.check, numbered.ReplaceAllString(k.key, "")} }

// number returns the number of k among its twins.
func (k key) number() int {
	m := numbered.FindStringSubmatch(k.key)
	if m == nil {
		return 1
	}
	n, _ := strconv.Atoi(m[1]) // digits, by the expression
	return n
}

func (m *Mechanic) newTrial(project *project, file *dockerfile.File) (*trial, error) {
	t := &trial{mechanic: m, project: project, file: file, drafts: map[string]*draft{"": newDraft(file.Source, true)}}
	return t, t.judge()
}

// judge runs every check by itself, so that none is hidden by another that
// covers it and would come into view when that one is cured.
func (t *trial) judge() error {
	t.findings, t.count = map[key]checks.Finding{}, map[key]int{}
	for _, c := range t.mechanic.o.Checks {
		report := checks.Run(t.file, []*checks.Check{c}, &checks.Policy{Profile: checks.All})
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

// worse returns a problem that t has and before had not, or had less often.
func (t *trial) worse(before *trial) (key, bool) {
	var out []key
	for k, n := range t.count {
		if n > before.count[k] {
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

// visible returns the findings that the user's policy shows.
func (t *trial) visible() []checks.Finding {
	return checks.Run(t.file, t.mechanic.o.Checks, t.mechanic.o.Policy).Findings
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
		if own := ignoreName(t.file); path == ".dockerignore" && slices.Contains(t.file.Context.Names, own) {
			path = own
		}
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
	next.file = parse(t.file, next.drafts[""].bytes(), func(path string) ([]byte, bool) {
		d, ok := next.drafts[path]
		if !ok {
			return nil, false
		}
		return d.bytes(), true
	})
	if next.file.Refusal != nil {
		return nil, next.file.Refusal
	}
	return next, next.judge()
}

// parse returns old with other text and the same facts from outside. changed
// returns the content of a file beside it, if that is another one too.
func parse(old *dockerfile.File, source []byte, changed func(path string) ([]byte, bool)) *dockerfile.File {
	file := dockerfile.Parse(old.Path, old.Name, source)
	file.Bases, file.Context = carried(old.Bases, file.BaseImages()), old.Context
	own := ignoreName(old)
	for _, path := range []string{own, ".dockerignore"} {
		if data, ok := changed(path); ok {
			file.Context.Ignore = data
			if !slices.Contains(file.Context.Names, path) {
				file.Context.Names = append(slices.Clone(file.Context.Names), path)
			}
			break
		}
		if slices.Contains(file.Context.Names, own) {
			break
		}
	}
	return file
}

// carried returns bases with what is known under another reference added for
// those references that name the same image, by its digest or one of its tags:
// a pinned image is still the one that was inspected.
func carried(bases map[string]dockerfile.Base, references []string) map[string]dockerfile.Base {
	out := bases
	for _, reference := range references {
		if _, known := bases[reference]; known {
			continue
		}
		tag, digest, pinned := strings.Cut(reference, "@")
		for _, old := range slices.Sorted(maps.Keys(bases)) {
			base := bases[old]
			if pinned && digest == base.Digest || !pinned && slices.Contains(base.Tags, tag) {
				if len(out) == len(bases) {
					out = maps.Clone(bases)
				}
				out[reference] = base
				break
			}
		}
	}
	return out
}

// ignoreName returns the name of the ignore list that is for file alone. It
// wins over .dockerignore.
func ignoreName(file *dockerfile.File) string { return filepath.Base(file.Path) + ".dockerignore" }
