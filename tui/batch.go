package tui

import (
	"cmp"
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/fixes"
)

// A batchDialog takes one plan over many subjects from its parts to what became
// of each. Nothing is applied before its preview was confirmed.
type batchDialog struct {
	window
	guard
	m    *Model
	crew *crew
	asks []fixes.Ask

	refused []fixes.Part // that were given up before

	stage   stage
	since   time.Time // when this stage began
	round   int       // counts questions, so that late answers can be told
	giveUp  context.CancelFunc
	batch   *fixes.Batch
	effect  *attack.Effect    // on the attack paths; nil until it is known
	left    map[identity]bool // parts that the user leaves out
	cursor  int
	moved   bool // the cursor did, so that its part comes into sight
	policy  fixes.OnFailure
	run     run
	receipt *fixes.BatchReceipt
	err     error
}

type (
	batchPlanned struct {
		by    *batchDialog
		round int
		batch *fixes.Batch
		err   error
	}
	batchFetched struct {
		job     *job
		asks    []fixes.Ask
		refused []fixes.Part // whose image could not be had
		err     error
	}
)

func newBatchDialog(m *Model, asks []fixes.Ask) (*batchDialog, tea.Cmd) {
	d := &batchDialog{m: m, crew: m.crew, asks: asks, since: m.now(), policy: fixes.Keep, left: map[identity]bool{}}
	return d, d.replan()
}

// replan asks for a plan of what is asked now.
func (d *batchDialog) replan() tea.Cmd {
	if d.giveUp != nil {
		d.giveUp()
	}
	d.round++
	ctx, cancel := context.WithCancel(d.crew.ctx)
	d.giveUp = cancel
	f, asks, round := d.crew.fixer, d.asks, d.round
	return func() tea.Msg {
		defer cancel()
		batch, err := f.PlanBatch(ctx, asks)
		return batchPlanned{d, round, batch, err}
	}
}

// hear implements listener.
func (d *batchDialog) hear(u *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case batchPlanned:
		if msg.by != d {
			return nil, false
		}
		if msg.round == d.round {
			d.answered(u, msg)
			return d.askEffect(), true
		}
	case effectKnown:
		if msg.by != d {
			return nil, false
		}
		if msg.round == d.round {
			d.effect = &msg.effect
		}
	case progressed:
		if msg.job != d.run.job {
			return nil, false
		}
		if d.run.heard(u, msg.Progress); msg.Part > 0 {
			d.reveal(d.run.line + 4)
		}
		return msg.job.next(), true
	case batchFetched:
		if msg.job != d.run.job {
			return nil, false
		}
		if msg.err != nil {
			d.ended(u, finished{job: msg.job, err: msg.err})
			return nil, true
		}
		d.asks, d.stage, d.since, d.window = msg.asks, planning, u.now(), window{}
		d.refused = append(d.refused, msg.refused...)
		return d.replan(), true
	case finished:
		if msg.job != d.run.job {
			return nil, false
		}
		d.ended(u, msg)
	default:
		return nil, false
	}
	return nil, true
}

// answered takes in a plan.
func (d *batchDialog) answered(u *ui, msg batchPlanned) {
	if msg.err != nil {
		d.stage, d.err = failed, msg.err
		return
	}
	if u.now().Sub(d.since) > spinAfter {
		d.guard.start(u.now())
	}
	d.stage, d.batch = preview, msg.batch
	d.batch.Parts = append(d.batch.Parts, d.refused...)
	d.cursor, d.moved = max(0, min(d.cursor, len(d.batch.Parts)-1)), true
}

// askEffect asks what the parts that are not left out do to the attack paths.
func (d *batchDialog) askEffect() tea.Cmd {
	d.effect = nil
	if d.stage != preview {
		return nil
	}
	var now, after []checks.Subject
	for _, p := range d.chosen().Parts {
		if p.Applicable() && p.Plan.Fetch == "" {
			for _, ask := range p.Asks {
				now = append(now, ask.Subject)
			}
			after = append(after, p.Plan.After...)
		}
	}
	return d.crew.effect(d, d.round, now, after)
}

// ended takes in how it went.
func (d *batchDialog) ended(u *ui, msg finished) {
	if u.now().Sub(d.run.started) > spinAfter {
		d.guard.start(u.now())
	}
	d.window = window{}
	d.stage, d.receipt, d.err = done, msg.batch, msg.err
	if msg.err != nil {
		d.stage = failed
	} else {
		d.m.clearMarks()
	}
}

// busy implements busy.
func (d *batchDialog) busy() bool { return d.stage == planning || d.working() }

// working implements worker.
func (d *batchDialog) working() bool { return d.stage == fetching || d.stage == applying }

// part returns the part under the cursor.
func (d *batchDialog) part() *fixes.Part {
	if d.batch == nil || d.cursor >= len(d.batch.Parts) {
		return nil
	}
	return &d.batch.Parts[d.cursor]
}

// out reports whether the user leaves a part out.
func (d *batchDialog) out(p *fixes.Part) bool {
	ref := p.Subject()
	return d.left[identity{ref.Kind, ref.ID}]
}

// chosen returns the batch without the parts that are left out.
func (d *batchDialog) chosen() *fixes.Batch {
	b := &fixes.Batch{ID: d.batch.ID}
	for i := range d.batch.Parts {
		if p := &d.batch.Parts[i]; !d.out(p) {
			b.Parts = append(b.Parts, *p)
		}
	}
	return b
}

// key implements dialog.
func (d *batchDialog) key(u *ui, k tea.KeyPressMsg) action {
	name := k.String()
	if d.guard.holds(u.now()) {
		return nil
	}
	switch d.stage {
	case planning:
		if name == "esc" || name == "q" {
			d.giveUp()
			return closeDialog{}
		}
	case preview:
		return d.previewKey(u, name)
	case fetching, applying:
		if name == "esc" {
			d.run.stop()
		} else {
			d.scrollKey(name)
		}
	case done, failed:
		return d.endKey(u, name)
	}
	return nil
}

func (d *batchDialog) previewKey(u *ui, name string) action {
	last := len(d.batch.Parts) - 1
	switch name {
	case "esc", "q":
		return closeDialog{}
	case "up", "k":
		d.to(d.cursor - 1)
	case "down", "j":
		d.to(d.cursor + 1)
	case "home", "g":
		d.to(0)
	case "end", "G":
		d.to(last)
	case "pgup":
		d.scrollBy(-max(1, d.h-1))
	case "pgdown":
		d.scrollBy(max(1, d.h-1))
	case "space", "x":
		if p := d.part(); p != nil && p.Applicable() {
			ref := p.Subject()
			d.left[identity{ref.Kind, ref.ID}] = !d.out(p)
			d.round++ // what is on its way is about other parts
			return d.askEffect()
		}
	case "t":
		if d.policy == fixes.Keep {
			d.policy = fixes.TakeBack
		} else {
			d.policy = fixes.Keep
		}
	case "y":
		return copyText(u, d.chosen().Commands())
	case "o", "right", "l":
		return d.open(u)
	case "enter":
		return d.confirm(u)
	}
	return nil
}

func (d *batchDialog) to(row int) {
	d.cursor, d.moved = max(0, min(row, len(d.batch.Parts)-1)), true
}

// open shows one part as a plan by itself, whose values can be changed.
func (d *batchDialog) open(u *ui) action {
	p := d.part()
	if p == nil {
		return nil
	}
	if p.Plan == nil {
		return say{u.err(p.Err), true}
	}
	part := newPartDialog(d, *p)
	return actions{openDialog{part}, part.askEffect()}
}

// decided takes over what was decided in a part that was opened.
func (d *batchDialog) decided(u *ui, ask fixes.Ask) tea.Cmd {
	d.asks = nil
	for i := range d.batch.Parts[:len(d.batch.Parts)-len(d.refused)] {
		for _, other := range d.batch.Parts[i].Asks {
			if other.Subject.Ref() == ask.Subject.Ref() {
				other = ask
			}
			d.asks = append(d.asks, other)
		}
	}
	d.stage, d.since = planning, u.now()
	return d.replan()
}

func (d *batchDialog) confirm(u *ui) action {
	b := d.chosen()
	if b.Applicable() == 0 {
		return say{u.T("no part of it can be carried out"), true}
	}
	return d.crew.unlocked(u, b.Kind(false), func(u *ui) action {
		if waiting(b) {
			return d.fetch(u, b)
		}
		return d.apply(u, b)
	})
}

// waiting reports whether a part waits for an image.
func waiting(b *fixes.Batch) bool {
	for i := range b.Parts {
		if p := &b.Parts[i]; p.Applicable() && p.Plan.Fetch != "" {
			return true
		}
	}
	return false
}

// fetch gets the images that parts wait for.
func (d *batchDialog) fetch(u *ui, b *fixes.Batch) action {
	f := d.crew.fixer
	d.stage, d.window = fetching, window{}
	known := len(d.refused) // they are the last
	job, cmd := d.crew.report(func(ctx context.Context, j *job, progress func(fixes.Progress)) tea.Msg {
		got := batchFetched{job: j}
		for _, p := range b.Parts[:len(b.Parts)-known] {
			id := ""
			if p.Applicable() && p.Plan.Fetch != "" {
				if id, p.Err = f.Fetch(ctx, p.Plan, progress); p.Err != nil {
					got.refused = append(got.refused, p)
					continue
				}
			}
			for _, ask := range p.Asks {
				ask.Request.Fetched = cmp.Or(id, ask.Request.Fetched)
				got.asks = append(got.asks, ask)
			}
		}
		if got.err = ctx.Err(); got.err == nil && len(got.asks) == 0 {
			got.err = got.refused[0].Err
		}
		return got
	})
	d.run = run{job: job, started: u.now()}
	return cmd
}

func (d *batchDialog) apply(u *ui, b *fixes.Batch) action {
	f, o := d.crew.fixer, fixes.BatchOptions{OnFailure: d.policy}
	d.batch, d.stage, d.window = b, applying, window{}
	job, cmd := d.crew.report(func(ctx context.Context, j *job, progress func(fixes.Progress)) tea.Msg {
		receipt, err := f.ApplyBatch(ctx, b, o, progress)
		return finished{job: j, batch: receipt, err: err}
	})
	d.run = run{job: job, started: u.now()}
	return cmd
}

func (d *batchDialog) endKey(u *ui, name string) action {
	switch {
	case name == "esc" || name == "enter" || name == "q":
		return closeDialog{}
	case name == "u" && d.receipt != nil && d.receipt.Done() > 0:
		return d.crew.undoBatch(u, d.batch.Kind(false), d.batch.ID)
	case name == "c" && len(d.deploys()) > 0:
		return d.crew.deployAll(u, d.deploys())
	}
	d.scrollKey(name)
	return nil
}

// deploys returns the entries whose files what runs does not follow yet.
func (d *batchDialog) deploys() []string {
	if d.receipt == nil {
		return nil
	}
	var ids []string
	for _, plan := range d.batch.Deploys() {
		for i := range d.batch.Parts {
			if r := d.receipt.Receipts[i]; r != nil && d.batch.Parts[i].Plan == plan {
				ids = append(ids, r.Entry)
			}
		}
	}
	return ids
}

// notBegun counts the parts that were not begun after one has failed.
func (d *batchDialog) notBegun() int {
	if d.receipt == nil || d.receipt.Failed < 0 {
		return 0
	}
	return max(0, d.batch.Applicable()-d.receipt.Failed-1)
}
