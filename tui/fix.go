package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/fixes"
)

// A stage is how far a fix dialog is.
type stage int

const (
	planning stage = iota
	preview
	fetching
	applying
	done
	failed
)

// A fixDialog takes one request from plan to receipt. Nothing is applied before
// its preview was confirmed.
type fixDialog struct {
	window
	guard
	crew    *crew
	subject checks.Subject
	request fixes.Request
	planner planner
	into    *batchDialog // of which this shows a part, nothing is applied here; nil for a plan by itself

	stage    stage
	since    time.Time // when this stage began
	round    int       // counts questions, so that late answers can be told
	giveUp   context.CancelFunc
	stale    bool // the preview does not show the values typed
	plan     *fixes.Plan
	effect   *attack.Effect // on the attack paths; nil until it is known
	form     form
	proof    *proofDialog // of the plan by building; nil when it was not asked for
	commands bool         // shown in the preview
	edited   bool         // the values are others than at first
	run      run
	receipt  *fixes.Receipt
	err      error
}

// replanNow is sent when the user has stopped typing.
type replanNow struct {
	by    *fixDialog
	round int
}

const typingPause = 300 * time.Millisecond

func newFixDialog(u *ui, c *crew, subject checks.Subject, r fixes.Request) (*fixDialog, tea.Cmd) {
	return newPlanDialog(u, c, subject, r, c.fixer.Plan)
}

// newPlanDialog takes what plan makes from plan to receipt.
func newPlanDialog(u *ui, c *crew, subject checks.Subject, r fixes.Request, plan planner) (*fixDialog, tea.Cmd) {
	d := &fixDialog{crew: c, subject: subject, request: r, planner: plan, since: u.now()}
	return d, d.replan()
}

// newPartDialog shows a part of a batch. Its values can be changed where one
// subject was asked for, whose plan is made by itself.
func newPartDialog(into *batchDialog, p fixes.Part) *fixDialog {
	ask := p.Asks[0]
	d := &fixDialog{crew: into.crew, subject: ask.Subject, request: ask.Request, planner: into.crew.fixer.Plan,
		into: into, stage: preview, plan: p.Plan, giveUp: func() {}}
	if len(p.Asks) == 1 && len(p.Plan.Members) == 0 {
		d.form.update(d.request, p.Plan)
	}
	return d
}

// takeOver goes back to the batch, with what was decided here.
func (d *fixDialog) takeOver(u *ui) action {
	switch {
	case d.form.problem != "":
		return say{d.form.problem, true}
	case d.stale:
		return say{u.T("planning with the new values …"), true}
	case !d.edited:
		return closeDialog{}
	}
	return actions{closeDialog{}, d.into.decided(u, fixes.Ask{Subject: d.subject, Request: d.request})}
}

// A planner makes the plan for a request; see [fixer.Fixer].
type planner func(context.Context, checks.Subject, fixes.Request) (*fixes.Plan, error)

// replan asks for a plan with the request as it is now.
func (d *fixDialog) replan() tea.Cmd {
	if d.giveUp != nil {
		d.giveUp()
	}
	d.round++
	var cmd tea.Cmd
	cmd, d.giveUp = d.crew.plan(d, d.round)
	return cmd
}

// hear implements listener.
func (d *fixDialog) hear(u *ui, msg tea.Msg) (action, bool) {
	switch msg := msg.(type) {
	case planned:
		if msg.by != d {
			return nil, false
		}
		if msg.round == d.round {
			return d.answered(u, msg), true
		}
	case effectKnown:
		if msg.by != d {
			return nil, false
		}
		if msg.round == d.round {
			d.effect = &msg.effect
		}
	case replanNow:
		if msg.by != d {
			return nil, false
		}
		if msg.round == d.round && d.stage == preview {
			return d.replan(), true
		}
	case progressed:
		if msg.job != d.run.job {
			return nil, false
		}
		if d.run.heard(u, msg.Progress); msg.Step > 0 {
			d.reveal(d.run.line + 4) // what comes after the step that is under way
		}
		return msg.job.next(), true
	case fetched:
		if msg.job != d.run.job {
			return nil, false
		}
		return d.fetched(u, msg), true
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

// answered takes in a plan, and asks what it does to the attack paths.
func (d *fixDialog) answered(u *ui, msg planned) tea.Cmd {
	d.stale = false
	if msg.err != nil {
		if d.stage == preview { // of other values: keep them to be corrected
			d.form.problem = u.err(msg.err)
			d.stale = true
			return nil
		}
		d.stage, d.err = failed, msg.err
		return nil
	}
	if d.stage == planning && u.now().Sub(d.since) > spinAfter {
		d.guard.start(u.now())
	}
	d.stage, d.plan, d.proof, d.effect = preview, msg.plan, nil, nil
	d.form.update(d.request, msg.plan)
	return d.askEffect()
}

// askEffect asks what the plan does to the attack paths, where it says how things
// would be.
func (d *fixDialog) askEffect() tea.Cmd {
	if d.plan.Fetch != "" || !d.plan.Blocked.IsZero() {
		return nil
	}
	return d.crew.effect(d, d.round, []checks.Subject{d.subject}, d.plan.After)
}

// ended takes in how the application went.
func (d *fixDialog) ended(u *ui, msg finished) {
	if u.now().Sub(d.run.started) > spinAfter {
		d.guard.start(u.now())
	}
	d.window = window{}
	d.stage, d.receipt, d.err = done, msg.receipt, msg.err
	if msg.err != nil {
		d.stage = failed
	}
}

// busy implements busy.
func (d *fixDialog) busy() bool { return d.stage == planning || d.working() }

// working implements worker.
func (d *fixDialog) working() bool { return d.stage == fetching || d.stage == applying }

// key implements dialog.
func (d *fixDialog) key(u *ui, k tea.KeyPressMsg) action {
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
		return d.previewKey(u, k)
	case fetching, applying:
		if name == "esc" {
			d.run.stop()
		} else {
			d.scrollKey(name)
		}
	case done:
		if name == "u" && d.receipt != nil {
			return d.crew.begin(u, d.subject.Ref().Kind, checks.Msg("Undo"), undoing(d.crew, d.receipt.Entry))
		}
		if name == "c" && len(d.plan.Deploy) > 0 {
			return d.crew.deploy(u, d.plan.ID)
		}
		if name == "w" && d.temporary() {
			next, cmd := newFixDialog(u, d.crew, d.subject, fixes.Request{WriteBack: true})
			return actions{replaceWith{next}, cmd}
		}
		fallthrough
	case failed:
		if name == "esc" || name == "enter" || name == "q" {
			return closeDialog{}
		}
		d.scrollKey(name)
	}
	return nil
}

func (d *fixDialog) previewKey(u *ui, k tea.KeyPressMsg) action {
	name := k.String()
	if d.form.focused() {
		changed, handled := d.form.key(k)
		if changed {
			return d.changed()
		}
		if handled {
			d.reveal(d.form.line)
			return nil
		}
	}
	switch name {
	case "esc", "q":
		d.giveUp()
		return closeDialog{}
	case "tab", "shift+tab":
		d.form.next(name == "tab")
		d.reveal(d.form.line)
	case "d":
		d.commands = !d.commands
	case "b":
		if reason := d.whyNotProve(u); reason != "" {
			return say{u.T("proof by building: %s", reason), true}
		}
		if d.proof.proof() != nil {
			return openDialog{d.proof}
		}
		// It leaves nothing behind, but it takes the time and the disk of the engine.
		return d.crew.unlocked(u, checks.Image, func(u *ui) action {
			var cmd tea.Cmd
			d.proof, cmd = newProof(u, d.crew, d.subject.(*dockerfile.File), d.plan)
			return actions{openDialog{d.proof}, cmd}
		})
	case "y":
		return copyText(u, d.plan.Commands())
	case "enter":
		if d.into != nil {
			return d.takeOver(u)
		}
		if reason := d.whyNotApply(u); reason != "" {
			return say{reason, true}
		}
		return d.crew.unlocked(u, d.subject.Ref().Kind, d.apply)
	default:
		d.scrollKey(name)
	}
	return nil
}

// changed asks for a new plan once the user has stopped typing.
func (d *fixDialog) changed() action {
	d.form.problem = d.form.check()
	d.stale, d.edited, d.proof = true, true, nil
	d.round++ // whatever is under way answers another question
	if d.form.problem != "" {
		return nil
	}
	d.request = d.form.request(d.request)
	msg := replanNow{d, d.round}
	return tea.Tick(d.crew.pause, func(time.Time) tea.Msg { return msg })
}

// whyNotApply says why the plan cannot be applied, or "".
func (d *fixDialog) whyNotApply(u *ui) string {
	switch {
	case d.form.problem != "":
		return d.form.problem
	case d.stale:
		return u.T("planning with the new values …")
	case !d.plan.Blocked.IsZero():
		return u.say(d.plan.Blocked)
	}
	return ""
}

// temporary reports whether what was done lasts only until docker compose
// starts the container the next time.
func (d *fixDialog) temporary() bool {
	c, ok := d.subject.(*container.Container)
	if !ok || d.plan.Mechanism != fixes.Update {
		return false
	}
	_, _, ok = compose.MadeFrom(c)
	return ok
}

// provable reports whether the plan is of a kind that is proved by building.
func (d *fixDialog) provable() bool {
	_, ok := d.subject.(*dockerfile.File)
	return ok && len(d.plan.Files) > 0 && len(d.plan.Cures) > 0
}

// whyNotProve says why the plan cannot be proved by building, or "".
func (d *fixDialog) whyNotProve(u *ui) string {
	switch {
	case !d.provable():
		return u.T("only changes of a Dockerfile are built")
	case d.crew.prover == nil:
		return u.T("there is no connection to the engine")
	}
	return d.whyNotApply(u)
}

func (d *fixDialog) apply(u *ui) action {
	f, plan := d.crew.fixer, d.plan
	d.stage, d.window = applying, window{}
	if plan.Fetch != "" {
		job, cmd := d.crew.fetch(plan)
		d.stage = fetching
		d.run = run{job: job, started: u.now()}
		return cmd
	}
	job, cmd := d.crew.start(func(ctx context.Context, progress func(fixes.Progress)) (*fixes.Receipt, error) {
		return f.Apply(ctx, plan, progress)
	})
	d.run = run{job: job, started: u.now()}
	return cmd
}

// fetched goes on with what the engine has got: it is planned with, and shown
// before anything is replaced.
func (d *fixDialog) fetched(u *ui, msg fetched) action {
	if msg.err != nil {
		d.ended(u, finished{job: msg.job, err: msg.err})
		return nil
	}
	d.request.Fetched = msg.image
	d.stage, d.since, d.window = planning, u.now(), window{}
	return d.replan()
}

// paste implements paster.
func (d *fixDialog) paste(_ *ui, text string) action {
	if d.stage == preview && d.form.paste(text) {
		return d.changed()
	}
	return nil
}

// copyText puts commands on the clipboard of the terminal.
func copyText(u *ui, commands []string) action {
	if len(commands) == 0 {
		return say{u.T("there is no equivalent command: the change is in the file"), true}
	}
	text := ""
	for _, c := range commands {
		text += c + "\n"
	}
	return actions{tea.SetClipboard(text), say{u.N(
		checks.Msg("%d command copied, if your terminal allows it"),
		checks.Msg("%d commands copied, if your terminal allows it"), len(commands)), false}}
}
