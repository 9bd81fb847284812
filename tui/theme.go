package tui

import (
	"image/color"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks"
)

// A theme is what things look like, by what they mean.
type theme struct {
	strong, dim, faint     ink
	accent, title          ink
	good, bad, warn        ink
	added, removed, hunk   ink
	code, link             ink
	border, borderFocus    ink
	selected, selectedBlur ink // backgrounds
	badge, badgeWarn       ink
	key                    ink
	button, buttonOther    ink // the first of a dialog, and the others
	buttonOff              ink
	field, fieldFocus      ink
	severity               [checks.Critical + 1]ink
}

// newTheme returns the theme for a dark or a light background. The terminal's
// own background is kept, so every colour must be readable on both a black and
// a dark grey, or a white and a cream one.
func newTheme(dark bool) theme {
	pick := lipgloss.LightDark(dark)
	c := func(light, dark string) color.Color { return pick(lipgloss.Color(light), lipgloss.Color(dark)) }
	var (
		accent   = c("#00687F", "#5BC8DC")
		grey     = c("#59636E", "#8D99A6")
		pale     = c("#A9B2BA", "#525C66")
		red      = c("#B3003B", "#FF5C8A")
		orange   = c("#A83A00", "#FF9A62")
		yellow   = c("#765800", "#EBC55F")
		blue     = c("#0A57A6", "#82B4FF")
		green    = c("#176B36", "#74D39A")
		mark     = c("#CFE6EE", "#22404C")
		markBlur = c("#E6EAEE", "#2B3138")
		paper    = c("#FFFFFF", "#10161B")
		fieldBg  = c("#E9EEF2", "#262E36")
	)
	fg := func(c color.Color) ink { return newInk(ansi.Style{}.ForegroundColor(c)) }
	bold := func(c color.Color) ink { return newInk(ansi.Style{}.Bold().ForegroundColor(c)) }
	on := func(text, back color.Color) ink {
		return newInk(ansi.Style{}.Bold().ForegroundColor(text).BackgroundColor(back))
	}
	back := func(c color.Color) ink { return newInk(ansi.Style{}.BackgroundColor(c)) }

	t := theme{
		strong: newInk(ansi.Style{}.Bold()), dim: fg(grey), faint: fg(pale),
		accent: fg(accent), title: bold(accent),
		good: fg(green), bad: fg(red), warn: fg(yellow),
		added: fg(green), removed: fg(red), hunk: fg(blue),
		code: fg(c("#6A3E99", "#D3B3FF")), link: newInk(ansi.Style{}.Underline(true).ForegroundColor(blue)),
		border: fg(pale), borderFocus: fg(accent),
		selected: back(mark), selectedBlur: back(markBlur),
		badge: on(paper, accent), badgeWarn: on(paper, yellow),
		key: bold(accent), button: on(paper, accent), buttonOther: newInk(ansi.Style{}.ForegroundColor(accent).BackgroundColor(markBlur)),
		buttonOff: newInk(ansi.Style{}.ForegroundColor(pale).BackgroundColor(markBlur)),
		field:     back(fieldBg), fieldFocus: newInk(ansi.Style{}.BackgroundColor(mark).Underline(true)),
	}
	t.severity[checks.Critical] = bold(red)
	t.severity[checks.High] = bold(orange)
	t.severity[checks.Medium] = fg(yellow)
	t.severity[checks.Low] = fg(blue)
	t.severity[checks.Info] = fg(grey)
	return t
}

// symbols mark severities by shape, for those who see no colours.
var symbols = [checks.Critical + 1]string{
	checks.Info: "·", checks.Low: "▪", checks.Medium: "●", checks.High: "▲", checks.Critical: "◆",
}
