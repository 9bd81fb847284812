package checks

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A Report holds everything that is known to be wrong with a subject. It
// replaces every earlier report of it.
type Report struct {
	Subject    Ref
	Findings   []Finding    // the worst first, then by line
	Suppressed []Suppressed // what the user accepted, in the same order; set after [Run]
	Errors     []error      // why the subject, or a part of it, could not be judged
}

// Run applies the checks of suite that accept the kind of subject and that
// policy wants. A check that panics becomes an error of the report.
func Run(subject Subject, suite []*Check, policy *Policy) Report {
	report := Report{Subject: subject.Ref()}
	if s, ok := subject.(Incomplete); ok {
		switch err := s.Incomplete().(type) {
		case nil:
		case interface{ Unwrap() []error }: // several, each to be said by itself
			report.Errors = append(report.Errors, err.Unwrap()...)
		default:
			report.Errors = append(report.Errors, err)
		}
	}
	j := judgements.Get().(*judgement)
	defer j.free()
	j.subject, j.policy = report.Subject, policy
	for _, c := range suite {
		if c.Kind != report.Subject.Kind || !policy.Wants(c) {
			continue
		}
		j.check = c
		if err := c.apply(subject, j.taker); err != nil {
			report.Errors = append(report.Errors, err)
		}
	}
	if found := uncovered(j.findings); len(found) > 0 {
		report.Findings = slices.Clone(found)
	}
	SortFindings(report.Findings)
	return report
}

// A judgement is a run of checks on one subject.
type judgement struct {
	subject  Ref
	policy   *Policy
	check    *Check // that runs
	findings []Finding

	taker func(Finding) // take: a closure for each check would cost as much as most checks
}

// judgements are used again and again, so that a report takes no more memory
// than its findings.
var judgements = sync.Pool{New: func() any {
	j := &judgement{}
	j.taker = j.take
	return j
}}

// free gives j back, without what it was about.
func (j *judgement) free() {
	clear(j.findings)
	j.subject, j.policy, j.check, j.findings = Ref{}, nil, nil, j.findings[:0]
	judgements.Put(j)
}

// take completes what the check that runs has found, and keeps it.
func (j *judgement) take(f Finding) {
	f.Check, f.Subject = j.check, j.subject
	f.Severity = j.policy.SeverityOf(j.check, f.Severity)
	f.Message = f.Message.Clean()
	for i, e := range f.Evidence {
		f.Evidence[i] = e.Clean()
	}
	j.findings = append(j.findings, f)
}

// SortFindings puts the worst first, then orders by line.
func SortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Line, b.Line))
	})
}

func (c *Check) apply(subject Subject, take func(Finding)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("check %s: panic: %v", c.ID, r)
		}
	}()
	c.Run(subject, take)
	return nil
}

// Clean masks secrets in the text arguments of m and makes them safe to show.
func (m Message) Clean() Message {
	args := slices.Clone(m.Args)
	for i, a := range args {
		switch a := a.(type) {
		case int, int64, uint64, float64, bool, Sensitive:
		case Message:
			args[i] = a.Clean()
		case string:
			args[i] = terminal.Line(secret.Redact(a))
		default:
			args[i] = terminal.Line(secret.Redact(fmt.Sprint(a)))
		}
	}
	return Message{m.Format, args}
}

// uncovered drops findings of checks that another reported check covers.
func uncovered(findings []Finding) []Finding {
	covered := map[string]bool{}
	for _, f := range findings {
		for _, id := range f.Check.Covers {
			covered[id] = true
		}
	}
	return slices.DeleteFunc(findings, func(f Finding) bool { return covered[f.Check.ID] })
}
