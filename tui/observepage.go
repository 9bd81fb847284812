package tui

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/docker/go-units"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// An observePage shows live what a container uses, and what follows from that:
// limits and hardening with their evidence. Watching goes on without the page.
type observePage struct {
	window
	m  *Model
	id identity
}

func (m *Model) whyNoObservation() checks.Message {
	s := m.quarantined()
	switch {
	case m.o.Observe == nil:
		return checks.Msg("nothing can be watched here")
	case s == nil || s.Ref.Kind != checks.Container:
		return checks.Msg("select a container first")
	case !s.judged():
		return checks.Msg("the subject is still being read")
	case s.Status.State != "running":
		return checks.Msg("only a running container can be watched")
	}
	return checks.Message{}
}

func (m *Model) openObservation() tea.Cmd {
	s := m.quarantined()
	m.show(&observePage{m: m, id: identity{checks.Container, s.Ref.ID}})
	return m.observe(s.Ref, true)
}

// observe begins or ends watching.
func (m *Model) observe(ref checks.Ref, on bool) tea.Cmd {
	observe, ctx := m.o.Observe, m.crew.ctx
	return func() tea.Msg { observe(ctx, ref, on); return nil }
}

// subject returns the container, as it is now; false when it is gone.
func (d *observePage) subject() (*subject, *container.Container, bool) {
	s, ok := d.m.world.subjects[d.id]
	if !ok {
		return nil, nil, false
	}
	c, ok := s.Subject.(*container.Container)
	return s, c, ok
}

// key implements dialog.
func (d *observePage) key(_ *ui, k tea.KeyPressMsg) action {
	s, _, ok := d.subject()
	switch name := k.String(); {
	case name == "esc" || name == "q" || name == "O":
		return closeDialog{}
	case ok && name == "x":
		return tea.Cmd(d.m.observe(s.Ref, !s.Status.Observed))
	case ok && (name == "enter" || name == "F"):
		d.m.wanted, d.m.wantedFinding = s.Ref, findingKey{}
		d.m.refreshSubjects()
		return actions{closeDialog{}, pressKey{d.m.bound("F")}}
	default:
		d.scrollKey(name)
	}
	return nil
}

// draw implements dialog.
func (d *observePage) draw(u *ui, width int) sheet {
	p := newPrinter(u, width)
	s, c, ok := d.subject()
	title := u.T("What it uses")
	switch {
	case !ok:
		p.hanging("", u.theme.warn, "! ", u.T("the container is gone"))
	case c.Observed == nil:
		p.hanging("", u.theme.accent, "· ", u.T("waiting for the first sample …"))
	default:
		d.drawUse(p, s, c)
		d.drawProposals(p, s)
	}
	watching := ok && s.Status.Observed
	if ok {
		title = u.T("What %s uses", plain(s.name))
	}
	end := u.T("stop watching")
	if !watching {
		end = u.T("watch again")
	}
	return sheet{title: title, lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("harden it by this"), off: !ok || c.Observed == nil},
		{key: "x", label: end, off: !ok || s.Status.State != "running"},
		{key: "esc", label: u.T("close, watching goes on")},
	}}
}

func (d *observePage) drawUse(p *printer, s *subject, c *container.Container) {
	t, o := &p.theme, c.Observed
	state := p.T("watched for %s", p.duration(o.Lasted().Truncate(time.Second)))
	if !s.Status.Observed {
		state = p.T("was watched for %s", p.duration(o.Lasted().Truncate(time.Second)))
	}
	p.hanging(t.strong, t.accent, "· ", state+" · "+p.say(confidence(o.Lasted())))
	p.blank()
	memory := func(n uint64) string { return units.BytesSize(float64(n)) }
	cpus := func(n float64) string { return strconv.FormatFloat(n, 'f', 2, 64) }
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	rows := [][3]string{
		{"", p.T("now"), p.T("peak")},
		{p.T("memory"), memory(o.Memory), memory(o.MemoryPeak)},
		{p.T("CPUs"), cpus(o.CPU), cpus(o.CPUPeak)},
		{p.T("threads"), count(o.Pids), count(o.PidsPeak)},
	}
	first := 0
	for _, r := range rows {
		first = max(first, cells(r[0]))
	}
	for i, r := range rows {
		look := ink("")
		if i == 0 {
			look = t.dim
		}
		p.text(look, pad(r[0], first+2)+pad(r[1], 12)+r[2])
	}
	p.blank()
	if len(o.UIDs) > 0 {
		var ids []string
		for _, id := range o.UIDs {
			ids = append(ids, strconv.Itoa(id))
		}
		p.hanging("", t.dim, "· ", p.T("its processes run as %s", strings.Join(ids, ", ")))
	}
	if written := folders(c); len(written) > 0 {
		p.hanging("", t.dim, "· ", p.T("it wrote to %s", plain(strings.Join(written, ", "))))
	} else if c.Changed != nil {
		p.hanging("", t.dim, "· ", p.T("it wrote nothing outside of its volumes"))
	}
	p.blank()
}

// confidence says what so long an observation is worth.
func confidence(lasted time.Duration) checks.Message {
	switch {
	case lasted < 10*time.Minute:
		return checks.Msg("little is known yet")
	case lasted < 24*time.Hour:
		return checks.Msg("its ordinary work is known, rare tasks are not")
	}
	return checks.Msg("a whole day and night is known")
}

// mostFolders is how many written folders are named.
const mostFolders = 6

// folders returns the folders in which files of the image's layers or beside
// them were written, the outermost of each.
func folders(c *container.Container) []string {
	listed := map[string]bool{} // only because something in them was written
	for _, change := range c.Changed {
		listed[path.Dir(path.Clean(change.Path))] = true
	}
	var out []string
	for _, change := range c.Changed {
		dir := path.Dir(path.Clean(change.Path))
		if dir != "/" && !listed[path.Clean(change.Path)] && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	slices.Sort(out)
	out = slices.DeleteFunc(out, func(dir string) bool {
		return slices.ContainsFunc(out, func(o string) bool { return o != dir && strings.HasPrefix(dir, o+"/") })
	})
	if len(out) > mostFolders {
		out = append(out[:mostFolders], "…")
	}
	return out
}

// drawProposals draws what the fixes of s would choose now, and why.
func (d *observePage) drawProposals(p *printer, s *subject) {
	t := &p.theme
	any := false
	for i := range s.Report.Findings {
		f := &s.Report.Findings[i]
		for _, fix := range f.Fixes {
			if fix.Change == nil {
				continue
			}
			if !any {
				p.text(t.strong, p.T("What follows from it"))
				any = true
			}
			text := p.say(fix.Title)
			for _, c := range fix.Choices {
				if c.Default != "" {
					text += " · " + p.say(c.Label) + ": " + plain(c.Default)
				}
			}
			p.hanging("", t.severity[f.Severity], symbols[f.Severity]+" ", text)
			for _, c := range fix.Choices {
				if why := p.say(c.Why); why != "" {
					p.hanging(t.dim, "", "  ", why)
				}
			}
			break // alternatives would say the same again
		}
	}
	if !any {
		p.hanging("", t.good, "✓ ", p.T("nothing is left to harden"))
	}
}

// pad fills s with blanks to n cells.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(1, n-cells(s))) }
