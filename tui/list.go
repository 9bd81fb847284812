package tui

// A list shows a window of its rows and keeps a cursor in it. Only rows on the
// screen are ever drawn, and each is drawn once until something changes.
type list[R any] struct {
	rows        []R
	cursor, top int
	w, h        int
	drawn       map[int]string
}

// forget drops drawn rows: the theme, language or data changed.
func (l *list[R]) forget() { clear(l.drawn) }

func (l *list[R]) resize(w, h int) {
	if w != l.w {
		l.forget()
	}
	l.w, l.h = max(0, w), max(0, h)
	l.clamp()
}

// set replaces the rows. The cursor goes to row at, and stays where it was on
// the screen, so that nothing jumps under the eyes of the reader.
func (l *list[R]) set(rows []R, at int) {
	offset := l.cursor - l.top
	l.rows, l.cursor = rows, at
	l.top = at - offset
	l.forget()
	l.clamp()
}

func (l *list[R]) move(delta int) { l.to(l.cursor + delta) }

func (l *list[R]) to(row int) {
	l.cursor = row
	l.clamp()
}

// scroll moves the window and takes the cursor along only if it must.
func (l *list[R]) scroll(delta int) {
	l.top = max(0, min(l.top+delta, len(l.rows)-l.h))
	l.cursor = max(l.top, min(l.cursor, l.top+l.h-1))
	l.clamp()
}

func (l *list[R]) clamp() {
	l.cursor = max(0, min(l.cursor, len(l.rows)-1))
	l.top = max(0, min(l.top, len(l.rows)-l.h))
	if l.cursor < l.top {
		l.top = l.cursor
	}
	if l.h > 0 && l.cursor >= l.top+l.h {
		l.top = l.cursor - l.h + 1
	}
}

// current returns the row under the cursor.
func (l *list[R]) current() (row R, ok bool) {
	if l.cursor < 0 || l.cursor >= len(l.rows) {
		return row, false
	}
	return l.rows[l.cursor], true
}

// at returns the index of the row that is drawn at line y.
func (l *list[R]) at(y int) (row int, ok bool) {
	row = l.top + y
	return row, y >= 0 && y < l.h && row < len(l.rows)
}

// lines returns the rows of the window as drawn by draw. The row under the
// cursor is drawn anew every time.
func (l *list[R]) lines(draw func(row R, selected bool) string) []string {
	if l.drawn == nil {
		l.drawn = map[int]string{}
	}
	end := min(l.top+l.h, len(l.rows))
	lines := make([]string, 0, l.h)
	for i := l.top; i < end; i++ {
		if i == l.cursor {
			lines = append(lines, draw(l.rows[i], true))
			continue
		}
		s, ok := l.drawn[i]
		if !ok {
			s = draw(l.rows[i], false)
			l.drawn[i] = s
		}
		lines = append(lines, s)
	}
	return lines
}
