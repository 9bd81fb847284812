package assets_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestScenarios holds scenarios.md to the tests: a comment
//
//	//scenario:12,13
//
// before a test, or before one of its cases, says which scenarios it runs. Every
// one has a test.
func TestScenarios(t *testing.T) {
	text, err := os.ReadFile("testdata/scenarios.txt")
	if err != nil {
		t.Fatal(err)
	}
	runs := scenarioTests(t)
	want := scenarios(t, string(text), runs)
	if *update {
		if err := os.WriteFile("scenarios.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("scenarios.md is not what the tests say: go test ./assets -run TestScenarios -update")
	}
}

// A run is one test of a scenario.
type run struct{ pkg, test, where string }

// scenarios writes which test runs which scenario, and where.
func scenarios(t *testing.T, text string, runs map[int][]run) string {
	var b strings.Builder
	b.WriteString(`# What can go wrong when something is changed

Written by ` + "`go test ./assets -run TestScenarios -update`" + ` from the comments of the tests; a test keeps it current.
Memory is the engine in memory, real the one of the machine, private one that the test starts, kills and restarts, Podman one of
its own where it is installed. What needs no engine says none: files, or a single decision.

`)
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "# "); ok {
			if n > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "## %s\n\n| | scenario | test | where |\n|---|---|---|---|\n", heading)
			continue
		}
		n++
		var tests, where []string
		slices.SortFunc(runs[n], func(a, b run) int { return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.test, b.test)) })
		for _, r := range runs[n] {
			tests = append(tests, "`"+r.pkg+"` "+r.test)
			where = append(where, r.where)
		}
		if len(tests) == 0 {
			t.Errorf("no test runs scenario %d: %s", n, line)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", n, strings.ReplaceAll(line, "|", "\\|"), strings.Join(tests, "<br>"), strings.Join(where, "<br>"))
	}
	for number := range runs {
		if number < 1 || number > n {
			t.Errorf("%v: there is no scenario %d", runs[number], number)
		}
	}
	return b.String()
}

// scenarioTests finds the comments in all tests of the module.
func scenarioTests(t *testing.T) map[int][]run {
	runs := map[int][]run{}
	packages := map[string]*tests{}
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir, err := filepath.Rel(module, filepath.Dir(path))
		if err != nil {
			return err
		}
		p := packages[dir]
		if p == nil {
			p = &tests{files: token.NewFileSet(), functions: map[string]*ast.FuncDecl{}}
			packages[dir] = p
		}
		return p.read(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, p := range packages {
		for _, m := range p.marks {
			for _, number := range strings.Split(m.numbers, ",") {
				n, err := strconv.Atoi(number)
				if err != nil || m.function == "" {
					t.Errorf("%s: //scenario:%s before no test, or no number", dir, m.numbers)
					continue
				}
				name := m.function
				if m.part != "" {
					name += "/" + m.part
				}
				runs[n] = append(runs[n], run{dir, name, p.where(m.function)})
			}
		}
	}
	return runs
}

// tests are those of one package.
type tests struct {
	files     *token.FileSet
	functions map[string]*ast.FuncDecl
	marks     []mark
}

// A mark is a comment that names scenarios: of a test, or of a part of one.
type mark struct{ numbers, function, part string }

func (p *tests) read(path string) error {
	file, err := parser.ParseFile(p.files, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			p.functions[f.Name.Name] = f
		}
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if numbers, ok := strings.CutPrefix(c.Text, "//scenario:"); ok {
				m := mark{numbers: strings.TrimSpace(numbers)}
				m.function, m.part = p.after(file, c)
				p.marks = append(p.marks, m)
			}
		}
	}
	return nil
}

// after returns the test that a comment stands before, or in, and the name of
// the part that follows it there.
func (p *tests) after(file *ast.File, c *ast.Comment) (function, part string) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		if f.Doc != nil && f.Doc.Pos() <= c.Pos() && c.End() <= f.Doc.End() {
			return f.Name.Name, ""
		}
		if c.Pos() < f.Pos() || f.End() < c.Pos() {
			continue
		}
		line := p.files.Position(c.Pos()).Line + 1
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && part == "" && s.Kind == token.STRING && p.files.Position(s.Pos()).Line == line {
				part, _ = strconv.Unquote(s.Value)
			}
			return part == ""
		})
		if part == "" {
			return "", ""
		}
		return f.Name.Name, part
	}
	return "", ""
}

// engines are what makes one, by where that is.
var engines = map[string]string{
	"New": "memory", "Run": "memory", "Demo": "memory", "Real": "real", "Private": "private", "PrivateWith": "private", "PrivateEngine": "private",
}

// where returns which engines a test reaches, also through its helpers.
func (p *tests) where(function string) string {
	found := map[string]bool{}
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		f := p.functions[name]
		if f == nil || seen[name] {
			return
		}
		seen[name] = true
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				of, ok := n.X.(*ast.Ident)
				switch {
				case ok && of.Name == "dockertest" && engines[n.Sel.Name] != "":
					found[engines[n.Sel.Name]] = true
				case ok && of.Name == "podman" && n.Sel.Name == "Start":
					found["Podman"] = true
				}
			case *ast.CallExpr:
				if called, ok := n.Fun.(*ast.Ident); ok {
					visit(called.Name)
				}
			}
			return true
		})
	}
	visit(function)
	var all []string
	for _, place := range []string{"memory", "real", "private", "Podman"} {
		if found[place] {
			all = append(all, place)
		}
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}
