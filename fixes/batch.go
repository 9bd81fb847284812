package fixes

import (
	"slices"
	"time"

	"plimsoll/checks"
)

// A Batch is one plan over many subjects. Its parts are carried out one after
// the other: files and live changes first, since nothing is away for them, then
// replacements, each after what it needs. What cannot be carried out is among
// them, last, and says why.
type Batch struct {
	ID    string // ties the ledger entries of its parts together
	Parts []Part
}

// An Ask is a request with the subject that it is about.
type Ask struct {
	Subject checks.Subject
	Request Request
}

// A Part is what is changed as one: a file, a container, or containers that
// cannot do without each other.
type Part struct {
	// Asks are what it is planned from, decided to the last choice, so that
	// planning again gives the same; several for containers that are replaced
	// together.
	Asks []Ask

	// For are containers that somebody asked to change, where the part changes
	// the file that decides about them.
	For []checks.Ref

	Plan *Plan // nil where Err says why there is none
	Err  error
}

// Applicable reports whether the part can be carried out.
func (p *Part) Applicable() bool { return p.Err == nil && p.Plan != nil && p.Plan.Blocked.IsZero() }

// Subject returns what the part changes.
func (p *Part) Subject() checks.Ref {
	if p.Plan != nil {
		return p.Plan.Subject
	}
	return p.Asks[0].Subject.Ref()
}

// Applicable returns how many parts can be carried out. They are the first.
func (b *Batch) Applicable() int {
	n := 0
	for i := range b.Parts {
		if b.Parts[i].Applicable() {
			n++
		}
	}
	return n
}

// Downtime is how long its containers are expected to be away, all together.
func (b *Batch) Downtime() time.Duration {
	var all time.Duration
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Applicable() {
			all += p.Plan.Downtime
		}
	}
	return all
}

// Cures returns what all parts together cure.
func (b *Batch) Cures() []checks.Finding {
	var all []checks.Finding
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Applicable() {
			all = append(all, p.Plan.Cures...)
		}
	}
	return all
}

// Commands returns the equivalent commands of all parts, in order.
func (b *Batch) Commands() []string {
	var all []string
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Applicable() {
			all = append(all, p.Plan.Commands()...)
		}
	}
	return all
}

// Kind returns the kind of what the batch changes, and deploys: files, or
// containers where an engine is changed at all.
func (b *Batch) Kind(deploy bool) checks.Kind {
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Applicable() && (p.Plan.Mechanism != Patch || p.Plan.Subject.Kind == checks.Host || deploy && len(p.Plan.Deploy) > 0) {
			return checks.Container
		}
	}
	return checks.Compose
}

// Deploys returns the plans of parts with a command that brings them to what
// runs, each command once.
func (b *Batch) Deploys() []*Plan {
	var plans []*Plan
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Applicable() && len(p.Plan.Deploy) > 0 &&
			!slices.ContainsFunc(plans, func(other *Plan) bool { return slices.Equal(other.Deploy, p.Plan.Deploy) }) {
			plans = append(plans, p.Plan)
		}
	}
	return plans
}

// OnFailure says what becomes of the parts that were carried out when a later
// one fails. That one is put back by itself, and the others are not begun.
type OnFailure string

const (
	Keep     OnFailure = "keep" // they stay: each is verified, and can be undone
	TakeBack OnFailure = "undo" // they are taken back, the last one first
)

// BatchOptions say how a batch is carried out. The zero value keeps what is
// done and deploys nothing.
type BatchOptions struct {
	OnFailure OnFailure
	Deploy    bool // run the commands of Batch.Deploys after the last part
}

// A BatchReceipt is the proof of a batch, also of one that stopped.
type BatchReceipt struct {
	Batch    string
	Receipts []*Receipt // by part; nil for those that were not carried out or were taken back
	Failed   int        // the part that failed; -1 for none
	Undone   int        // how many were carried out and taken back
	Deployed int        // how many deploy commands were run to their end
	Took     time.Duration
}

// Done returns how many parts were carried out and stay.
func (r *BatchReceipt) Done() int {
	n := 0
	for _, one := range r.Receipts {
		if one != nil {
			n++
		}
	}
	return n
}

// Keeps reports whether p does what shown says, and no more: what is asked before
// a plan that was made again may take the place of one that somebody has
// confirmed. A file that was changed in the same way meanwhile is no difference.
func (p *Plan) Keeps(shown *Plan) bool {
	same := func(a, b []checks.Finding) bool {
		return slices.EqualFunc(a, b, func(a, b checks.Finding) bool { return a.ID() == b.ID() })
	}
	return p.Subject == shown.Subject && p.Mechanism == shown.Mechanism && p.Engine == shown.Engine &&
		p.Fetch == shown.Fetch && p.Blocked.String() == shown.Blocked.String() &&
		slices.Equal(p.Members, shown.Members) && slices.Equal(p.Deploy, shown.Deploy) &&
		same(p.Cures, shown.Cures) &&
		slices.EqualFunc(p.Choices, shown.Choices, func(a, b Choice) bool { return a.Key == b.Key && a.Value == b.Value }) &&
		slices.EqualFunc(p.Changes, shown.Changes, func(a, b Change) bool {
			return a.Field == b.Field && a.Before == b.Before && a.After == b.After
		}) &&
		!slices.ContainsFunc(p.Files, func(f FileChange) bool {
			return !slices.ContainsFunc(shown.Files, func(other FileChange) bool { return f.same(&other) })
		})
}

// same reports whether the edits are the same, wherever in the file they are p.
func (f *FileChange) same(o *FileChange) bool {
	return f.Path == o.Path && slices.EqualFunc(f.Edits, o.Edits, func(a, b checks.Edit) bool {
		return a.New == b.New && f.replaced(a) == o.replaced(b)
	})
}

// replaced returns what e takes out of the file.
func (f *FileChange) replaced(e checks.Edit) string {
	if e.Start < 0 || e.End > len(f.Before) || e.Start > e.End {
		return ""
	}
	return string(f.Before[e.Start:e.End])
}
