package report

import (
	"bufio"
	"fmt"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/inventory"
)

// A Path is an attack path with the fix that cuts it best.
type Path struct {
	attack.Path
	Cut     *attack.Cut     // nil where nothing that a check reports would help
	Finding *checks.Finding // that Cut is about; nil when no check of the run reported it
}

// most is how many paths are told in full: working out what cuts one costs a
// search, and nobody reads more.
const most = 50

// Map returns what an attacker could use of items.
func Map(items []inventory.Item) *attack.Map {
	m := &attack.Map{}
	for i := range items {
		if items[i].Subject != nil {
			m.Put(items[i].Subject, &items[i].Report)
		}
	}
	return m
}

// Paths returns the attack paths, the worst first, and how many there are in
// all. Compared with a baseline, those are left out that rest on nothing new.
func (d *Document) Paths() (paths []Path, total int) {
	if d.Attack == nil {
		return nil, 0
	}
	all := d.Attack.Paths()
	for i := range all {
		p := &all[i]
		if d.Compared && !d.restsOnFinding(p) {
			continue
		}
		if total++; len(paths) == most {
			continue
		}
		told := Path{Path: *p}
		cuts := d.Attack.Cuts(p, func(g attack.Ground) bool {
			f := d.finding(g)
			return f != nil && f.Fixable()
		})
		if len(cuts) > 0 {
			told.Cut, told.Finding = &cuts[0], d.finding(cuts[0].Ground)
		}
		paths = append(paths, told)
	}
	return paths, total
}

// finding returns what a check reported about g, nil when none did.
func (d *Document) finding(g attack.Ground) *checks.Finding {
	if d.byRef == nil {
		d.byRef = map[checks.Ref]*checks.Report{}
		for i := range d.Items {
			d.byRef[d.Items[i].Ref] = &d.Items[i].Report
		}
	}
	if r, ok := d.byRef[g.Subject]; ok {
		return g.Finding(r)
	}
	return nil
}

func (d *Document) restsOnFinding(p *attack.Path) bool {
	for _, s := range append(p.Steps(), p.Also()...) {
		for _, g := range s.Grounds {
			if d.finding(g) != nil {
				return true
			}
		}
	}
	return false
}

// Advice says what cuts p best and what is left then, "" when nothing is known
// to.
func (d *Document) Advice(p *Path) string {
	if p.Cut == nil {
		return ""
	}
	what := p.Cut.Ground.Label.In(d.in())
	if p.Finding != nil {
		what = clean(p.Finding.Subject.Name) + ": " + d.T(p.Finding.Check.Title)
	}
	if what == "" {
		what = p.Cut.Ground.Evidence.String()
	}
	if !p.Cut.Ends {
		return d.T("what helps most, though no single fix ends it: %s", what)
	}
	return d.T("what cuts it best: %s", what)
}

// Where names the file of a path that is only planned.
func (d *Document) Where(p *Path) string {
	if !p.Planned {
		return ""
	}
	return " (" + clean(p.Through().Ref.Name) + ")"
}

func (d *Document) markdownPaths(out *bufio.Writer) {
	paths, total := d.Paths()
	if total == 0 {
		return
	}
	fmt.Fprintf(out, "\n### %s\n\n", d.T("Attack paths"))
	const shown = 10
	for i := range paths[:min(shown, len(paths))] {
		p := &paths[i]
		fmt.Fprintf(out, "1. %s %s: **%s**, %s%s\n", emoji[p.Severity], d.T(p.Severity.String()), escapeMarkdown(p.What().In(d.in())), escapeMarkdown(p.From().In(d.in())), escapeMarkdown(d.Where(p)))
		for _, s := range p.Steps() {
			fmt.Fprintf(out, "   - %s\n", escapeMarkdown(s.Message.In(d.in())))
		}
		if advice := d.Advice(p); advice != "" {
			fmt.Fprintf(out, "   - ✂️ %s\n", escapeMarkdown(advice))
		}
	}
	if total > shown {
		fmt.Fprintf(out, "\n%s\n", escapeMarkdown(d.T("… and %d more", total-shown)))
	}
}

// htmlPath is a path as the template shows it.
type htmlPath struct {
	Severity, Word, What, From string
	Steps                      []htmlStep
	Advice                     string
}

type htmlStep struct {
	Message  string
	Evidence []string
	Other    bool // another way to take the last step
}

func (d *Document) htmlPaths() (out []htmlPath, more string) {
	paths, total := d.Paths()
	for i := range paths {
		p := &paths[i]
		h := htmlPath{Severity: p.Severity.String(), Word: d.T(p.Severity.String()), What: p.What().In(d.in()), From: p.From().In(d.in()) + d.Where(p), Advice: d.Advice(p)}
		add := func(s attack.Step, other bool) {
			step := htmlStep{Message: s.Message.In(d.in()), Other: other}
			for _, g := range s.Grounds {
				step.Evidence = append(step.Evidence, g.Evidence.String())
			}
			h.Steps = append(h.Steps, step)
		}
		for _, s := range p.Steps() {
			add(s, false)
		}
		for _, s := range p.Also() {
			add(s, true)
		}
		out = append(out, h)
	}
	if total > len(paths) {
		more = d.T("… and %d more", total-len(paths))
	}
	return out, more
}

// sarifPaths returns each path as a result with the flow of its steps.
func (d *Document) sarifPaths(rules *sarifRules) []sarifResult {
	var out []sarifResult
	paths, _ := d.Paths()
	for i := range paths {
		p := &paths[i]
		steps := p.Steps()
		last := steps[len(steps)-1]
		rule := &checks.Check{ID: last.Rule.ID, Title: last.Rule.Title, Severity: p.Severity, Chapter: checks.LeastPrivilege}
		for _, ref := range last.Rule.Refs {
			rule.Refs = append(rule.Refs, "MITRE ATT&CK "+ref)
		}
		text := p.Equation(d.in()) + d.Where(p)
		if advice := d.Advice(p); advice != "" {
			text += "; " + advice
		}
		result := sarifResult{
			Rule: rule.ID, Index: rules.of(rule), Level: level(p.Severity), Message: sarifMessage{Text: text},
			Locations:    d.sarifLocations(steps[0].At.Ref, 0, 0),
			Fingerprints: map[string]string{"plimsollPath/v1": digest(strings.Split(p.ID, "\x00")...)},
			Properties:   sarifEvidence{Severity: p.Severity, Chapter: rule.Chapter, Evidence: []string{}},
		}
		if d.Compared {
			result.Baseline = "new"
		}
		var flow sarifThread
		for _, s := range steps {
			at := d.sarifLocations(s.At.Ref, 0, 0)[0]
			at.Message = &sarifMessage{Text: s.Message.In(d.in())}
			flow.Locations = append(flow.Locations, sarifFlowLocation{at})
			for _, g := range s.Grounds {
				result.Properties.Evidence = append(result.Properties.Evidence, g.Evidence.String())
			}
		}
		result.Flows = []sarifFlow{{[]sarifThread{flow}}}
		out = append(out, result)
	}
	return out
}
