package tui

import (
	"fmt"
	"strings"
	"time"

	"plimsoll/fixes"
)

// spinEvery is how fast spinners turn, and spinAfter how long something takes
// before it gets one.
const (
	spinEvery = 100 * time.Millisecond
	spinAfter = 300 * time.Millisecond
)

var spinFrames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// A run is a job as it is watched.
type run struct {
	*job
	started    time.Time
	progress   fixes.Progress
	log        []string // what was said, for work whose steps are not known
	cancelling bool
	line       int // of the current step, in the dialog
}

// stop asks the job to put everything back.
func (r *run) stop() {
	if !r.cancelling {
		r.cancelling = true
		r.cancel()
	}
}

// spinner returns a sign that turns with time.
func spinner(since, now time.Time) string {
	return spinFrames[int(now.Sub(since)/spinEvery)%len(spinFrames)]
}

// heard takes in progress.
func (r *run) heard(u *ui, p fixes.Progress) {
	r.progress = p
	if text := u.say(p.Message); text != "" && (len(r.log) == 0 || r.log[len(r.log)-1] != text) {
		r.log = append(r.log, text)
	}
}

// print draws how far the job is. steps may be empty.
func (r *run) print(p *printer, steps []fixes.Step) {
	t, now := &p.theme, p.now()
	turning := spinner(r.started, now)
	switch {
	case r.progress.Undoing || r.cancelling:
		p.hanging(t.warn, t.warn, turning+" ", p.T("putting everything back …"))
		p.blank()
	case len(steps) == 0:
		p.hanging(t.strong, t.accent, turning+" ", p.T("working …"))
		p.blank()
	}
	for i := range steps {
		look, mark, markLook := t.dim, "· ", t.dim
		switch {
		case i < r.progress.Step:
			look, mark, markLook = "", "✓ ", t.good
		case i == r.progress.Step && !r.progress.Undoing:
			look, mark, markLook = t.strong, turning+" ", t.accent
		case i == r.progress.Step:
			mark, markLook = "✗ ", t.bad
		}
		if i == r.progress.Step {
			r.line = len(p.lines)
		}
		p.hanging(look, markLook, mark, stepText(p.ui, &steps[i]))
		if i == r.progress.Step {
			r.printNow(p, &steps[i])
		}
	}
	if len(steps) == 0 {
		for _, text := range r.log {
			p.hanging("", t.dim, "· ", text)
		}
		r.printBar(p)
	}
	p.blank()
	p.text(t.dim, p.T("%s so far", p.duration(now.Sub(r.started).Truncate(100*time.Millisecond))))
}

// printNow draws what the current step is doing, where that says more than the
// step itself.
func (r *run) printNow(p *printer, step *fixes.Step) {
	if text := p.say(r.progress.Message); text != "" && text != p.say(step.Why) {
		p.hanging(p.theme.dim, "", "  ", text)
	}
	r.printBar(p)
	if now := r.progress.Transfer; now != nil {
		p.transfer(now)
	}
}

func (r *run) printBar(p *printer) {
	if r.progress.Ratio <= 0 {
		return
	}
	l := newLine(p.room(), "")
	width := max(4, min(40, p.room()-8))
	filled := int(min(1, r.progress.Ratio) * float64(width))
	l.add("", "  ")
	l.add(p.theme.accent, strings.Repeat("█", filled))
	l.add(p.theme.faint, strings.Repeat("░", width-filled))
	l.add(p.theme.dim, fmt.Sprintf(" %3d %%", int(100*min(1, r.progress.Ratio))))
	p.raw(l.end(), p.room())
}

// stepText says what a step does.
func stepText(u *ui, s *fixes.Step) string {
	text := plain(s.Op)
	if s.Target != "" {
		text += " " + plain(s.Target)
	}
	if why := u.say(s.Why); why != "" {
		text += " – " + why
	}
	return text
}
