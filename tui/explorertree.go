package tui

import (
	"bytes"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks/image/layers"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// merged stands for all layers together.
const merged = -1

// A treeDialog shows the files of one layer, or of all together.
type treeDialog struct {
	list   list[treeRow]
	over   *explorer
	layer  int
	root   *layers.Node
	open   map[string]bool // directories, by path
	filter *field          // being typed, else nil
	text   string          // what paths have to contain, lower case
}

type treeRow struct {
	node  *layers.Node
	depth int
}

// mostRows bounds what an open tree shows.
const mostRows = 20_000

func newTree(over *explorer, layer int) *treeDialog {
	d := &treeDialog{over: over, layer: layer, open: map[string]bool{}}
	if layer == merged {
		d.root = over.contents.Merged()
	} else {
		d.root = over.contents.Tree(layer)
	}
	// What fits is open from the start, so that small layers are seen whole.
	for n := d.root; len(n.Children) == 1 && n.Children[0].IsDir(); {
		n = n.Children[0]
		d.open[n.Path] = true
	}
	d.rebuild()
	return d
}

// rebuild lists the rows that are open, or those that the filter finds.
func (d *treeDialog) rebuild() {
	var rows []treeRow
	var walk func(n *layers.Node, depth int)
	walk = func(n *layers.Node, depth int) {
		for _, c := range n.Children {
			if len(rows) >= mostRows {
				return
			}
			switch {
			case d.text == "":
				rows = append(rows, treeRow{c, depth})
				if d.open[c.Path] {
					walk(c, depth+1)
				}
			default:
				if strings.Contains(strings.ToLower(c.Path), d.text) {
					rows = append(rows, treeRow{c, 0})
				}
				walk(c, 0)
			}
		}
	}
	walk(d.root, 0)
	at := d.list.cursor
	if row, ok := d.list.current(); ok {
		for i := range rows {
			if rows[i].node == row.node {
				at = i
			}
		}
	}
	d.list.set(rows, at)
}

// key implements dialog.
func (d *treeDialog) key(u *ui, k tea.KeyPressMsg) action {
	if d.filter != nil {
		return d.typed(k)
	}
	row, ok := d.list.current()
	switch k.String() {
	case "esc", "q":
		if d.text != "" {
			d.text = ""
			d.rebuild()
			return nil
		}
		return closeDialog{}
	case "up", "k":
		d.list.move(-1)
	case "down", "j":
		d.list.move(1)
	case "pgup":
		d.list.move(-max(1, d.list.h-1))
	case "pgdown", "space":
		d.list.move(max(1, d.list.h-1))
	case "home", "g":
		d.list.to(0)
	case "end", "G":
		d.list.to(len(d.list.rows))
	case "/":
		d.filter = newField(d.text)
	case "enter", "right", "l":
		switch {
		case !ok:
		case row.node.IsDir() && row.node.Change != layers.Removed:
			d.open[row.node.Path] = !d.open[row.node.Path] || k.String() != "enter"
			d.rebuild()
		case row.node.File.Kind == layers.Regular:
			return d.view(row.node)
		}
	case "left", "h":
		if ok && row.depth == 0 && !d.open[row.node.Path] {
			return closeDialog{}
		}
		d.collapse(row)
	case "[", "]":
		return d.turn(map[string]int{"[": -1, "]": 1}[k.String()])
	}
	return nil
}

// collapse closes the directory under the cursor, or that around it.
func (d *treeDialog) collapse(row treeRow) {
	if row.node == nil {
		return
	}
	if !d.open[row.node.Path] {
		at := strings.LastIndexByte(row.node.Path, '/')
		if at < 0 {
			return
		}
		parent := row.node.Path[:at]
		for i, r := range d.list.rows {
			if r.node.Path == parent {
				d.list.to(i)
			}
		}
		row, _ = d.list.current()
	}
	delete(d.open, row.node.Path)
	d.rebuild()
}

// turn shows the layer before or after.
func (d *treeDialog) turn(step int) action {
	next := d.layer + step
	if d.layer == merged || next < 0 || next >= len(d.over.shares) {
		return nil
	}
	d.over.cursor = next
	return replaceWith{newTree(d.over, next)}
}

func (d *treeDialog) typed(k tea.KeyPressMsg) action {
	switch k.String() {
	case "enter":
		d.filter = nil
	case "esc":
		d.filter, d.text = nil, ""
		d.rebuild()
	default:
		if d.filter.key(k) {
			d.text = strings.ToLower(d.filter.text())
			d.rebuild()
		}
	}
	return nil
}

func (d *treeDialog) paste(u *ui, text string) action {
	if d.filter != nil {
		d.filter.insert(text)
		d.text = strings.ToLower(d.filter.text())
		d.rebuild()
	}
	return nil
}

func (d *treeDialog) scrollBy(delta int) { d.list.scroll(delta) }

// draw implements dialog. It draws what its box has room for.
func (d *treeDialog) draw(u *ui, width int) sheet {
	t := &u.theme
	title, step := u.T("All layers of %s", terminal.Line(d.over.image.Ref().Name)), ""
	if d.layer != merged {
		title = u.T("Layer %d of %d, %s", d.layer+1, len(d.over.shares), bytesText(d.root.Size))
		step = d.over.step(d.layer)
	}
	lines := make([]string, 0, d.list.h+2)
	head := newLine(width, "")
	switch {
	case d.filter != nil:
		head.add(t.accent, "/ ")
		head.add("", terminal.Line(d.filter.text())+"▏")
	case d.text != "":
		head.add(t.accent, "/ "+terminal.Line(d.text))
		head.add(t.dim, "  "+u.T("%d found", len(d.list.rows)))
	default:
		head.add(t.dim, step)
	}
	lines = append(lines, head.end())
	d.list.resize(width, max(3, u.height-8))
	d.list.forget()
	lines = append(lines, d.list.lines(func(r treeRow, selected bool) string { return d.row(u, r, selected, width) })...)
	if len(d.list.rows) == 0 {
		l := newLine(width, "")
		l.add(t.dim, u.T("nothing"))
		lines = append(lines, l.end())
	}
	return sheet{title: title, lines: lines, buttons: []button{
		{key: "enter", label: u.T("open")},
		{key: "/", label: u.T("filter")},
		{key: "[ ]", label: u.T("layer before, after"), off: d.layer == merged},
		{key: "esc", label: u.T("back")},
	}}
}

func (d *treeDialog) row(u *ui, r treeRow, selected bool, width int) string {
	t, n := &u.theme, r.node
	base, mark := ink(""), " "
	if selected {
		base, mark = t.selected, "▌"
	}
	l := newLine(width, base)
	l.add(t.accent, mark)
	l.add(t.change(n.Change), signs[n.Change]+" ")
	l.add(t.dim, modeText(n.File)+" ")
	l.add("", fmt.Sprintf("%9s ", bytesText(n.Size)))
	if d.layer == merged && n.File != nil && !n.IsDir() {
		l.add(t.dim, fmt.Sprintf("%3d ", n.Layer+1))
	} else if d.layer == merged {
		l.add("", "    ")
	}
	name := n.Name
	if d.text != "" {
		name = n.Path
	}
	fold := "  "
	if n.IsDir() && n.Change != layers.Removed {
		fold = "▸ "
		if d.open[n.Path] {
			fold = "▾ "
		}
		name += "/"
	}
	look := t.change(n.Change)
	l.add("", strings.Repeat("  ", min(r.depth, 12)))
	l.add(t.dim, fold)
	l.add(look, terminal.Line(name))
	if n.Secret {
		l.add(t.bad, "  "+u.T("secret"))
	}
	return l.end()
}

// mostShown is how many bytes of a file are shown.
const mostShown = 256 << 10

// A fileDialog shows a text file of a layer, secrets masked.
type fileDialog struct {
	window
	node  *layers.Node
	lines []string // nil while it is being read
	note  string
	err   error
}

type fileRead struct {
	by   *fileDialog
	data []byte
	err  error
	hide []layers.Secret
}

// view reads a file and shows it.
func (d *treeDialog) view(n *layers.Node) action {
	f := &fileDialog{node: n}
	var hide []layers.Secret
	for _, s := range d.over.contents.Layers[n.Layer].Secrets {
		if s.Path == n.Path {
			hide = append(hide, s)
		}
	}
	reader, ctx, i, ref := d.over.reader, d.over.crew.ctx, d.over.image, d.over.contents.Manifest.Layers[n.Layer]
	return actions{openDialog{f}, tea.Cmd(func() tea.Msg {
		data, err := reader.File(ctx, i, ref, n.Path, mostShown)
		return fileRead{f, data, err, hide}
	})}
}

// hear implements listener.
func (d *fileDialog) hear(u *ui, msg tea.Msg) (action, bool) {
	read, ok := msg.(fileRead)
	if !ok || read.by != d {
		return nil, false
	}
	d.err = read.err
	switch {
	case read.err != nil:
	case bytes.IndexByte(read.data[:min(len(read.data), 8000)], 0) >= 0:
		d.note, d.lines = u.T("this file is no text"), []string{}
	case hashes(d.node.Path):
		d.note, d.lines = u.T("this file holds password hashes, which are not shown"), []string{}
	default:
		d.lines = maskedLines(hideSecrets(read.data, read.hide))
		if int64(len(read.data)) < d.node.Size {
			d.note = u.T("the first %s of %s", bytesText(int64(len(read.data))), bytesText(d.node.Size))
		}
	}
	clear(read.data)
	return nil, true
}

// hashes reports whether the file at path holds password hashes.
func hashes(path string) bool {
	base := path[strings.LastIndexByte(path, '/')+1:]
	return strings.HasPrefix(base, "shadow") || strings.HasPrefix(base, "gshadow") || base == ".htpasswd" || base == "master.passwd"
}

// hideSecrets masks what the reader of layers found, whatever its form; line
// breaks stay.
func hideSecrets(data []byte, hide []layers.Secret) []byte {
	for _, s := range hide {
		start, end := s.Start, s.End
		if end <= start {
			start, end = 0, len(data)
		}
		start, end = min(start, len(data)), min(end, len(data))
		hidden := bytes.Repeat([]byte(secret.Mask+"\n"), bytes.Count(data[start:end], []byte("\n")))
		data = bytes.Join([][]byte{data[:start], hidden, []byte(secret.Mask), data[end:]}, nil)
	}
	return data
}

func (d *fileDialog) busy() bool { return d.lines == nil && d.err == nil }

// key implements dialog.
func (d *fileDialog) key(u *ui, k tea.KeyPressMsg) action {
	switch k.String() {
	case "esc", "q", "left", "h", "enter":
		return closeDialog{}
	}
	d.scrollKey(k.String())
	return nil
}

// draw implements dialog.
func (d *fileDialog) draw(u *ui, width int) sheet {
	t := &u.theme
	p := newPrinter(u, width)
	switch {
	case d.err != nil:
		p.hanging("", t.bad, "✗ ", u.err(d.err))
	case d.lines == nil:
		p.text(t.dim, u.T("reading …"))
	}
	if d.note != "" {
		p.text(t.dim, d.note)
	}
	for n, text := range d.lines {
		l := newLine(width, "")
		l.add(t.dim, fmt.Sprintf("%5d │ ", n+1))
		l.add("", text)
		p.lines = append(p.lines, l.end())
	}
	return sheet{title: "/" + terminal.Line(d.node.Path), lines: p.lines, window: &d.window, buttons: []button{{key: "esc", label: u.T("back")}}}
}
