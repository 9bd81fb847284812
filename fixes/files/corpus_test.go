package files_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
	"plimsoll/checks/secret"
	"plimsoll/fixes"
)

// corpus returns the Dockerfiles of the wild.
func corpus(t *testing.T) []string {
	t.Helper()
	const dir = "../../../shared/corpus/dockerfiles"
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if len(paths) == 0 {
		t.Skip("no corpus at ", dir)
	}
	return paths
}

// facts says of every base image of f what an engine that has it could say.
func facts(f *source.File) map[string]source.Base {
	out := map[string]source.Base{}
	for _, reference := range f.BaseImages() {
		name, _, _ := strings.Cut(reference, "@")
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			name = name[:i]
		}
		sum := sha256.Sum256([]byte(reference))
		id := "sha256:" + hex.EncodeToString(sum[:])
		base := source.Base{ID: id, Digest: id, Tags: []string{name + ":1.2.3"}, User: []string{"", "root", "1000"}[sum[0]%3], Health: sum[1]%2 == 0}
		out[reference] = base
		// The same image under the names that a fix can give it.
		out[reference+"@"+id] = base
		out[name+":1.2.3"] = base
		out[name+":1.2.3@"+id] = base
	}
	return out
}

func none(*source.File) map[string]source.Base { return nil }

// TestCorpus plans to fix everything in every Dockerfile of the wild, with and
// without knowledge of their base images.
//
//scenario:83
func TestCorpus(t *testing.T) {
	paths := corpus(t)
	if testing.Short() { // the race detector makes every file ten times as long
		paths = sample(paths, 24)
	}
	t.Run("bases known", func(t *testing.T) { tryCorpus(t, paths, facts) })
	t.Run("bases unknown", func(t *testing.T) { tryCorpus(t, paths, none) })
}

// sample returns every nth of paths.
func sample(paths []string, n int) (some []string) {
	for i := 0; i < len(paths); i += n {
		some = append(some, paths[i])
	}
	return some
}

func tryCorpus(t *testing.T, paths []string, facts func(*source.File) map[string]source.Base) {
	cured, left, patched := map[string]int{}, map[string]int{}, 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		plan := tryFile(t, filepath.Base(path), string(text), facts)
		for _, f := range plan.Cures {
			cured[f.Check.ID]++
		}
		for _, f := range plan.Leaves {
			left[f.Check.ID]++
		}
		if plan.Blocked.IsZero() {
			patched++
		}
	}
	t.Logf("%d of %d patched\ncured %v\nleft %v", patched, len(paths), cured, left)
	if patched < len(paths)/2 {
		t.Errorf("only %d of %d were patched", patched, len(paths))
	}
}

// tryFile plans to fix everything in a Dockerfile, and holds the promises of
// every patch: it parses, brings in nothing, changes what its edits say and not
// a byte more, shows no secret, and has nothing left to do a second time.
func tryFile(t *testing.T, name, text string, facts func(*source.File) map[string]source.Base) *fixes.Plan {
	t.Helper()
	dir := t.TempDir()
	b := benchIn(dir, filepath.Join(dir, "secrets"), source.Checks())
	b.write(t, "Dockerfile", text)
	bases := facts(source.Parse("", "", []byte(text)))
	plan := func() *fixes.Plan {
		f := b.subject(t)
		f.Bases = bases
		p, err := b.Plan(t.Context(), f, b.request(f))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return p
	}
	first := plan()
	for _, n := range first.Notes {
		if s := n.String(); strings.Contains(s, "is left as it is") && !strings.Contains(s, "a person has to decide") {
			t.Logf("%s: %s", name, s)
		}
	}
	if !first.Blocked.IsZero() {
		return first
	}
	before := counted(first.Cures, first.Leaves)
	if moved := secretsOf(first); len(moved) > 0 {
		roundTrip(t, b, first, text, moved)
	}
	for _, file := range first.Files {
		var edits []udiff.Edit
		for _, e := range file.Edits {
			edits = append(edits, udiff.Edit{Start: e.Start, End: e.End, New: e.New})
		}
		if got, err := udiff.ApplyBytes(file.Before, edits); err != nil || !bytes.Equal(got, file.After) {
			t.Errorf("%s: the edits are not the difference: %v", name, err)
		}
		for _, h := range file.Hunks() {
			for _, l := range h.Lines {
				if secret.Redact(l.Text) != l.Text {
					t.Errorf("%s: shows a secret: line %d, %d", name, l.Old, l.New)
				}
			}
		}
		must(t, os.WriteFile(file.Path, file.After, 0o644))
		if file.Name != "Dockerfile" {
			continue
		}
		if now := source.Parse(file.Path, "Dockerfile", file.After); now.Refusal != nil {
			t.Errorf("%s: does not parse any more: %v", name, now.Refusal)
		}
		if bytes.HasPrefix(file.Before, bom) != bytes.HasPrefix(file.After, bom) {
			t.Errorf("%s: the byte order mark has changed", name)
		}
		if ends := bytes.Count(file.Before, []byte("\n")); ends > 0 && ends == bytes.Count(file.Before, []byte("\r\n")) &&
			bytes.Count(file.After, []byte("\n")) != bytes.Count(file.After, []byte("\r\n")) {
			t.Errorf("%s: the ends of lines are mixed", name)
		}
	}
	second := plan()
	for k, n := range counted(second.Cures, second.Leaves) {
		// What covered others is cured: these were there, unseen.
		if n > before[k] && !covered(k, first.Cures) {
			t.Errorf("%s: the patch brings in %s", name, k)
		}
	}
	if len(second.Files) != 0 {
		var more []string
		for _, f := range second.Cures {
			more = append(more, f.Check.ID)
		}
		t.Errorf("%s: fixed twice is not fixed once: %v", name, more)
	}
	return first
}

var bom = []byte("\xef\xbb\xbf")

// counted returns how often each check reports something.
func counted(findings ...[]checks.Finding) map[string]int {
	out := map[string]int{}
	for _, f := range slices.Concat(findings...) {
		out[f.Check.ID]++
	}
	return out
}

// covered reports whether one of findings, being there, hid those of a check.
func covered(id string, findings []checks.Finding) bool {
	return slices.ContainsFunc(findings, func(f checks.Finding) bool { return slices.Contains(f.Check.Covers, id) })
}

func secretsOf(plan *fixes.Plan) []string {
	var out []string
	for _, f := range plan.Files {
		for _, e := range f.Edits {
			for _, s := range e.Moved {
				out = append(out, s.Value.Reveal())
			}
		}
	}
	return out
}

// roundTrip applies plan and takes it back, and holds that the secrets that it
// moves are in private files and in nothing that is shown or kept elsewhere.
func roundTrip(t *testing.T, b *bench, plan *fixes.Plan, text string, moved []string) {
	t.Helper()
	receipt, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	shown := texts(plan.Notes) + texts(receipt.Proof) + strings.Join(plan.Commands(), "\n")
	for _, value := range moved {
		// Short ones are in names and times by chance.
		if len(value) < 8 {
			continue
		}
		if found := holding(t, b.state, value); len(found) != 0 {
			t.Errorf("the ledger holds a secret of %s", text)
		}
		if strings.Contains(shown, value) {
			t.Errorf("a secret is shown: %s", shown)
		}
		if len(holding(t, b.secrets, value)) == 0 {
			t.Errorf("a secret was lost from %s", text)
		}
	}
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if b.read(t, "Dockerfile") != text {
		t.Errorf("undone %q, want %q", b.read(t, "Dockerfile"), text)
	}
}

// TestAdversarial plans to fix everything in files that were made to break
// programs: no crash, and no plan that takes for ever.
func TestAdversarial(t *testing.T) {
	const dir = "../../../shared/corpus/adversarial/dockerfile"
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if len(paths) == 0 {
		t.Skip("no corpus at ", dir)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		if len(text) > 1<<20 {
			continue // not read by the inventory either
		}
		dir := t.TempDir()
		b := benchIn(dir, filepath.Join(dir, "secrets"), source.Checks())
		b.write(t, "Dockerfile", string(text))
		f := b.subject(t)
		f.Bases = facts(f)
		began := time.Now()
		plan, err := b.Plan(t.Context(), f, b.request(f))
		must(t, err)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: took %v", filepath.Base(path), took)
		} else if took > time.Second {
			t.Logf("%s: took %v for %d findings", filepath.Base(path), took, len(plan.Cures)+len(plan.Leaves))
		}
	}
}
