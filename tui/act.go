package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// whyNoChange says why nothing can be changed at all; zero if it can.
func (m *Model) whyNoChange() checks.Message {
	switch {
	case m.o.ReadOnly:
		return checks.Msg("read-only: plimsoll was started to show, not to change")
	case m.turning:
		return checks.Msg("plimsoll is turning to another engine")
	case m.crew.fixer == nil:
		return checks.Msg("fixing is not available here")
	}
	return checks.Message{}
}

// whyNotFixable says why a finding cannot be fixed now; zero if it can.
func (m *Model) whyNotFixable(r findingRow) checks.Message {
	if why := m.whyNoChange(); !why.IsZero() {
		return why
	}
	kind := r.subject.Ref.Kind
	engine := kind == checks.Container || kind == checks.Image || kind == checks.Host
	switch {
	case !r.finding.Fixable():
		return checks.Msg("this finding has no automatic fix; its explanation says what to do")
	case !r.subject.judged():
		return checks.Msg("the subject is still being read")
	case engine && m.world.engine.Phase != inventory.Connected:
		return checks.Msg("there is no connection to the engine")
	}
	return checks.Message{}
}

func (m *Model) whyNoFix() checks.Message {
	r, ok := m.findings.current()
	if !ok {
		if why := m.whyNoChange(); !why.IsZero() {
			return why
		}
		return checks.Msg("no finding is selected")
	}
	return m.whyNotFixable(r)
}

// fixOne plans the fix of the selected finding.
func (m *Model) fixOne() tea.Cmd {
	r, _ := m.findings.current()
	d, cmd := newFixDialog(&m.ui, m.crew, r.subject.Subject, fixes.Request{Findings: []checks.Finding{*r.finding}})
	m.show(d)
	return cmd
}

// fixSubject is the subject that "fix all" is about: the selected one, else
// that of the selected finding.
func (m *Model) fixSubject() *subject {
	if r, _ := m.subjects.current(); r.subject != nil {
		return r.subject
	}
	if r, ok := m.findings.current(); ok {
		return r.subject
	}
	return nil
}

func (m *Model) whyNoFixAll() checks.Message {
	if m.marked > 0 {
		return m.whyNoChange() // what of it cannot be done is told part by part
	}
	if why := m.whyNoChange(); !why.IsZero() {
		return why
	}
	s := m.fixSubject()
	switch {
	case s == nil:
		return checks.Msg("no subject is selected")
	case s.Ref.Kind == checks.Container && s.judged() && m.world.engine.Phase == inventory.Connected:
		return checks.Message{} // can always be moved to a newer image
	case s.Ref.Kind == checks.Image && s.judged() && m.world.engine.Phase == inventory.Connected:
		if i, ok := s.Subject.(*image.Image); ok && !m.world.uses(i) {
			return checks.Msg("no container uses this image: an image is changed where it is built")
		}
		return checks.Message{} // so can its containers
	}
	for i := range s.Report.Findings {
		if r := (findingRow{finding: &s.Report.Findings[i], subject: s}); r.finding.Fixable() {
			return m.whyNotFixable(r)
		}
	}
	return checks.Msg("none of its findings has an automatic fix")
}

// hintMarked says what F does while something is marked.
func (m *Model) hintMarked() checks.Message {
	if m.marked == 0 {
		return checks.Message{}
	}
	return checks.Msg("plan %d marked", m.marked)
}

func (m *Model) fixAll() tea.Cmd {
	if m.marked > 0 {
		return m.planMarked()
	}
	d := newChooser(m.crew, m.fixSubject())
	m.show(d)
	return d.rest()
}

func (m *Model) whyNoCopy() checks.Message { return m.whyNoFix() }

// copied is what commands a plan that is not shown would run.
type copied struct {
	plan *fixes.Plan
	err  error
}

// copyCommands plans the fix of the selected finding and copies its commands.
func (m *Model) copyCommands() tea.Cmd {
	r, _ := m.findings.current()
	f, ctx, subject := m.crew.fixer, m.crew.ctx, r.subject.Subject
	request := fixes.Request{Findings: []checks.Finding{*r.finding}}
	return func() tea.Msg {
		plan, err := f.Plan(ctx, subject, request)
		return copied{plan, err}
	}
}

func (m *Model) whyNoLedger() checks.Message {
	if m.crew.fixer == nil {
		return checks.Msg("fixing is not available here")
	}
	return checks.Message{}
}

func (m *Model) whyNoUndo() checks.Message { return m.whyNoChange() }

// lastChange is the newest change that can be undone, if any.
type lastChange struct {
	entry ledger.Entry
	rest  []ledger.Entry // done with the same plan, and not undone
	found bool
	err   error // why it cannot be undone, or could not be looked for
}

// undoLast looks for the change to take back and then asks.
func (m *Model) undoLast() tea.Cmd {
	f, ctx := m.crew.fixer, m.crew.ctx
	return func() tea.Msg {
		entries, err := f.Entries()
		if err != nil {
			return lastChange{err: err}
		}
		i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.State == ledger.Applied })
		if i < 0 {
			return lastChange{}
		}
		last := lastChange{entry: entries[i], rest: othersOf(entries[i], entries), found: true}
		last.err = canUndo(ctx, f, last.entry, last.rest)
		return last
	}
}

// canUndo returns why e cannot be undone, together with the rest of its batch
// where there is one, or nil.
func canUndo(ctx context.Context, f fixer.Fixer, e ledger.Entry, rest []ledger.Entry) error {
	if len(rest) > 0 {
		return f.CanUndoBatch(ctx, e.Batch.ID)
	}
	return f.CanUndo(ctx, e.ID)
}

func (m *Model) openLedger() tea.Cmd {
	d := newLedgerPage(m.crew, m.o.ReadOnly)
	m.show(d)
	return d.read()
}

// findInterrupted looks for changes that a crash left unfinished.
func (m *Model) findInterrupted() tea.Cmd {
	f, ctx := m.crew.fixer, m.crew.ctx
	if f == nil || m.o.ReadOnly {
		return nil
	}
	return func() tea.Msg {
		entries, err := f.Interrupted(ctx)
		if err != nil || len(entries) == 0 {
			return nil // asked again when the engine answers; the ledger page shows the error
		}
		all, _ := f.Entries() // what else was done with them; without it, they are told alone
		return interruptedMsg{entries, all}
	}
}

// offerInterrupted opens a question for each unfinished change not yet offered.
func (m *Model) offerInterrupted(msg interruptedMsg) {
	for _, e := range msg.entries {
		if m.offered[e.ID] {
			continue
		}
		m.offered[e.ID] = true
		q := newRecovery(m.crew, e, msg.all)
		q.guard.start(m.now())
		m.show(q)
	}
}

// answer handles what commands of the main screen bring back.
func (m *Model) answer(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case copied:
		if msg.err != nil {
			m.status = status{m.err(msg.err), true}
			return nil
		}
		return m.perform(copyText(&m.ui, msg.plan.Commands()))
	case turned:
		return m.hasTurned(msg)
	case lastChange:
		switch {
		case msg.err != nil:
			m.status = status{m.T("undo: %s", m.err(msg.err)), true}
		case !msg.found:
			m.status = status{m.T("nothing to undo"), true}
		default:
			q := newUndoQuestion(m.crew, msg.entry, msg.rest)
			q.guard.start(m.now())
			m.show(q)
		}
	}
	return nil
}
