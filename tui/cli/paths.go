package cli

import (
	"fmt"
	"math"
	"strings"

	"charm.land/lipgloss/v2"

	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/terminal"
	"plimsoll/tui/cli/report"
)

type (
	jsonPath struct {
		Severity checks.Severity `json:"severity"`
		Entry    attack.Entry    `json:"entry"`  // network, supplier or account
		Impact   attack.Impact   `json:"impact"` // takeover, data, credentials or cloud
		Target   jsonSpot        `json:"target"` // what falls
		Ease     float64         `json:"ease"`   // from 0 to 1: how little stands in the way
		Story    string          `json:"story"`
		Steps    []jsonStep      `json:"steps"`
		Also     []jsonStep      `json:"also,omitempty"` // other ways to take the last step
		Cut      *jsonCut        `json:"cut,omitempty"`  // the fix that cuts it best
	}
	jsonSpot struct {
		checks.Ref
		Service string `json:"service,omitempty"` // of a compose file
	}
	jsonStep struct {
		Rule    string       `json:"rule"`
		At      jsonSpot     `json:"at"` // where the attacker is after it
		Message string       `json:"message"`
		Grounds []jsonGround `json:"grounds"`
	}
	jsonGround struct {
		Subject  checks.Ref `json:"subject"`
		Check    string     `json:"check,omitempty"`
		Key      string     `json:"key,omitempty"`
		Evidence string     `json:"evidence"`
	}
	jsonCut struct {
		jsonGround
		Found   bool `json:"found"` // a finding of this run
		Fixable bool `json:"fixable"`
		Ends    bool `json:"ends"` // the path is gone afterwards
		Left    int  `json:"left"` // paths that are left afterwards
	}
)

func (a *app) jsonPaths(d *report.Document) (out []jsonPath, total int) {
	paths, total := d.Paths()
	for i := range paths {
		p := &paths[i]
		j := jsonPath{
			Severity: p.Severity, Entry: p.Entry, Impact: p.Impact, Target: spot(p.Target), Ease: math.Round(p.Ease*100) / 100,
			Story: p.Equation(a.translate), Steps: a.jsonSteps(p.Steps()), Also: a.jsonSteps(p.Also()),
		}
		if p.Cut != nil {
			j.Cut = &jsonCut{ground(p.Cut.Ground), p.Finding != nil, p.Finding != nil && p.Finding.Fixable(), p.Cut.Ends, len(p.Cut.Left)}
		}
		out = append(out, j)
	}
	return out, total
}

func (a *app) jsonSteps(steps []attack.Step) []jsonStep {
	var out []jsonStep
	for _, s := range steps {
		j := jsonStep{Rule: s.Rule.ID, At: spot(s.At), Message: s.Message.In(a.translate), Grounds: []jsonGround{}}
		for _, g := range s.Grounds {
			j.Grounds = append(j.Grounds, ground(g))
		}
		out = append(out, j)
	}
	return out
}

func spot(s attack.Spot) jsonSpot { return jsonSpot{clean(s.Ref), terminal.Line(s.Service)} }

func ground(g attack.Ground) jsonGround {
	return jsonGround{clean(g.Subject), g.Check, terminal.Line(g.Key), g.Evidence.String()}
}

// tablePaths prints the worst attack paths in two lines each.
func (a *app) tablePaths(b *strings.Builder, d *report.Document) {
	paths, total := d.Paths()
	if total == 0 {
		return
	}
	const shown = 5
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	fmt.Fprintln(b, bold.Render(a.T("Attack paths")))
	for i := range paths[:min(shown, len(paths))] {
		p := &paths[i]
		word := lipgloss.NewStyle().Foreground(lipgloss.Color(severityColours[p.Severity])).Bold(p.Severity >= checks.High)
		fmt.Fprintf(b, "  %s  %s: %s\n", word.Render(pad(a.severityWord(p.Severity), 8)), terminal.Line(p.Through().Name()), p.Equation(a.translate)+d.Where(p))
		if advice := d.Advice(p); advice != "" {
			fmt.Fprintf(b, "  %s  %s\n", pad("", 8), faint.Render(advice))
		}
	}
	if total > shown {
		fmt.Fprintf(b, "  %s  %s\n", pad("", 8), faint.Render(a.T("… and %d more", total-shown)))
	}
	b.WriteByte('\n')
}
