package yamledit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// tricky has every way to write a value that real files use, and some more.
const tricky = "\ufeff# head\r\n" + `
---
a: &anchor !!str "quoted \" text" # comment
b: 'it''s'
c: plain with blanks   # comment
d: plain over
  several
  lines

  and a paragraph
e: |
  literal

    deeper
  last

f: >-
  folded # no comment
  text
g: [one, "two, with a comma", {x: 1, y: }, [], ] # end
h: {k: v, "q": [1,
  2], # inside
  z: *anchor }
i:
- indentless
-
  - nested
  - - compact
- key: 1
  other: 2
- |
   in a list
- ? complex
  : value
j:
k: ~
l: ""
ünïcödé: [ "ä", ö ]
m: !custom {a: 1}
? n
: - o
p: http://example.org/a#b
q: |2
    two and two more
r: - not a list
`

func TestSpans(t *testing.T) {
	text := strings.ReplaceAll(tricky, "r: - not a list\n", "")
	for name, source := range map[string]string{
		"lf":               strings.ReplaceAll(text, "\r\n", "\n"),
		"crlf":             strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"),
		"without last end": strings.TrimSuffix(text, "\n"),
		"json":             `{"a": {"b": [1, 2.5, "x\"y", null, true, {}]}, "c": "\u00e4" }`,
	} {
		t.Run(name, func(t *testing.T) { spans(t, []byte(source)) })
	}
}

// spans checks that what is said to be a node reads as that node.
func spans(t *testing.T, source []byte) {
	t.Helper()
	f, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Roots) == 0 {
		t.Fatal("nothing was read")
	}
	for _, root := range f.Roots {
		visit(root, func(n *yaml.Node) {
			if n.Kind == yaml.AliasNode || empty(n) {
				return
			}
			start, end, err := f.Span(n)
			if err != nil {
				t.Errorf("line %d, %q: %v", n.Line, n.Value, err)
				return
			}
			piece := source[start:end]
			// Alone it has lost what indented it, which the first line is made to have again.
			alone := append(bytes.Repeat([]byte(" "), n.Column-1), piece...)
			if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				alone = append([]byte(strings.Repeat(" ", f.parentIndent(start))+"x: "), piece...)
			}
			var got yaml.Node
			if err := yaml.Unmarshal(alone, &got); err != nil {
				if bytes.ContainsRune(piece, '*') || bytes.ContainsRune(piece, '!') {
					return // an alias without its anchor
				}
				t.Errorf("line %d: %q: %v", n.Line, piece, err)
				return
			}
			value := got.Content[0]
			if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				value = value.Content[1]
			}
			if !same(n, value) {
				t.Errorf("line %d: %q is %q, not %q", n.Line, piece, value.Value, n.Value)
			}
		})
	}
}

func visit(n *yaml.Node, f func(*yaml.Node)) {
	f(n)
	for _, child := range n.Content {
		visit(child, f)
	}
}

func same(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || strings.TrimRight(a.Value, "\n") != strings.TrimRight(b.Value, "\n") || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !same(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

func TestSpansOfRealFiles(t *testing.T) {
	files, err := filepath.Glob("../../../shared/corpus/compose/*.y*ml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no reference material in ../shared/corpus/compose")
	}
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) { spans(t, source) })
	}
}

// apply makes the edits of e, which must not overlap.
func apply(t *testing.T, source string, edits []checks.Edit) string {
	t.Helper()
	shift := 0
	for _, e := range edits {
		source = source[:e.Start+shift] + e.New + source[e.End+shift:]
		shift += len(e.New) - (e.End - e.Start)
	}
	return source
}

func TestEdits(t *testing.T) {
	set := func(key string, v Value) func(*Editor, *yaml.Node) error {
		return func(e *Editor, m *yaml.Node) error { return e.Set(m, key, v) }
	}
	remove := func(key string) func(*Editor, *yaml.Node) error {
		return func(e *Editor, m *yaml.Node) error { return e.Remove(m, key) }
	}
	for _, c := range []struct {
		name, before, after string
		do                  func(*Editor, *yaml.Node) error
	}{
		{"replace a scalar", "a: 1 # one\nb: 2\n", "a: 3 # one\nb: 2\n", set("a", Scalar("3"))},
		{"replace a quoted scalar", "a: 'x'\n", "a: y\n", set("a", Scalar("y"))},
		{"fill a key", "a: # why\nb: 2\n", "a: 3 # why\nb: 2\n", set("a", Scalar("3"))},
		{"add a scalar", "a: 1\n", "a: 1\nb: 2\n", set("b", Scalar("2"))},
		{"add behind a comment", "a: 1 # one\n# more\n", "a: 1 # one\nb: 2\n# more\n", set("b", Scalar("2"))},
		{"add without last line end", "a: 1", "a: 1\nb: 2", set("b", Scalar("2"))},
		{"add behind a block", "a: |\n  x\n  y\n\n", "a: |\n  x\n  y\nb: 2\n\n", set("b", Scalar("2"))},
		{"add a list", "a:\n    x: 1\n", "a:\n    x: 1\nb:\n    - c\n", set("b", List{"c"})},
		{"add a list as lists are here", "a:\n- x\n", "a:\n- x\nb:\n- c\n", set("b", List{"c"})},
		{"add a map", "a: 1\n", "a: 1\nb:\n  c:\n    d: 1\n", set("b", Map{{"c", Map{{"d", Scalar("1")}}}})},
		{"keep the line ends", "a: 1\r\n", "a: 1\r\nb: 2\r\n", set("b", Scalar("2"))},
		{"add between brackets", "{a: 1}", "{a: 1, b: 2}", set("b", Scalar("2"))},
		{"add between empty brackets", "{}", "{b: 2}", set("b", Scalar("2"))},
		{"add to JSON", "{\n\t\"a\": 1\n}\n", "{\n\t\"a\": 1,\n\t\"b\": true\n}\n", set("b", Scalar("true"))},
		{"replace an alias", "a: &x 1\nb: *x\n", "a: &x 1\nb: 2\n", set("b", Scalar("2"))},
		{"replace a list", "a:\n  - x # gone\n  - y\nb: 1\n", "a:\n  - z\nb: 1\n", set("a", List{"z"})},
		{"replace a list between brackets", "a: [x, y] # why\n", "a: [z] # why\n", set("a", List{"z"})},
		{"remove", "a: 1\nb: 2 # two\nc: 3\n", "a: 1\nc: 3\n", remove("b")},
		{"remove the last", "a: 1\nb:\n  - 2\n", "a: 1\n", remove("b")},
		{"remove the last without line end", "a: 1\nb: 2", "a: 1\n", remove("b")},
		{"remove between brackets", "{a: 1, b: 2, c: 3}", "{a: 1, c: 3}", remove("b")},
		{"remove the last between brackets", "{a: 1, b: 2}", "{a: 1}", remove("b")},
		{"append", "a:\n  - x # why\nb: 1\n", "a:\n  - x # why\n  - y\nb: 1\n", func(e *Editor, m *yaml.Node) error { return e.Append(m.Content[1], "y") }},
		{"append between brackets", "a: [x]\n", "a: [x, y]\n", func(e *Editor, m *yaml.Node) error { return e.Append(m.Content[1], "y") }},
		{"remove an item", "a:\n  - x\n  - y # why\n", "a:\n  - x\n", func(e *Editor, m *yaml.Node) error { return e.RemoveItem(m.Content[1], m.Content[1].Content[1]) }},
		{"remove an item of maps", "a:\n  - x: 1\n    y: 2\n  - z: 3\n", "a:\n  - z: 3\n", func(e *Editor, m *yaml.Node) error { return e.RemoveItem(m.Content[1], m.Content[1].Content[0]) }},
		{"add behind lines that a value keeps", "a:\n  b: |+\n    x\n\n\n", "a:\n  b: |+\n    x\n\n\nc: 2\n", set("c", Scalar("2"))},
		{"add behind blanks of a value", "a: |\n  x\n     \n", "a: |\n  x\n     \nb: 2\n", set("b", Scalar("2"))},
		{"append below an anchor", "a: &q\n  - x\n", "a: &q\n  - x\n  - y\n", func(e *Editor, m *yaml.Node) error { return e.Append(m.Content[1], "y") }},
		{"append below a tag", "a: !override # all\n- x\n", "a: !override # all\n- x\n- y\n", func(e *Editor, m *yaml.Node) error { return e.Append(m.Content[1], "y") }},
		{"remove the last behind another line end", "a: 1\r\nb: 2\nc: 3", "a: 1\r\nb: 2\n", remove("c")},
		{"add behind an item with a block", "a:\n- b: |2\n     x\n  c: 1\n", "a:\n- b: |2\n     x\n  c: 1\n  d: 2\n", func(e *Editor, m *yaml.Node) error { return e.Set(m.Content[1].Content[0], "d", Scalar("2")) }},
		{"replace a block with siblings", "a:\n- b: |2\n     x\n  c: 1\n", "a:\n- b: y\n  c: 1\n", func(e *Editor, m *yaml.Node) error { return e.Set(m.Content[1].Content[0], "b", Scalar("y")) }},
		{"replace an empty block with siblings", "a:\n- b: |\n  c: 1\n", "a:\n- b: y\n  c: 1\n", func(e *Editor, m *yaml.Node) error { return e.Set(m.Content[1].Content[0], "b", Scalar("y")) }},
		{"rename and leave the comment", "a: # why\n  x\nb: 1\n", "c: # why\n  y\nb: 1\n", func(e *Editor, m *yaml.Node) error { return e.Rename(m, "a", "c", "y") }},
		{"rename in JSON", `{"a":"x"}`, `{"c": y}`, func(e *Editor, m *yaml.Node) error { return e.Rename(m, "a", "c", "y") }},
		{"rename between brackets", `{'a':x}`, `{c: y}`, func(e *Editor, m *yaml.Node) error { return e.Rename(m, "a", "c", "y") }},
		{"replace a list and leave the comment", "a: # why\n  # more\n  - x\nb: 1\n", "a: # why\n  # more\n  - z\nb: 1\n", set("a", List{"z"})},
		{"replace a list by a scalar and leave the comment", "a: # why\n  - x\nb: 1\n", "a: z # why\nb: 1\n", set("a", Scalar("z"))},
		{"remove behind a comment with a comma", "[a, # x,\n b]", "[a # x,\n ]", func(e *Editor, m *yaml.Node) error { return e.RemoveItem(m, m.Content[1]) }},
		{"remove before a comment with a comma", "[a # x,\n , b]", "[ # x,\n  b]", func(e *Editor, m *yaml.Node) error { return e.RemoveItem(m, m.Content[0]) }},
		{"replace an item", "a:\n  - \"x\" # why\n", "a:\n  - \"y\" # why\n", func(e *Editor, m *yaml.Node) error { return e.Replace(m.Content[1].Content[0], Scalar(`"y"`)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse([]byte(c.before))
			if err != nil {
				t.Fatal(err)
			}
			e := &Editor{File: f}
			if err := c.do(e, f.Roots[0]); err != nil {
				t.Fatal(err)
			}
			if got := apply(t, c.before, e.Edits); got != c.after {
				t.Errorf("got\n%q, want\n%q", got, c.after)
			}
			if err := Keeps(f.Source, e.Edits); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSharedIsLeftAlone(t *testing.T) {
	f, err := Parse([]byte("base: &base\n  a: 1\n  list: &list [x]\nuser:\n  <<: *base\n  other: *list\n"))
	if err != nil {
		t.Fatal(err)
	}
	e := &Editor{File: f}
	_, base := Get(f.Roots[0], "base")
	_, list := Get(base, "list")
	for name, err := range map[string]error{
		"add": e.Set(base, "b", Scalar("1")), "remove": e.Remove(base, "a"), "replace": e.Set(base, "list", List{"y"}), "append": e.Append(list, "y"),
	} {
		if err != ErrShared {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(e.Edits) > 0 {
		t.Errorf("edits %v", e.Edits)
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", "1000:1000", "22:22", "yes", "0755", "1e3", "a: b", "a #b", "- x", "*x", "x:", "a\"b\\c", "/tmp:size=64m", "no-new-privileges:true", "ä", "null", "1.5", "=", "<<", "2020-01-01", " x", "a\nb\tc"} {
		var got any
		if err := yaml.Unmarshal([]byte("k: "+Quote(s)), &got); err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if v := got.(map[string]any)["k"]; v != s {
			t.Errorf("%q reads as %#v", s, v)
		}
	}
}
