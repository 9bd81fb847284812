package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/fixes"
)

// effectKnown says what plans would do to the attack paths.
type effectKnown struct {
	by     dialog
	round  int
	effect attack.Effect
}

// effect asks, off the screen's goroutine, what it does to the attack paths when
// subjects become others. It is for the goroutine of Update.
func (c *crew) effect(by dialog, round int, now, after []checks.Subject) tea.Cmd {
	if c.paths == nil || len(after) == 0 {
		return nil
	}
	paths := c.paths()
	return func() tea.Msg { return effectKnown{by, round, paths.Effect(now, after)} }
}

// effectText says in short what happens to the attack paths, after " · "; "" where
// that is nothing.
func (u *ui) effectText(e *attack.Effect) string {
	if e == nil || len(e.Cut) == 0 {
		return ""
	}
	return " · " + u.T("cuts %d of %d attack paths", len(e.Cut), e.Before)
}

// mostPaths is how many attack paths are named before they are counted.
const mostPaths = 5

// effect draws what happens to the attack paths; nothing where there are none.
func (p *printer) effect(e *attack.Effect) {
	if e == nil || e.Before == 0 && len(e.New) == 0 {
		return
	}
	t := &p.theme
	p.blank()
	if len(e.Cut) == 0 {
		p.text(t.dim, p.T("Cuts none of the attack paths, of which there are %d.", e.Before))
	} else {
		p.text(t.title, p.T("Attack paths cut: %d of %d", len(e.Cut), e.Before))
		p.paths("✓ ", t.good, e.Cut)
	}
	if len(e.New) > 0 {
		p.text(t.warn, p.N(checks.Msg("%d other way shows then:"), checks.Msg("%d other ways show then:"), len(e.New)))
		p.paths("! ", t.warn, e.New)
	}
}

// paths lists attack paths, a line each.
func (p *printer) paths(mark string, look ink, paths []attack.Path) {
	for i := range paths {
		if i == mostPaths {
			p.text(p.theme.dim, "  "+p.N(checks.Msg("… and %d more"), checks.Msg("… and %d more"), len(paths)-mostPaths))
			return
		}
		path := &paths[i]
		p.hanging("", look, mark+symbols[path.Severity]+p.letter(path.Severity)+" ", p.told(path.What())+"  "+p.told(path.From()))
	}
}

// A whatIf is what one way to fix something does, tried on a copy.
type whatIf struct {
	mechanism string
	cures     []checks.Finding
	effect    attack.Effect
	why       string // nothing can be said, or it cannot be done; "" if it can
}

type (
	whatIfNow struct { // the cursor has come to rest
		by    *chooser
		round int
	}
	whatIfKnown struct {
		by   *chooser
		item int
		ways []whatIf // by the index of the fix
	}
)

// rest asks what the item under the cursor does once the cursor has come to rest.
func (d *chooser) rest() tea.Cmd {
	d.round++
	if d.known[d.cursor] != nil || d.cursor >= len(d.items) {
		return nil
	}
	msg := whatIfNow{d, d.round}
	return tea.Tick(d.crew.pause, func(time.Time) tea.Msg { return msg })
}

// hear implements listener.
func (d *chooser) hear(u *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case whatIfNow:
		if msg.by != d {
			return nil, false
		}
		if msg.round == d.round {
			return d.ask(u), true
		}
	case whatIfKnown:
		if msg.by != d {
			return nil, false
		}
		d.known[msg.item] = msg.ways
	default:
		return nil, false
	}
	return nil, true
}

// ask plans each way to fix the item under the cursor by itself.
func (d *chooser) ask(u *ui) tea.Cmd {
	var requests []fixes.Request
	switch it := &d.items[d.cursor]; {
	case it.finding != nil:
		for _, fix := range it.finding.Fixes {
			requests = append(requests, fixes.Request{Findings: []checks.Finding{*it.finding}, Fix: map[checks.FindingID]string{it.finding.ID(): fix.ID}})
		}
	case it.option == newerImage:
		requests = []fixes.Request{{Update: true}}
	default:
		return nil // nothing is known before something was fetched, or changed
	}
	f, ctx, item, subject := d.crew.fixer, d.crew.ctx, d.cursor, d.subject.Subject
	paths := &attack.Map{}
	if d.crew.paths != nil {
		paths = d.crew.paths()
	}
	tongue := *u
	return func() tea.Msg {
		known := whatIfKnown{by: d, item: item}
		for _, r := range requests {
			known.ways = append(known.ways, tryOut(ctx, &tongue, f.Plan, subject, r, paths))
		}
		return known
	}
}

// tryOut plans r and says what would come of it.
func tryOut(ctx context.Context, u *ui, plan planner, subject checks.Subject, r fixes.Request, paths *attack.Map) whatIf {
	p, err := plan(ctx, subject, r)
	switch {
	case err != nil:
		return whatIf{why: u.err(err)}
	case !p.Blocked.IsZero():
		return whatIf{why: u.say(p.Blocked)}
	}
	w := whatIf{mechanism: u.partKind(p), cures: p.Cures}
	if len(p.After) > 0 && p.Fetch == "" {
		w.effect = paths.Effect([]checks.Subject{subject}, p.After)
	}
	return w
}

// whatIf draws what each way to fix f does, or an option, where f is nil; chosen
// is the one in force.
func (p *printer) whatIf(ways []whatIf, f *checks.Finding, chosen int) {
	t := &p.theme
	for i := range ways {
		w := &ways[i]
		mark, look := "       = ", t.dim
		if len(ways) > 1 {
			if mark = "         "; i == chosen {
				mark, look = "       = ", ink("")
			}
			p.hanging(look, t.dim, mark, p.say(f.Fixes[i].Title)+":")
			mark = "         "
		}
		if w.why != "" {
			p.hanging(t.warn, t.warn, mark, p.T("not possible here: %s", w.why))
			continue
		}
		text := w.mechanism + " · " + p.N(checks.Msg("removes %d finding"), checks.Msg("removes %d findings"), len(w.cures))
		text += p.effectText(&w.effect)
		if n := len(w.effect.New); n > 0 {
			text += " · " + p.N(checks.Msg("%d other way shows then"), checks.Msg("%d other ways show then"), n)
		}
		p.hanging(look, t.dim, mark, text)
		if len(ways) > 1 && i != chosen {
			continue
		}
		indent := "           "
		for k := range w.cures {
			if cured := &w.cures[k]; f == nil || cured.ID() != f.ID() {
				p.hanging(t.dim, t.good, indent+"✓ "+symbols[cured.Severity]+p.letter(cured.Severity)+" ", plain(p.format(cured.Check.Title)))
			}
		}
		for k := range w.effect.Cut[:min(mostPaths, len(w.effect.Cut))] {
			path := &w.effect.Cut[k]
			p.hanging(t.dim, t.good, indent+"✂ "+symbols[path.Severity]+p.letter(path.Severity)+" ", p.told(path.What())+"  "+p.told(path.From()))
		}
	}
}
