// Package yamledit changes YAML, and JSON, by ranges of bytes, so that comments,
// anchors, order and layout of everything else stay as they are.
//
// A parser tells where a node begins, but not where it ends, and forgets how it
// was written. So the text is read once more from where each node begins: that
// is all that a printer would have lost.
package yamledit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A File is a text of YAML with its nodes.
type File struct {
	Source []byte
	Roots  []*yaml.Node // of its documents, without those that are empty

	lines   []int // offsets at which lines begin
	aliased map[*yaml.Node]bool
	eol     string
	step    int  // columns by which a mapping is indented below its key
	hang    bool // lists stand below their key rather than right of it
}

// Parse reads source, which the caller has found to be of a sane size and shape.
func Parse(source []byte) (*File, error) {
	f := &File{Source: source, aliased: map[*yaml.Node]bool{}, eol: "\n", lines: lineStarts(source)}
	if i := bytes.IndexByte(source, '\n'); i > 0 && source[i-1] == '\r' {
		f.eol = "\r\n"
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		f.Roots = append(f.Roots, root.Content...)
	}
	for _, root := range f.Roots {
		f.survey(root)
	}
	if f.step == 0 {
		f.step = 2
	}
	return f, nil
}

// survey notes how the file is laid out, and which nodes others refer to.
func (f *File) survey(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		f.aliased[n.Alias] = true
		return
	}
	for i, child := range n.Content {
		f.survey(child)
		if n.Kind != yaml.MappingNode || i%2 == 0 || flow(n) || flow(child) || len(child.Content) == 0 {
			continue
		}
		if key := n.Content[i-1]; child.Line > key.Line {
			switch child.Kind {
			case yaml.MappingNode:
				if f.step == 0 {
					f.step = child.Column - key.Column
				}
			case yaml.SequenceNode:
				f.hang = child.Column == key.Column
			}
		}
	}
}

// lineStarts returns the offsets at which lines begin, as a YAML parser counts them.
func lineStarts(source []byte) []int {
	starts := []int{len(source) - len(bytes.TrimPrefix(source, []byte("\ufeff")))}
	for i := 0; i < len(source); {
		n := breakLen(source[i:])
		if n > 0 {
			starts = append(starts, i+n)
		}
		i += max(n, 1)
	}
	return starts
}

// breakLen returns the length of the line break that text begins with, 0 if it
// begins with none.
func breakLen(text []byte) int {
	for _, b := range []string{"\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"} {
		if bytes.HasPrefix(text, []byte(b)) {
			return len(b)
		}
	}
	return 0
}

var errPosition = errors.New("a value is not where its position says")

// at returns the offset of a line and column, both counted from 1.
func (f *File) at(line, column int) (int, error) {
	if line < 1 || line > len(f.lines) || column < 1 {
		return 0, errPosition
	}
	offset := f.lines[line-1]
	for range column - 1 {
		if offset >= len(f.Source) {
			return 0, errPosition
		}
		_, size := utf8.DecodeRune(f.Source[offset:])
		offset += size
	}
	return offset, nil
}

// Span returns the bytes [start, end) that n is written in, with its anchor and tag.
func (f *File) Span(n *yaml.Node) (start, end int, err error) {
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0 && n.Tag == "!!null" && n.Line == 0 {
		return 0, 0, errPosition
	}
	if start, err = f.at(n.Line, n.Column); err != nil {
		return 0, 0, err
	}
	if end, err = f.end(n, start); err != nil {
		return 0, 0, fmt.Errorf("line %d: %w", n.Line, err)
	}
	return start, end, nil
}

func flow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// end returns where n ends, which begins at start.
func (f *File) end(n *yaml.Node, start int) (int, error) {
	body := f.properties(start)
	switch n.Kind {
	case yaml.AliasNode:
		return f.word(start), nil
	case yaml.ScalarNode:
		return f.scalarEnd(n, body)
	}
	last := body
	if flow(n) {
		last++ // the bracket
	}
	for i, child := range n.Content {
		if empty(child) {
			if i > 0 && n.Kind == yaml.MappingNode && i%2 == 1 {
				last = f.skipTo(last, ':')
			}
			continue
		}
		_, end, err := f.Span(child)
		if err != nil {
			return 0, err
		}
		last = end
	}
	if !flow(n) {
		return last, nil
	}
	closing := byte('}')
	if n.Kind == yaml.SequenceNode {
		closing = ']'
	}
	end := f.skipTo(last, closing)
	if end == last {
		return 0, errPosition
	}
	return end, nil
}

// empty reports whether nothing is written for n.
func empty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Tag == "!!null" && n.Style == 0 && n.Anchor == ""
}

// skipTo returns the offset after the next mark that follows at, over blanks,
// commas and comments only; at itself if there is none.
func (f *File) skipTo(at int, mark byte) int {
	for i := at; i < len(f.Source); i++ {
		switch c := f.Source[i]; {
		case c == mark:
			return i + 1
		case c == '#':
			for i+1 < len(f.Source) && breakLen(f.Source[i+1:]) == 0 {
				i++
			}
		case !strings.ContainsRune(" \t\r\n,", rune(c)):
			return at
		}
	}
	return at
}

// properties skips the anchor and the tag that begin at offset.
func (f *File) properties(offset int) int {
	for offset < len(f.Source) && (f.Source[offset] == '&' || f.Source[offset] == '!') {
		end := f.word(offset)
		for end < len(f.Source) && (f.Source[end] == ' ' || f.Source[end] == '\t') {
			end++
		}
		offset = end
	}
	return offset
}

// word returns where the word that begins at offset ends.
func (f *File) word(offset int) int {
	for offset < len(f.Source) && !strings.ContainsRune(" \t\r\n,[]{}", rune(f.Source[offset])) {
		offset++
	}
	return offset
}
