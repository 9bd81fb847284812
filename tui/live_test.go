package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
)

func TestSelectionSurvivesUpdates(t *testing.T) {
	m := shop(t, &fakeFixer{})
	chooseFinding(t, m, "web", "container-default-bridge")
	m.detail.resize(m.detail.w, 3)
	m.detail.scroll(2)
	worse := fixture()
	for i := range 30 { // sorted before web
		name := fmt.Sprintf("a-%02d", i)
		worse.Items = append(worse.Items, containerItem("new"+name, name, "running", found(rulePrivileged, checks.Ref{}, 0, "", "%s", name)))
	}
	drive(m, updateMsg(worse))
	if r, _ := m.subjects.current(); r.subject == nil || r.subject.name != "web" {
		t.Errorf("selected subject = %+v", r)
	}
	if r, _ := m.findings.current(); r.finding.Check != ruleBridge {
		t.Errorf("selected finding = %s", r.finding.Check.ID)
	}
	if m.detail.top != 2 {
		t.Errorf("explanation scrolled to %d", m.detail.top)
	}
}

func TestRecreatedContainerKeepsSelection(t *testing.T) {
	m := shop(t, &fakeFixer{})
	choose(t, m, "web")
	update := func(removed []checks.Ref, items ...inventory.Item) {
		drive(m, updateMsg(inventory.Update{Engine: fixture().Engine, Complete: true, Items: items, Removed: removed}))
	}
	selected := func() string {
		r, _ := m.subjects.current()
		if r.subject == nil {
			return ""
		}
		return r.subject.Ref.ID + " " + r.subject.name
	}
	update(nil, containerItem("aaaa", "web-plimsoll-old", "exited", memoryFinding()))
	if got := selected(); got != "aaaa web-plimsoll-old" {
		t.Errorf("after the rename: %s", got)
	}
	update(nil, containerItem("eeee", "web", "running", memoryFinding()))
	if got := selected(); got != "eeee web" {
		t.Errorf("after the replacement: %s", got)
	}
	update([]checks.Ref{{Kind: checks.Container, ID: "aaaa"}})
	if got := selected(); got != "eeee web" {
		t.Errorf("after the removal: %s", got)
	}
}

func TestRemovedSubjectLeavesCursorInPlace(t *testing.T) {
	m := shop(t, &fakeFixer{})
	choose(t, m, "web")
	at := m.subjects.cursor
	drive(m, updateMsg(inventory.Update{Engine: fixture().Engine, Complete: true, Removed: []checks.Ref{{Kind: checks.Container, ID: "aaaa"}}}))
	if m.subjects.cursor != at {
		t.Errorf("cursor went from %d to %d", at, m.subjects.cursor)
	}
	hides(t, m, "memory is not limited")
}

func TestFilters(t *testing.T) {
	m := shop(t, &fakeFixer{})
	press(m, "1")
	shows(t, m, "only critical", "container is privileged")
	hides(t, m, "container runs as root")
	press(m, "5", "c", "c", "c")
	shows(t, m, "3 Secrets", "secret in ENV or ARG")
	hides(t, m, "container is privileged")
	press(m, "esc")
	shows(t, m, "container is privileged")
	press(m, "tab", "/")
	press(m, strings.Split("bridge", "")...)
	press(m, "enter")
	shows(t, m, "Findings /bridge", "default bridge")
	hides(t, m, "memory is not limited")
	press(m, "esc")
	shows(t, m, "memory is not limited")
}

func TestOrders(t *testing.T) {
	m := shop(t, &fakeFixer{})
	first := func() string { return m.findings.rows[0].finding.Check.ID }
	for _, want := range []string{"container-privileged", "base-image-not-digest-pinned", "container-privileged", "base-image-not-digest-pinned"} {
		if got := first(); got != want {
			t.Errorf("%s: first is %s, want %s", m.orderName(m.order), got, want)
		}
		press(m, "s")
	}
}

func TestMouse(t *testing.T) {
	m := shop(t, &fakeFixer{})
	at := m.area.inner[findingsPane].Min
	drive(m, tea.MouseClickMsg{X: at.X + 3, Y: at.Y + 4, Button: tea.MouseLeft})
	if m.focus != findingsPane || m.findings.cursor != 4 {
		t.Errorf("focus %d, cursor %d", m.focus, m.findings.cursor)
	}
	m = newModel(t, Options{Fixer: &fakeFixer{}}, 120, 14)
	drive(m, updateMsg(fixture()))
	over := m.area.inner[findingsPane].Min
	drive(m, tea.MouseWheelMsg{X: over.X, Y: over.Y, Button: tea.MouseWheelDown})
	if m.focus != subjectsPane || m.findings.top == 0 {
		t.Errorf("focus %d, top %d", m.focus, m.findings.top)
	}
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f")
	p := m.place(m.dialogs[0])
	cancel := p.buttons[1].Min
	drive(m, tea.MouseClickMsg{X: cancel.X, Y: cancel.Y, Button: tea.MouseLeft})
	if len(m.dialogs) != 0 {
		t.Error("cancel was not clicked")
	}
}

func TestTicksOnlyWhileSomethingMoves(t *testing.T) {
	m := shop(t, &fakeFixer{})
	m.ticking = false
	if m.tick() != nil {
		t.Error("an idle screen ticks")
	}
	chooseFinding(t, m, "web", "container-memory-unlimited")
	m.Update(pressed("f")) // planning
	if !m.ticking {
		t.Error("no spinner while planning")
	}
	m.ticking = false
	m.dialogs = nil
	m.Update(updateMsg(noEngine()))
	if m.ticking = false; m.tick() == nil {
		t.Error("the retry is not counted down")
	}
}

// TestHostileNames lets everything from outside try to leave its place.
//
//scenario:65,75
func TestHostileNames(t *testing.T) {
	evil := "a\x1b[2J\x1b]52;c;ZXZpbA==\x07\u202e\u200b\r\n\tb\x1b]8;;http://evil\x1b\\\u009b31m界面"
	u := fixture()
	f := found(ruleMemory, checks.Ref{}, 0, evil, "%s", "x")
	f.Evidence = []checks.Evidence{{Source: evil, Detail: evil}}
	f.Message = checks.Message{Format: "%s", Args: []any{evil}}
	f = fixable(f, aFix("limit", evil))
	item := containerItem("evil", evil, evil, f)
	item.Status = inventory.Status{State: evil, Image: evil, Health: evil, Project: evil}
	u.Items = append(u.Items, item, fileItem("/x/"+evil, evil, "FROM "+evil+"\n"+evil, found(ruleUser, checks.Ref{}, 1, evil, "%s", evil)))
	u.Engine.Name, u.Engine.Context, u.Engine.Version = evil, evil, evil
	for _, width := range []int{80, 160} {
		m := newModel(t, Options{Fixer: &fakeFixer{entries: changes()}}, width, 30)
		drive(m, updateMsg(u))
		look := func() {
			t.Helper()
			screen(t, m)
			content := m.View().Content
			for _, bad := range []string{"\x1b[2J", "\x1b]", "\u202e", "\u200b", "\u009b", "\r", "\t", "\x07"} {
				if strings.Contains(content, bad) {
					t.Errorf("%q reaches the terminal", bad)
				}
			}
		}
		for i := range m.subjects.rows {
			m.setFocus(subjectsPane)
			m.subjects.to(i)
			m.chooseSubject()
			look()
			m.setFocus(findingsPane)
			look()
			m.setFocus(detailPane)
			look()
		}
		for i, r := range m.subjects.rows {
			if r.subject != nil && r.subject.Ref.ID == "evil" {
				m.setFocus(subjectsPane)
				m.subjects.to(i)
				m.chooseSubject()
				m.setFocus(findingsPane)
			}
		}
		for _, keys := range [][]string{{"f"}, {"d"}, {"enter"}, {"enter", "F"}, {"esc", "U"}, {"esc", "S"}} {
			press(m, keys...)
			look()
		}
	}
}

func TestPasteIsOneLineOfText(t *testing.T) {
	m := shop(t, &fakeFixer{})
	press(m, "/")
	drive(m, tea.PasteMsg{Content: "we\x1b[2J\nsecond"})
	if got := m.filter.text(); got != "we␛[2J" {
		t.Errorf("filter = %q", got)
	}
	if v := m.View(); v.Cursor == nil || v.Cursor.Y != 39 || v.Cursor.X != 3+ansi.StringWidth("we␛[2J") {
		t.Errorf("cursor = %+v", v.Cursor)
	}
}

func TestSecretsOfSourceAreMasked(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOP\n-----END PRIVATE KEY-----\n"
	source := "FROM scratch\nENV TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ012345\n" + key + "USER 1\n"
	lines := maskedLines([]byte(source))
	if want := strings.Count(source, "\n") + 1; len(lines) != want {
		t.Errorf("%d lines, want %d: %q", len(lines), want, lines)
	}
	all := strings.Join(lines, "\n")
	for _, secret := range []string{"ghp_0123", "MIIEvQ", "abcdefghijklmnop"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is shown:\n%s", secret, all)
		}
	}
}

func TestRetryCountsDown(t *testing.T) {
	now := noon
	m := newModel(t, Options{Now: func() time.Time { return now }}, 80, 24)
	drive(m, updateMsg(noEngine()))
	shows(t, m, "retry in 7 s")
	now = now.Add(4500 * time.Millisecond)
	shows(t, m, "retry in 3 s")
	now = now.Add(time.Minute)
	shows(t, m, "retrying")
}
