package fixes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// edit replaces the first occurrence of old in text.
func edit(text, old, new, reason string) checks.Edit {
	at := strings.Index(text, old)
	return checks.Edit{Start: at, End: at + len(old), New: new, Reason: checks.Msg(reason)}
}

func change(before string, edits ...checks.Edit) *fixes.FileChange {
	var plain []udiff.Edit
	for _, e := range edits {
		plain = append(plain, udiff.Edit{Start: e.Start, End: e.End, New: e.New})
	}
	after, err := udiff.Apply(before, plain)
	if err != nil {
		panic(err)
	}
	return &fixes.FileChange{Name: "Dockerfile", Before: []byte(before), After: []byte(after), Edits: edits}
}

func render(hunks []fixes.Hunk) string {
	var b strings.Builder
	for _, h := range hunks {
		fmt.Fprintf(&b, "@ %d %d\n", h.OldLine, h.NewLine)
		for _, l := range h.Lines {
			fmt.Fprintf(&b, "%c %d %d %s", l.Kind, l.Old, l.New, l.Text)
			for _, r := range l.Reasons {
				fmt.Fprintf(&b, " (%s)", r)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestHunks(t *testing.T) {
	const file = "FROM debian\nRUN a\nRUN b\nRUN c\nRUN d\nRUN e\nRUN f\nRUN g\nRUN h\nCMD [\"x\"]\n"
	tests := map[string]struct {
		change *fixes.FileChange
		want   string
	}{
		"two near places and another": {
			change(file+"\n\n\n", edit(file, "RUN b", "RUN 1\nRUN b", "one"), edit(file, "RUN d", "RUN 2\nRUN d", "two"), checks.Edit{Start: len(file) + 3, End: len(file) + 3, New: "USER 1000\n", Reason: checks.Msg("not root")}),
			`@ 1 1
  1 1 FROM debian
  2 2 RUN a
+ 0 3 RUN 1 (one)
  3 4 RUN b
  4 5 RUN c
+ 0 6 RUN 2 (two)
  5 7 RUN d
  6 8 RUN e
  7 9 RUN f
@ 11 13
  11 13 
  12 14 
  13 15 
+ 0 16 USER 1000 (not root)
`,
		},
		"two places": {
			change(file, edit(file, "debian", "debian:12", "a tag"), checks.Edit{Start: len(file), End: len(file), New: "USER 1000\n", Reason: checks.Msg("not root")}),
			`@ 1 1
- 1 0 FROM debian (a tag)
+ 0 1 FROM debian:12 (a tag)
  2 2 RUN a
  3 3 RUN b
  4 4 RUN c
@ 8 8
  8 8 RUN g
  9 9 RUN h
  10 10 CMD ["x"]
+ 0 11 USER 1000 (not root)
`},
		"removed line": {
			change(file, edit(file, "RUN e\n", "", "no use")),
			`@ 3 3
  3 3 RUN b
  4 4 RUN c
  5 5 RUN d
- 6 0 RUN e (no use)
  7 6 RUN f
  8 7 RUN g
  9 8 RUN h
`},
		"no final newline": {
			change("FROM a\nCMD b", checks.Edit{Start: 12, End: 12, New: "\nUSER 1", Reason: checks.Msg("not root")}),
			`@ 1 1
  1 1 FROM a
- 2 0 CMD b (not root)
+ 0 2 CMD b (not root)
+ 0 3 USER 1 (not root)
`},
		"two reasons for one line": {
			change("RUN apt-get install -y x\n", checks.Edit{Start: 20, End: 20, New: "--no-install-recommends ", Reason: checks.Msg("less")}, checks.Edit{Start: 24, End: 24, New: " && clean", Reason: checks.Msg("lists")}),
			`@ 1 1
- 1 0 RUN apt-get install -y x (less) (lists)
+ 0 1 RUN apt-get install --no-install-recommends -y x && clean (less) (lists)
`},
		"CRLF and BOM": {
			change("\ufeffFROM a\r\nCMD b\r\n", checks.Edit{Start: 18, End: 18, New: "USER 1\r\n", Reason: checks.Msg("not root")}),
			`@ 1 1
  1 1 FROM a
  2 2 CMD b
+ 0 3 USER 1 (not root)
`},
		"created": {
			&fixes.FileChange{Created: true, After: []byte(".git\n"), Edits: []checks.Edit{{New: ".git\n", Reason: checks.Msg("history")}}},
			"@ 1 1\n+ 0 1 .git (history)\n"},
		"hostile": {
			change("FROM a\nLABEL x=\x1b[2J\u202ey\nCMD b\n", checks.Edit{Start: 0, End: 0, New: "#\n"}),
			"@ 1 1\n+ 0 1 #\n  1 2 FROM a\n  2 3 LABEL x=␛[2J\ufffdy\n  3 4 CMD b\n"},
		"nothing": {change("FROM a\n"), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := render(tt.change.Hunks()); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestHunksMaskSecrets(t *testing.T) {
	const canary = "c4nary-value-that-nobody-may-see"
	key := "-----BEGIN RSA PRIVATE KEY-----\n" + canary + "\n-----END RSA PRIVATE KEY-----"
	file := "FROM a\nENV API_TOKEN=" + canary + "\nENV ODD " + canary + "\nRUN echo '" + key + "'\nENV Q=\"c4\\nary\"\nCMD b\n"
	c := change(file,
		checks.Edit{Start: strings.Index(file, "ENV ODD"), End: strings.Index(file, "RUN"), Moved: []checks.MovedSecret{{ID: "odd", Value: canary}}},
		checks.Edit{Start: strings.Index(file, "ENV Q"), End: strings.Index(file, "CMD"), Moved: []checks.MovedSecret{{ID: "q", Value: "c4\nary"}}},
	)
	shown := render(c.Hunks())
	if strings.Contains(shown, canary) || strings.Contains(shown, `c4\nary`) {
		t.Errorf("a secret is shown:\n%s", shown)
	}
	if strings.Count(shown, "\n") != 1+strings.Count(file, "\n") || !strings.Contains(shown, secret.Mask) {
		t.Errorf("lines were lost:\n%s", shown)
	}
	at := strings.Index(file, "ODD ") + 6
	if !c.HoldsSecret(at, at+1) || c.HoldsSecret(0, 6) {
		t.Error("HoldsSecret does not know where the secrets are")
	}
}

// FuzzHunks holds that every line is shown once, in order, safe for a terminal.
func FuzzHunks(f *testing.F) {
	f.Add("FROM a\nRUN b\n", "FROM a\r\nRUN c", 3, 7)
	f.Add("\ufeffENV PASSWORD=hunter22\n\n\n", "", 1, 9)
	f.Add("-----BEGIN PRIVATE KEY-----\r\nx\r\n", "USER 1", 2, 2)
	f.Fuzz(func(t *testing.T, before, new string, start, end int) {
		if start < 0 || end < start || end > len(before) {
			t.Skip()
		}
		c := change(before, checks.Edit{Start: start, End: end, New: new, Reason: checks.Msg("why")})
		old, now := 0, 0
		for _, h := range c.Hunks() {
			for _, l := range h.Lines {
				if terminal.Line(l.Text) != l.Text {
					t.Fatalf("not safe: %q", l.Text)
				}
				if l.Old != 0 && l.Old <= old || l.New != 0 && l.New <= now {
					t.Fatalf("line %+v after %d, %d", l, old, now)
				}
				old, now = max(old, l.Old), max(now, l.New)
			}
		}
		if now > 1+strings.Count(string(c.After), "\n") || old > 1+strings.Count(before, "\n") {
			t.Fatalf("%d of %q, %d of %q", old, before, now, c.After)
		}
	})
}
