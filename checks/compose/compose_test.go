package compose

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"plimsoll/checks"
)

// TestSamples checks every compose.yml of the archives in testdata: each line
// gets the findings that its comment wants, and no others.
func TestSamples(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no samples: ", err)
	}
	fired := map[string]bool{}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := unpack(t, archive)
		for _, sample := range archive.Files {
			if filepath.Base(sample.Name) != "compose.yml" {
				continue
			}
			t.Run(filepath.Base(path)+"/"+filepath.Dir(sample.Name), func(t *testing.T) {
				file, err := Load(filepath.Join(dir, sample.Name), sample.Name)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range expect(t, file, wanted(string(sample.Data))) {
					fired[id] = true
				}
			})
		}
	}
	for _, c := range Checks() {
		if c == fileDrift || c == fixNotPersisted {
			continue // they need containers: see TestFileAndContainers
		}
		if !fired[c.ID] {
			t.Errorf("no sample makes %s fire", c.ID)
		}
	}
}

func unpack(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range archive.Files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wanted returns the check ids that comments name, by line.
func wanted(source string) map[int][]string {
	want := map[int][]string{}
	for i, line := range strings.Split(source, "\n") {
		if _, comment, ok := strings.Cut(line, "# want "); ok {
			want[i+1] = strings.Fields(comment)
			slices.Sort(want[i+1])
		}
	}
	return want
}

func expect(t *testing.T, file *File, want map[int][]string) []string {
	t.Helper()
	report := checks.Run(file, Checks(), &checks.Policy{Profile: checks.All})
	for _, err := range report.Errors {
		t.Error(err)
	}
	got := map[int][]string{}
	ids := map[checks.FindingID]bool{}
	var all []string
	for _, f := range report.Findings {
		got[f.Line] = append(got[f.Line], f.Check.ID)
		all = append(all, f.Check.ID)
		if ids[f.ID()] {
			t.Errorf("%v twice", f.ID())
		}
		ids[f.ID()] = true
		for _, fix := range f.Fixes {
			if fix.Change != nil || fix.Edit == nil {
				t.Errorf("%v offers a fix of a container", f.ID())
			}
		}
		if shown := f.Message.String() + f.Evidence[0].String(); strings.Contains(shown, "hunter2") {
			t.Errorf("%v shows a secret: %s", f.ID(), shown)
		}
	}
	for line := range max(len(got), strings.Count(string(file.Source), "\n")) + 1 {
		slices.Sort(got[line])
		if !slices.Equal(got[line], want[line]) {
			t.Errorf("line %d: found %q, want %q", line, got[line], want[line])
		}
	}
	return all
}

func TestPositions(t *testing.T) {
	const source = "services:\n  web:\n    image: shop\n    command: |\n      one\n      two\n  db: {image: shop}\n"
	file, err := Parse("/srv/compose.yml", "compose.yml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	web, db := file.Services[0].Compose, file.Services[1].Compose
	if web.Service != "web" || web.Line != 2 || web.EndLine != 6 || web.Keys["command"] != 4 || db.Line != 7 || db.EndLine != 7 {
		t.Errorf("web %+v, db %+v", web, db)
	}
}

func TestNoSecretIsTakenIn(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("PW=hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const source = "services:\n  web:\n    image: shop\n    environment: {DB_PASSWORD: \"${PW}\", X: \"a${PW}\"}\n"
	file, err := Parse(filepath.Join(dir, "compose.yml"), "compose.yml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.Services[0].Settings.Config.Env, []string{"DB_PASSWORD=${PW}", "X=a"}; !slices.Equal(got, want) {
		t.Errorf("env %q, want %q", got, want)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside.yml")
	project := filepath.Join(dir, "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"broken.yml": "services: [\n",
		"self.yml":   "services:\n  base: {extends: {file: self.yml, service: base}}\n",
	} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(outside, []byte("services: {base: {image: shop, privileged: true}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(project, "link.yml")); err != nil {
		t.Fatal(err)
	}
	extends := func(file string) string {
		return "services:\n  web:\n    extends: {file: " + file + ", service: base}\n"
	}
	tests := []struct{ name, source, want string }{
		{"syntax", "services:\n  web: [\n", "line"},
		{"unknown key", "services:\n  web:\n    image: shop\n    prots: []\n", "line 4"},
		{"wrong type", "services:\n  web:\n    image: shop\n    privileged: 1\n", "line 4"},
		{"version 1", "web:\n  image: shop\n", "has no services"},
		{"empty", "", "has no services"},
		{"large", strings.Repeat("# comment\n", 110_000), "larger than 1 MiB"},
		{"deep", "services: " + strings.Repeat("[", 5000), "line"},
		{"many services", manyServices(maxServices + 1), "more than 2000 services"},
		{"outside", extends("../outside.yml"), "was not read"},
		{"outside, absolute", extends(outside), "was not read"},
		{"outside, by a link", extends("link.yml"), "was not read"},
		{"remote", extends("https://example.com/base.yml"), "which it extends"},
		{"missing", extends("missing.yml"), "does not exist"},
		{"broken", extends("broken.yml"), "broken.yml, which it extends: "},
		{"itself", extends("self.yml"), "ircular"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(filepath.Join(project, "compose.yml"), "compose.yml", []byte(test.source))
			var problem *checks.Problem
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want a problem that says %q", err, test.want)
			}
		})
	}
}

func manyServices(n int) string {
	var b strings.Builder
	b.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {image: shop}\n", i)
	}
	return b.String()
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	if _, err := Load(t.TempDir(), "compose.yml"); err == nil {
		t.Error("loaded a folder")
	}
	if _, err := Load(filepath.Join(t.TempDir(), "compose.yml"), "compose.yml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"services:\n  a: {image: b, ports: [\"80:80\"], environment: [A=b, C]}\n",
		"x: &x {a: *x}\nservices: *x\n", "services: {a: {<<: [{image: b}], volumes: [\"/:/h\"]}}", "services: {a: {environment: {A: ${B:?c}}}}",
		"a: !reset\nservices: {? [a] : b}", "\xff\xfes\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		slow := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("still reading %q", source)) })
		file, err := Parse("/nowhere/compose.yml", "compose.yml", []byte(source))
		slow.Stop()
		if err != nil {
			if errors.Is(err, errPanic) {
				t.Error(err)
			}
			return
		}
		for _, err := range checks.Run(file, Checks(), &checks.Policy{Profile: checks.All}).Errors {
			t.Error(err)
		}
	})
}
