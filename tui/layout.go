package tui

import "image"

// Below these sizes there is one column, or nothing but an excuse.
const (
	threeColumns = 100
	leastWidth   = 24
	leastHeight  = 6
)

// areas are where things are, in cells. Panes that are not shown are empty.
type areas struct {
	header, footer image.Rectangle
	frame          [panes]image.Rectangle // with border or title
	inner          [panes]image.Rectangle // rows
	wide           bool
	tiny           bool
}

// arrange divides a screen.
func arrange(size image.Point, focus pane) areas {
	w, h := size.X, size.Y
	a := areas{wide: w >= threeColumns && h >= 12, tiny: w < leastWidth || h < leastHeight}
	top := 2
	if h < 14 {
		top = 1
	}
	a.header = image.Rect(0, 0, w, min(top, h))
	a.footer = image.Rect(0, max(0, h-1), w, h)
	y0, y1 := a.header.Max.Y, max(a.header.Max.Y, a.footer.Min.Y)
	if !a.wide {
		a.frame[focus] = image.Rect(0, y0, w, y1)
		a.inner[focus] = image.Rect(0, min(y0+1, y1), w, y1)
		return a
	}
	left := max(26, min(w*24/100, 44))
	right := max(36, min(w*39/100, 96))
	x := [panes + 1]int{0, left, w - right, w}
	for p := range panes {
		a.frame[p] = image.Rect(x[p], y0, x[p+1], y1)
		a.inner[p] = a.frame[p].Inset(1)
	}
	return a
}

// resize gives everything its room.
func (m *Model) resize() {
	m.area = arrange(m.size, m.focus)
	a := m.area.inner
	m.subjects.resize(a[subjectsPane].Dx(), a[subjectsPane].Dy())
	m.findings.resize(a[findingsPane].Dx(), a[findingsPane].Dy())
	m.detail.resize(a[detailPane].Dx(), a[detailPane].Dy())
	m.refreshDetail()
}

// setFocus moves the focus, which in one column is what is shown.
func (m *Model) setFocus(p pane) {
	m.focus = max(0, min(p, panes-1))
	m.resize()
	m.subjects.forget()
	m.findings.forget()
}
