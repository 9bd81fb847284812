package fixes

import (
	"cmp"
	"maps"
	"slices"

	"plimsoll/checks"
)

// A Request asks for a plan.
type Request struct {
	// Findings to cure, all of one subject. Each contributes its first fix
	// unless Fix names another by id.
	Findings []checks.Finding
	Fix      map[checks.FindingID]string

	// Values override the defaults of choices.
	Values checks.Values

	// Update also moves a container to the image that its tag names now; Pull
	// asks the registry for it first.
	Update, Pull bool

	// Tag is which one of an image is meant by Update; "": that which most
	// containers were created from.
	Tag string

	// Fetched is the id of the image that was fetched for an update; "" before.
	Fetched string

	// WriteBack asks, of a container, for what its file lacks of how it was
	// hardened: a change of that file. Findings is empty.
	WriteBack bool

	// Quarantine isolates a container instead of curing anything.
	Quarantine bool

	// Beside writes NAME.hardened next to the file instead of changing it.
	Beside bool
}

// And returns a request for what r and o ask of one subject; where both decide
// something, o does.
func (r Request) And(o Request) Request {
	findings := slices.Clone(r.Findings)
	for _, f := range o.Findings {
		if !slices.ContainsFunc(findings, func(other checks.Finding) bool { return other.ID() == f.ID() }) {
			findings = append(findings, f)
		}
	}
	both := Request{
		Findings: findings, Fix: map[checks.FindingID]string{}, Values: checks.Values{},
		Update: r.Update || o.Update, Pull: r.Pull || o.Pull, Tag: cmp.Or(o.Tag, r.Tag), Fetched: cmp.Or(o.Fetched, r.Fetched),
		WriteBack: r.WriteBack || o.WriteBack, Quarantine: r.Quarantine || o.Quarantine, Beside: r.Beside || o.Beside,
	}
	for _, one := range []Request{r, o} {
		maps.Copy(both.Fix, one.Fix)
		maps.Copy(both.Values, one.Values)
	}
	return both
}

// Decided returns r with every choice as plan has it, so that a plan that is made
// again decides the same whatever was observed meanwhile.
func (r Request) Decided(plan *Plan) Request {
	values := maps.Clone(r.Values)
	for _, c := range plan.Choices {
		if values == nil {
			values = checks.Values{}
		}
		if c.Value != "" || c.Example == "" { // else nobody has answered yet
			values[c.Key] = c.Value
		}
	}
	r.Values = values
	return r
}
