package tui

import tea "charm.land/bubbletea/v2"

// A watch is the part of a dialog that follows a job to its end.
type watch struct {
	window
	guard
	run  run
	over bool
	err  error // why it came to nothing
}

func watching(u *ui, j *job) watch { return watch{run: run{job: j, started: u.now()}} }

// hear implements listener.
func (d *watch) hear(u *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case progressed:
		if msg.job != d.run.job {
			return nil, false
		}
		d.run.heard(u, msg.Progress)
		return msg.job.next(), true
	case finished:
		if msg.job != d.run.job {
			return nil, false
		}
		if u.now().Sub(d.run.started) > spinAfter {
			d.guard.start(u.now())
		}
		d.window = window{} // the outcome begins at its top
		d.over, d.err = true, msg.err
		return nil, true
	}
	return nil, false
}

func (d *watch) busy() bool { return !d.over }

// key implements dialog.
func (d *watch) key(u *ui, k tea.KeyPressMsg) action {
	if d.guard.holds(u.now()) {
		return nil
	}
	switch name := k.String(); {
	case name == "esc" && !d.over:
		d.run.stop()
	case d.over && (name == "esc" || name == "enter" || name == "q"):
		return closeDialog{}
	default:
		d.scrollKey(name)
	}
	return nil
}
