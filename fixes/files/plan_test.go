//go:build unix

package files_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
)

func TestPlan(t *testing.T) {
	b := newBench(t, plain)
	plan := b.plan(t)
	if !plan.Blocked.IsZero() || plan.Mechanism != fixes.Patch || plan.Fingerprint == "" {
		t.Fatalf("plan %+v", plan)
	}
	if len(plan.Cures) != 3 || len(plan.Leaves) != 0 {
		t.Errorf("cures %v, leaves %v", plan.Cures, plan.Leaves)
	}
	if len(plan.Choices) != 2 || plan.Choices[0].Value+plan.Choices[1].Value != "121000" {
		t.Errorf("choices %+v", plan.Choices)
	}
	after := map[string]string{}
	for _, f := range plan.Files {
		after[f.Name] = string(f.After)
		if f.Created != (f.Name == ".dockerignore") {
			t.Errorf("%s created: %v", f.Name, f.Created)
		}
	}
	if after["Dockerfile"] != "FROM debian:12\nRUN true\nUSER 1000\n" || after[".dockerignore"] != ".git\n" {
		t.Errorf("after %q", after)
	}
	if !strings.Contains(texts(plan.Notes), "packages may differ") {
		t.Errorf("the caution is missing: %s", texts(plan.Notes))
	}
	if b.read(t, "Dockerfile") != plain || b.names(t) != "Dockerfile" {
		t.Error("planning changed the project")
	}
	var ops []string
	for _, s := range plan.Steps {
		ops = append(ops, s.Op)
	}
	if strings.Join(ops, " ") != "write write verify" {
		t.Errorf("steps %v", ops)
	}
}

func TestValues(t *testing.T) {
	b := newBench(t, plain)
	f := b.subject(t)
	r := b.request(f, "latest", "root")
	r.Values = checks.Values{"tag": "13", "user": "2000", "unrelated": "x"}
	plan, err := b.Plan(t.Context(), f, r)
	must(t, err)
	if got := string(plan.Files[0].After); got != "FROM debian:13\nRUN true\nUSER 2000\n" {
		t.Errorf("after %q", got)
	}
	if len(r.Values) != 3 {
		t.Errorf("the request was changed: %v", r.Values)
	}
	for key, value := range map[string]string{"tag": "a b", "user": "0"} {
		r.Values = checks.Values{key: value}
		if _, err := b.Plan(t.Context(), f, r); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%q: %v", key, value, err)
		}
	}
	r.Values = nil
	r.Fix = map[checks.FindingID]string{r.Findings[0].ID(): "unknown"}
	if _, err := b.Plan(t.Context(), f, r); !errdefs.IsInvalidArgument(err) {
		t.Errorf("unknown fix: %v", err)
	}
}

func TestFixesThatDoNotHoldAreLeftOutAloud(t *testing.T) {
	b := newBench(t, plain+"#useless\n#garbled\n#torn\n#human\n")
	plan := b.plan(t)
	if !plan.Blocked.IsZero() || len(plan.Cures) != 3 || len(plan.Leaves) != 4 {
		t.Errorf("cures %d, leaves %d, blocked %q", len(plan.Cures), len(plan.Leaves), plan.Blocked)
	}
	notes := texts(plan.Notes)
	for _, want := range []string{
		"useless is left as it is: its fix does not cure it here",
		"garbled is left as it is: its fix would not parse",
		"torn is left as it is: its edits contradict each other",
		"human is left as it is: a person has to decide",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	}
}

func TestAFixMayNotBringInAnother(t *testing.T) {
	b := newBench(t, plain+"#harmful\n")
	plan := b.plan(t, "harmful")
	if plan.Blocked.String() != "harmful is left as it is: its fix would bring in useless" || len(plan.Files) != 0 {
		t.Errorf("blocked %q, files %v", plan.Blocked, plan.Files)
	}
	if _, err := b.Apply(t.Context(), plan, nil); err == nil {
		t.Error("a blocked plan was applied")
	}
}

// Hundreds of problems are fixed in the time of a few, and one that cannot
// be fixed does not keep the others from it.
func TestManyProblems(t *testing.T) {
	var text strings.Builder
	text.WriteString("FROM debian:12\n")
	for n := range 400 {
		fmt.Fprintf(&text, "EXPOSE 22 %d\n", 10000+n)
		if n == 234 {
			text.WriteString("#useless\n")
		}
	}
	b := newBench(t, text.String())
	b = benchIn(filepath.Dir(b.project), b.secrets, append(source.Checks(), suite...))
	began := time.Now()
	plan := b.plan(t, "expose-ssh", "useless")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
	cured := 0
	for _, f := range plan.Cures {
		if f.Check.ID == "expose-ssh" {
			cured++
		}
	}
	if cured != 400 || strings.Contains(string(plan.Files[0].After), "EXPOSE 22") {
		t.Fatalf("cured %d: %s", cured, plan.Blocked)
	}
	if notes := texts(plan.Notes); !strings.Contains(notes, "useless is left as it is") {
		t.Errorf("notes %s", notes)
	}
}

//scenario:83
func TestFixTwiceIsFixOnce(t *testing.T) {
	b := newBench(t, plain+"#useless\n#harmful\n#garbled\n")
	b.apply(t)
	once := b.read(t, "Dockerfile")
	plan := b.plan(t)
	if plan.Blocked.IsZero() {
		t.Errorf("there is more to do: %q", plan.Files[0].After)
	}
	if b.read(t, "Dockerfile") != once {
		t.Error("changed twice")
	}
}

//scenario:82
func TestBytesOutsideOfEditsStay(t *testing.T) {
	for name, text := range map[string]string{
		"CRLF":           "FROM debian:latest\r\n\r\nRUN a \\\r\n  b\r\n",
		"BOM":            "\ufeff# syntax=x\nFROM debian:latest\nRUN a\n",
		"no newline":     "FROM debian:latest\nCMD [\"a\"]",
		"heredoc":        "FROM debian:latest\nRUN <<EOT\nFROM debian:old\nEOT\n",
		"escape":         "# escape=`\nFROM debian:latest\nRUN a `\n b\n",
		"invalid UTF-8":  "FROM debian:latest\n# \xff\xfe\nRUN a\n",
		"trailing space": "FROM debian:latest  \nRUN a\t \n\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, text)
			must(t, os.Chmod(b.path("Dockerfile"), 0o640))
			plan, receipt := b.apply(t, "latest", "root")
			now := b.read(t, "Dockerfile")
			want := strings.Replace(text, "debian:latest", "debian:12", 1)
			if !strings.HasPrefix(now, want) || strings.TrimSpace(now[len(want):]) != "USER 1000" {
				t.Errorf("%q", now)
			}
			if strings.Contains(text, "\r\n") && strings.Contains(strings.ReplaceAll(now, "\r\n", ""), "\n") {
				t.Errorf("mixed line ends: %q", now)
			}
			if info, _ := os.Stat(b.path("Dockerfile")); info.Mode().Perm() != 0o640 {
				t.Errorf("mode %v", info.Mode())
			}
			if len(receipt.Cured) != 2 || len(receipt.Proof) < 2 {
				t.Errorf("receipt %+v", receipt)
			}
			must(t, b.CanUndo(t.Context(), plan.ID))
			must(t, b.Undo(t.Context(), plan.ID, nil))
			if got := b.read(t, "Dockerfile"); got != text {
				t.Errorf("undone %q, want %q", got, text)
			}
			if info, _ := os.Stat(b.path("Dockerfile")); info.Mode().Perm() != 0o640 || b.names(t) != "Dockerfile" {
				t.Errorf("mode %v, files %s", info.Mode(), b.names(t))
			}
		})
	}
}

func TestSiblings(t *testing.T) {
	for name, tt := range map[string]struct{ file, before, after string }{
		"created":            {".dockerignore", "", ".git\n"},
		"appended":           {".dockerignore", "a\n", "a\n.git\n"},
		"no newline at end":  {".dockerignore", "a", "a\n.git\n"},
		"CRLF":               {".dockerignore", "a\r\nb", "a\r\nb\r\n.git\r\n"},
		"for this file only": {"Dockerfile.dockerignore", "a\n", "a\n.git\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, plain)
			if tt.before != "" {
				b.write(t, tt.file, tt.before)
			}
			plan, _ := b.apply(t, "ignore")
			if got := b.read(t, tt.file); got != tt.after {
				t.Errorf("%q, want %q", got, tt.after)
			}
			must(t, b.Undo(t.Context(), plan.ID, nil))
			if tt.before == "" {
				if b.names(t) != "Dockerfile" {
					t.Errorf("left: %s", b.names(t))
				}
			} else if got := b.read(t, tt.file); got != tt.before {
				t.Errorf("undone %q, want %q", got, tt.before)
			}
		})
	}
}

func TestBeside(t *testing.T) {
	b := newBench(t, plain)
	b.write(t, ".dockerignore", "a\n")
	f := b.subject(t)
	r := b.request(f)
	r.Beside = true
	plan, err := b.Plan(t.Context(), f, r)
	must(t, err)
	_, err = b.Apply(t.Context(), plan, nil)
	must(t, err)
	if b.read(t, "Dockerfile") != plain || b.read(t, ".dockerignore") != "a\n" {
		t.Error("the originals were changed")
	}
	if b.read(t, "Dockerfile.hardened") != "FROM debian:12\nRUN true\nUSER 1000\n" || b.read(t, "Dockerfile.hardened.dockerignore") != "a\n.git\n" {
		t.Errorf("files %s", b.names(t))
	}
	for _, f := range plan.Files {
		if len(f.Hunks()) != 1 || len(f.Hunks()[0].Lines) > 6 {
			t.Errorf("%s is not shown as a change of the original: %+v", f.Name, f.Hunks())
		}
	}
	again, err := b.Plan(t.Context(), f, r)
	must(t, err)
	if !strings.Contains(again.Blocked.String(), "Dockerfile.hardened exists already") {
		t.Errorf("a second copy: %q", again.Blocked)
	}
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if b.names(t) != ".dockerignore Dockerfile" {
		t.Errorf("left: %s", b.names(t))
	}
}

//scenario:67
func TestFilesThatAreNotTouched(t *testing.T) {
	for name, tt := range map[string]struct {
		want string
		make func(t *testing.T, b *bench)
	}{
		"symbolic link": {"symbolic link", func(t *testing.T, b *bench) {
			b.write(t, "real", plain)
			must(t, os.Remove(b.path("Dockerfile")))
			must(t, os.Symlink("real", b.path("Dockerfile")))
		}},
		"hard link": {"hard links", func(t *testing.T, b *bench) {
			must(t, os.Link(b.path("Dockerfile"), b.path("other")))
		}},
		"FIFO": {"not a regular file", func(t *testing.T, b *bench) {
			must(t, os.Remove(b.path("Dockerfile")))
			must(t, syscall.Mkfifo(b.path("Dockerfile"), 0o644))
		}},
		"directory": {"not a regular file", func(t *testing.T, b *bench) {
			must(t, os.Remove(b.path("Dockerfile")))
			must(t, os.Mkdir(b.path("Dockerfile"), 0o755))
		}},
		"too large": {"larger than 1 MiB", func(t *testing.T, b *bench) {
			must(t, os.Truncate(b.path("Dockerfile"), 1<<20+1))
		}},
		"link beside it": {"symbolic link", func(t *testing.T, b *bench) {
			must(t, os.Symlink(filepath.Join(t.TempDir(), "outside"), b.path(".dockerignore")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, plain)
			f := b.subject(t)
			r := b.request(f)
			early, err := b.Plan(t.Context(), f, r)
			must(t, err)
			tt.make(t, b)
			plan, err := b.Plan(t.Context(), f, r)
			must(t, err)
			said := plan.Blocked.String()
			if name == "link beside it" {
				said = texts(plan.Notes) // only that fix is left out
			}
			if !strings.Contains(said, tt.want) {
				t.Errorf("planned: %q, want %q", said, tt.want)
			}
			before := b.names(t)
			if _, err := b.Apply(t.Context(), early, nil); err == nil {
				t.Error("a plan that was made before was applied")
			} else if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("applied: %v, want %q", err, tt.want)
			}
			if b.names(t) != before {
				t.Errorf("files %s, before %s", b.names(t), before)
			}
		})
	}
}

func TestPlanOfAChangedOrBrokenFile(t *testing.T) {
	b := newBench(t, plain)
	f := b.subject(t)
	b.write(t, "Dockerfile", plain+"RUN more\n")
	if _, err := b.Plan(t.Context(), f, b.request(f)); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("planned from an old text: %v", err)
	}
	b.write(t, "Dockerfile", "FROM debian:latest\nRUN <<EOT\nnever closed\n")
	plan := b.plan(t)
	if !strings.Contains(plan.Blocked.String(), "does not parse") || len(plan.Files) != 0 {
		t.Errorf("a file that does not parse: %q, %v", plan.Blocked, plan.Files)
	}
}

func TestPlanIsSafeToShow(t *testing.T) {
	b := newBench(t, "FROM debian:latest\nENV ODD "+canary+"\nENV API_TOKEN="+canary+"x\n# \x1b]0;title\a\u202e\n")
	plan := b.plan(t)
	for _, f := range plan.Files {
		for _, h := range f.Hunks() {
			for _, l := range h.Lines {
				if strings.Contains(l.Text, canary) || strings.ContainsAny(l.Text, "\x1b\a\u202e") {
					t.Errorf("shown: %q", l.Text)
				}
			}
		}
	}
	shown := fmt.Sprintln(plan.Title, texts(plan.Notes), plan.Commands(), plan.Steps, plan.Choices, plan.Blocked)
	if strings.Contains(shown, canary) || strings.Contains(shown, "\x1b") {
		t.Errorf("shown: %s", shown)
	}
}

func TestPatchCommandDoesTheSame(t *testing.T) {
	for _, beside := range []bool{false, true} {
		b := newBench(t, plain)
		f := b.subject(t)
		r := b.request(f)
		r.Beside = beside
		plan, err := b.Plan(t.Context(), f, r)
		must(t, err)
		for n, file := range plan.Files {
			command := plan.Steps[n].Command
			if command == "" {
				t.Fatalf("no command for %s", file.Name)
			}
			shell(t, command)
			if got, err := os.ReadFile(file.Path); err != nil || string(got) != string(file.After) {
				t.Errorf("%s\ngives %q, %v, want %q", command, got, err, file.After)
			}
		}
	}
}

func TestOnlyDockerfiles(t *testing.T) {
	m := files.New(checks.Dockerfile, files.Options{})
	if _, err := m.Plan(t.Context(), other{}, fixes.Request{}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("error %v", err)
	}
	f := source.Parse(filepath.Join(t.TempDir(), "gone", "Dockerfile"), "Dockerfile", []byte(plain))
	if _, err := m.Plan(t.Context(), f, fixes.Request{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

type other struct{}

func (other) Ref() checks.Ref { return checks.Ref{Kind: checks.Image} }
