package cli

import (
	"strings"

	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// mostNamed is how many vulnerabilities of a kind are named on a card.
const mostNamed = 8

// card says what another image changes, line by line.
func (a *app) card(c *fixes.Card) []string {
	var out []string
	for _, f := range c.Facts {
		out = append(out, f.Name.In(a.translate)+": "+a.fact(f))
	}
	for _, f := range c.Gone {
		out = append(out, a.T("gone: %s", f.Check.ID+"  "+f.Message.In(a.translate)))
	}
	for _, f := range c.New {
		out = append(out, a.T("new: %s", f.Check.ID+"  "+f.Message.In(a.translate)))
	}
	if !c.Unknown.IsZero() {
		out = append(out, c.Unknown.Clean().In(a.translate))
	}
	if !c.Compared {
		return out
	}
	return append(out, a.T("known vulnerabilities gone: %s", fixes.Named(c.Repaired, mostNamed)), a.T("known vulnerabilities new: %s", fixes.Named(c.Brought, mostNamed)))
}

func (a *app) fact(f fixes.Fact) string {
	if f.Before != "" || f.After != "" {
		return terminal.Line(f.Before) + " → " + terminal.Line(f.After)
	}
	var parts []string
	add := func(sign string, names []string) {
		for _, n := range names {
			parts = append(parts, sign+terminal.Line(n))
		}
	}
	add("-", f.Lost)
	add("+", f.Gained)
	add("~", f.Changed)
	return strings.Join(parts, " ")
}
