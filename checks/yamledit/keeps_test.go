package yamledit

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// knotty has what an edit can spoil beside the place that it is made in.
const knotty = `a: &q # one
  - x
  - y # two,
b: !override # three
- {k: v, l: w} # four,
- [ m, # five,
    n, # six
    o ]
c:
  - name: |2
      text
       more
    other: |
    last: >+
      folded

  - ? |
      key
    : value
  -
    deep: {r: 1,
      # seven,
      s: 2 }
d: # eight
  plain text
e: # nine
  # ten
  - z
f: |+
  kept


g: 'last'
h:
  i: |+
    kept to the end

 
`

// Every edit of every node leaves all else as it is.
func TestEveryEdit(t *testing.T) {
	for name, source := range map[string]string{
		"lf":    knotty,
		"crlf":  strings.ReplaceAll(knotty, "\n", "\r\n"),
		"mixed": strings.Replace(knotty, "\n", "\r\n", 3),
		"open":  strings.TrimSpace(knotty[:strings.Index(knotty, "h:")]),
		"other": strings.Replace(strings.TrimSuffix(tricky, "r: - not a list\n"), "\ufeff", "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse([]byte(source))
			if err != nil {
				t.Fatal(err)
			}
			made := 0
			try := func(n *yaml.Node, what string, edit func(*Editor) error) {
				e := &Editor{File: f}
				if edit(e) != nil {
					return
				}
				made++
				if err := Keeps(f.Source, e.Edits); err != nil {
					t.Errorf("line %d: %s: %q", n.Line, what, apply(t, source, e.Edits))
				}
			}
			visit(f.Roots[0], func(n *yaml.Node) {
				switch n.Kind {
				case yaml.MappingNode:
					try(n, "add", func(e *Editor) error { return e.Set(n, "new", Scalar("1")) })
					try(n, "add a map", func(e *Editor) error { return e.Set(n, "new", Map{{"of", List{"1"}}}) })
					for i := 0; i < len(n.Content); i += 2 {
						key := n.Content[i].Value
						try(n, "set "+key, func(e *Editor) error { return e.Set(n, key, Scalar("1")) })
						try(n, "set a list "+key, func(e *Editor) error { return e.Set(n, key, List{"1"}) })
						try(n, "rename "+key, func(e *Editor) error { return e.Rename(n, key, "new", "1") })
						try(n, "remove "+key, func(e *Editor) error { return e.Remove(n, key) })
					}
				case yaml.SequenceNode:
					try(n, "append", func(e *Editor) error { return e.Append(n, "new") })
					for i, item := range n.Content {
						try(n, fmt.Sprint("remove item ", i), func(e *Editor) error { return e.RemoveItem(n, item) })
					}
				}
			})
			if made < 20 {
				t.Errorf("only %d edits were made", made)
			}
		})
	}
}

func TestKeepsTellsDamage(t *testing.T) {
	for name, c := range map[string]struct {
		source, mark string // what is replaced
		text         string
	}{
		"a value that keeps lines": {"a: |+\n  x\n\n\nb: 1\n", "\n\nb", "\nb"},
		"a value taken in":         {"a: |\n  x\nb: 1\n", "b: 1", "  b: 1"},
		"another place":            {"a:\n  b: 1\n  c: 2\n", "  c", "c"},
		"another order":            {"- a\n- b\n", "- a\n- b", "- b\n- a"},
		"no YAML":                  {"a: 1\nb: 2\n", "b", "]"},
	} {
		start := strings.Index(c.source, c.mark)
		if Keeps([]byte(c.source), []checks.Edit{{Start: start, End: start, New: ""}}) != nil {
			t.Errorf("%s: nothing done is damage", name)
		}
		// Only what differs is the edit.
		end := start + len(c.mark)
		text := c.text
		for start < end && text != "" && c.source[start] == text[0] {
			start, text = start+1, text[1:]
		}
		for start < end && text != "" && c.source[end-1] == text[len(text)-1] {
			end, text = end-1, text[:len(text)-1]
		}
		err := Keeps([]byte(c.source), []checks.Edit{{Start: start, End: end, New: text}})
		if (err == nil) != (name == "another order") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
