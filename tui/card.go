package tui

import (
	"plimsoll/checks"
	"plimsoll/fixes"
)

// mostNamed is how many vulnerabilities of a kind are named on a card.
const mostNamed = 8

// card draws what another image changes.
func (p *printer) card(c *fixes.Card) {
	t := &p.theme
	p.heading(p.T("What the new image changes"))
	for _, f := range c.Facts {
		name := p.say(f.Name)
		if f.Before == "" && f.After == "" {
			p.text(t.strong, name)
			for _, n := range f.Lost {
				p.hanging(t.removed, t.removed, "  - ", plain(n))
			}
			for _, n := range f.Gained {
				p.hanging(t.added, t.added, "  + ", plain(n))
			}
			for _, n := range f.Changed {
				p.hanging("", t.warn, "  ~ ", p.T("%s has another value", n))
			}
			continue
		}
		before, after := plain(f.Before), plain(f.After)
		if cells(name)+cells(before)+cells(after)+6 > p.room() {
			p.text(t.strong, name)
			p.hanging(t.removed, t.removed, "  - ", before)
			p.hanging(t.added, t.added, "  + ", after)
			continue
		}
		l := newLine(p.room(), "")
		l.add(t.strong, name+"  ")
		l.add(t.removed, before)
		l.add(t.dim, " → ")
		l.add(t.added, after)
		p.raw(l.end(), p.room())
	}
	p.findings(p.N(checks.Msg("%d finding goes with the old image"), checks.Msg("%d findings go with the old image"), len(c.Gone)), "✓ ", t.good, c.Gone)
	p.findings(p.N(checks.Msg("%d finding comes with the new image"), checks.Msg("%d findings come with the new image"), len(c.New)), "! ", t.warn, c.New)
	p.blank()
	if !c.Unknown.IsZero() {
		p.hanging(t.dim, t.dim, "· ", p.say(c.Unknown))
	}
	if !c.Compared {
		return
	}
	p.hanging("", t.good, "✓ ", p.T("known vulnerabilities gone: %s", fixes.Named(c.Repaired, mostNamed)))
	mark, look := "✓ ", t.good
	if len(c.Brought) > 0 {
		mark, look = "! ", t.warn
	}
	p.hanging("", look, mark, p.T("known vulnerabilities new: %s", fixes.Named(c.Brought, mostNamed)))
}
