package dockerfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
	"plimsoll/checks/secret"
	"plimsoll/fixes"
	"plimsoll/fixes/dockerfile"
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

// TestCorpus plans to fix everything in every Dockerfile of the wild. It reads
// each file in a directory of its own, and writes none.
func TestCorpus(t *testing.T) {
	paths := corpus(t)
	suite := source.Checks()
	cured, left, patched := map[string]int{}, map[string]int{}, 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		dir := t.TempDir()
		b := benchIn(dir, filepath.Join(dir, "secrets"))
		b.suite = suite
		b.write(t, "Dockerfile", string(text))
		m := dockerfile.New(dockerfile.Options{Checks: suite, Secrets: b.secrets, Policy: &checks.Policy{Profile: checks.All}})
		plan := func(text []byte) *fixes.Plan {
			b.write(t, "Dockerfile", string(text))
			f := b.subject(t)
			f.Context = source.Context{}
			r := fixes.Request{Findings: checks.Run(f, suite, &checks.Policy{Profile: checks.All}).Findings}
			p, err := m.Plan(t.Context(), f, r)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			return p
		}
		first := plan(text)
		for _, f := range first.Cures {
			cured[f.Check.ID]++
		}
		for _, f := range first.Leaves {
			left[f.Check.ID]++
		}
		for _, n := range first.Notes {
			if s := n.String(); strings.Contains(s, "is left as it is") && !strings.Contains(s, "a person has to decide") {
				t.Logf("%s: %s", filepath.Base(path), s)
			}
		}
		if !first.Blocked.IsZero() {
			continue
		}
		patched++
		for _, file := range first.Files {
			var edits []udiff.Edit
			for _, e := range file.Edits {
				edits = append(edits, udiff.Edit{Start: e.Start, End: e.End, New: e.New})
			}
			if got, err := udiff.ApplyBytes(file.Before, edits); err != nil || !bytes.Equal(got, file.After) {
				t.Errorf("%s: the edits are not the difference: %v", path, err)
			}
			for _, h := range file.Hunks() {
				for _, l := range h.Lines {
					if secret.Redact(l.Text) != l.Text {
						t.Errorf("%s: shows a secret: line %d, %d", path, l.Old, l.New)
					}
				}
			}
			if file.Name != "Dockerfile" {
				continue
			}
			now := source.Parse(b.path("Dockerfile"), "Dockerfile", file.After)
			if now.Refusal != nil {
				t.Errorf("%s: does not parse any more: %v", path, now.Refusal)
			}
			if again := plan(file.After); len(again.Files) != 0 {
				var more []string
				for _, f := range again.Cures {
					more = append(more, f.Check.ID)
				}
				t.Errorf("%s: fixed twice is not fixed once: %v", path, more)
			}
		}
	}
	t.Logf("%d of %d patched\ncured %v\nleft %v", patched, len(paths), cured, left)
	if patched < len(paths)/2 {
		t.Errorf("only %d of %d were patched", patched, len(paths))
	}
}
