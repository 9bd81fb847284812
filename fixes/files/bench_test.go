package files_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// canary must be in no file but the one it starts in and the private one.
const canary = "c4nary-value-nobody-may-see"

// plain has three problems of suite: latest, root and ignore.
const plain = "FROM debian:latest\nRUN true\n"

// suite is a small set of checks whose fixes show every way to end well or
// badly. The real ones are tried on a corpus.
var suite = []*checks.Check{
	rule("latest", func(f *source.File, report func(checks.Finding)) {
		at := bytes.Index(f.Source, []byte("debian:latest"))
		if at < 0 {
			return
		}
		report(checks.Finding{Fixes: []checks.Fix{{
			ID:      "tag",
			Title:   checks.Msg("name a release"),
			Caution: checks.Msg("packages may differ"),
			Choices: []checks.Choice{{Key: "tag", Default: "12", Valid: func(v string) error {
				if strings.ContainsAny(v, " \n") {
					return errors.New("a tag has no spaces")
				}
				return nil
			}}},
			Edit: func(v checks.Values) ([]checks.Edit, error) {
				return []checks.Edit{{Start: at + len("debian:"), End: at + len("debian:latest"), New: v["tag"], Reason: checks.Msg("a release does not move")}}, nil
			},
		}}})
	}),
	rule("root", func(f *source.File, report func(checks.Finding)) {
		if bytes.Contains(f.Source, []byte("USER ")) {
			return
		}
		report(checks.Finding{Fixes: []checks.Fix{{
			ID: "user", Title: checks.Msg("run as a user"),
			Choices: []checks.Choice{{Key: "user", Default: "1000", Options: []string{"1000", "2000"}}},
			Edit: func(v checks.Values) ([]checks.Edit, error) {
				eol := "\n"
				if bytes.Contains(f.Source, []byte("\r\n")) {
					eol = "\r\n"
				}
				text := "USER " + v["user"] + eol
				if !bytes.HasSuffix(f.Source, []byte("\n")) {
					text = eol + strings.TrimSuffix(text, eol)
				}
				return []checks.Edit{{Start: len(f.Source), End: len(f.Source), New: text, Reason: checks.Msg("root in a container is root")}}, nil
			},
		}}})
	}),
	rule("secret", func(f *source.File, report func(checks.Finding)) {
		at := bytes.Index(f.Source, []byte("ENV ODD "))
		if at < 0 {
			return
		}
		end := at + bytes.IndexByte(f.Source[at:], '\n') + 1
		value := strings.TrimRight(string(f.Source[at+len("ENV ODD "):end]), "\r\n")
		report(checks.Finding{Fixes: []checks.Fix{{ID: "move", Title: checks.Msg("move the secret"), Edit: func(checks.Values) ([]checks.Edit, error) {
			return []checks.Edit{{Start: at, End: end, New: "# needs the secret odd\n", Moved: []checks.MovedSecret{{ID: "odd", Value: checks.Sensitive(value)}}}}, nil
		}}}})
	}),
	rule("ignore", func(f *source.File, report func(checks.Finding)) {
		if !f.Context.Known || bytes.Contains(f.Context.Ignore, []byte(".git")) {
			return
		}
		report(checks.Finding{Fixes: []checks.Fix{{ID: "list", Title: checks.Msg("ignore .git"), Edit: func(checks.Values) ([]checks.Edit, error) {
			return []checks.Edit{{Path: ".dockerignore", Start: -1, End: -1, New: ".git\n", Reason: checks.Msg("history may hold secrets")}}, nil
		}}}})
	}),
	marker("useless", "#useless", func(f *source.File, at int) []checks.Edit {
		return []checks.Edit{{Start: at, End: at, New: "#"}}
	}),
	marker("harmful", "#harmful", func(f *source.File, at int) []checks.Edit {
		return []checks.Edit{{Start: at, End: at + len("#harmful"), New: "#useless"}}
	}),
	marker("garbled", "#garbled", func(f *source.File, at int) []checks.Edit {
		return []checks.Edit{{Start: at, End: at + len("#garbled"), New: "NOT AN INSTRUCTION"}}
	}),
	marker("torn", "#torn", func(f *source.File, at int) []checks.Edit {
		return []checks.Edit{{Start: at, End: at + 4}, {Start: at + 2, End: at + 5}}
	}),
	marker("human", "#human", nil),
}

func rule(id string, run func(*source.File, func(checks.Finding))) *checks.Check {
	return &checks.Check{ID: id, Title: id, Severity: checks.High, Chapter: checks.LeastPrivilege, Kind: checks.Dockerfile,
		Run: func(s checks.Subject, report func(checks.Finding)) { run(s.(*source.File), report) }}
}

// marker is a rule against a comment.
func marker(id, text string, edit func(f *source.File, at int) []checks.Edit) *checks.Check {
	return rule(id, func(f *source.File, report func(checks.Finding)) {
		at := bytes.Index(f.Source, []byte(text))
		if at < 0 {
			return
		}
		finding := checks.Finding{}
		if edit != nil {
			finding.Fixes = []checks.Fix{{ID: id, Title: checks.Msg("mend"), Edit: func(checks.Values) ([]checks.Edit, error) { return edit(f, at), nil }}}
		}
		report(finding)
	})
}

// A bench is a project directory, a private place and a fixer over both.
type bench struct {
	*fixer.Dispatcher
	project, state, secrets string
	suite                   []*checks.Check
}

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	dir := t.TempDir()
	b := openBench(dir)
	b.write(t, "Dockerfile", text)
	return b
}

// openBench is newBench over a directory that may have been used before.
func openBench(dir string) *bench { return benchIn(dir, filepath.Join(dir, "secrets"), suite) }

func benchIn(dir, secrets string, suite []*checks.Check) *bench {
	b := &bench{
		project: filepath.Join(dir, "project"),
		state:   filepath.Join(dir, "state"),
		secrets: secrets,
		suite:   suite,
	}
	b.Dispatcher = fixer.New(fixer.Options{
		Ledger: ledger.New(b.state),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Dockerfile: files.New(checks.Dockerfile, files.Options{Checks: suite, Secrets: b.secrets, Policy: &checks.Policy{Profile: checks.All}}),
		},
	})
	return b
}

func (b *bench) path(name string) string { return filepath.Join(b.project, name) }

func (b *bench) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(b.project, 0o755))
	must(t, os.WriteFile(b.path(name), []byte(text), 0o644))
}

func (b *bench) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(b.path(name))
	must(t, err)
	return string(data)
}

// subject reads the project as the inventory does.
func (b *bench) subject(t *testing.T) *source.File {
	t.Helper()
	data, err := os.ReadFile(b.path("Dockerfile"))
	must(t, err)
	f := source.Parse(b.path("Dockerfile"), "Dockerfile", data)
	f.Context.Known = true
	f.Context.Ignore, _ = os.ReadFile(b.path(".dockerignore"))
	entries, err := os.ReadDir(b.project)
	must(t, err)
	for _, e := range entries {
		f.Context.Names = append(f.Context.Names, e.Name())
	}
	return f
}

// request asks for the findings of these checks, or of all.
func (b *bench) request(f *source.File, ids ...string) fixes.Request {
	var r fixes.Request
	for _, finding := range checks.Run(f, b.suite, &checks.Policy{Profile: checks.All}).Findings {
		for _, id := range ids {
			if finding.Check.ID == id {
				r.Findings = append(r.Findings, finding)
			}
		}
		if len(ids) == 0 {
			r.Findings = append(r.Findings, finding)
		}
	}
	return r
}

func (b *bench) plan(t *testing.T, ids ...string) *fixes.Plan {
	t.Helper()
	f := b.subject(t)
	plan, err := b.Plan(t.Context(), f, b.request(f, ids...))
	must(t, err)
	return plan
}

// apply plans and applies.
func (b *bench) apply(t *testing.T, ids ...string) (*fixes.Plan, *fixes.Receipt) {
	t.Helper()
	plan := b.plan(t, ids...)
	receipt, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	return plan, receipt
}

func (b *bench) entry(t *testing.T, id string) ledger.Entry {
	t.Helper()
	e, err := ledger.New(b.state).Entry(id)
	must(t, err)
	return e
}

// names lists the project.
func (b *bench) names(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(b.project)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// holding lists the files below dir that contain text.
func holding(t *testing.T, dir, text string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			out = append(out, path)
		}
		return err
	})
	must(t, err)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func texts(messages []checks.Message) string {
	var out []string
	for _, m := range messages {
		out = append(out, m.String())
	}
	return strings.Join(out, "\n")
}
