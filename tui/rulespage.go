package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/runtime/falco"
)

// A rulesPage shows rules for Falco of what is normal for the containers, and
// for which it is too early.
type rulesPage struct {
	window
	m     *Model
	read  bool
	rules falco.Rules
	path  string // where they were put, "" nowhere yet
	err   error
}

// rulesMsg is what became of asking for rules, or of putting them somewhere.
type rulesMsg struct {
	by    *rulesPage
	rules falco.Rules
	path  string
	err   error
}

func (m *Model) openRules() action {
	d := &rulesPage{m: m}
	lookout, ctx := m.o.Lookout, m.crew.ctx
	return actions{openDialog{d}, tea.Cmd(func() tea.Msg {
		rules, err := lookout.Rules(ctx)
		return rulesMsg{by: d, rules: rules, err: err}
	})}
}

// hear implements listener.
func (d *rulesPage) hear(_ *ui, msg tea.Msg) (action, bool) {
	r, ok := msg.(rulesMsg)
	if !ok || r.by != d {
		return nil, false
	}
	d.read, d.rules, d.path, d.err = true, r.rules, r.path, r.err
	d.window = window{}
	return nil, true
}

// key implements dialog.
func (d *rulesPage) key(u *ui, k tea.KeyPressMsg) action {
	switch name := k.String(); {
	case name == "esc" || name == "q" || name == "F":
		return closeDialog{}
	case name == "s" && d.savable():
		lookout, rules := d.m.o.Lookout, d.rules
		return tea.Cmd(func() tea.Msg {
			path, err := lookout.KeepRules(rules)
			return rulesMsg{d, rules, path, err}
		})
	case name == "c" && len(d.rules.Known) > 0:
		return actions{tea.SetClipboard(string(d.rules.Text)), say{u.T("the rules are copied, if your terminal allows it"), false}}
	default:
		d.scrollKey(name)
	}
	return nil
}

func (d *rulesPage) savable() bool { return len(d.rules.Known) > 0 && !d.m.o.ReadOnly }

// draw implements dialog.
func (d *rulesPage) draw(u *ui, width int) sheet {
	p, t := newPrinter(u, width), u.theme
	if !d.read {
		p.text(t.dim, u.T("what is normal is gathered …"))
	}
	if d.err != nil {
		p.hanging("", t.warn, "! ", plain(u.err(d.err)))
	}
	if d.path != "" && d.err == nil {
		p.hanging(t.strong, t.good, "✓ ", u.T("The rules are in %s.", plain(d.path)))
		p.hanging("", "", "  ", u.T("check them and load them: %s", "sudo falco --validate "+plain(d.path)+" && sudo cp "+plain(d.path)+" /etc/falco/rules.d/"))
		p.blank()
	}
	for _, name := range d.rules.Known {
		p.hanging("", t.good, "✓ ", u.T("%s: what it does is known", plain(name)))
	}
	for _, w := range d.rules.Waiting {
		why := checks.Msg("%s: has to be watched for %s more", plain(w.Service), u.duration(w.Left.Round(time.Second)))
		if w.Never {
			why = checks.Msg("%s: starts too many different programs, so nothing is normal for it", plain(w.Service))
		}
		p.hanging(t.dim, t.dim, "· ", u.told(why))
	}
	for _, name := range d.rules.Odd {
		p.hanging(t.dim, t.warn, "! ", u.T("a list of Falco cannot hold this name: %s", plain(name)))
	}
	if d.read && d.err == nil && len(d.rules.Known) == 0 {
		p.hanging("", t.accent, "· ", u.T("There are no rules yet. Leave plimsoll watching, or declare under runtime.normal what is normal."))
	}
	if len(d.rules.Known) > 0 {
		p.blank()
		for line := range strings.Lines(string(d.rules.Text)) {
			p.codeLine(plain(strings.TrimRight(line, "\n")))
		}
	}
	return sheet{title: u.T("Rules for Falco"), lines: p.lines, window: &d.window, buttons: []button{
		{key: "s", label: u.T("save as a file"), off: !d.savable()},
		{key: "c", label: u.T("copy"), off: len(d.rules.Known) == 0},
		{key: "esc", label: u.T("close")},
	}}
}
