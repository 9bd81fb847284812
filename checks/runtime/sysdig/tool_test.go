//go:build unix

package sysdig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
)

const id = "9965a6a599f6ffffffffffffffffffffffffffffffffffffffffffffffffffff"

// fake puts a sysdig on the path that does what script says when it is asked
// for events.
func fake(t *testing.T, script string) Tool {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\ncase \"$1\" in --version) echo sysdig version 9.8.7; exit;; --help) echo ' --modern-bpf  use it'; exit;; esac\n" + script
	if err := os.WriteFile(filepath.Join(dir, "sysdig"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return Look(t.Context())
}

func TestLook(t *testing.T) {
	tool := fake(t, "")
	if filepath.Base(tool.Path) != "sysdig" || tool.Version != "9.8.7" || !tool.Modern {
		t.Errorf("found %+v", tool)
	}
	t.Setenv("PATH", t.TempDir())
	if tool := Look(t.Context()); tool.Path != "" || tool.Version != "" {
		t.Errorf("found %+v", tool)
	}
	// A sysdig in the folder where somebody looks around is none.
	t.Chdir(filepath.Dir(fake(t, "").Path))
	t.Setenv("PATH", ".")
	if tool := Look(t.Context()); tool.Path != "" {
		t.Errorf("found %+v", tool)
	}
}

// TestAnswers runs what other people's programs may do.
func TestAnswers(t *testing.T) {
	t.Setenv("CANARY", "in-our-environment")
	for name, c := range map[string]struct {
		script string
		want   string // an answer, lines joined by |
		fails  string // what is said instead
		cut    bool
	}{
		"arguments": {script: `printf '%s\n' "$@"`, want: "--modern-bpf|-M|1|--unbuffered|-p|*%evt.time.s %user.name(%user.uid) %proc.pname: %proc.cmdline|evt.dir=< and evt.type=execve and container.id=9965a6a599f6"},
		"folder":    {script: `pwd; env | grep -c CANARY; echo "$HOME."`, want: "/|0|."},
		"nothing":   {script: `:`, want: ""},
		"tables": {script: `printf '\033[2J\033[?25l\033[2J\033[0;0HCPU%%  Process\n----------\n3.00%%  node\n\033[2J\033[0;0HCPU%%  Process\n----------\n7.00%%  xmrig\n\033[2J\033[0;0HCPU%%  Process\n-----------\n\033[2J\033[0;0H\033[?25h'`,
			want: "CPU%  Process|----------|7.00%  xmrig"},
		"hostile":      {script: `printf 'a\033]0;owned\007b\033[31mred\033[0m\nmysql --password=not-a-real-canary-44\n\377\342\200\256\n'`, want: "a␛]0;owned␇bred|mysql --password=••••••••|��"},
		"floods":       {script: `yes 'open /etc/passwd'`, cut: true},
		"long line":    {script: `head -c 100000 /dev/zero | tr '\0' x; echo`, want: strings.Repeat("x", longestLine) + "…"},
		"many lines":   {script: `seq 3000`, cut: true},
		"no module":    {script: `echo 'Unable to load the driver' >&2; echo 'error opening device /dev/scap0. Make sure you have root credentials and that the scap module is loaded.' >&2; exit 1`, fails: "driver"},
		"crashes":      {script: `kill -SEGV $$`, fails: "crashed"},
		"complains":    {script: `printf '\033[2Jno such chisel \033]0;x\007\n' >&2; exit 3`, fails: "sysdig failed: no such chisel ␛]0;x␇"},
		"says nothing": {script: `exit 3`, fails: "it says nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			tool := fake(t, c.script)
			tool.root = true
			a, err := tool.Ask(t.Context(), "commands", id, time.Second)
			if c.fails != "" {
				var p *checks.Problem
				if !errors.As(err, &p) || !strings.Contains(p.Error(), c.fails) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(a.Lines, "|")
			if a.Cut != c.cut || !c.cut && got != c.want {
				t.Errorf("got %q, cut %t", got, a.Cut)
			}
			if len(a.Lines) > mostLines || strings.ContainsAny(got, "\x1b\x07") {
				t.Errorf("%d lines", len(a.Lines))
			}
		})
	}
}

// TestRights holds that without them it is said what to do, not what failed.
func TestRights(t *testing.T) {
	tool := fake(t, `echo 'Unable to load the driver' >&2; exit 1`)
	tool.root = false
	if _, err := tool.Ask(t.Context(), "cpu", id, time.Second); err == nil || !strings.Contains(err.Error(), "needs the rights of root") {
		t.Errorf("%v", err)
	}
	tool.root, tool.Modern = true, false
	if _, err := tool.Ask(t.Context(), "cpu", id, time.Second); err == nil || !strings.Contains(err.Error(), "modprobe scap") {
		t.Errorf("%v", err)
	}
}

// TestHangs ends one that does not end, with what it has said until then.
func TestHangs(t *testing.T) {
	tool := fake(t, `trap '' TERM INT; echo something; sleep 600 & wait`)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	began := time.Now()
	if _, err := tool.Ask(ctx, "cpu", id, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	a, err := tool.Ask(t.Context(), "cpu", id, -grace+300*time.Millisecond)
	if err != nil || strings.Join(a.Lines, "") != "something" {
		t.Errorf("%v, %v", a, err)
	}
	if time.Since(began) > 20*time.Second {
		t.Error("it is waited for")
	}
	tool = fake(t, `sleep 600`)
	if _, err := tool.Ask(t.Context(), "cpu", id, -grace+300*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end in time") {
		t.Errorf("%v", err)
	}
}

func TestRefuses(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	tool := fake(t, "touch "+ran)
	away := tool
	away.Away = true
	for name, ask := range map[string]func() error{
		"is not installed":      func() error { _, err := (&Tool{}).Ask(t.Context(), "cpu", id, time.Second); return err },
		"not those of a remote": func() error { _, err := away.Ask(t.Context(), "cpu", id, time.Second); return err },
		"nothing called x":      func() error { _, err := tool.Ask(t.Context(), "x", id, time.Second); return err },
		"not the id":            func() error { _, err := tool.Ask(t.Context(), "cpu", "web or evt.type=open", time.Second); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("it was run")
	}
}

// TestCommands holds that each command can be typed as it is shown.
func TestCommands(t *testing.T) {
	tool := fake(t, `printf '%s\n' "$@"`)
	seen := map[string]bool{}
	for _, q := range Questions() {
		if seen[q.ID] || find(q.ID) == nil || q.Asks.IsZero() || q.Says.IsZero() {
			t.Errorf("%s: %+v", q.ID, q)
		}
		seen[q.ID] = true
		command := tool.Command(&q, id)
		out, err := exec.Command("sh", "-c", strings.Replace(command, "sudo ", "", 1)).Output()
		args, _ := tool.args(&q, id, 0)
		if err != nil || string(out) != strings.Join(args, "\n")+"\n" {
			t.Errorf("%s\nhas the arguments %q, want %q (%v)", command, out, args, err)
		}
		if !strings.Contains(command, "container.id=9965a6a599f6") || strings.Contains(command, id) {
			t.Errorf("%s is not about the container", command)
		}
	}
	if command := tool.Command(&Questions()[0], "x; reboot"); command != "" {
		t.Errorf("a command for no container: %s", command)
	}
}

// TestReal has the real sysdig read each of the commands. Without a driver it
// refuses after that.
func TestReal(t *testing.T) {
	tool := Look(t.Context())
	if tool.Path == "" {
		t.Skip("no sysdig here")
	}
	if tool.Version == "" {
		t.Error("its version is not known")
	}
	for _, q := range Questions() {
		a, err := tool.Ask(t.Context(), q.ID, id, time.Second)
		if err == nil {
			if len(a.Lines) > 0 {
				t.Errorf("%s: a container that does not exist does %q", q.ID, a.Lines)
			}
			continue
		}
		if text := err.Error(); !strings.Contains(text, "driver") && !strings.Contains(text, "rights of root") {
			t.Errorf("%s: %v", q.ID, err)
		}
	}
	broken := Question{ID: "broken", filter: "evt.nonsense=1"}
	args, _ := broken.args(id)
	if out, _ := exec.Command(tool.Path, args...).CombinedOutput(); !strings.Contains(string(out), "filter error") {
		t.Errorf("it reads anything, so that this test holds nothing: %s", out)
	}
}
