package assets_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/suite"
)

// headings of explanations as assets/explain/README.md promises them.
var headings = map[assets.Language][]string{
	assets.English: {"What happens", "Why it matters", "Fix it by hand", "What plimsoll does", "When it is fine", "References"},
	assets.German:  {"Was passiert", "Warum es zählt", "Von Hand beheben", "Was plimsoll tut", "Wann es in Ordnung ist", "Quellen"},
}

const (
	fewestLines, mostLines = 15, 60 // that are not blank
	widest                 = 110
)

func TestEveryCheckIsExplained(t *testing.T) {
	var ids []string
	for _, c := range suite.All() {
		ids = append(ids, c.ID)
	}
	for _, r := range attack.Rules() {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, lang := range assets.Languages {
		for _, id := range ids {
			e, ok := assets.Explain(lang, id)
			if !ok || e.Language != lang {
				t.Errorf("explain/%s/%s.md is missing", lang, id)
				continue
			}
			t.Run(string(lang)+"/"+id, func(t *testing.T) { testForm(t, e) })
		}
		files, err := filepath.Glob(filepath.Join("explain", string(lang), "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if id := strings.TrimSuffix(filepath.Base(file), ".md"); !slices.Contains(ids, id) {
				t.Errorf("%s: there is no check %s", file, id)
			}
		}
	}
	if explained := assets.Explained(); !slices.IsSorted(explained) || len(explained) == 0 {
		t.Errorf("Explained() = %v", explained)
	}
}

func testForm(t *testing.T, e assets.Explanation) {
	if e.Title == "" {
		t.Error("no title")
	}
	for i, want := range headings[e.Language] {
		if s := e.Sections[i]; s.Heading != want {
			t.Errorf("heading %d is %q, want %q", i, s.Heading, want)
		} else if strings.TrimSpace(s.Text) == "" {
			t.Errorf("nothing below %q", want)
		}
	}
	var got []string
	lines, fenced := 0, false
	for i, line := range strings.Split(e.Markdown, "\n") {
		if strings.TrimSpace(line) != "" {
			lines++
		}
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		if width := utf8.RuneCountInString(line); width > widest && strings.Contains(line, " ") {
			t.Errorf("line %d has %d columns, at most %d", i+1, width, widest)
		}
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			got = append(got, heading)
		} else if strings.HasPrefix(line, "#") && i > 0 {
			t.Errorf("line %d: %q is no heading of the form", i+1, line)
		}
	}
	if !slices.Equal(got, headings[e.Language]) {
		t.Errorf("headings are %q", got)
	}
	if lines < fewestLines || lines > mostLines {
		t.Errorf("%d lines that are not blank, want %d to %d", lines, fewestLines, mostLines)
	}
	for i, line := range strings.Split(e.Sections[assets.References].Text, "\n") {
		if !strings.HasPrefix(line, "- ") {
			t.Errorf("line %d of the references is no item: %q", i+1, line)
		}
	}
}

// TestExamples runs every example against the check that it explains.
func TestExamples(t *testing.T) {
	kinds := map[string][]checks.Kind{}
	for _, c := range suite.All() {
		kinds[c.ID] = append(kinds[c.ID], c.Kind)
	}
	for _, lang := range assets.Languages {
		for _, id := range assets.Explained() {
			e, ok := assets.Explain(lang, id)
			if !ok || e.Language != lang || len(kinds[id]) == 0 {
				continue // TestEveryCheckIsExplained tells
			}
			t.Run(string(lang)+"/"+id, func(t *testing.T) {
				seen := map[bool]bool{}
				for _, x := range examples(t, e.Markdown) {
					seen[x.bad] = true
					testExample(t, id, kinds[id], x)
				}
				if !seen[true] || !seen[false] {
					t.Error("wants at least one bad and one good example")
				}
			})
		}
	}
}

func testExample(t *testing.T, id string, kinds []checks.Kind, x example) {
	subject, err := x.subject(kinds)
	if err != nil {
		t.Errorf("line %d: %v", x.line, err)
		return
	}
	report := checks.Run(subject, suite.All(), &checks.Policy{Profile: checks.All})
	reported := slices.ContainsFunc(report.Findings, func(f checks.Finding) bool { return f.Check.ID == id })
	if reported != x.bad {
		var found []string
		for _, f := range report.Findings {
			found = append(found, f.Check.ID)
		}
		t.Errorf("line %d: this %s is said to be bad: %v; but reported are %v", x.line, x.syntax, x.bad, found)
	}
	if len(report.Errors) > 0 && !(x.bad && (id == "instruction-unknown" || id == "instruction-before-from")) {
		t.Errorf("line %d: %v", x.line, report.Errors)
	}
}

// TestExamplesAgree requires the same examples of both languages, but for
// what their comments say.
func TestExamplesAgree(t *testing.T) {
	for _, id := range assets.Explained() {
		e, _ := assets.Explain(assets.English, id)
		d, _ := assets.Explain(assets.German, id)
		en, de := examples(t, e.Markdown), examples(t, d.Markdown)
		same := slices.EqualFunc(en, de, func(a, b example) bool {
			return a.syntax == b.syntax && a.bad == b.bad && strings.Count(a.source, "\n") == strings.Count(b.source, "\n")
		})
		if d.Language == assets.German && !same {
			t.Errorf("%s: the examples of English and German differ", id)
		}
	}
}

func TestReadmeShowsHeadings(t *testing.T) {
	readme, err := os.ReadFile("explain/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for lang, list := range headings {
		for _, h := range list {
			if !strings.Contains(string(readme), "`## "+h+"`") {
				t.Errorf("explain/README.md does not name the %s heading %q", lang, h)
			}
		}
	}
}
