package suppress

import (
	"slices"
	"strings"
	"time"

	"plimsoll/checks"
)

// problem is the check of what is wrong with suppressions, where the suite has
// none of this name.
var problem = &checks.Check{
	ID:       "suppression-without-reason",
	Title:    checks.Msg("Ignore comment without a reason or past its date").Format,
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}

// Apply moves what rules match from report.Findings to report.Suppressed, and
// adds a finding for each rule that does not count, no longer holds or matches
// nothing. Policy is that of the report; now decides what has expired.
func Apply(report checks.Report, rules []Rule, suite []*checks.Check, policy *checks.Policy, now time.Time) checks.Report {
	exceptions := exceptionsFor(report.Subject, policy)
	if len(rules) == 0 && len(exceptions) == 0 {
		return report
	}
	a := applier{report: report, suite: suite, policy: policy, problem: problem}
	for _, c := range suite {
		if c.ID == problem.ID {
			a.problem = c
		}
	}
	used := make([]map[string]bool, len(rules))
	var counting []*Rule
	for i := range rules {
		used[i] = map[string]bool{}
		if r := &rules[i]; r.Wrong.IsZero() && !r.Expired(now) {
			counting = append(counting, r)
		}
	}
	found := report.Findings
	a.report.Findings = nil
	for _, f := range found {
		by, ok := a.accepted(&f, counting, exceptions, now)
		for i := range rules {
			if rules[i].matches(&f) {
				used[i][f.Check.ID] = true
			}
		}
		if ok {
			a.report.Suppressed = append(a.report.Suppressed, checks.Suppressed{Finding: f, Suppression: by})
		} else {
			a.report.Findings = append(a.report.Findings, f)
		}
	}
	for i := range rules {
		a.judge(&rules[i], used[i], found, now)
	}
	for _, e := range exceptions {
		a.judgeException(e, now)
	}
	checks.SortFindings(a.report.Findings)
	return a.report
}

type applier struct {
	report  checks.Report
	suite   []*checks.Check
	policy  *checks.Policy
	problem *checks.Check
}

// accepted returns the first word of the user that accepts f, the one nearest
// to it first. What is wrong with suppressions cannot be suppressed.
func (a *applier) accepted(f *checks.Finding, rules []*Rule, exceptions []checks.Exception, now time.Time) (checks.Suppression, bool) {
	if f.Check.ID == a.problem.ID {
		return checks.Suppression{}, false
	}
	for _, local := range []bool{true, false} {
		for _, r := range rules {
			if r.matches(f) && (r.First > 0) == local {
				return r.Suppression, true
			}
		}
	}
	for _, e := range exceptions {
		if e.Reason != "" && !e.Expired(now) && slices.Contains(e.Checks, f.Check.ID) {
			return e.Suppression, true
		}
	}
	return checks.Suppression{}, false
}

// judge adds what is wrong with r.
func (a *applier) judge(r *Rule, used map[string]bool, found []checks.Finding, now time.Time) {
	switch {
	case !r.Wrong.IsZero():
		a.add(r.Line, r.Wrong)
	case r.Expired(now):
		a.add(r.Line, checks.Msg("the ignore comment for %s expired on %s", strings.Join(r.Checks, ", "), r.Until.Format(time.DateOnly)))
	case !r.Foreign && len(a.report.Errors) == 0:
		for _, id := range r.Checks {
			if !used[id] && a.wouldBeFound(id, found) {
				a.add(r.Line, checks.Msg("the ignore comment for %s matches nothing any more: it can go", id))
			}
		}
	}
}

// wouldBeFound reports whether id would be among found if there were anything
// to find: its check was run, and nothing that was found stands for it.
func (a *applier) wouldBeFound(id string, found []checks.Finding) bool {
	covered := slices.ContainsFunc(found, func(f checks.Finding) bool { return slices.Contains(f.Check.Covers, id) })
	return !covered && slices.ContainsFunc(a.suite, func(c *checks.Check) bool {
		return c.ID == id && c.Kind == a.report.Subject.Kind && a.policy.Wants(c)
	})
}

func (a *applier) judgeException(e checks.Exception, now time.Time) {
	var why checks.Message
	switch list := strings.Join(e.Checks, ", "); {
	case e.Reason == "":
		why = checks.Msg("the entry for %s in %s, line %d, does not count, because it gives no reason", list, checks.ConfigurationName, e.Line)
	case e.Expired(now):
		why = checks.Msg("the entry for %s in %s, line %d, expired on %s", list, checks.ConfigurationName, e.Line, e.Until.Format(time.DateOnly))
	default:
		return
	}
	// It matters only where it would suppress something.
	if slices.ContainsFunc(a.report.Findings, func(f checks.Finding) bool { return slices.Contains(e.Checks, f.Check.ID) }) {
		a.add(0, why)
	}
}

// add reports a problem at line, unless a check has said it already.
func (a *applier) add(line int, message checks.Message) {
	if a.policy != nil && a.policy.Disabled[a.problem.ID] {
		return
	}
	said := func(f checks.Finding) bool {
		return f.Check.ID == a.problem.ID && f.Line == line && (line > 0 || f.Message.String() == message.String())
	}
	if slices.ContainsFunc(a.report.Findings, said) {
		return
	}
	key := message.Format
	for _, arg := range message.Args {
		if s, ok := arg.(string); ok {
			key += " " + s
		}
	}
	a.report.Findings = append(a.report.Findings, checks.Finding{
		Check: a.problem, Subject: a.report.Subject, Severity: a.policy.SeverityOf(a.problem, 0),
		Line: line, EndLine: line, Key: key, Message: message.Clean(),
	})
}
