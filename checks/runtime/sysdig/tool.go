package sysdig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/program"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A Tool is the sysdig of this machine.
type Tool struct {
	Path    string // "" where none is installed
	Version string // "" where it does not say
	Modern  bool   // it brings an eBPF driver of its own
	Away    bool   // the engine is not on this machine, so that its containers are not seen from here

	root bool
}

// Bounds of a run.
const (
	longestAnswer = 5 * time.Second // to be asked what it is
	grace         = 10 * time.Second
	mostOutput    = 4 << 20
	memory        = 2 << 30
	mostWritten   = 1 << 20 // it is asked to write no file
	mostLines     = 500
	longestLine   = 400 // bytes
)

// Lasting is how long one run watches unless somebody wants otherwise.
const Lasting = 10 * time.Second

// environment is everything that sysdig sees of ours. It has no home, since it
// would run scripts from ".chisels" there.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TERM=dumb"}
}

// folder is where sysdig runs: it would run scripts from a folder called
// "chisels" where it is started.
const folder = "/"

var versionPattern = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+`)

// Look finds the sysdig of this machine.
func Look(ctx context.Context) Tool {
	path, err := exec.LookPath("sysdig")
	if err != nil {
		return Tool{}
	}
	ask := func(arg string) string {
		out, _ := program.Run(ctx, program.Command{Path: path, Args: []string{arg}, Env: environment(), Dir: folder},
			program.Limits{Time: longestAnswer, Output: 256 << 10, Memory: memory})
		return string(out.Stdout)
	}
	t := Tool{Path: path, Version: versionPattern.FindString(ask("--version")), root: os.Geteuid() == 0}
	t.Modern = strings.Contains(ask("--help"), "--modern-bpf")
	return t
}

// args returns the arguments that answer q for a time.
func (t *Tool) args(q *Question, id string, lasting time.Duration) ([]string, error) {
	args, err := q.args(id)
	if err != nil {
		return nil, err
	}
	var first []string
	if t.Modern {
		first = append(first, "--modern-bpf")
	}
	if lasting > 0 {
		first = append(first, "-M", strconv.Itoa(max(1, int(lasting/time.Second))), "--unbuffered")
	}
	return append(first, args...), nil
}

// Command returns what answers q when it is typed into a shell, until it is
// interrupted; "" when id is none of a container.
func (t *Tool) Command(q *Question, id string) string {
	args, err := t.args(q, id, 0)
	if err != nil {
		return ""
	}
	line := "cd " + folder + " && sudo sysdig"
	for _, arg := range args {
		if strings.Trim(arg, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			arg = "'" + arg + "'" // none of ours has a quote in it
		}
		line += " " + arg
	}
	return line
}

// An Answer is what sysdig said.
type Answer struct {
	Lines []string // masked and safe to be shown; none: nothing happened
	Cut   bool     // there was more than is shown
}

// Ask runs sysdig for a time on what goes on in the container with an id. The
// error is a [checks.Problem] with what to do, or that of ctx. It changes
// nothing.
func (t *Tool) Ask(ctx context.Context, question, id string, lasting time.Duration) (Answer, error) {
	q := find(question)
	switch {
	case q == nil:
		return Answer{}, &checks.Problem{What: checks.Msg("sysdig is asked nothing called %s", question)}
	case t.Away:
		return Answer{}, &checks.Problem{
			What: checks.Msg("sysdig sees the containers of this machine, not those of a remote engine"),
			Do:   checks.Msg("copy the command and run it over there"),
		}
	case t.Path == "":
		return Answer{}, &checks.Problem{
			What: checks.Msg("sysdig is not installed"),
			Do:   checks.Msg("on Debian and Ubuntu: %s; or the package of its project, which needs no kernel module", "sudo apt-get install sysdig"),
		}
	}
	args, err := t.args(q, id, lasting)
	if err != nil {
		return Answer{}, err
	}
	out, err := program.Run(ctx, program.Command{Path: t.Path, Args: args, Env: environment(), Dir: folder},
		program.Limits{Time: lasting + grace, Output: mostOutput, Memory: memory, File: mostWritten})
	if ctx.Err() != nil {
		return Answer{}, context.Cause(ctx)
	}
	a := read(out.Stdout)
	switch {
	case errors.Is(err, program.ErrOutput):
		a.Cut = true
		return a, nil
	case errors.Is(err, program.ErrTime) && len(a.Lines) > 0: // it does not end by itself, but has answered
		return a, nil
	case err != nil:
		return Answer{}, t.trouble(out, err)
	}
	return a, nil
}

// trouble explains why a run brought nothing.
func (t *Tool) trouble(out program.Output, err error) *checks.Problem {
	p := &checks.Problem{Err: err}
	complaint := string(out.Stderr) + "\n" + string(out.Stdout[:min(len(out.Stdout), 4096)])
	has := func(texts ...string) bool {
		for _, text := range texts {
			if strings.Contains(strings.ToLower(complaint), text) {
				return true
			}
		}
		return false
	}
	driver := has("unable to load the driver", "error opening device", "/dev/scap", "/dev/sysdig", "bpf probe", "can't open bpf", "failed to load", "libbpf")
	switch {
	case (driver || has("permission denied", "operation not permitted", "root credentials")) && !t.root:
		p.What = checks.Msg("sysdig sees every system call of the machine and needs the rights of root for that")
		p.Do = checks.Msg("copy the command, which begins with sudo, or run plimsoll as root")
	case driver && t.Modern:
		p.What = checks.Msg("sysdig cannot load its eBPF driver into this kernel (%s)", complained(complaint))
		p.Do = checks.Msg("it needs Linux 5.8 or later with BTF (/sys/kernel/btf/vmlinux), and may not run in a container without privileges")
	case driver:
		p.What = checks.Msg("sysdig %s has no driver in this kernel: the module scap is not loaded", t.Version)
		p.Do = checks.Msg("build and load it (%s), or install a later sysdig of its project, which brings an eBPF driver", "sudo apt-get install falcosecurity-scap-dkms linux-headers-$(uname -r) && sudo modprobe scap")
	case errors.Is(err, program.ErrTime):
		p.What = checks.Msg("sysdig did not end in time and was ended")
	case out.Code < 0:
		p.What = checks.Msg("sysdig crashed (%s)", err.Error())
		p.Do = checks.Msg("a later version may help; this one is %s", t.Version)
	default:
		p.What = checks.Msg("sysdig failed: %s", complained(complaint))
	}
	return p
}

// complained returns the first line of a complaint that says something.
func complained(text string) string {
	for line := range strings.Lines(text) {
		if line = clean(line); line != "" {
			return line
		}
	}
	return "it says nothing"
}

// control are sequences that colour text and move the cursor.
var control = regexp.MustCompile(`\x1b\[[0-9;?]*[ -/]*[@-~]`)

// cleared is how a chisel begins its table of the next second.
const cleared = "\x1b[2J"

func clean(line string) string {
	line = strings.TrimRight(control.ReplaceAllString(line, ""), " \t\r\n")
	line = terminal.Line(secret.Redact(strings.ReplaceAll(line, "\t", "    ")))
	if len(line) > longestLine {
		line = strings.ToValidUTF8(line[:longestLine], "") + "…"
	}
	return line
}

// read makes an answer of what sysdig wrote. Of tables that come anew every
// second the last one with something in it counts.
func read(out []byte) Answer {
	var a Answer
	tables := strings.Split(string(out), cleared)
	for _, table := range tables {
		var lines []string
		cut := false
		for line := range strings.Lines(table) {
			if line = clean(line); line == "" {
				continue
			}
			if cut = len(lines) == mostLines; cut {
				break
			}
			lines = append(lines, line)
		}
		rows := len(lines)
		for i, line := range lines {
			if strings.Trim(line, "-") == "" { // under the heading
				rows = len(lines) - i - 1
			}
		}
		if rows > 0 {
			a = Answer{lines, cut}
		}
	}
	return a
}
