package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/secret"
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
	alone         bool // what runs cannot take it in as it is
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
func (m *Mechanic) prove(ctx context.Context, project *project, file document, request fixes.Request) (*proof, error) {
	start, err := m.newTrial(project, file)
	if err != nil {
		return nil, err
	}
	p := &proof{before: start, after: start, name: terminal.Line(file.text().name)}
	values := maps.Clone(request.Values)
	if values == nil {
		values = checks.Values{}
	}
	var wishes, barren []*wish
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
			w.why = checks.Msg("%s is left as it is: a person has to decide", f.Check.ID)
			barren = append(barren, w)
			continue
		}
		if fix.Alone && len(request.Findings) > 1 {
			p.left = append(p.left, checks.Msg("%s is left as it is: what runs has to be taken down for it, so fix it by itself", f.Check.ID))
			continue
		}
		var open *unanswered
		if err := p.decide(fix, values); errors.As(err, &open) {
			p.left = append(p.left, open.says(f.Check.ID))
			continue
		} else if err != nil {
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
	if err := p.ripen(ctx, &wishes, barren, values); err != nil {
		return nil, err
	}
	for _, w := range wishes {
		p.left = append(p.left, w.why)
	}
	p.notes = append(p.notes, p.left...)
	p.conclude(request.Findings)
	return p, nil
}

// ripen grants the wishes that had no fix at first and got one from the fixes
// before them. All that is not granted is in left afterwards.
func (p *proof) ripen(ctx context.Context, left *[]*wish, barren []*wish, values checks.Values) error {
	var ripe []*wish
	for _, w := range barren {
		now, ok := p.after.findings[w.key]
		switch fix, err := choose(&now, w.fix); {
		case !ok:
			p.granted = append(p.granted, w.finding) // cured along with another problem
		case err == nil && fix != nil:
			ripe = append(ripe, w)
		default:
			*left = append(*left, w)
		}
	}
	rest, err := p.grantAll(ctx, ripe, values)
	*left = append(*left, rest...)
	return err
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

// unanswered means that a fix needs an answer that nobody has given yet.
type unanswered struct{ key string }

func (e *unanswered) Error() string { return "no answer for " + e.key }

func (e *unanswered) says(check string) checks.Message {
	return checks.Msg("%s waits for an answer: --set %s=…", check, e.key)
}

// decide adds the choices of fix, with the values that are in force. It fails
// with [*unanswered] when one of them has none.
func (p *proof) decide(fix *checks.Fix, values checks.Values) (err error) {
	for _, c := range fix.Choices {
		if c.Example != "" && values[c.Key] == "" {
			err = &unanswered{c.Key}
		}
		if slices.ContainsFunc(p.choices, func(known fixes.Choice) bool { return known.Key == c.Key }) {
			continue
		}
		if c.Example != "" && values[c.Key] == "" {
			p.choices = append(p.choices, fixes.Choice{Choice: c})
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
	return err
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
	p.alone = p.alone || fix.Alone
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
	if next = p.follow(next, fix.Brings, values); next == nil {
		next, _ = p.try(p.after, fix, values)
		k, _ := next.worse(p.after, fix.Brings)
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
func (p *proof) follow(next *trial, brings []string, values checks.Values) *trial {
	for range 3 {
		k, ok := next.worse(p.after, brings)
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

// unreadable means that a result would not be understood.
type unreadable struct{ error }

func (e *unreadable) Unwrap() error { return e.error }

// errNoFix means that a finding has lost its fix to those before it.
var errNoFix = errors.New("no fix")

func leftOut(check string, err error) checks.Message {
	var refused *unreadable
	var open *unanswered
	switch {
	case errors.As(err, &open):
		return open.says(check)
	case errors.Is(err, errNoFix):
		return checks.Msg("%s is left as it is: the other fixes leave none for it", check)
	case errors.Is(err, errOverlap):
		return checks.Msg("%s is left as it is: its edits contradict each other", check)
	case errors.As(err, &refused):
		return checks.Msg("%s is left as it is: its fix would not parse: %s", check, terminal.Line(refused.Error()))
	}
	var problem *checks.Problem
	if errors.As(err, &problem) {
		return checks.Msg("%s is left as it is: %s", check, clean(problem.What))
	}
	return checks.Msg("%s is left as it is: %s", check, terminal.Line(err.Error()))
}

// clean makes what m says fit to be shown.
func clean(m checks.Message) checks.Message {
	args := make([]any, len(m.Args))
	for i, a := range m.Args {
		switch a := a.(type) {
		case string:
			args[i] = terminal.Line(secret.Redact(a))
		case checks.Message:
			args[i] = clean(a)
		default:
			args[i] = a
		}
	}
	return checks.Message{Format: m.Format, Args: args}
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
