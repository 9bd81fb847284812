package tui

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// newScorePage explains the posture with the numbers that were put in.
func newScorePage(m *Model) *page {
	return &page{title: checks.Msg("How the posture is computed"), print: func(p *printer) {
		t, b := &m.theme, &m.world.scores
		p.hanging(t.strong, m.scoreInk(b.all), fmt.Sprintf("%d/100  ", points(b.all)), m.N(checks.Msg("from %d subject that was read"), checks.Msg("from %d subjects that were read"), b.judged))
		p.blank()
		p.text("", m.T("A subject starts at 100. Each finding takes its share of what is left:"))
		p.raw(m.shares())
		p.text("", m.T("The posture is 100 less the root mean square of the gaps to 100. Squaring makes one bad subject show among many good ones. Curing anything can only raise it. Hygiene does not count."))
		p.blank()
		p.text(t.code, "  "+m.T("posture = 100 − √( Σ (100 − subject)² ÷ n )"))
		if days := m.trend(0, 30); days != "" {
			p.hanging("", m.scoreInk(b.all), days+"  ", m.T("day by day, as far as somebody looked"))
		}
		p.heading(m.T("By chapter"))
		for _, c := range checks.Chapters {
			p.raw(m.chapterLine(c, p.room()))
		}
		p.heading(m.T("What weighs most"))
		for _, s := range m.worst(8) {
			l := newLine(p.room(), "")
			l.add(m.scoreInk(s.score), fmt.Sprintf("%4d  ", points(s.score)))
			l.add("", fit(shorten(s.name, max(8, p.room()/2), s.Ref.Kind), max(8, p.room()/2)))
			l.add("", "  ")
			for _, severity := range checks.Severities {
				if n := s.counts[severity]; n > 0 {
					l.add(t.severity[severity], fmt.Sprintf("%s%s %d  ", symbols[severity], m.letter(severity), n))
				}
			}
			p.raw(l.end(), p.room())
		}
	}}
}

// shares lists what a finding of each severity takes.
func (m *Model) shares() (string, int) {
	l := newLine(200, "")
	l.add("", "  ")
	for _, s := range checks.Severities {
		l.add(m.theme.severity[s], fmt.Sprintf("%s%s %d %%   ", symbols[s], m.letter(s), points(loss[s]*100)))
	}
	return l.b.String(), 200 - l.room
}

// chapterLine draws the score of a chapter as a bar and its findings.
func (m *Model) chapterLine(c checks.Chapter, width int) (string, int) {
	t, score := &m.theme, m.world.scores.chapters[c]
	const bar = 10
	filled := points(score.score) * bar / 100
	l := newLine(width, "")
	l.add("", fit(m.chapterName(c), min(28, max(12, width-34))))
	l.add("", " ")
	l.add(m.scoreInk(score.score), strings.Repeat("█", filled))
	l.add(t.faint, strings.Repeat("░", bar-filled))
	l.add(m.scoreInk(score.score), fmt.Sprintf(" %3d  ", points(score.score)))
	for _, s := range checks.Severities {
		if n := score.counts[s]; n > 0 {
			l.add(t.severity[s], fmt.Sprintf("%s%s %d  ", symbols[s], m.letter(s), n))
		}
	}
	if days := m.trend(int(c), 14); l.room > cells(days)+1 {
		l.gap(cells(days) + 1)
		l.add(t.dim, days)
	}
	return l.end(), width
}

// worst returns the n subjects of the lowest score.
func (m *Model) worst(n int) []*subject {
	var all []*subject
	for _, s := range m.world.subjects {
		if s.judged() && s.score < 100 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *subject) int {
		switch {
		case a.score != b.score && a.score < b.score:
			return -1
		case a.score != b.score:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return all[:min(n, len(all))]
}
