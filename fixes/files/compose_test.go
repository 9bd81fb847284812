package files_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"golang.org/x/tools/txtar"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A composeBench is a folder with a compose file and a fixer over it.
type composeBench struct {
	*fixer.Dispatcher
	path    string
	running []*subject.Container
}

func newComposeBench(t *testing.T, text string) *composeBench {
	t.Helper()
	b := &composeBench{path: filepath.Join(t.TempDir(), "shop", "compose.yaml")}
	must(t, os.Mkdir(filepath.Dir(b.path), 0o755))
	must(t, os.WriteFile(b.path, []byte(text), 0o640))
	b.Dispatcher = fixer.New(fixer.Options{
		Ledger: ledger.New(filepath.Join(filepath.Dir(filepath.Dir(b.path)), "state")),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Compose: files.New(checks.Compose, files.Options{Checks: compose.Checks(), Policy: &checks.Policy{Profile: checks.All}, Secrets: filepath.Join(t.TempDir(), "secrets")}),
		},
	})
	return b
}

func (b *composeBench) text(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(b.path)
	must(t, err)
	return string(data)
}

// plan asks to fix the findings of these checks, or all that have a fix.
func (b *composeBench) plan(t *testing.T, values checks.Values, ids ...string) *fixes.Plan {
	t.Helper()
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	file.Running = b.running
	request := fixes.Request{Values: values}
	for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Fixable() && (len(ids) == 0 || slices.Contains(ids, f.Check.ID)) {
			request.Findings = append(request.Findings, f)
		}
	}
	plan, err := b.Plan(t.Context(), file, request)
	must(t, err)
	return plan
}

// TestComposeFixes changes a file by one check after the other. In each part
// the first file is what is there and the second what comes of it.
func TestComposeFixes(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/compose.txtar")
	must(t, err)
	for i := 0; i+1 < len(archive.Files); i += 2 {
		before, after := archive.Files[i], archive.Files[i+1]
		name, settings, _ := strings.Cut(before.Name, " ")
		t.Run(name, func(t *testing.T) {
			b := newComposeBench(t, string(before.Data))
			values := checks.Values{}
			ids := []string{name}
			for _, s := range strings.Fields(settings) {
				if key, value, ok := strings.Cut(s, "="); ok {
					values[key] = value
				} else {
					ids = append(ids, s)
				}
			}
			plan := b.plan(t, values, ids...)
			if !plan.Blocked.IsZero() {
				t.Fatalf("blocked: %s", plan.Blocked)
			}
			receipt, err := b.Apply(t.Context(), plan, nil)
			must(t, err)
			if got := b.text(t); got != string(after.Data) {
				t.Errorf("got\n%s\nwant\n%s", got, after.Data)
			}
			if len(receipt.Cured) == 0 {
				t.Error("nothing was cured")
			}
			if info, err := os.Stat(b.path); err != nil || info.Mode() != 0o640 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			must(t, b.Undo(t.Context(), plan.ID, nil))
			if got := b.text(t); got != string(before.Data) {
				t.Errorf("after undo\n%s", got)
			}
		})
	}
}

// What a file shares between services, or leaves to a variable, is left alone
// with the reason.
func TestComposeFixesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ check, text, want string }{
		"an anchored service": {"container-pids-unlimited", "services:\n  a: &a\n    image: x:1\n    cpus: 1\n  b:\n    <<: *a\n    pids_limit: 100\n", "by an anchor"},
		"a variable":          {"container-privileged", "services:\n  a:\n    image: x:1\n    privileged: ${P:-true}\n", "depends on a variable"},
		"an extended service": {"container-capabilities-added", "services:\n  a:\n    extends: {service: b}\n  b:\n    image: x:1\n    cap_add: [NET_ADMIN]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newComposeBench(t, c.text)
			plan := b.plan(t, nil, c.check)
			said := plan.Blocked.String() + texts(plan.Notes)
			if !strings.Contains(said, c.want) || !strings.Contains(said, "is left as it is") {
				t.Errorf("said %q, want %q", said, c.want)
			}
			if plan.Blocked.IsZero() {
				_, err := b.Apply(t.Context(), plan, nil)
				must(t, err)
			}
		})
	}
}

// TestComposeWritesBack gives the file what its container was hardened with.
func TestComposeWritesBack(t *testing.T) {
	const text = "services:\n  web:\n    image: nginx:1.27 # pinned\n    ports:\n      - \"8080:80\"\n"
	b := newComposeBench(t, text)
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	s := file.Services[0].Settings.Clone()
	s.Name, s.Config.Labels = "shop-web-1", map[string]string{"com.docker.compose.service": "web", "com.docker.compose.project.config_files": b.path}
	s.Host.Memory, s.Host.MemorySwap, s.Host.ReadonlyRootfs = 64<<20, 128<<20, true
	s.Host.Tmpfs = map[string]string{"/tmp": "size=16m"}
	s.Host.RestartPolicy = container.RestartPolicy{Name: "no"}
	b.running = []*subject.Container{{Settings: *s}}
	plan := b.plan(t, nil, "compose-fix-not-persisted")
	_, err = b.Apply(t.Context(), plan, nil)
	must(t, err)
	want := text + "    read_only: true\n    tmpfs:\n      - /tmp:size=16m\n    mem_limit: 64m\n"
	if got := b.text(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if plan := b.plan(t, nil, "compose-fix-not-persisted"); plan.Blocked.IsZero() {
		t.Errorf("a second time there is something to do: %s", plan.Title)
	}
}

// TestComposePinsDigests names what is here, where a registry has told its
// digest.
func TestComposePinsDigests(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	b := newComposeBench(t, "services:\n  web:\n    image: nginx # the front\n  own:\n    image: own:1\n")
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	file.Services[0].Image = &image.InspectResponse{RepoDigests: []string{"other@" + digest, "nginx@" + digest}}
	file.Services[1].Image = &image.InspectResponse{}
	request := fixes.Request{}
	for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "compose-image-mutable" && f.Fixable() {
			request.Findings = append(request.Findings, f)
		}
	}
	if len(request.Findings) != 1 {
		t.Fatalf("%d findings have a fix", len(request.Findings))
	}
	plan, err := b.Plan(t.Context(), file, request)
	must(t, err)
	_, err = b.Apply(t.Context(), plan, nil)
	must(t, err)
	if got, want := b.text(t), "services:\n  web:\n    image: nginx:latest@"+digest+" # the front\n  own:\n    image: own:1\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestComposeCorpus fixes everything in every compose file of the wild.
//
//scenario:83
func TestComposeCorpus(t *testing.T) {
	paths, err := filepath.Glob("../../../shared/corpus/compose/*.y*ml")
	must(t, err)
	if len(paths) == 0 {
		t.Skip("no corpus at ../../../shared/corpus/compose")
	}
	patched := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		if fixWholeFile(t, filepath.Base(path), string(text)) {
			patched++
		}
	}
	if patched < len(paths)*3/4 {
		t.Errorf("only %d of %d were patched", patched, len(paths))
	}
}

func TestComposeOwnFiles(t *testing.T) {
	for _, name := range []string{"../../checks/compose/testdata/hardening.txtar", "../../checks/compose/testdata/services.txtar"} {
		archive, err := txtar.ParseFile(name)
		must(t, err)
		for _, f := range archive.Files {
			if filepath.Base(f.Name) == "compose.yml" {
				fixWholeFile(t, f.Name, string(f.Data))
				fixWholeFile(t, f.Name+" with CRLF", strings.ReplaceAll(string(f.Data), "\n", "\r\n"))
			}
		}
	}
}

// fixWholeFile holds the promises of every patch: what is cured is gone,
// nothing is new, not a byte moves that no edit names, every comment is still
// there, and there is nothing left to do a second time.
func fixWholeFile(t *testing.T, name, text string) bool {
	t.Helper()
	b := newComposeBench(t, text)
	if _, err := compose.Load(b.path, name); err != nil {
		var p *checks.Problem
		if !errors.As(err, &p) {
			t.Errorf("%s: %v", name, err)
		}
		return false
	}
	plan := b.plan(t, nil)
	if !plan.Blocked.IsZero() {
		return false
	}
	at, rebuilt := 0, ""
	for _, e := range plan.Files[0].Edits {
		rebuilt += text[at:e.Start] + e.New
		at = e.End
	}
	if rebuilt+text[at:] != string(plan.Files[0].After) {
		t.Errorf("%s: more changes than the edits say", name)
	}
	for line := range strings.Lines(text) {
		if comment := strings.TrimSpace(line); strings.HasPrefix(comment, "#") && !strings.Contains(string(plan.Files[0].After), comment) {
			t.Errorf("%s: the comment %q is gone", name, comment)
		}
	}
	if strings.Contains(text, "\r\n") && strings.Count(string(plan.Files[0].After), "\n") != strings.Count(string(plan.Files[0].After), "\r\n") {
		t.Errorf("%s: line ends are mixed", name)
	}
	if _, err := b.Apply(t.Context(), plan, nil); err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	if again := b.plan(t, nil); again.Blocked.IsZero() {
		t.Errorf("%s: a second time there is something to do:\n%s", name, texts(again.Notes))
		for _, e := range again.Files[0].Edits {
			t.Logf("%d-%d %q", e.Start, e.End, e.New)
		}
	}
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if b.text(t) != text {
		t.Errorf("%s: undo leaves another file", name)
	}
	return true
}

// Networks are left alone where cutting them would gain nothing, or cut a port off.
func TestComposeNetworksAreLeft(t *testing.T) {
	const db = "  db:\n    image: postgres:17\n"
	for name, text := range map[string]string{
		"every service uses it": "services:\n  web:\n    image: nginx:1.27\n    ports: [\"8080:80\"]\n    environment: {DB: 'postgres://db:5432/x'}\n  api:\n    image: api:1\n    command: [serve, --db, db.shop_default]\n" + db,
		"a port would go":       "services:\n  web:\n    image: nginx:1.27\n    ports: [\"127.0.0.1:8080:80\"]\n" + db,
	} {
		file, err := compose.Parse("/srv/shop/compose.yaml", "compose.yaml", []byte(text))
		must(t, err)
		for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
			if (f.Check.ID == "container-network-flat" || f.Check.ID == "container-egress-open") && f.Fixable() {
				t.Errorf("%s: %s is offered for %s", name, f.Fixes[0].ID, f.Check.ID)
			}
		}
	}
	b := newComposeBench(t, "services:\n  web:\n    image: nginx:1.27\n    ports: [\"8080:80\"]\n  job:\n    image: job:1\n"+db)
	if plan := b.plan(t, nil, "container-network-flat"); !strings.Contains(plan.Blocked.String(), "uses-db") {
		t.Errorf("nobody names the store: %s", plan.Blocked)
	}
	plan := b.plan(t, checks.Values{"uses-db": "job"}, "container-network-flat")
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	if plan := b.plan(t, checks.Values{"uses-db": "job"}, "container-egress-open"); !plan.Blocked.IsZero() {
		t.Errorf("the network for data is not closed: %s", plan.Blocked)
	} else if _, err := b.Apply(t.Context(), plan, nil); err != nil || !strings.Contains(b.text(t), "back: {internal: true}") {
		t.Errorf("%v\n%s", err, b.text(t))
	}
}
