package tui

import (
	"fmt"
	"strings"

	"github.com/docker/go-units"

	"plimsoll/fixes"
)

// mostTransfers is how many layers under way are shown: engines download a few
// at a time.
const mostTransfers = 8

// transfer draws how far an image is: in all, and each layer that is neither
// finished nor waiting for its turn.
func (p *printer) transfer(now *fixes.Transfer) {
	t := &p.theme
	finished, shown := 0, 0
	for _, l := range now.Layers {
		if l.State.Finished() {
			finished++
		}
	}
	text := p.T("%d of %d layers", finished, len(now.Layers))
	if now.Total > 0 {
		text = size(now.Done) + " / " + size(now.Total) + " · " + text
	}
	p.hanging(t.dim, "", "  ", text)
	for _, l := range now.Layers {
		if l.State.Finished() || l.State == fixes.Waiting || shown == mostTransfers {
			continue
		}
		shown++
		row := newLine(p.room(), "")
		row.add("", "  ")
		row.add(t.dim, fmt.Sprintf("%-12s ", plain(l.ID)))
		switch {
		case l.State == fixes.Downloading && l.Total > 0:
			const width = 16
			done := int(float64(width) * min(1, float64(l.Done)/float64(l.Total)))
			row.add(t.accent, strings.Repeat("━", done))
			row.add(t.faint, strings.Repeat("┄", width-done))
			row.add(t.dim, " "+size(l.Done)+" / "+size(l.Total))
		case l.State == fixes.Downloading:
			row.add(t.dim, p.T("downloading …"))
		case l.State == fixes.Unpacking:
			row.add(t.dim, p.T("unpacking …"))
		default:
			row.add(t.dim, p.T("downloaded"))
		}
		p.raw(row.end(), p.room())
	}
}

// size returns a number of bytes as docker writes it.
func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }
