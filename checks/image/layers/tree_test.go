package layers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// outline writes a tree as lines: sign, size, path.
func outline(n *Node) (out []string) {
	for _, c := range n.Children {
		out = append(out, fmt.Sprintf("%c %d %s%s", " +~-"[c.Change], c.Size, c.Path, map[bool]string{true: " secret"}[c.Secret]))
		out = append(out, outline(c)...)
	}
	return out
}

func contentsOf(t *testing.T, parts ...[]byte) *Contents {
	t.Helper()
	archive, _ := imageOf(t, layout{}, parts...)
	contents, err := Read(t.Context(), strings.NewReader(string(archive)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func TestTrees(t *testing.T) {
	c := contentsOf(t,
		layerOf(t, planted{name: "app/a", content: "12345"}, planted{name: "app/.env", content: "API_TOKEN=" + canary}, planted{name: "old/x", content: "123"}, planted{name: "old/y", content: "1"}),
		layerOf(t, planted{name: "app/a", content: "1234567"}, planted{name: "app/b", content: "1"}, planted{name: ".wh.old"}, planted{name: "app/.wh..env"}),
	)
	env := len("API_TOKEN=" + canary)
	for _, test := range []struct {
		name string
		tree *Node
		want []string
	}{
		{"first layer", c.Tree(0), []string{
			fmt.Sprintf("  %d app secret", 5+env), fmt.Sprintf("+ %d app/.env secret", env), "+ 5 app/a", "  4 old", "+ 3 old/x", "+ 1 old/y",
		}},
		{"second layer", c.Tree(1), []string{fmt.Sprintf("  %d app", 8+env), fmt.Sprintf("- %d app/.env", env), "~ 7 app/a", "+ 1 app/b", "- 4 old"}},
		{"all layers", c.Merged(), []string{"  8 app", "  7 app/a", "  1 app/b"}},
	} {
		if got := outline(test.tree); !slices.Equal(got, test.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", test.name, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
	shares := c.Shares()
	if want := int64(5 + env + 4); shares[0].Wasted != want || shares[0].Size != want || shares[0].Files != 4 || shares[0].Secrets != 1 || shares[1].Wasted != 0 || shares[1].Files != 2 {
		t.Errorf("%+v", shares)
	}
}

func TestDeepTree(t *testing.T) {
	deep := strings.Repeat("d/", 1500) + "f"
	c := contentsOf(t, layerOf(t, planted{name: deep, content: "x"}))
	if tree := c.Tree(0); tree.Size != 1 {
		t.Errorf("%d bytes", tree.Size)
	}
}
