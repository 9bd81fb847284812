package dockerfile

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// corpus returns the files below a folder of the reference material, which is
// not part of the project, and skips the test where it is not there.
func corpus(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	root := filepath.Join("..", "..", "..", "shared", "corpus", folder)
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".tsv" || filepath.Ext(path) == ".ast" {
			return err
		}
		files[filepath.Base(path)], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Skipf("CORPUS NOT THERE, nothing was tested: %v", err)
	}
	return files
}

// asBuildKit compares f with what BuildKit's parser makes of the same bytes.
func asBuildKit(t *testing.T, name string, f *File) {
	t.Helper()
	result, err := parser.Parse(bytes.NewReader(f.Source))
	if whole := refusal(f.Source); !reflect.DeepEqual(whole, f.Refusal) {
		t.Errorf("%s: BuildKit says %v of the file, %v of its skeleton", name, whole, f.Refusal)
	}
	if err != nil {
		if f.Refusal == nil {
			t.Errorf("%s: BuildKit refuses it (%v), Parse does not", name, err)
		}
		return
	}
	if _, _, err := instructions.Parse(result.AST, linter.New(&linter.Config{})); (err == nil) != (f.Refusal == nil) {
		t.Errorf("%s: instructions.Parse says %v, Refusal is %v", name, err, f.Refusal)
	}
	if len(result.AST.Children) != len(f.Instructions) {
		t.Errorf("%s: %d instructions, BuildKit has %d", name, len(f.Instructions), len(result.AST.Children))
		return
	}
	for i, node := range result.AST.Children {
		in := f.Instructions[i]
		var flags []string
		for _, fl := range in.Flags {
			flags = append(flags, string(f.Source[fl.Start:fl.End]))
		}
		if keyword(node.Value) != in.Keyword || node.StartLine != in.Line || node.EndLine != in.EndLine || len(flags) != len(node.Flags) || len(node.Heredocs) != len(in.Heredocs) {
			t.Errorf("%s: %s lines %d-%d flags %q heredocs %d, BuildKit has %s %d-%d %q %d", name, in.Keyword, in.Line, in.EndLine, flags, len(in.Heredocs),
				node.Value, node.StartLine, node.EndLine, node.Flags, len(node.Heredocs))
			return
		}
		if !strings.HasSuffix(strings.TrimSpace(node.Original), in.Args.String) {
			t.Errorf("%s:%d: arguments %q are not the end of %q", name, in.Line, in.Args.String, node.Original)
			return
		}
		if in.Start < 0 || in.End > len(f.Source) || in.Start > in.End {
			t.Errorf("%s:%d: bytes %d-%d of %d", name, in.Line, in.Start, in.End, len(f.Source))
			return
		}
		for j := range in.Args.String {
			if at := in.Args.Offset(j); f.Source[at] != in.Args.String[j] {
				t.Errorf("%s:%d: byte %d of the arguments is %q, the source has %q at %d", name, in.Line, j, in.Args.String[j], f.Source[at], at)
				return
			}
		}
		if (node.Attributes["json"]) != (in.IsExec) && (in.Keyword == "RUN" || in.Keyword == "CMD" || in.Keyword == "ENTRYPOINT" || in.Keyword == "COPY") {
			t.Errorf("%s:%d: exec form %v, BuildKit says %v", name, in.Line, in.IsExec, node.Attributes["json"])
		}
		for j, doc := range node.Heredocs {
			h := in.Heredocs[j]
			if string(f.Source[h.Start:h.End]) != doc.Content {
				t.Errorf("%s:%d: heredoc %q, BuildKit has %q", name, in.Line, f.Source[h.Start:h.End], doc.Content)
			}
		}
	}
}

func TestParseAgreesWithBuildKit(t *testing.T) {
	for _, folder := range []string{"dockerfiles", "adversarial/dockerfile"} {
		for name, src := range corpus(t, folder) {
			asBuildKit(t, name, Parse("/"+name, name, src))
		}
	}
}

// TestAdversarialFilesEnd holds that nothing hangs on a file: what is a
// minute on a busy machine with the race detector is seconds on a quiet one.
// BenchmarkAdversarial measures.
func TestAdversarialFilesEnd(t *testing.T) {
	for name, src := range corpus(t, "adversarial/dockerfile") {
		start := time.Now()
		f := Parse("/"+name, name, src)
		report := everything(f)
		took := time.Since(start)
		start = time.Now()
		if _, err := fixAll(f, report, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if fixing := time.Since(start); took > time.Minute || fixing > time.Minute {
			t.Errorf("%s: checked in %v, fixed in %v", name, took, fixing)
		}
	}
}

// A patched file and the one beside it that a fix may write.
type patched struct {
	source []byte
	ignore []byte
	edits  []checks.Edit
	moved  []checks.MovedSecret
}

// fixAll carries out the first fix of every finding with default values.
func fixAll(f *File, report checks.Report, safe bool) (patched, error) {
	var groups [][]checks.Edit
	for _, finding := range report.Findings {
		for _, fix := range finding.Fixes[:min(1, len(finding.Fixes))] {
			if safe && !fix.Safe {
				continue
			}
			values := checks.Values{}
			if waits(fix) {
				continue
			}
			for _, c := range fix.Choices {
				values[c.Key] = c.Default
				if c.Valid != nil {
					if err := c.Valid(c.Default); err != nil {
						return patched{}, fmt.Errorf("%s: default of %s: %w", finding.Check.ID, c.Key, err)
					}
				}
			}
			edits, err := fix.Edit(values)
			if err != nil {
				return patched{}, fmt.Errorf("%s: %w", finding.Check.ID, err)
			}
			groups = append(groups, edits)
		}
	}
	size := func(path string) int {
		if path == "" {
			return len(f.Source)
		}
		return len(f.Context.Ignore)
	}
	byPath, left := Combine(groups, size)
	p := patched{ignore: f.Context.Ignore}
	if len(left) > 0 {
		return p, fmt.Errorf("%d of %d fixes conflict: %v", len(left), len(groups), groups[left[0]])
	}
	var err error
	p.source, err = Apply(f.Source, byPath[""])
	if err != nil {
		return p, err
	}
	if edits := byPath[".dockerignore"]; len(edits) > 0 {
		if p.ignore, err = Apply(f.Context.Ignore, edits); err != nil {
			return p, err
		}
	}
	p.edits, err = Resolve(len(f.Source), byPath[""])
	for _, e := range p.edits {
		p.moved = append(p.moved, e.Moved...)
	}
	return p, err
}

// parseLike parses a patched f with the same facts from outside.
func (p patched) parseLike(f *File) *File {
	g := Parse(f.Path, f.Name, p.source)
	g.Context, g.Bases, g.Rules = f.Context, f.Bases, f.Rules
	g.Context.Ignore = p.ignore
	return g
}

// everything returns what all checks say of f, which then forgets it: fixes
// work all the same. None of the checks may panic.
func everything(f *File) checks.Report {
	report := checks.Run(f, Checks(), &checks.Policy{Profile: checks.All})
	for _, err := range report.Errors {
		if strings.Contains(err.Error(), "panic") {
			panic(fmt.Sprintf("%v on\n%s", err, f.Source))
		}
	}
	f.Forget()
	return report
}

// provenFix applies all fixes to f and holds the promises of a fix: the result
// parses, has no new kind of finding, nothing that was fixed is left, fixing it
// again changes nothing, and secrets are gone.
func provenFix(t testing.TB, name string, f *File, safe bool) patched {
	t.Helper()
	before := everything(f)
	p, err := fixAll(f, before, safe)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return p
	}
	g := p.parseLike(f)
	if f.Refusal != nil {
		if !bytes.Equal(p.source, f.Source) {
			t.Errorf("%s: a refused file was changed", name)
		}
		return p
	}
	if g.Refusal != nil {
		t.Errorf("%s: fixed file is refused: %v\n%s", name, g.Refusal, p.source)
		return p
	}
	after := everything(g)
	had := map[string]bool{}
	for _, x := range before.Findings {
		had[x.Check.ID] = true
		for _, fix := range x.Fixes[:min(1, len(x.Fixes))] {
			for _, id := range fix.Brings {
				had[id] = had[id] || !safe || fix.Safe
			}
		}
	}
	for _, x := range after.Findings {
		if !had[x.Check.ID] {
			t.Errorf("%s: fixing brought a %s: %s\n%s", name, x.Check.ID, x.Message, p.source)
		}
		for _, fix := range x.Fixes[:min(1, len(x.Fixes))] {
			if !waits(fix) && (!safe || fix.Safe) {
				t.Errorf("%s: still there after fixing: %s %q line %d: %s\n%s", name, x.Check.ID, x.Key, x.Line, x.Message, p.source)
			}
		}
	}
	again, err := fixAll(g, after, safe)
	if err != nil {
		t.Errorf("%s: second time: %v", name, err)
	} else if !bytes.Equal(again.source, p.source) {
		t.Errorf("%s: fixing twice is not fixing once:\n%s\n----\n%s", name, p.source, again.source)
	}
	for _, m := range p.moved {
		if len(m.Value) > 10 && bytes.Contains(p.source, []byte(m.Value.Reveal())) && secret.Literal(m.Value.Reveal()) {
			t.Errorf("%s: secret %s is still in the file", name, m.ID)
		}
	}
	return p
}

func TestFixAllOnCorpus(t *testing.T) {
	for name, src := range corpus(t, "dockerfiles") {
		f := Parse("/"+name, name, src)
		f.Context = Context{Known: true, Names: []string{"package.json", "Cargo.toml", ".git/"}}
		provenFix(t, name, f, false)
		provenFix(t, name, f, true)
	}
}

// waits reports whether fix needs an answer that only a user has.
func waits(fix checks.Fix) bool {
	return slices.ContainsFunc(fix.Choices, func(c checks.Choice) bool { return c.Default == "" && c.Example != "" })
}
