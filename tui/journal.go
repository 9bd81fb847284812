package tui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/tui/history"
)

// History is where the screen remembers findings; nil: nowhere.
type History struct {
	Store *history.Store
	Root  string // absolute folder that files are told from

	// Asked returns the checks that are asked of a kind under a profile.
	Asked func(kind checks.Kind, profile checks.Profile) []string

	ReadOnly bool          // remember nothing, only tell
	Delay    time.Duration // how long changes are gathered before they are written; 0: five seconds
}

// A journal is the part of the history that the screen needs: a book for the
// files and one for the engine, each from when it was read.
type journal struct {
	books    map[string]*history.Book // by scope
	loading  map[string]bool
	err      error
	profiles []checks.Profile // that were seen; only checks of all of them can tell that something was fixed
	saving   bool             // a save is on its way
}

type (
	bookMsg struct {
		scope string
		book  *history.Book
		seen  map[*subject]bool // taken in already
		err   error
	}
	saveMsg  struct{} // it is time to save
	savedMsg struct{ err error }
)

// scopeOf returns the scope of a kind, "" while it is not known.
func (m *Model) scopeOf(kind checks.Kind) string {
	if m.o.History == nil {
		return ""
	}
	if kind == checks.Dockerfile || kind == checks.Compose {
		return "files " + m.o.History.Root
	}
	for key := range m.world.subjects {
		if key.kind == checks.Host && key.id != "" {
			return "engine " + key.id
		}
	}
	return ""
}

// scopeKinds are the kinds of a scope.
func scopeKinds(scope string) []checks.Kind {
	if strings.HasPrefix(scope, "files ") {
		return []checks.Kind{checks.Dockerfile, checks.Compose}
	}
	return []checks.Kind{checks.Container, checks.Image, checks.Host}
}

// bookOf returns the history of a kind, nil while it is not read.
func (m *Model) bookOf(kind checks.Kind) *history.Book { return m.journal.books[m.scopeOf(kind)] }

// asked reports whether a check of a kind was asked under every profile that
// there was: what is not found by a check that was not asked is not fixed.
func (m *Model) asked(kind checks.Kind) func(check string) bool {
	if !slices.Contains(m.journal.profiles, m.profile) {
		m.journal.profiles = append(m.journal.profiles, m.profile)
	}
	return askedOf(m.o.History, kind, slices.Clone(m.journal.profiles))
}

func askedOf(h *History, kind checks.Kind, profiles []checks.Profile) func(string) bool {
	lists := make([]map[string]bool, len(profiles))
	for i, p := range profiles {
		lists[i] = map[string]bool{}
		for _, id := range h.Asked(kind, p) {
			lists[i][id] = true
		}
	}
	return func(check string) bool {
		return !slices.ContainsFunc(lists, func(l map[string]bool) bool { return !l[check] })
	}
}

// remember takes an update into the history, and reads a book when its scope
// becomes known.
func (m *Model) remember(u inventory.Update) tea.Cmd {
	if m.o.History == nil {
		return nil
	}
	now := m.now()
	asked := map[checks.Kind]func(string) bool{}
	for i := range u.Items {
		item := &u.Items[i]
		b := m.bookOf(item.Ref.Kind)
		if b == nil {
			continue
		}
		if asked[item.Ref.Kind] == nil {
			asked[item.Ref.Kind] = m.asked(item.Ref.Kind)
		}
		b.Observe(m.o.History.Root, item, asked[item.Ref.Kind], now)
	}
	if m.world.complete && m.world.engine.Phase == inventory.Connected {
		for _, ref := range u.Removed {
			if b := m.bookOf(ref.Kind); b != nil && !m.named(ref) {
				b.Gone(history.PlaceOf(m.o.History.Root, ref), now)
			}
		}
	}
	cmds := []tea.Cmd{m.save()}
	for _, kind := range []checks.Kind{checks.Dockerfile, checks.Host} {
		cmds = append(cmds, m.loadBook(m.scopeOf(kind)))
	}
	return tea.Batch(cmds...)
}

// named reports whether another subject has the name of ref: a container that
// was created anew.
func (m *Model) named(ref checks.Ref) bool {
	for key, s := range m.world.subjects {
		if key.kind == ref.Kind && s.Ref.Name == ref.Name {
			return true
		}
	}
	return false
}

// loadBook reads the book of a scope once everything of it has been read, and
// takes in what there is.
func (m *Model) loadBook(scope string) tea.Cmd {
	j := &m.journal
	if scope == "" || j.loading[scope] || !m.world.complete {
		return nil
	}
	if j.loading == nil {
		j.loading, j.books = map[string]bool{}, map[string]*history.Book{}
	}
	j.loading[scope] = true
	kinds, h, now := scopeKinds(scope), m.o.History, m.now()
	whole := !strings.HasPrefix(scope, "engine ") || m.world.engine.Phase == inventory.Connected
	var items []inventory.Item
	seen := map[*subject]bool{}
	asked := map[checks.Kind]func(string) bool{}
	var ids []string
	for _, kind := range kinds {
		asked[kind] = m.asked(kind)
		ids = append(ids, h.Asked(kind, m.profile)...)
	}
	for _, s := range m.world.subjects {
		if slices.Contains(kinds, s.Ref.Kind) {
			items = append(items, s.Item)
			seen[s] = true
		}
	}
	return func() tea.Msg {
		b, err := h.Store.Load(scope)
		if err != nil {
			return bookMsg{scope: scope, err: err}
		}
		places := map[history.Place]bool{}
		for i := range items {
			b.Observe(h.Root, &items[i], asked[items[i].Ref.Kind], now)
			places[history.PlaceOf(h.Root, items[i].Ref)] = true
		}
		if whole {
			b.Looked(kinds, places, ids, now)
		}
		return bookMsg{scope: scope, book: b, seen: seen}
	}
}

// bookRead takes a book that was read. What has changed meanwhile is taken in
// anew.
func (m *Model) bookRead(msg bookMsg) tea.Cmd {
	if msg.err != nil {
		m.journal.err = msg.err
		return nil
	}
	m.journal.books[msg.scope] = msg.book
	for _, s := range m.world.subjects {
		s.since = nil
	}
	for _, kind := range scopeKinds(msg.scope) {
		for _, s := range m.world.subjects {
			if s.Ref.Kind == kind && !msg.seen[s] {
				msg.book.Observe(m.o.History.Root, &s.Item, m.asked(kind), m.now())
			}
		}
	}
	if m.world.scores.judged > 0 {
		msg.book.Score(m.world.scores.numbers(), m.now())
	}
	m.detail.forget()
	m.refreshSubjects()
	return m.save()
}

// save asks to be reminded to write what was observed.
func (m *Model) save() tea.Cmd {
	if m.journal.saving || m.o.History == nil || m.o.History.ReadOnly || len(m.journal.books) == 0 {
		return nil
	}
	m.journal.saving = true
	return tea.Tick(cmp.Or(m.o.History.Delay, 5*time.Second), func(time.Time) tea.Msg { return saveMsg{} })
}

// write writes what was observed since the last time.
func (m *Model) write() tea.Cmd {
	m.journal.saving = false
	write := m.unwritten()
	if write == nil {
		return nil
	}
	return func() tea.Msg { return savedMsg{write()} }
}

// unwritten returns what writes all that is not on disk yet, nil when there is
// nothing.
func (m *Model) unwritten() func() error {
	h := m.o.History
	if h == nil || h.ReadOnly {
		return nil
	}
	changes := map[string][]history.Change{}
	for scope, b := range m.journal.books {
		if m.world.scores.judged > 0 {
			b.Score(m.world.scores.numbers(), m.now())
		}
		if p := b.Pending(); len(p) > 0 {
			changes[scope] = p
		}
	}
	if len(changes) == 0 {
		return nil
	}
	now := m.now()
	return func() error {
		for scope, c := range changes {
			if err := h.Store.Save(scope, c, now); err != nil {
				return err
			}
		}
		return nil
	}
}

// numbers are the posture of all and of each chapter.
func (b *scoreboard) numbers() []float64 {
	out := []float64{b.all}
	for _, c := range checks.Chapters {
		out = append(out, b.chapters[c].score)
	}
	return out
}

// A novelty is what the history says about a finding.
type novelty struct {
	known bool
	at    time.Time // when it appeared; zero: before anybody looked
	fixed int       // how often it had been fixed before
}

// novelties returns what the history says about each finding of s.
func (m *Model) novelties(s *subject) []novelty {
	b := m.bookOf(s.Ref.Kind)
	if b == nil {
		return nil
	}
	if s.since == nil {
		s.since = make([]novelty, len(s.Report.Findings))
		for i := range s.Report.Findings {
			n := &s.since[i]
			n.at, n.fixed, n.known = b.Since(history.KnownOf(m.o.History.Root, &s.Report.Findings[i]))
		}
	}
	return s.since
}

// freshFor is how long a finding is new.
const freshFor = 24 * time.Hour

// fresh reports whether finding i of s is new since yesterday.
func (m *Model) fresh(s *subject, i int) bool {
	n := m.novelties(s)
	return i < len(n) && n[i].known && n[i].at.After(m.now().Add(-freshFor))
}

// noveltyOf tells how long a finding has been there, "" when nobody knows.
func (m *Model) noveltyOf(r findingRow) string {
	for i := range r.subject.Report.Findings {
		if &r.subject.Report.Findings[i] != r.finding {
			continue
		}
		n := m.novelties(r.subject)
		switch {
		case i >= len(n) || !n[i].known || n[i].at.IsZero():
			return ""
		case n[i].fixed > 0:
			return m.T("came back %s", m.moment(n[i].at))
		default:
			return m.T("appeared %s", m.moment(n[i].at))
		}
	}
	return ""
}

// moment writes a time as briefly as it is clear.
func (m *Model) moment(at time.Time) string {
	at, now := at.In(m.now().Location()), m.now()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04")
	}
	return at.Format("2006-01-02")
}
