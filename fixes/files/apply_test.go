package files_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

func shell(t *testing.T, command string) {
	t.Helper()
	for _, name := range []string{"sh", "patch"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("no ", name)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", command, err, out)
	}
}

//scenario:68
func TestApplyRefusesAChangedFile(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, b *bench){
		"other text": func(t *testing.T, b *bench) { b.write(t, "Dockerfile", plain+"# more\n") },
		"same text, other file": func(t *testing.T, b *bench) {
			b.write(t, "new", plain)
			must(t, os.Rename(b.path("new"), b.path("Dockerfile")))
		},
		"other mode":      func(t *testing.T, b *bench) { must(t, os.Chmod(b.path("Dockerfile"), 0o600)) },
		"removed":         func(t *testing.T, b *bench) { must(t, os.Remove(b.path("Dockerfile"))) },
		"sibling appears": func(t *testing.T, b *bench) { b.write(t, ".dockerignore", "x\n") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, plain)
			plan := b.plan(t)
			change(t, b)
			before := b.names(t)
			if _, err := b.Apply(t.Context(), plan, nil); !errors.Is(err, fixes.ErrChanged) {
				t.Errorf("error %v", err)
			}
			if b.names(t) != before || b.entry(t, plan.ID).State != ledger.RolledBack {
				t.Errorf("files %s, state %s", b.names(t), b.entry(t, plan.ID).State)
			}
		})
	}
}

// What somebody else writes while a plan is applied stays: before the file was
// replaced that is harmless, after it a person has to know.
func TestApplyLeavesLaterChangesAlone(t *testing.T) {
	for step, state := range []ledger.State{ledger.RolledBack, ledger.Broken} {
		b := newBench(t, plain)
		plan := b.plan(t)
		_, err := b.Apply(t.Context(), plan, func(p fixes.Progress) {
			if p.Step == step && !p.Undoing {
				b.write(t, "Dockerfile", "FROM theirs\n")
			}
		})
		if !errors.Is(err, fixes.ErrChanged) || errors.Is(err, fixes.ErrBroken) != (state == ledger.Broken) {
			t.Errorf("error %v", err)
		}
		if b.read(t, "Dockerfile") != "FROM theirs\n" || b.names(t) != "Dockerfile" {
			t.Errorf("%q, files %s", b.read(t, "Dockerfile"), b.names(t))
		}
		if got := b.entry(t, plan.ID).State; got != state {
			t.Errorf("state %s, want %s", got, state)
		}
	}
}

func TestApplyPutsEverythingBack(t *testing.T) {
	b := newBench(t, plain+"ENV ODD "+canary+"\n")
	before := b.read(t, "Dockerfile")
	ctx, cancel := context.WithCancel(t.Context())
	plan := b.plan(t)
	last := len(plan.Steps) - 1
	_, err := b.Apply(ctx, plan, func(p fixes.Progress) {
		if p.Step == last-1 {
			cancel() // both files are written, or about to be
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if b.read(t, "Dockerfile") != before || b.names(t) != "Dockerfile" {
		t.Errorf("%q, files %s", b.read(t, "Dockerfile"), b.names(t))
	}
	if e := b.entry(t, plan.ID); e.State != ledger.RolledBack {
		t.Errorf("state %s", e.State)
	}
	b.apply(t)
}

func TestUndoOnlyWhatIsStillThere(t *testing.T) {
	b := newBench(t, plain)
	plan, _ := b.apply(t, "latest", "ignore")
	b.write(t, ".dockerignore", "mine\n")
	patched := b.read(t, "Dockerfile")
	for _, err := range []error{b.CanUndo(t.Context(), plan.ID), b.Undo(t.Context(), plan.ID, nil)} {
		if !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), ".dockerignore is no longer what was written") {
			t.Errorf("error %v", err)
		}
	}
	if b.read(t, "Dockerfile") != patched || b.read(t, ".dockerignore") != "mine\n" {
		t.Error("half of it was undone")
	}
	b.write(t, ".dockerignore", ".git\n")
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if b.read(t, "Dockerfile") != plain {
		t.Errorf("%q", b.read(t, "Dockerfile"))
	}
}

func TestUndoInOrder(t *testing.T) {
	b := newBench(t, plain)
	first, _ := b.apply(t, "latest")
	second, _ := b.apply(t, "root")
	if err := b.CanUndo(t.Context(), first.ID); err == nil {
		t.Error("undo of the first would lose the second")
	}
	must(t, b.Undo(t.Context(), second.ID, nil))
	must(t, b.Undo(t.Context(), first.ID, nil))
	if b.read(t, "Dockerfile") != plain {
		t.Errorf("%q", b.read(t, "Dockerfile"))
	}
}

func TestSecretIsMovedAndNeverLost(t *testing.T) {
	text := "FROM debian:latest\r\nENV ODD " + canary + "\r\nENV API_TOKEN=" + canary + "\r\n"
	b := newBench(t, text)
	plan, receipt := b.apply(t)
	if found := holding(t, b.state, canary); len(found) != 0 {
		t.Errorf("the ledger holds the secret: %v", found)
	}
	private := holding(t, b.secrets, canary)
	if len(private) != 2 {
		t.Fatalf("private files %v, want the secret and what undo needs", private)
	}
	var secret string
	for _, path := range private {
		info, _ := os.Stat(path)
		dir, _ := os.Stat(filepath.Dir(path))
		if info.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
			t.Errorf("%s: modes %v, %v", path, info.Mode(), dir.Mode())
		}
		if filepath.Base(path) == "odd" {
			secret = path
		}
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != canary {
		t.Errorf("the secret file holds %q, %v", data, err)
	}
	notes := texts(plan.Notes)
	if !strings.Contains(notes, secret) || !strings.Contains(notes, "docker build --secret 'id=odd,src="+secret+"'") {
		t.Errorf("notes say neither where nor how:\n%s", notes)
	}
	if shown := notes + texts(receipt.Proof) + strings.Join(plan.Commands(), "\n"); strings.Contains(shown, canary) {
		t.Errorf("shown: %s", shown)
	}
	if strings.Contains(b.read(t, "Dockerfile"), "ODD "+canary) {
		t.Error("the secret is still in the file")
	}
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if got := b.read(t, "Dockerfile"); got != text {
		t.Errorf("undone %q", got)
	}
	if left := holding(t, b.secrets, canary); len(left) != 1 || left[0] != secret {
		t.Errorf("private files after undo: %v", left)
	}
}

func TestTwoSecretsOfOneName(t *testing.T) {
	b := newBench(t, "FROM debian:12\nENV ODD one\n")
	b.apply(t, "secret")
	b.write(t, "Dockerfile", "FROM debian:12\nENV ODD two\n")
	b.apply(t, "secret")
	b.write(t, "Dockerfile", "FROM debian:12\nENV ODD one\n")
	b.apply(t, "secret")
	got := map[string]string{}
	for _, text := range []string{"one", "two"} {
		for _, path := range holding(t, b.secrets, text) {
			if data, _ := os.ReadFile(path); string(data) == text {
				got[filepath.Base(path)] = text
			}
		}
	}
	if len(got) != 2 || got["odd"] != "one" || got["odd.2"] != "two" {
		t.Errorf("secrets %v", got)
	}
}

func TestSecretsStayOutOfTheBuildContext(t *testing.T) {
	b := newBench(t, "FROM debian:12\nENV ODD "+canary+"\n")
	inside := benchIn(filepath.Dir(b.project), b.path(".local"), suite)
	if plan := inside.plan(t, "secret"); !strings.Contains(plan.Blocked.String(), "build context") {
		t.Errorf("blocked %q", plan.Blocked)
	}
}

func TestCanaryAlsoWhenItFails(t *testing.T) {
	b := newBench(t, "FROM debian:latest\nENV ODD "+canary+"\n")
	for step := range 4 {
		plan := b.plan(t, "secret", "latest")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := b.Apply(ctx, plan, func(p fixes.Progress) {
			if p.Step == step {
				cancel()
			}
		})
		cancel()
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("error %v", err)
		}
		if found := holding(t, b.state, canary); len(found) != 0 {
			t.Errorf("step %d: the ledger holds the secret: %v", step, found)
		}
		if err == nil {
			must(t, b.Undo(t.Context(), plan.ID, nil))
		}
		if found := holding(t, b.project, canary); len(found) != 1 {
			t.Errorf("step %d: files with the secret: %v", step, found)
		}
	}
}

func TestTwoAtOnce(t *testing.T) {
	b := newBench(t, plain)
	plans := []*fixes.Plan{b.plan(t), b.plan(t), b.plan(t), b.plan(t)}
	errs := make([]error, len(plans))
	var wg sync.WaitGroup
	for n, plan := range plans {
		wg.Go(func() { _, errs[n] = openBench(filepath.Dir(b.project)).Apply(context.Background(), plan, nil) })
	}
	wg.Wait()
	applied := 0
	for _, err := range errs {
		switch {
		case err == nil:
			applied++
		case !errdefs.IsConflict(err) && !errors.Is(err, fixes.ErrChanged):
			t.Errorf("error %v", err)
		}
	}
	if applied != 1 || b.read(t, "Dockerfile") != "FROM debian:12\nRUN true\nUSER 1000\n" {
		t.Errorf("%d applied: %v, %q", applied, errs, b.read(t, "Dockerfile"))
	}
}

func TestForeignPlan(t *testing.T) {
	b := newBench(t, plain)
	plan := &fixes.Plan{ID: "x", Subject: checks.Ref{Kind: checks.Dockerfile, ID: b.path("Dockerfile")}}
	if _, err := b.Apply(t.Context(), plan, nil); !errdefs.IsInvalidArgument(err) {
		t.Errorf("error %v", err)
	}
}
