package tui

import (
	"context"
	"image"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/inventory"
	"plimsoll/fixes/ledger"
)

// A pane is one of the three columns.
type pane int

const (
	subjectsPane pane = iota
	findingsPane
	detailPane
	panes
)

// ui is what everything that draws needs.
type ui struct {
	tongue
	theme  theme
	dark   bool
	height int // of the screen
	now    func() time.Time
}

// Model is the only tea.Model of the program.
type Model struct {
	ui
	o    Options
	crew *crew

	size  image.Point
	area  areas
	focus pane

	world         world
	journal       journal
	version       int // of the world: counts updates
	profile       checks.Profile
	sieve         sieve
	order         order
	wanted        checks.Ref // selected by the user; survives updates
	wantedFinding findingKey

	subjects list[subjectRow]
	findings list[findingRow]
	spare    []findingRow // the buffer of the rows before
	detail   detail

	kin         inventory.Kinship
	followed    *trail // of the finding that was last looked at
	followedFor trailKey

	keys    []binding
	filter  *field // being typed, else nil
	status  status
	dialogs []dialog
	marks   map[findingKey]bool // for one plan
	marked  int                 // of them are there now
	safe    bool                // something shown can be fixed without a decision

	offered map[string]bool // interrupted entries that were offered already
	turning bool            // to another engine
	ticking bool            // a tick is on its way
}

// New returns the screen. Its commands end when ctx does.
func New(ctx context.Context, o Options) *Model {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Explain == nil {
		o.Explain = assets.Explain
	}
	if o.Language == "" {
		o.Language = assets.English
	}
	if o.Profile == "" {
		o.Profile = checks.Security
	}
	m := &Model{o: o, profile: o.Profile, offered: map[string]bool{}, marks: map[findingKey]bool{}}
	m.crew = &crew{ctx: ctx, fixer: o.Fixer, prover: o.Prover, pause: typingPause, paths: func() *attack.Map { return m.world.attack.Copy() }}
	m.tongue = newTongue(o.Language)
	m.now = o.Now
	m.sieve.chapter = -1
	m.keys = bindings()
	m.setDark(true) // until the terminal answers
	m.refreshSubjects()
	return m
}

func (m *Model) setDark(dark bool) {
	m.dark, m.theme = dark, newTheme(dark)
	m.redraw()
}

// redraw forgets everything that was drawn.
func (m *Model) redraw() {
	m.subjects.forget()
	m.findings.forget()
	m.detail.forget()
}

type (
	updateMsg      inventory.Update
	tickMsg        struct{}
	interruptedMsg struct{ entries, all []ledger.Entry }
)

// A status is the last line for a while.
type status struct {
	text string
	bad  bool
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, m.next(), m.findInterrupted())
}

// next waits for one update, or until the program ends.
func (m *Model) next() tea.Cmd {
	ctx, updates := m.crew.ctx, m.o.Updates
	if updates == nil {
		return nil
	}
	return func() tea.Msg {
		select {
		case <-ctx.Done():
			return nil
		case u, ok := <-updates:
			if !ok {
				return nil
			}
			return updateMsg(u)
		}
	}
}

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.update(msg)
	return m, tea.Batch(cmd, m.tick())
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.size, m.height = image.Pt(msg.Width, msg.Height), msg.Height
		m.resize()
	case tea.BackgroundColorMsg:
		m.setDark(msg.IsDark())
	case updateMsg:
		return m.updated(inventory.Update(msg))
	case tickMsg:
		m.ticking = false
	case bookMsg:
		return m.bookRead(msg)
	case saveMsg:
		return m.write()
	case savedMsg:
		m.journal.err = msg.err
	case interruptedMsg:
		m.offerInterrupted(msg)
	case tea.PasteMsg:
		return m.paste(msg.Content)
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.MouseClickMsg:
		return m.click(msg)
	case tea.MouseWheelMsg:
		m.wheel(msg)
	default:
		told := m.tell(msg)
		for _, d := range m.dialogs {
			if l, ok := d.(listener); ok {
				if a, mine := l.hear(&m.ui, msg); mine {
					return tea.Batch(told, m.perform(a))
				}
			}
		}
		return tea.Batch(told, m.answer(msg))
	}
	return nil
}

func (m *Model) updated(u inventory.Update) tea.Cmd {
	arrived := m.world.engine.Phase != inventory.Connected && u.Engine.Phase == inventory.Connected
	other := m.world.engine.Endpoint != u.Engine.Endpoint || m.world.engine.Context != u.Engine.Context
	m.world.apply(u)
	m.lock()
	m.version++
	if other {
		u.Removed = nil // they are out of sight, not gone
	}
	cmds := []tea.Cmd{m.next(), m.remember(u)}
	m.refreshSubjects()
	if arrived {
		cmds = append(cmds, m.findInterrupted())
	}
	return tea.Batch(cmds...)
}

// tick asks for one message soon if something on the screen moves by itself.
// Nothing ticks otherwise, so that an idle screen costs nothing.
func (m *Model) tick() tea.Cmd {
	if m.ticking {
		return nil
	}
	var every time.Duration
	for _, d := range m.dialogs {
		if b, ok := d.(busy); ok && b.busy() {
			every = spinEvery
		}
	}
	if every == 0 && m.world.disconnected() && m.world.engine.Retry.After(m.now()) {
		every = time.Second
	}
	if every == 0 {
		return nil
	}
	m.ticking = true
	return tea.Tick(every, func(time.Time) tea.Msg { return tickMsg{} })
}

// key gives a key to whoever is in front: the filter, a dialog, the panes.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	m.status = status{}
	if k.String() == "ctrl+c" {
		return m.quit()
	}
	if n := len(m.dialogs); n > 0 {
		return m.perform(m.dialogs[n-1].key(&m.ui, k))
	}
	if m.filter != nil {
		m.typeFilter(k)
		return nil
	}
	if b := m.bound(k.String()); b != nil {
		return m.press(b)
	}
	return nil
}

// press does what a binding does, or says why not.
func (m *Model) press(b *binding) tea.Cmd {
	if b.why != nil {
		if reason := b.why(m); !reason.IsZero() {
			m.status = status{m.T("%s: %s", b.show, m.told(reason)), true}
			return nil
		}
	}
	return b.do(m)
}

func (m *Model) paste(text string) tea.Cmd {
	if n := len(m.dialogs); n > 0 {
		if p, ok := m.dialogs[n-1].(paster); ok {
			return m.perform(p.paste(&m.ui, text))
		}
		return nil
	}
	if m.filter != nil {
		m.filter.insert(text)
		m.applyFilter()
	}
	return nil
}
