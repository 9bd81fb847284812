//go:build unix

package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
	"plimsoll/fixes/ledger"
)

// In a process started by TestKilled, these variables say what to do and at
// which step to die.
const (
	crashDir  = "PLIMSOLL_CRASH_DIR"
	crashWhat = "PLIMSOLL_CRASH_WHAT"
	crashStep = "PLIMSOLL_CRASH_STEP"
)

const crashText = "FROM debian:latest\r\nENV ODD " + canary + "\r\nRUN true"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crash(dir)
	}
	os.Exit(m.Run())
}

// crash applies or undoes a plan in dir and kills its own process, as kill -9
// does, when the wanted step begins.
func crash(dir string) {
	step, err := strconv.Atoi(os.Getenv(crashStep))
	if err != nil {
		panic(err)
	}
	begun := 0
	die := func(fixes.Progress) {
		if begun == step {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				panic(err)
			}
			select {}
		}
		begun++
	}
	b := openBench(dir)
	t := &testing.T{}
	ctx := context.Background()
	if os.Getenv(crashWhat) == "undo" {
		entries, err := b.Entries()
		if err == nil {
			err = b.Undo(ctx, entries[0].ID, die)
		}
		if err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	f := b.subject(t)
	plan, err := b.Plan(ctx, f, b.request(f))
	if err == nil {
		_, err = b.Apply(ctx, plan, die)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(0)
}

// crashing runs this test binary until it is killed; false means that it came
// to its end before that step.
func crashing(t *testing.T, dir, what string, step int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashWhat+"="+what, fmt.Sprintf("%s=%d", crashStep, step))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	t.Fatalf("%v\n%s", err, &out)
	return false
}

// whole holds that every file is the old one or the new one, and nothing else
// is left.
func whole(t *testing.T, b *bench, patched bool) {
	t.Helper()
	want, names := crashText, "Dockerfile"
	if patched {
		want, names = "FROM debian:12\r\n# needs the secret odd\nRUN true\r\nUSER 1000", ".dockerignore Dockerfile"
	}
	if got := b.read(t, "Dockerfile"); got != want {
		t.Errorf("Dockerfile is %q, want %q", got, want)
	}
	if got := b.names(t); got != names {
		t.Errorf("files %q, want %q", got, names)
	}
	if found := holding(t, b.state, canary); len(found) != 0 {
		t.Errorf("the ledger holds the secret: %v", found)
	}
	if len(holding(t, b.project, canary)) == 0 && len(holding(t, b.secrets, canary)) == 0 {
		t.Error("the secret is lost")
	}
}

//scenario:69
func TestKilled(t *testing.T) {
	for _, what := range []string{"apply", "undo"} {
		for _, finish := range []bool{false, true} {
			kills := 0
			for step := 0; ; step++ {
				b := newBench(t, crashText)
				dir := filepath.Dir(b.project)
				if what == "undo" {
					b.apply(t)
				}
				if !crashing(t, dir, what, step) {
					break
				}
				kills++
				t.Run(fmt.Sprintf("%s at step %d, finish %v", what, step, finish), func(t *testing.T) {
					found, err := b.Interrupted(t.Context())
					must(t, err)
					if len(found) != 1 {
						t.Fatalf("interrupted: %v", found)
					}
					must(t, b.Recover(t.Context(), found[0].ID, finish, nil))
					state := b.entry(t, found[0].ID).State
					switch {
					case state != ledger.Applied && state != ledger.RolledBack && state != ledger.Undone:
						t.Errorf("state %s", state)
					case !finish && state == ledger.Applied:
						t.Error("finished although it was to be taken back")
					}
					whole(t, b, state == ledger.Applied)
					if found, err := b.Interrupted(t.Context()); err != nil || len(found) != 0 {
						t.Errorf("still interrupted: %v, %v", found, err)
					}
					if state == ledger.Applied {
						must(t, b.Undo(t.Context(), found[0].ID, nil))
						whole(t, b, false)
					}
				})
			}
			// Apply keeps a secret, writes two files and verifies; undo
			// handles two files.
			if want := map[string]int{"apply": 4, "undo": 2}[what]; kills != want {
				t.Errorf("%s was killed at %d steps, want %d", what, kills, want)
			}
		}
	}
}

// TestTornAnywhere puts the project into every state that a power cut between
// two system calls can leave, which no kill at a step can reach.
//
//scenario:69
func TestTornAnywhere(t *testing.T) {
	b := newBench(t, plain)
	plan := b.plan(t)
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	e := b.entry(t, plan.ID)
	const after = "FROM debian:12\nRUN true\nUSER 1000\n"
	tempOf := func(n int) string { return fmt.Sprintf(".plimsoll-%s-%d", plan.ID, n) }
	for name, tt := range map[string]struct {
		files  map[string]string
		finish bool // can be finished
	}{
		"nothing":             {map[string]string{"Dockerfile": plain}, false},
		"part of one":         {map[string]string{"Dockerfile": plain, tempOf(0): after[:9]}, false},
		"one of two":          {map[string]string{"Dockerfile": plain, tempOf(0): after}, false},
		"both prepared":       {map[string]string{"Dockerfile": plain, tempOf(0): after, tempOf(1): ".git\n"}, true},
		"first in its place":  {map[string]string{"Dockerfile": after, tempOf(1): ".git\n"}, true},
		"second has no name":  {map[string]string{"Dockerfile": after}, false},
		"both in their place": {map[string]string{"Dockerfile": after, ".dockerignore": ".git\n"}, true},
		"second has two names": {map[string]string{"Dockerfile": after, ".dockerignore": ".git\n",
			tempOf(1): "link:.dockerignore"}, true},
	} {
		for _, finish := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, finish %v", name, finish), func(t *testing.T) {
				must(t, os.RemoveAll(b.project))
				for file, text := range tt.files {
					if !strings.HasPrefix(text, "link:") {
						b.write(t, file, text)
					}
				}
				for file, text := range tt.files {
					if to, ok := strings.CutPrefix(text, "link:"); ok {
						must(t, os.Link(b.path(to), b.path(file)))
					}
				}
				e.State = ledger.Running
				must(t, ledger.New(b.state).Put(e))
				must(t, b.Recover(t.Context(), e.ID, finish, nil))
				want, names, state := plain, "Dockerfile", ledger.RolledBack
				if finish && tt.finish {
					want, names, state = after, ".dockerignore Dockerfile", ledger.Applied
				}
				if b.read(t, "Dockerfile") != want || b.names(t) != names || b.entry(t, e.ID).State != state {
					t.Errorf("%q, files %q, state %s", b.read(t, "Dockerfile"), b.names(t), b.entry(t, e.ID).State)
				}
			})
		}
	}
}

func TestRecoverLeavesForeignChangesToAPerson(t *testing.T) {
	b := newBench(t, plain)
	plan, _ := b.apply(t)
	e := b.entry(t, plan.ID)
	e.State = ledger.Running
	must(t, ledger.New(b.state).Put(e))
	b.write(t, "Dockerfile", "FROM theirs\n")
	if err := b.Recover(t.Context(), e.ID, false, nil); !errors.Is(err, fixes.ErrBroken) || !strings.Contains(err.Error(), "Dockerfile was changed by somebody else") {
		t.Errorf("error %v", err)
	}
	if b.read(t, "Dockerfile") != "FROM theirs\n" || b.entry(t, e.ID).State != ledger.Broken {
		t.Errorf("%q, state %s", b.read(t, "Dockerfile"), b.entry(t, e.ID).State)
	}
}

func TestInverseOfAnotherDirectoryIsRefused(t *testing.T) {
	b := newBench(t, plain)
	plan, _ := b.apply(t)
	e := b.entry(t, plan.ID)
	m := files.New(checks.Dockerfile, files.Options{})
	for _, inverse := range []string{
		`{"dir":"/etc","files":[{"name":"passwd","created":true}]}`,
		strings.Replace(string(e.Inverse), `"Dockerfile"`, `"../state/x"`, 1),
		`{`,
	} {
		e.Inverse = []byte(inverse)
		if err := m.CanUndo(t.Context(), e); err == nil {
			t.Errorf("undone with %s", inverse)
		}
	}
}

// mounted returns a bench whose project is a small file system of its own.
func mounted(t *testing.T) (b *bench, mount func(options string)) {
	dir := t.TempDir()
	project := filepath.Join(dir, "project")
	must(t, os.Mkdir(project, 0o755))
	mount = func(options string) {
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", project).CombinedOutput(); err != nil {
			t.Skipf("no file system to mount: %v %s", err, out)
		}
	}
	mount("size=64k")
	t.Cleanup(func() { _ = exec.Command("umount", project).Run() })
	return openBench(dir), mount
}

func TestReadOnlyDirectory(t *testing.T) {
	b, mount := mounted(t)
	b.write(t, "Dockerfile", plain)
	early := b.plan(t)
	mount("remount,ro")
	if plan := b.plan(t); !strings.Contains(plan.Blocked.String(), "cannot be written") {
		t.Errorf("blocked %q", plan.Blocked)
	}
	if _, err := b.Apply(t.Context(), early, nil); !errors.Is(err, syscall.EROFS) || errors.Is(err, fixes.ErrBroken) {
		t.Errorf("error %v", err)
	}
	if b.read(t, "Dockerfile") != plain {
		t.Error("changed")
	}
}

// On a full disk the old file stays whole, and nothing is left beside it.
func TestDiskFull(t *testing.T) {
	b, _ := mounted(t)
	text := plain + "# " + strings.Repeat("x", 20_000) + "\n"
	b.write(t, "Dockerfile", text)
	plan := b.plan(t)
	if err := os.WriteFile(b.path("filler"), bytes.Repeat([]byte("x"), 1<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if _, err := b.Apply(t.Context(), plan, nil); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, fixes.ErrBroken) {
		t.Errorf("error %v", err)
	}
	if b.read(t, "Dockerfile") != text || b.names(t) != "Dockerfile filler" || b.entry(t, plan.ID).State != ledger.RolledBack {
		t.Errorf("%d bytes, files %s, state %s", len(b.read(t, "Dockerfile")), b.names(t), b.entry(t, plan.ID).State)
	}
}
