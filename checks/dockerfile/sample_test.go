package dockerfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"plimsoll/checks"
)

var update = flag.Bool("update", false, "rewrite the fixed files in testdata")

// A sample file in testdata is a txtar archive. Its first line names the checks
// it is about; the others are not looked at. In it are Dockerfiles with
//
//	# want check-id "part of the message"
//
// above the line that a finding speaks of, or # want:LINE where that is a
// comment itself; check-id@severity where that matters; and, under the name of a Dockerfile
// with an ending, what belongs to it:
//
//	NAME.facts        Bases and Context, in JSON
//	NAME.fixed        after all safe fixes
//	NAME.fix.FIX-ID   after the fixes called FIX-ID, with default values
type sample struct {
	name  string
	src   []byte
	facts struct {
		Bases   map[string]Base
		Context Context
		Rules   Rules
		Ignore  *string
	}
	only []string
}

func (s *sample) parse(src []byte) *File {
	f := Parse("/project/Dockerfile", "Dockerfile", src)
	f.Bases, f.Context, f.Rules = s.facts.Bases, s.facts.Context, s.facts.Rules
	if s.facts.Ignore != nil {
		f.Context.Ignore = []byte(*s.facts.Ignore)
	}
	return f
}

func (s *sample) findings(f *File) []checks.Finding {
	return slices.DeleteFunc(everything(f).Findings, func(x checks.Finding) bool { return !slices.Contains(s.only, x.Check.ID) })
}

var wantComment = regexp.MustCompile(`^\s*# want(?::(\d+))? (\S+) "(.*)"$`)

// wants returns the findings that the comments of a sample ask for, with the
// lines that they speak of.
func wants(t *testing.T, src []byte) (out []string) {
	var open [][2]string
	for i, line := range strings.Split(string(src), "\n") {
		if m := wantComment.FindStringSubmatch(line); m != nil {
			if m[1] != "" {
				out = append(out, fmt.Sprintf("%s %s %s", m[1], m[2], m[3]))
			} else {
				open = append(open, [2]string{m[2], m[3]})
			}
			continue
		}
		if strings.Contains(line, "# want") {
			t.Fatalf("line %d: a want that cannot be read: %s", i+1, line)
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, w := range open {
			out = append(out, fmt.Sprintf("%d %s %s", i+1, w[0], w[1]))
		}
		open = nil
	}
	return out
}

func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, path := range files {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(string(archive.Comment), "\n")
		only := strings.Fields(header)
		byName := map[string]int{}
		for i, f := range archive.Files {
			byName[f.Name] = i
		}
		for _, file := range archive.Files {
			if strings.Contains(file.Name, ".") {
				continue
			}
			t.Run(filepath.Base(path)+"/"+file.Name, func(t *testing.T) {
				s := &sample{name: file.Name, src: file.Data, only: only}
				if i, ok := byName[file.Name+".facts"]; ok {
					if err := json.Unmarshal(archive.Files[i].Data, &s.facts); err != nil {
						t.Fatal(err)
					}
				}
				s.check(t, fires, silent)
				s.goldens(t, archive, byName)
				s.variants(t)
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range Checks() {
		if !fires[c.ID] {
			t.Errorf("%s fires in no sample", c.ID)
		}
		if !silent[c.ID] {
			t.Errorf("%s is silent in no sample", c.ID)
		}
	}
}

// check compares the findings with the wants.
func (s *sample) check(t *testing.T, fires, silent map[string]bool) {
	want := wants(t, s.src)
	findings := s.findings(s.parse(s.src))
	seen := map[string]bool{}
	for _, f := range findings {
		seen[f.Check.ID] = true
		fires[f.Check.ID] = true
		i := slices.IndexFunc(want, func(w string) bool {
			for _, id := range []string{f.Check.ID, f.Check.ID + "@" + f.Severity.String()} {
				if part, ok := strings.CutPrefix(w, fmt.Sprintf("%d %s ", f.Line, id)); ok && strings.Contains(f.Message.String(), part) {
					return true
				}
			}
			return false
		})
		if i < 0 {
			t.Errorf("not wanted: line %d %s %q", f.Line, f.Check.ID, f.Message.String())
			continue
		}
		want = slices.Delete(want, i, i+1)
		if len(f.Evidence) == 0 {
			t.Errorf("%s without evidence", f.Check.ID)
		}
	}
	for _, w := range want {
		t.Errorf("not found: line %s", w)
	}
	for _, id := range s.only {
		if !seen[id] {
			silent[id] = true
		}
	}
}

// goldens compares what the fixes make with what the archive says.
func (s *sample) goldens(t *testing.T, archive *txtar.Archive, byName map[string]int) {
	f := s.parse(s.src)
	report := checks.Report{Findings: s.findings(f)}
	var fixes []string
	safe := false
	for _, x := range report.Findings {
		for _, fix := range x.Fixes {
			safe = safe || fix.Safe
			if !fix.Safe && !slices.Contains(fixes, fix.ID) {
				fixes = append(fixes, fix.ID)
			}
		}
	}
	compare := func(ending string, p patched) {
		name := s.name + ending
		got := p.source
		if !bytes.Equal(p.ignore, f.Context.Ignore) {
			got = append(append(bytes.Clone(got), "# .dockerignore:\n"...), p.ignore...)
		}
		if !bytes.HasSuffix(got, []byte("\n")) {
			got = append(bytes.Clone(got), '\n')
		}
		i, ok := byName[name]
		switch {
		case *update && ok:
			archive.Files[i].Data = got
		case *update:
			at := byName[s.name] + 1
			for at < len(archive.Files) && strings.HasPrefix(archive.Files[at].Name, s.name+".") {
				at++
			}
			archive.Files = slices.Insert(archive.Files, at, txtar.File{Name: name, Data: got})
			for i, file := range archive.Files {
				byName[file.Name] = i
			}
		case !ok:
			t.Errorf("no %s in the archive:\n%s", name, got)
		case !bytes.Equal(archive.Files[i].Data, got):
			t.Errorf("%s is\n%s\nwant\n%s", name, got, archive.Files[i].Data)
		}
	}
	if safe {
		p, err := fixAll(f, report, true)
		if err != nil {
			t.Fatal(err)
		}
		compare(".fixed", p)
	}
	for _, id := range fixes {
		chosen := checks.Report{}
		for _, x := range report.Findings {
			x.Fixes = slices.DeleteFunc(slices.Clone(x.Fixes), func(fix checks.Fix) bool { return fix.ID != id })
			for i := range x.Fixes {
				x.Fixes[i].Choices = answered(x.Fixes[i].Choices)
			}
			chosen.Findings = append(chosen.Findings, x)
		}
		p, err := fixAll(f, chosen, false)
		if err != nil {
			t.Fatal(err)
		}
		compare(".fix."+id, p)
	}
	for name := range byName {
		if rest, ok := strings.CutPrefix(name, s.name+".fix."); ok && !slices.Contains(fixes, rest) {
			t.Errorf("nothing offers the fix %s any more", rest)
		}
	}
	provenFix(t, s.name, f, false)
	provenFix(t, s.name, f, true)
}

// answered gives every choice that waits for an answer its example.
func answered(choices []checks.Choice) []checks.Choice {
	choices = slices.Clone(choices)
	for i := range choices {
		choices[i].Default = cmp.Or(choices[i].Default, choices[i].Example)
	}
	return choices
}

// variants are other spellings of a file that mean the same.
func (s *sample) variants(t *testing.T) {
	lines := func(r []checks.Finding) (out []string) {
		for _, x := range r {
			out = append(out, fmt.Sprint(x.Line, " ", x.EndLine, " ", x.Check.ID, " ", x.Key, " ", x.Severity, " ", len(x.Fixes)))
		}
		return out
	}
	want := lines(s.findings(s.parse(s.src)))
	for name, src := range map[string][]byte{
		"CRLF":              bytes.ReplaceAll(s.src, []byte("\n"), []byte("\r\n")),
		"BOM":               append([]byte("\xef\xbb\xbf"), s.src...),
		"BOM and CRLF":      append([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(s.src, []byte("\n"), []byte("\r\n"))...),
		"lower case":        lowerCase(t, s.src),
		"no last newline":   bytes.TrimRight(s.src, "\n"),
		"blanks at the end": append(bytes.Clone(s.src), "\n  \n"...),
	} {
		f := s.parse(src)
		if name == "lower case" && slices.Contains(s.only, "keyword-case-mixed") {
			continue
		}
		if got := lines(s.findings(f)); !slices.Equal(got, want) {
			t.Errorf("%s: findings are\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		p := provenFix(t, s.name+" "+name, f, false)
		if f.Refusal == nil && strings.Contains(name, "CRLF") && bytes.Count(p.source, []byte("\n")) != bytes.Count(p.source, []byte("\r\n")) {
			t.Errorf("%s: a fix mixed the ends of lines:\n%q", name, p.source)
		}
	}
}

// lowerCase writes the keywords of src in lower case.
func lowerCase(t *testing.T, src []byte) []byte {
	var edits []checks.Edit
	f := Parse("/Dockerfile", "Dockerfile", src)
	for _, in := range f.Instructions {
		edits = append(edits, checks.Edit{Start: in.Start, End: in.Start + len(in.Keyword), New: strings.ToLower(in.Keyword)})
	}
	out, err := Apply(src, edits)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
