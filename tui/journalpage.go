package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll/checks"
	"plimsoll/tui/history"
)

// told is how far back the journal tells.
const toldFor = 30 * 24 * time.Hour

func (m *Model) whyNoHistory() checks.Message {
	if m.o.History == nil {
		return checks.Msg("nothing is remembered: the configuration says history: false")
	}
	return checks.Message{}
}

// filterFresh shows only what is new since yesterday, or everything again.
func (m *Model) filterFresh() {
	m.sieve.fresh = !m.sieve.fresh
	m.refreshSubjects()
}

// newJournalPage tells what appeared, was fixed and came back, by day.
func newJournalPage(m *Model) *page {
	return &page{title: checks.Msg("What has changed"), print: func(p *printer) {
		t := &m.theme
		var events []history.Event
		var began time.Time
		for _, b := range m.journal.books {
			events = append(events, b.Events(m.now().Add(-toldFor))...)
			if at := b.Began(); began.IsZero() || at.Before(began) {
				began = at
			}
		}
		slices.SortStableFunc(events, func(a, b history.Event) int { return b.At.Compare(a.At) })
		if m.journal.err != nil {
			p.hanging("", t.warn, "! ", m.err(m.journal.err))
		}
		switch {
		case len(m.journal.books) == 0 && m.journal.err == nil:
			p.text(t.dim, m.T("reading …"))
			return
		case !began.IsZero():
			p.text(t.dim, m.T("Remembered since %s. What was there then does not count as new.", began.In(m.now().Location()).Format("2006-01-02 15:04")))
		}
		if len(events) == 0 {
			p.blank()
			p.text("", m.T("Nothing has appeared or been fixed since."))
		}
		day := ""
		for i := range events {
			e := &events[i]
			at := e.At.In(m.now().Location())
			if d := at.Format(time.DateOnly); d != day {
				day = d
				p.heading(m.dayHeading(d, events))
			}
			m.printEvent(p, e, at)
		}
	}}
}

// dayHeading names a day and sums it up.
func (m *Model) dayHeading(day string, events []history.Event) string {
	var appeared, fixed int
	for i := range events {
		if events[i].At.In(m.now().Location()).Format(time.DateOnly) != day {
			continue
		}
		switch events[i].Op {
		case history.Appeared:
			appeared++
		case history.Fixed:
			fixed++
		}
	}
	name := day
	switch day {
	case m.now().Format(time.DateOnly):
		name = m.T("today")
	case m.now().AddDate(0, 0, -1).Format(time.DateOnly):
		name = m.T("yesterday")
	}
	return fmt.Sprintf("%s  +%d ✓%d", name, appeared, fixed)
}

func (m *Model) printEvent(p *printer, e *history.Event, at time.Time) {
	t := &m.theme
	mark, look := "+", t.severity[e.Known.Severity]
	switch {
	case e.Op == history.Fixed:
		mark, look = "✓", t.good
	case e.Op == history.Removed:
		mark, look = "×", t.dim
	case e.Again:
		mark, look = "↺", t.warn
	}
	l := newLine(p.room(), "")
	l.add(t.dim, at.Format("15:04 "))
	l.add(look, mark+" ")
	l.add(t.severity[e.Known.Severity], symbols[e.Known.Severity]+m.letter(e.Known.Severity)+" ")
	name := shorten(plain(e.Known.Place.Name), max(8, p.room()/3), e.Known.Place.Kind)
	l.add("", name+"  ")
	title := e.Known.Check
	for _, s := range m.world.subjects {
		for i := range s.Report.Findings {
			if c := s.Report.Findings[i].Check; c.ID == e.Known.Check {
				title = m.format(c.Title)
			}
		}
	}
	if e, ok := m.o.Explain(m.language, e.Known.Check); ok && title == e.ID {
		title = e.Title
	}
	l.add(t.dim, plain(title))
	if key := telling(e.Known.Place.Kind, e.Known.Key); key != "" {
		l.add(t.dim, " "+key)
	}
	p.raw(l.end(), p.room())
}

// trend draws the posture of the last days as a row of bars, "" when there are
// fewer than two.
func (m *Model) trend(chapter int, n int) string {
	byDay := map[string][]float64{}
	for _, b := range m.journal.books {
		for _, d := range b.Days(n) {
			if chapter < len(d.Posture) {
				byDay[d.Date] = append(byDay[d.Date], d.Posture[chapter])
			}
		}
	}
	days := make([]string, 0, len(byDay))
	for d := range byDay {
		days = append(days, d)
	}
	if len(days) < 2 {
		return ""
	}
	slices.Sort(days)
	bars := []rune("▁▂▃▄▅▆▇█")
	var out strings.Builder
	for _, d := range days[max(0, len(days)-n):] {
		lowest := slices.Min(byDay[d])
		out.WriteRune(bars[min(len(bars)-1, max(0, int(lowest)*len(bars)/101))])
	}
	return out.String()
}
