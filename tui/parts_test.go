package tui

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/fixes"
)

func TestSubjectScore(t *testing.T) {
	of := func(severities ...checks.Severity) []checks.Finding {
		var out []checks.Finding
		for _, s := range severities {
			out = append(out, checks.Finding{Check: ruleRoot, Severity: s})
		}
		return out
	}
	for _, tt := range []struct {
		findings []checks.Finding
		want     int
	}{
		{nil, 100},
		{of(checks.Info, checks.Info), 100},
		{of(checks.Critical), 50},
		{of(checks.Critical, checks.High), 37},
		{of(checks.Low), 97},
		{[]checks.Finding{{Check: rule("x", "x", checks.High, checks.Hygiene), Severity: checks.High}}, 100},
	} {
		if got := points(subjectScore(tt.findings, 0)); got != tt.want {
			t.Errorf("score = %d, want %d", got, tt.want)
		}
	}
	if got := subjectScore(of(checks.High), checks.Secrets); got != 100 {
		t.Errorf("another chapter counts: %v", got)
	}
}

func TestPosture(t *testing.T) {
	for _, tt := range []struct {
		scores []float64
		want   int
	}{
		{nil, 100},
		{[]float64{100, 100}, 100},
		{[]float64{40}, 40},
		{[]float64{99.9999, 100}, 99}, // 100 means that nothing is missing
		{[]float64{0, 100, 100, 100}, 50},
	} {
		if got := points(posture(tt.scores)); got != tt.want {
			t.Errorf("posture(%v) = %d, want %d", tt.scores, got, tt.want)
		}
	}
}

// TestPostureIsMonotone cures things at random: the posture never falls.
func TestPostureIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		scores := make([]float64, 1+r.IntN(20))
		for i := range scores {
			scores[i] = 100 * r.Float64()
		}
		before := posture(scores)
		i := r.IntN(len(scores))
		scores[i] += (100 - scores[i]) * r.Float64()
		if after := posture(scores); after < before-1e-9 {
			t.Fatalf("fell from %v to %v", before, after)
		}
	}
}

func TestListKeepsPlaceOnScreen(t *testing.T) {
	var l list[int]
	l.resize(10, 5)
	rows := make([]int, 100)
	l.set(rows, 0)
	l.to(50)
	l.scroll(-2)
	offset := l.cursor - l.top
	l.set(append(rows, rows...), 70)
	if l.cursor != 70 || l.cursor-l.top != offset {
		t.Errorf("cursor %d at line %d, was at %d", l.cursor, l.cursor-l.top, offset)
	}
	l.set(nil, 0)
	if _, ok := l.current(); ok || l.top != 0 {
		t.Errorf("an empty list has a row, top %d", l.top)
	}
}

//scenario:74
func TestListDrawsOnlyItsWindow(t *testing.T) {
	var l list[int]
	l.resize(10, 7)
	l.set(make([]int, 5000), 2500)
	drawn := 0
	draw := func(int, bool) string { drawn++; return "" }
	l.lines(draw)
	if drawn != 7 {
		t.Errorf("drew %d rows for 7 lines", drawn)
	}
	drawn = 0
	l.lines(draw)
	if drawn != 1 {
		t.Errorf("drew %d rows again, want the one under the cursor", drawn)
	}
}

func TestMarkdown(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"# Head\n\ntext *a* **b** `c` [d](e)", "Head\ntext a b c d <e>"},
		{"one\ntwo", "one two"},
		{"- a\n- b\n  more", "• a\n• b\nmore"},
		{"1. a\n2. b", "1. a\n2. b"},
		{"```sh\n# no heading\n* no list\n```", "# no heading\n* no list"},
		{"> said", "│ said"},
		{"2 * 3 and [no link] and `open", "2 * 3 and [no link] and `open"},
		{"https://a.example", "https://a.example"},
		{"\x1b[31mred", "␛[31mred"},
	} {
		u := &ui{tongue: newTongue(assets.English), theme: newTheme(true)}
		p := newPrinter(u, 60)
		p.markdown(tt.in)
		var got []string
		for _, l := range p.lines {
			if w := ansi.StringWidth(l); w != 60 {
				t.Errorf("%q: a line is %d cells wide", tt.in, w)
			}
			if s := strings.TrimSpace(ansi.Strip(l)); s != "" {
				got = append(got, s)
			}
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%q:\ngot  %q\nwant %q", tt.in, s, tt.want)
		}
	}
}

// FuzzMarkdown holds that no text makes a line too wide or hangs.
func FuzzMarkdown(f *testing.F) {
	f.Add("# a\n\n- *b* `c` [d](e)\n```\nx\n```", 20)
	f.Add("界面 `界` **界**", 5)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = 10 + abs(width%100)
		u := &ui{tongue: newTongue(assets.English), theme: newTheme(true)}
		p := newPrinter(u, width)
		p.markdown(text)
		for _, l := range p.lines {
			if w := ansi.StringWidth(l); w > width {
				t.Errorf("%d cells in a pane of %d: %q", w, width, l)
			}
		}
	})
}

func TestField(t *testing.T) {
	f := newField("one two")
	for _, k := range []string{"ctrl+w", "3", "home", "x", "right", "backspace"} {
		f.key(pressed(k))
	}
	if got := f.text(); got != "xne 3" {
		t.Errorf("text = %q", got)
	}
	f.set(strings.Repeat("ab", 50))
	if text, cursor := f.show(10); ansi.StringWidth(text) > 10 || cursor >= 10 {
		t.Errorf("shows %q, cursor at %d", text, cursor)
	}
}

func TestLineIsNeverTooWide(t *testing.T) {
	for width := range 12 {
		l := newLine(width, "")
		l.add("", "ab")
		l.add(newTheme(true).accent, "界界界")
		l.add("", "é✓…")
		if got := l.end(); ansi.StringWidth(got) != width {
			t.Errorf("width %d: %q is %d wide", width, got, ansi.StringWidth(got))
		}
	}
}

// An option that has a name is shown by it, not by what --set takes.
func TestFormShowsOptionsByName(t *testing.T) {
	plan := &fixes.Plan{Choices: []fixes.Choice{{Value: "carry", Choice: checks.Choice{
		Key: "written", Label: checks.Msg("what it wrote outside of volumes"), Default: "leave", Options: []string{"leave", "carry"},
		Names: []checks.Message{checks.Msg("leave it in the kept original"), checks.Msg("copy it into the replacement")},
	}}}}
	for _, c := range []struct {
		language     assets.Language
		first, later string
	}{
		{assets.English, "‹ copy it into the replacement ›  2/2", "‹ leave it in the kept original ›  1/2"},
		{assets.German, "‹ in den Ersatz kopieren ›  2/2", "‹ im Original lassen ›  1/2"},
	} {
		var f form
		f.update(fixes.Request{}, plan)
		u := &ui{tongue: newTongue(c.language), theme: newTheme(true)}
		shown := func() string {
			p := newPrinter(u, 76)
			f.print(p)
			return ansi.Strip(strings.Join(p.lines, "\n"))
		}
		if got := shown(); !strings.Contains(got, c.first) {
			t.Errorf("shows\n%s", got)
		}
		f.next(true)
		if changed, _ := f.key(pressed("right")); !changed {
			t.Error("it cannot be changed")
		}
		if got := shown(); !strings.Contains(got, c.later) || f.request(fixes.Request{}).Values["written"] != "leave" {
			t.Errorf("shows\n%s", got)
		}
	}
}
