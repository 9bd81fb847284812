package tui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks/attack"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// A crew carries out what dialogs ask for, off the screen's goroutine.
type crew struct {
	// ctx ends with the program. Bubble Tea gives commands no context, so it
	// has to be kept here.
	ctx    context.Context
	fixer  fixer.Fixer
	lock   lock           // of a remote engine
	prover Prover         // nil where nothing can be built
	jobs   sync.WaitGroup // changes under way; Run waits for them

	pause time.Duration // after which typing, or the cursor, has come to rest

	// paths returns the attack paths of what is shown, for another goroutine.
	paths func() *attack.Map
}

// A job is a change that is being carried out.
type job struct {
	cancel   context.CancelFunc
	progress chan fixes.Progress
}

type (
	planned struct { // for is the dialog that asked, round its question
		by    *fixDialog
		round int
		plan  *fixes.Plan
		err   error
	}
	progressed struct {
		job *job
		fixes.Progress
	}
	fetched struct {
		job   *job
		image string
		err   error
	}
	finished struct {
		job     *job
		receipt *fixes.Receipt      // nil for undo, recovery and a batch
		batch   *fixes.BatchReceipt // nil for anything else
		err     error
	}
)

// plan makes a plan. It can be given up by cancel.
func (c *crew) plan(by *fixDialog, round int) (tea.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.ctx)
	make, subject, r := by.planner, by.subject, by.request
	return func() tea.Msg {
		defer cancel()
		plan, err := make(ctx, subject, r)
		return planned{by, round, plan, err}
	}, cancel
}

// start begins work, whose progress comes as messages until it has finished.
func (c *crew) start(work func(context.Context, func(fixes.Progress)) (*fixes.Receipt, error)) (*job, tea.Cmd) {
	return c.report(func(ctx context.Context, j *job, progress func(fixes.Progress)) tea.Msg {
		receipt, err := work(ctx, progress)
		return finished{job: j, receipt: receipt, err: err}
	})
}

// fetch gets the image that a plan needs.
func (c *crew) fetch(plan *fixes.Plan) (*job, tea.Cmd) {
	f := c.fixer
	return c.report(func(ctx context.Context, j *job, progress func(fixes.Progress)) tea.Msg {
		image, err := f.Fetch(ctx, plan, progress)
		return fetched{j, image, err}
	})
}

// report begins work that ends with a message of its own.
func (c *crew) report(work func(context.Context, *job, func(fixes.Progress)) tea.Msg) (*job, tea.Cmd) {
	ctx, cancel := context.WithCancel(c.ctx)
	j := &job{cancel, make(chan fixes.Progress, 16)}
	program := c.ctx
	c.jobs.Add(1)
	do := func() tea.Msg {
		defer c.jobs.Done()
		defer cancel()
		defer close(j.progress)
		return work(ctx, j, func(p fixes.Progress) {
			select {
			case j.progress <- p:
			case <-program.Done(): // nobody looks any more
			}
		})
	}
	return j, tea.Batch(do, j.next())
}

// aside carries out what changes nothing, and can be given up by cancel. The
// program does not end before it has.
func (c *crew) aside(do func(context.Context) tea.Msg) (tea.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.jobs.Add(1)
	return func() tea.Msg {
		defer c.jobs.Done()
		defer cancel()
		return do(ctx)
	}, cancel
}

// next waits for the next progress of a job.
func (j *job) next() tea.Cmd {
	return func() tea.Msg {
		if p, ok := <-j.progress; ok {
			return progressed{j, p}
		}
		return nil
	}
}
