package yamledit

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// A Value is what can be written: [Scalar], [List] or [Map].
type Value interface {
	// inline returns the value on one line.
	inline() string

	// block returns it as what follows the colon of a key, whose column is
	// indent, counted from 0.
	block(f *File, indent int) string
}

// A Scalar is written as it is: true, 512m, or what [Quote] returns.
type Scalar string

// A List has items that are written as they are.
type List []string

// A Map has entries in order.
type Map []Entry

// An Entry is a key, written as it is, and its value.
type Entry struct {
	Key   string
	Value Value
}

func (s Scalar) inline() string          { return string(s) }
func (s Scalar) block(*File, int) string { return " " + string(s) }
func (l List) inline() string            { return "[" + strings.Join(l, ", ") + "]" }
func (l List) block(f *File, indent int) string {
	if len(l) == 0 {
		return " []"
	}
	if !f.hang {
		indent += f.step
	}
	var b strings.Builder
	for _, item := range l {
		b.WriteString(f.eol + strings.Repeat(" ", indent) + "- " + item)
	}
	return b.String()
}

func (m Map) inline() string {
	var parts []string
	for _, e := range m {
		parts = append(parts, e.Key+": "+e.Value.inline())
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (m Map) block(f *File, indent int) string {
	if len(m) == 0 {
		return " {}"
	}
	indent += f.step
	var b strings.Builder
	for _, e := range m {
		b.WriteString(f.eol + strings.Repeat(" ", indent) + e.Key + ":" + e.Value.block(f, indent))
	}
	return b.String()
}

// Errors that say why a change cannot be made without touching something else.
var (
	ErrShared error = &checks.Problem{What: checks.Msg("other places of the file refer to it by an anchor")}
	ErrLayout error = &checks.Problem{What: checks.Msg("it is written in a way that cannot be changed without writing it anew")}
)

// An Editor collects changes of one file.
type Editor struct {
	*File
	Reason checks.Message // of the edits that follow
	Edits  []checks.Edit
}

func (e *Editor) edit(start, end int, text string) {
	e.Edits = append(e.Edits, checks.Edit{Start: start, End: end, New: text, Reason: e.Reason})
}

// Get returns the key and the value of an entry that is written in mapping m
// itself; nil if there is none.
func Get(m *yaml.Node, key string) (k, v *yaml.Node) {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key && m.Content[i].Kind == yaml.ScalarNode && m.Content[i].Tag != "!!merge" {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// shared reports whether n or something in it is referred to from elsewhere.
func (f *File) shared(n *yaml.Node) bool {
	if f.aliased[n] {
		return true
	}
	if n.Kind == yaml.AliasNode {
		return false
	}
	for _, child := range n.Content {
		if f.shared(child) {
			return true
		}
	}
	return false
}

// Replace writes a scalar, or a value on one line, in place of n.
func (e *Editor) Replace(n *yaml.Node, v Value) error {
	if e.shared(n) {
		return ErrShared
	}
	start, end, err := e.Span(n)
	if err != nil {
		return err
	}
	e.edit(start, end, v.inline())
	return nil
}

// Set gives key of mapping m a value: in place where it has one, else behind
// the last entry.
func (e *Editor) Set(m *yaml.Node, key string, v Value) error {
	k, old := Get(m, key)
	if k == nil {
		return e.add(m, key, v)
	}
	if e.shared(old) {
		return ErrShared
	}
	_, keyEnd, err := e.Span(k)
	if err != nil {
		return err
	}
	if !empty(old) {
		start, end, err := e.Span(old)
		if err != nil {
			return err
		}
		if _, simple := v.(Scalar); flow(m) || simple && old.Kind != yaml.MappingNode && old.Kind != yaml.SequenceNode || flow(old) {
			e.edit(start, end, v.inline())
			return nil
		}
		colon := e.skipTo(keyEnd, ':')
		if colon == keyEnd {
			return ErrLayout
		}
		if _, simple := v.(Scalar); !simple && old.Line == k.Line && old.Kind != yaml.ScalarNode && old.Kind != yaml.AliasNode {
			return ErrLayout
		}
		e.replaceBelow(colon, start, end, v.block(e.File, k.Column-1))
		return nil
	}
	colon := e.skipTo(keyEnd, ':')
	if colon == keyEnd {
		return ErrLayout
	}
	if flow(m) {
		e.edit(colon, colon, " "+v.inline())
		return nil
	}
	e.edit(colon, colon, v.block(e.File, k.Column-1))
	return nil
}

// replaceBelow writes text, which follows the colon before offset colon, in place of
// a value [start, end). Comments between the two stay.
func (e *Editor) replaceBelow(colon, start, end int, text string) {
	above := e.lineStart(start)
	above -= e.breakBefore(above)
	switch {
	case above <= colon: // on the line of the colon
		e.edit(colon, end, text)
	case breakLen([]byte(text)) > 0:
		e.edit(above, end, text)
	case above == e.lineEnd(colon) && len(bytes.TrimSpace(e.Source[colon:above])) == 0:
		e.edit(colon, end, text)
	default:
		e.edit(colon, colon, text)
		e.edit(above, end, "")
	}
}

// add puts a new entry behind the last one of m.
func (e *Editor) add(m *yaml.Node, key string, v Value) error {
	if m == nil || m.Kind != yaml.MappingNode {
		return ErrLayout
	}
	if e.aliased[m] {
		return ErrShared
	}
	start, end, err := e.Span(m)
	if err != nil {
		return err
	}
	if flow(m) {
		return e.addFlow(m, start, end, key, v)
	}
	if len(m.Content) == 0 {
		return ErrLayout
	}
	indent := m.Content[0].Column - 1
	first, err := e.at(m.Content[0].Line, m.Content[0].Column)
	if err != nil {
		return err
	}
	line := e.lineStart(first)
	if lead := strings.TrimRight(string(e.Source[line:first]), " "); strings.HasSuffix(lead, "?") {
		indent = len(lead) - 1 // the key begins with its mark
	}
	at := e.lineEnd(end)
	e.edit(at, at, e.eol+strings.Repeat(" ", indent)+key+":"+v.block(e.File, indent))
	return nil
}

// addFlow puts an entry before the closing bracket, on a line of its own where
// the last one is.
func (e *Editor) addFlow(m *yaml.Node, start, end int, key string, v Value) error {
	if len(m.Content) == 0 {
		open := e.properties(start) + 1
		e.edit(open, open, key+": "+v.inline())
		return nil
	}
	last, value := m.Content[len(m.Content)-2], m.Content[len(m.Content)-1]
	if last.Style&yaml.DoubleQuotedStyle != 0 && !strings.HasPrefix(key, `"`) {
		key = `"` + key + `"` // as JSON wants it
	}
	keyStart, at, err := e.Span(last)
	if err != nil {
		return err
	}
	if empty(value) {
		at = e.skipTo(at, ':')
	} else if _, at, err = e.Span(value); err != nil {
		return err
	}
	between := " "
	line := e.lineStart(keyStart)
	if lead := string(e.Source[line:keyStart]); strings.TrimSpace(lead) == "" && line > start {
		between = e.eol + lead
	}
	comma := ","
	if empty(value) {
		comma = " ," // else it would belong to the key
	}
	e.edit(at, at, comma+between+key+": "+v.inline())
	return nil
}

// Rename gives key of mapping m another name and value, where they stand: the last
// edit is that of the value.
func (e *Editor) Rename(m *yaml.Node, key, to string, v Scalar) error {
	k, old := Get(m, key)
	switch {
	case k == nil || empty(old):
		return ErrLayout
	case e.shared(old) || e.aliased[m]:
		return ErrShared
	}
	keyStart, keyEnd, err := e.Span(k)
	if err != nil {
		return err
	}
	start, end, err := e.Span(old)
	if err != nil {
		return err
	}
	if k.Style&yaml.DoubleQuotedStyle != 0 && !strings.HasPrefix(to, `"`) {
		to = `"` + to + `"` // as JSON wants it
	}
	text := v.inline()
	if e.Source[start-1] == ':' {
		text = " " + text // what was quoted needs no blank, another key does
	}
	e.edit(keyStart, keyEnd, to)
	if old.Line > k.Line && len(old.Content) > 0 && !flow(old) {
		e.replaceBelow(e.skipTo(keyEnd, ':'), start, end, " "+v.inline())
		return nil
	}
	e.edit(start, end, text)
	return nil
}

// Remove takes key and its value out of m, of which something must be left.
func (e *Editor) Remove(m *yaml.Node, key string) error {
	k, v := Get(m, key)
	switch {
	case k == nil:
		return ErrLayout
	case e.shared(v) || e.aliased[m]:
		return ErrShared
	case len(m.Content) == 2 && !flow(m):
		return ErrLayout
	}
	start, end, err := e.Span(k)
	if err != nil {
		return err
	}
	if empty(v) {
		end = max(end, e.skipTo(end, ':'))
	} else if _, end, err = e.Span(v); err != nil {
		return err
	}
	return e.cut(m, start, end)
}

// Append puts items behind the last one of list.
func (e *Editor) Append(list *yaml.Node, items ...string) error {
	if list.Kind != yaml.SequenceNode {
		return ErrLayout
	}
	if e.aliased[list] {
		return ErrShared
	}
	start, end, err := e.Span(list)
	if err != nil {
		return err
	}
	if !flow(list) {
		// The list begins with its anchor or tag, which may be on the line of the key.
		behind := e.skipTo(e.properties(start), '-')
		dash := behind - 1
		if dash < start || e.Source[dash] != '-' {
			return ErrLayout
		}
		var b strings.Builder
		for _, item := range items {
			b.WriteString(e.eol + strings.Repeat(" ", dash-e.lineStart(dash)) + "- " + item)
		}
		at := e.lineEnd(end)
		e.edit(at, at, b.String())
		return nil
	}
	if len(list.Content) == 0 {
		open := e.properties(start) + 1
		e.edit(open, open, strings.Join(items, ", "))
		return nil
	}
	if _, end, err = e.Span(list.Content[len(list.Content)-1]); err != nil {
		return err
	}
	e.edit(end, end, ", "+strings.Join(items, ", "))
	return nil
}

// RemoveItem takes one of several items out of list.
func (e *Editor) RemoveItem(list, item *yaml.Node) error {
	if e.shared(item) || e.aliased[list] {
		return ErrShared
	}
	start, end, err := e.Span(item)
	if err != nil {
		return err
	}
	if !flow(list) {
		dash := strings.LastIndexByte(string(e.Source[:start]), '-')
		if dash < 0 || strings.TrimSpace(string(e.Source[dash+1:start])) != "" {
			return ErrLayout
		}
		start = dash
	}
	return e.cut(list, start, end)
}

// cut removes [start, end) of n: in a list between brackets with one comma, else
// with the lines that it fills.
func (e *Editor) cut(n *yaml.Node, start, end int) error {
	if flow(n) {
		return e.cutFlow(n, start, end)
	}
	line := e.lineStart(start)
	if strings.TrimSpace(string(e.Source[line:start])) != "" {
		return ErrLayout
	}
	rest := e.lineEnd(end)
	if tail := strings.TrimSpace(string(e.Source[end:rest])); tail != "" && !strings.HasPrefix(tail, "#") {
		return ErrLayout
	}
	next := e.nextLine(rest)
	e.edit(line, next, "")
	return nil
}

// cutFlow removes [start, end) with the comma behind it, else with the one before.
// Comments between the two stay, with what is a comma in them.
func (e *Editor) cutFlow(n *yaml.Node, start, end int) error {
	if next := e.skipTo(end, ','); next > end {
		if len(bytes.TrimSpace(e.Source[end:next-1])) > 0 {
			e.edit(start, end, "")
			e.edit(next-1, next, "")
			return nil
		}
		for next < len(e.Source) && (e.Source[next] == ' ' || e.Source[next] == '\t') {
			next++
		}
		e.edit(start, next, "")
		return nil
	}
	before, err := e.endBefore(n, start)
	if err != nil {
		return err
	}
	switch comma := e.skipTo(before, ',') - 1; {
	case comma < before || comma >= start: // it was the only one
		e.edit(start, end, "")
	case len(bytes.TrimSpace(e.Source[comma+1:start])) > 0:
		e.edit(comma, comma+1, "")
		e.edit(start, end, "")
	default:
		e.edit(comma, end, "")
	}
	return nil
}

// endBefore returns where the entry of n ends that is the last one before offset.
func (e *Editor) endBefore(n *yaml.Node, offset int) (int, error) {
	start, _, err := e.Span(n)
	if err != nil {
		return 0, err
	}
	last := e.properties(start) + 1 // the bracket
	for _, child := range n.Content {
		if empty(child) {
			if colon := e.skipTo(last, ':'); n.Kind == yaml.MappingNode && colon <= offset {
				last = colon
			}
			continue
		}
		_, end, err := e.Span(child)
		if err != nil {
			return 0, err
		}
		if end > offset {
			break
		}
		last = end
	}
	return last, nil
}
