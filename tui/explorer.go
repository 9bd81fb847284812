package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/terminal"
)

// A LayerReader reads what images hold.
type LayerReader interface {
	// Contents returns all files of all layers.
	Contents(ctx context.Context, i *image.Image) (*layers.Contents, error)
	// File returns the beginning of one file of one layer, at most most bytes.
	File(ctx context.Context, i *image.Image, layer layers.Ref, path string, most int) ([]byte, error)
}

// An explorer shows the layers of an image, and what each holds and does.
type explorer struct {
	window
	crew     *crew
	reader   LayerReader
	image    *image.Image
	contents *layers.Contents // nil while it is being read
	shares   []layers.Share
	err      error
	cursor   int
	cancel   context.CancelFunc
}

// explored is what was read.
type explored struct {
	by       *explorer
	contents *layers.Contents
	shares   []layers.Share
	err      error
}

func (m *Model) whyNoExplorer() checks.Message {
	at, _ := m.subjects.current()
	i, ok := imageOf(at.subject)
	switch {
	case !ok:
		return checks.Msg("no image is selected")
	case m.o.Layers == nil:
		return checks.Msg("layers cannot be read here")
	case len(i.Inspect.RootFS.Layers) == 0:
		return checks.Msg("this image has no layers")
	}
	return checks.Message{}
}

func imageOf(s *subject) (*image.Image, bool) {
	if s == nil {
		return nil, false
	}
	i, ok := s.Subject.(*image.Image)
	return i, ok
}

// explore opens the layers of the selected image.
func (m *Model) explore() tea.Cmd {
	at, _ := m.subjects.current()
	i, _ := imageOf(at.subject)
	ctx, cancel := context.WithCancel(m.crew.ctx)
	d := &explorer{crew: m.crew, reader: m.o.Layers, image: i, cancel: cancel}
	m.show(d)
	return func() tea.Msg {
		contents, err := d.reader.Contents(ctx, i)
		if err != nil {
			return explored{by: d, err: err}
		}
		return explored{d, contents, contents.Shares(), nil}
	}
}

// hear implements listener.
func (d *explorer) hear(u *ui, msg tea.Msg) (action, bool) {
	read, ok := msg.(explored)
	if !ok || read.by != d {
		return nil, false
	}
	d.contents, d.shares, d.err = read.contents, read.shares, read.err
	return nil, true
}

func (d *explorer) busy() bool { return d.contents == nil && d.err == nil }

// key implements dialog.
func (d *explorer) key(u *ui, k tea.KeyPressMsg) action {
	last := len(d.shares) - 1
	switch k.String() {
	case "esc", "q", "x":
		d.cancel()
		return closeDialog{}
	case "up", "k":
		d.cursor = max(0, d.cursor-1)
	case "down", "j":
		d.cursor = max(0, min(d.cursor+1, last))
	case "home", "g":
		d.cursor = 0
	case "end", "G":
		d.cursor = max(0, last)
	case "enter", "right", "l":
		if d.contents != nil && last >= 0 {
			return openDialog{newTree(d, d.cursor)}
		}
	case "m":
		if d.contents != nil {
			return openDialog{newTree(d, merged)}
		}
	}
	return nil
}

// draw implements dialog.
func (d *explorer) draw(u *ui, width int) sheet {
	t := &u.theme
	p := newPrinter(u, width)
	switch {
	case d.err != nil:
		p.hanging("", t.bad, "✗ ", u.err(d.err))
	case d.contents == nil:
		p.text(t.dim, u.T("reading the layers, %s …", bytesText(d.image.Inspect.Size)))
	default:
		d.drawLayers(p)
	}
	return sheet{title: u.T("Layers of %s", terminal.Line(d.image.Ref().Name)), lines: p.lines, window: &d.window, buttons: []button{
		{key: "enter", label: u.T("files of the layer"), off: d.contents == nil},
		{key: "m", label: u.T("all layers together"), off: d.contents == nil},
		{key: "esc", label: u.T("close")},
	}}
}

func (d *explorer) drawLayers(p *printer) {
	t := &p.theme
	var size, wasted int64
	for _, s := range d.shares {
		size, wasted = size+s.Size, wasted+s.Wasted
	}
	p.text(t.dim, p.T("%s in %d layers; %s of it no container sees: efficiency %d %%", bytesText(size), len(d.shares), bytesText(wasted), 100-wasted*100/max(1, size)))
	p.blank()
	for i, s := range d.shares {
		base, mark := ink(""), " "
		if i == d.cursor {
			base, mark = t.selected, "▌"
			d.n = max(d.n, len(p.lines)+1)
			d.reveal(len(p.lines))
		}
		l := newLine(p.width, base)
		l.add(t.accent, mark)
		l.add(t.strong, fmt.Sprintf("%3d ", i+1))
		l.add("", fmt.Sprintf("%9s %7d  ", bytesText(s.Size), s.Files))
		waste := ""
		if s.Wasted > 0 {
			waste = "-" + bytesText(s.Wasted)
		}
		l.add(t.warn, fmt.Sprintf("%10s  ", waste))
		secrets := "  "
		if s.Secrets > 0 {
			secrets = "! "
		}
		l.add(t.bad, secrets)
		l.add(t.dim, d.step(i))
		p.lines = append(p.lines, l.end())
	}
	p.blank()
	p.text(t.dim, p.T("size, files, bytes that later layers hide; ! holds secrets"))
	if why := d.incomplete(); why != "" {
		p.hanging(t.warn, t.warn, "! ", p.T("not all was read: %s", terminal.Line(why)))
	}
}

func (d *explorer) incomplete() string {
	for _, l := range d.contents.Layers {
		if l.Incomplete != "" {
			return l.Incomplete
		}
	}
	return ""
}

// step returns the step of the history that made a layer, masked.
func (d *explorer) step(i int) string {
	return terminal.Line(d.image.Step(d.contents.Manifest.Layers[i].Step))
}

// bytesText says how many bytes n are.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// signs are what a layer does to a path, for those who see no colours, too.
var signs = map[layers.Change]string{layers.Same: " ", layers.Added: "+", layers.Changed: "~", layers.Removed: "-"}

func (t *theme) change(c layers.Change) ink {
	switch c {
	case layers.Added:
		return t.good
	case layers.Changed:
		return t.warn
	case layers.Removed:
		return t.bad
	}
	return ""
}

// modeText shows a mode as ls does.
func modeText(f *layers.File) string {
	if f == nil {
		return "          "
	}
	b := []byte("-rwxrwxrwx")
	b[0] = map[layers.Kind]byte{layers.Regular: '-', layers.Dir: 'd', layers.Symlink: 'l', layers.Hardlink: '-', layers.Device: 'c'}[f.Kind]
	if b[0] == 0 {
		return "          "
	}
	for i := range 9 {
		if f.Mode&(1<<(8-i)) == 0 {
			b[i+1] = '-'
		}
	}
	for i, special := range []byte("sst") {
		if f.Mode&(1<<(11-i)) == 0 {
			continue
		}
		at := 3 * (i + 1)
		if b[at] == '-' {
			special = strings.ToUpper(string(special))[0]
		}
		b[at] = special
	}
	return string(b)
}
