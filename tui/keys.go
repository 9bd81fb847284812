package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/assets"
	"plimsoll/checks"
)

// A binding is one thing that keys do. Help, hints and the palette are made
// from the list of them.
type binding struct {
	group   checks.Message
	keys    []string
	show    string // the keys, as shown
	does    checks.Message
	hint    checks.Message              // in the footer; zero if not there
	hintNow func(*Model) checks.Message // instead of hint, where it is not zero; nil for always hint
	late    bool                        // the hint is the first to go where room is short
	// why returns why the keys do nothing now; nil means that they always work.
	why func(*Model) checks.Message
	do  func(*Model) tea.Cmd
}

var (
	groupMove   = checks.Msg("Move")
	groupFilter = checks.Msg("Filter and sort")
	groupFix    = checks.Msg("Fix")
	groupOther  = checks.Msg("More")
)

// bindings returns all keys of the main screen.
func bindings() []binding {
	still := func(f func(*Model)) func(*Model) tea.Cmd {
		return func(m *Model) tea.Cmd { f(m); return nil }
	}
	move := func(delta int) func(*Model) tea.Cmd { return still(func(m *Model) { m.move(delta) }) }
	return []binding{
		{group: groupMove, keys: []string{"up", "k"}, show: "↑ k", does: checks.Msg("up"), do: move(-1)},
		{group: groupMove, keys: []string{"down", "j"}, show: "↓ j", does: checks.Msg("down"), do: move(1)},
		{group: groupMove, keys: []string{"pgup", "ctrl+b"}, show: "PgUp", does: checks.Msg("page up"), do: still(func(m *Model) { m.move(-m.page()) })},
		{group: groupMove, keys: []string{"pgdown", "ctrl+f"}, show: "PgDn", does: checks.Msg("page down"), do: still(func(m *Model) { m.move(m.page()) })},
		{group: groupMove, keys: []string{"home", "g"}, show: "Home g", does: checks.Msg("to the first"), do: move(-1 << 30)},
		{group: groupMove, keys: []string{"end", "G"}, show: "End G", does: checks.Msg("to the last"), do: move(1 << 30)},
		{group: groupMove, keys: []string{"enter"}, show: "enter", does: checks.Msg("open"), hint: checks.Msg("open"), do: still((*Model).open)},
		{group: groupMove, keys: []string{"esc", "backspace"}, show: "esc", does: checks.Msg("back, or clear filters, then marks"), do: still((*Model).back)},
		{group: groupMove, keys: []string{"tab", "right", "l"}, show: "tab → l", does: checks.Msg("next pane"), do: still(func(m *Model) { m.setFocus(nextPane(m.focus)) })},
		{group: groupMove, keys: []string{"shift+tab", "left", "h"}, show: "⇧tab ← h", does: checks.Msg("pane before"), do: still(func(m *Model) { m.setFocus(m.focus - 1) })},
		{group: groupMove, keys: []string{"o"}, show: "o", does: checks.Msg("the same at other places: Dockerfile, image, containers"), why: (*Model).whyNoPlaces, do: (*Model).openPlaces},
		{group: groupMove, keys: []string{"e"}, show: "e", does: checks.Msg("read the explanation"), do: still(func(m *Model) { m.setFocus(detailPane) })},

		{group: groupFilter, keys: []string{"/"}, show: "/", does: checks.Msg("type to filter this list"), hint: checks.Msg("filter"), do: still((*Model).openFilter)},
		{group: groupFilter, keys: []string{"1", "2", "3", "4", "5"}, show: "1 … 5", does: checks.Msg("only critical … everything"), do: nil},
		{group: groupFilter, keys: []string{"v"}, show: "v", does: checks.Msg("next severity filter"), do: still((*Model).cycleSeverity)},
		{group: groupFilter, keys: []string{"c"}, show: "c", does: checks.Msg("next chapter"), do: still(func(m *Model) { m.cycleChapter(1) })},
		{group: groupFilter, keys: []string{"C"}, show: "C", does: checks.Msg("chapter before"), do: still(func(m *Model) { m.cycleChapter(-1) })},
		{group: groupFilter, keys: []string{"n"}, show: "n", does: checks.Msg("only what is new since yesterday"), why: (*Model).whyNoHistory, do: still((*Model).filterFresh)},
		{group: groupFilter, keys: []string{"I"}, show: "I", does: checks.Msg("only what is ignored, by whom and why"), why: (*Model).whyNoIgnored, do: still((*Model).filterIgnored)},
		{group: groupFilter, keys: []string{"s"}, show: "s", does: checks.Msg("sort by severity, name, chapter, count"), do: still((*Model).cycleOrder)},
		{group: groupFilter, keys: []string{"p"}, show: "p", does: checks.Msg("profile: security, hygiene, all"), why: (*Model).whyNoProfile, do: (*Model).cycleProfile},

		{group: groupFix, keys: []string{"f"}, show: "f", does: checks.Msg("fix this finding"), hint: checks.Msg("fix"), why: (*Model).whyNoFix, do: (*Model).fixOne},
		{group: groupFix, keys: []string{"F"}, show: "F", does: checks.Msg("fix everything of this subject, or all that is marked as one plan"), hint: checks.Msg("fix all"), hintNow: (*Model).hintMarked, why: (*Model).whyNoFixAll, do: (*Model).fixAll},
		{group: groupFix, keys: []string{"space"}, show: "space", does: checks.Msg("mark this finding, or all of this subject, for one plan"), hint: checks.Msg("mark"), late: true, do: (*Model).mark},
		{group: groupFix, keys: []string{"A"}, show: "A", does: checks.Msg("one plan of everything safe that is shown"), hint: checks.Msg("all safe"), late: true, why: (*Model).whyNothingSafe, do: (*Model).planSafe},
		{group: groupFix, keys: []string{"i"}, show: "i", does: checks.Msg("ignore this finding, with a reason"), why: (*Model).whyNoAccept, do: still((*Model).acceptOne)},
		{group: groupFix, keys: []string{"y"}, show: "y", does: checks.Msg("copy the equivalent commands"), why: (*Model).whyNoCopy, do: (*Model).copyCommands},
		{group: groupFix, keys: []string{"u"}, show: "u", does: checks.Msg("undo the last change"), hint: checks.Msg("undo"), why: (*Model).whyNoUndo, do: (*Model).undoLast},
		{group: groupFix, keys: []string{"O"}, show: "O", does: checks.Msg("watch what this container uses, to harden it by that"), why: (*Model).whyNoObservation, do: (*Model).openObservation},
		{group: groupFix, keys: []string{"Q"}, show: "Q", does: checks.Msg("quarantine this container: pause, networks off, evidence kept"), why: (*Model).whyNoQuarantine, do: (*Model).quarantine},
		{group: groupFix, keys: []string{"U"}, show: "U", does: checks.Msg("list of changes, undo any"), why: (*Model).whyNoLedger, do: (*Model).openLedger},

		{group: groupOther, keys: []string{"V"}, show: "V", does: checks.Msg("known vulnerabilities of this image"), why: (*Model).whyNoVulnerabilities, do: still((*Model).openVulnerabilities)},
		{group: groupOther, keys: []string{"P"}, show: "P", does: checks.Msg("quick look at its packages, without its layers"), why: (*Model).whyNoQuickLook, do: (*Model).quickLook},
		{group: groupOther, keys: []string{"w"}, show: "w", does: checks.Msg("what containers do that does not belong, live"), why: (*Model).whyNoBehaviour, do: (*Model).openBehaviour},
		{group: groupOther, keys: []string{"a"}, show: "a", does: checks.Msg("attack paths and what cuts them"), do: still((*Model).openPaths)},
		{group: groupOther, keys: []string{"N"}, show: "N", does: checks.Msg("what has appeared, was fixed, came back"), why: (*Model).whyNoHistory, do: still(func(m *Model) { m.show(newJournalPage(m)) })},
		{group: groupOther, keys: []string{"x"}, show: "x", does: checks.Msg("layers and files of an image"), why: (*Model).whyNoExplorer, do: (*Model).explore},
		{group: groupOther, keys: []string{"S"}, show: "S", does: checks.Msg("how the posture is computed"), do: still(func(m *Model) { m.show(newScorePage(m)) })},
		{group: groupOther, keys: []string{"E"}, show: "E", does: checks.Msg("engines: how all stand, turn to another"), why: (*Model).whyNoEngines, do: (*Model).openEngines},
		{group: groupOther, keys: []string{"r"}, show: "r", does: checks.Msg("read everything again"), why: (*Model).whyNoRescan, do: (*Model).rescan},
		{group: groupOther, keys: []string{"L"}, show: "L", does: checks.Msg("Deutsch"), do: still((*Model).switchLanguage)},
		{group: groupOther, keys: []string{":", "ctrl+p"}, show: ": ^P", does: checks.Msg("find a command"), do: still((*Model).openPalette)},
		{group: groupOther, keys: []string{"?", "f1"}, show: "?", does: checks.Msg("help"), hint: checks.Msg("help"), do: still(func(m *Model) { m.show(newHelpPage(m)) })},
		{group: groupOther, keys: []string{"q"}, show: "q", does: checks.Msg("quit"), hint: checks.Msg("quit"), do: (*Model).quit},
	}
}

// bound returns what a key is bound to, or nil.
func (m *Model) bound(key string) *binding {
	if len(key) == 1 && key[0] >= '1' && key[0] <= '5' {
		worst := checks.Severities[key[0]-'1']
		return &binding{show: key, do: func(m *Model) tea.Cmd { m.filterSeverity(worst); return nil }}
	}
	for i := range m.keys {
		for _, k := range m.keys[i].keys {
			if k == key {
				return &m.keys[i]
			}
		}
	}
	return nil
}

// addHints draws the keys that matter most, those that do nothing now dimmed.
// Help always has room.
func (m *Model) addHints(l *line) {
	reserved := cells("? " + m.T("help"))
	m.addSomeHints(l, false, reserved)
	m.addSomeHints(l, true, 0)
}

func (m *Model) addSomeHints(l *line, late bool, reserved int) {
	t := &m.theme
	for i := range m.keys {
		b := &m.keys[i]
		if b.hint.IsZero() || b.late != late {
			continue
		}
		if b.keys[0] == "?" {
			reserved = 0
		}
		hint := b.hint
		if b.hintNow != nil {
			if now := b.hintNow(m); !now.IsZero() {
				hint = now
			}
		}
		text := " " + m.told(hint)
		if l.room < cells(b.keys[0])+cells(text)+reserved+3 {
			continue
		}
		look, word := t.key, t.dim
		if b.why != nil && !b.why(m).IsZero() {
			look, word = t.faint, t.faint
		}
		l.add(look, b.keys[0])
		l.add(word, text+"   ")
	}
}

func nextPane(p pane) pane { return (p + 1) % panes }

// page is how far a page key goes.
func (m *Model) page() int { return max(1, m.area.inner[m.focus].Dy()-1) }

// move moves the cursor of the pane in focus.
func (m *Model) move(delta int) {
	switch m.focus {
	case subjectsPane:
		m.subjects.move(delta)
		m.chooseSubject()
	case findingsPane:
		m.findings.move(delta)
		m.chooseFinding()
	case detailPane:
		m.detail.scroll(delta)
	}
}

// chooseSubject remembers the row under the cursor and shows what it holds.
func (m *Model) chooseSubject() {
	r, _ := m.subjects.current()
	if r.ref() == m.wanted {
		return
	}
	m.wanted, m.wantedFinding = r.ref(), findingKey{}
	m.findings.cursor, m.findings.top = 0, 0
	m.refreshFindings()
}

// chooseFinding remembers the finding under the cursor and explains it.
func (m *Model) chooseFinding() {
	if r, ok := m.findings.current(); ok {
		m.wantedFinding = r.key()
	}
	m.refreshDetail()
}

// open goes one pane deeper.
func (m *Model) open() {
	if m.focus < detailPane {
		m.setFocus(m.focus + 1)
	}
}

// back goes one pane up, and at the top shows everything again.
func (m *Model) back() {
	switch {
	case m.focus < detailPane && m.sieve.text[m.focus] != "":
		m.sieve.text[m.focus] = ""
		m.refreshSubjects()
	case m.focus > subjectsPane:
		m.setFocus(m.focus - 1)
	case m.sieve.active() || m.order != bySeverity:
		m.sieve.worse, m.sieve.chapter, m.sieve.fresh, m.sieve.ignored, m.order = 0, -1, false, false, bySeverity
		m.refreshSubjects()
	case m.marked > 0:
		m.clearMarks()
	}
}

func (m *Model) filterSeverity(worst checks.Severity) {
	m.sieve.worse = worst
	m.refreshSubjects()
}

func (m *Model) cycleSeverity() {
	switch m.sieve.worse {
	case 0, checks.Info:
		m.filterSeverity(checks.Critical)
	default:
		m.filterSeverity(m.sieve.worse - 1)
	}
}

// cycleChapter steps through all, the eight chapters, and hygiene if shown.
func (m *Model) cycleChapter(step int) {
	steps := []int{-1}
	if m.profile != checks.Practice {
		for _, c := range checks.Chapters {
			steps = append(steps, int(c))
		}
	}
	if m.profile != checks.Security {
		steps = append(steps, int(checks.Hygiene))
	}
	at := 0
	for i, c := range steps {
		if c == m.sieve.chapter {
			at = i
		}
	}
	m.sieve.chapter = steps[(at+step+len(steps))%len(steps)]
	m.refreshSubjects()
}

func (m *Model) cycleOrder() {
	m.order = (m.order + 1) % orders
	m.status = status{text: m.T("sorted by %s", m.orderName(m.order))}
	m.refreshSubjects()
}

func (m *Model) whyNoProfile() checks.Message {
	if m.o.Repolicy == nil {
		return checks.Msg("the profile was fixed at the start")
	}
	return checks.Message{}
}

func (m *Model) cycleProfile() tea.Cmd {
	at := 0
	for i, p := range checks.Profiles {
		if p == m.profile {
			at = i
		}
	}
	m.profile = checks.Profiles[(at+1)%len(checks.Profiles)]
	m.sieve.chapter = -1
	m.refreshSubjects()
	m.status = status{text: m.profileName(m.profile)}
	repolicy, p := m.o.Repolicy, m.profile
	return func() tea.Msg { repolicy(p); return nil }
}

func (m *Model) whyNoRescan() checks.Message {
	if m.o.Rescan == nil {
		return checks.Msg("everything here is kept current by itself")
	}
	return checks.Message{}
}

func (m *Model) rescan() tea.Cmd {
	m.status = status{text: m.T("reading everything again")}
	rescan := m.o.Rescan
	return func() tea.Msg { rescan(); return nil }
}

// switchLanguage changes between English and German.
func (m *Model) switchLanguage() {
	next := assets.German
	if m.language == next {
		next = assets.English
	}
	m.tongue = newTongue(next)
	m.redraw()
	m.refreshSubjects()
}

// quit ends the program, unless something is being changed.
func (m *Model) quit() tea.Cmd {
	for _, d := range m.dialogs {
		if w, ok := d.(worker); ok && w.working() {
			if _, asked := m.dialogs[len(m.dialogs)-1].(*quitQuestion); !asked {
				m.show(&quitQuestion{})
			}
			return nil
		}
	}
	return tea.Quit
}

// openFilter starts typing a filter for the list in focus.
func (m *Model) openFilter() {
	if m.focus == detailPane {
		m.setFocus(findingsPane)
	}
	m.filter = newField(m.sieve.text[m.focus])
}

func (m *Model) typeFilter(k tea.KeyPressMsg) {
	switch k.String() {
	case "esc":
		m.filter.set("")
		m.applyFilter()
		m.filter = nil
	case "enter", "tab":
		m.filter = nil
	case "up", "down", "pgup", "pgdown":
		if b := m.bound(k.String()); b != nil {
			b.do(m)
		}
	default:
		if m.filter.key(k) {
			m.applyFilter()
		}
	}
}

func (m *Model) applyFilter() {
	m.sieve.text[m.focus] = strings.ToLower(m.filter.text())
	m.refreshSubjects()
}
