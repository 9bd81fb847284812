package runtime

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// A Process runs in a container, as docker top shows it: numbers are those of
// the host.
type Process struct {
	PID, Parent, UID int
	Command          string // with arguments, which may hold secrets
}

// TopColumns asks docker top for what [Processes] reads.
var TopColumns = []string{"-eo", "pid,ppid,uid,args"}

// mostProcesses is how many processes of one container are looked at: it may
// start any number to keep who looks busy.
const mostProcesses = 2000

// Processes reads the answer to [TopColumns]; nil if it is something else.
func Processes(top container.TopResponse) []Process {
	var all []Process
	for _, row := range top.Processes[:min(len(top.Processes), mostProcesses)] {
		if len(row) != 4 {
			return nil
		}
		var p Process
		for i, into := range []*int{&p.PID, &p.Parent, &p.UID} {
			n, err := strconv.Atoi(strings.TrimSpace(row[i]))
			if err != nil {
				return nil
			}
			*into = n
		}
		p.Command = row[3]
		all = append(all, p)
	}
	return all
}

// Program returns the path or name of what p runs.
func (p Process) Program() string {
	first, _, _ := strings.Cut(strings.TrimSpace(p.Command), " ")
	return strings.TrimSuffix(strings.TrimPrefix(first, "-"), ":") // a login shell, "sshd: /usr/sbin/sshd"
}

// Name returns the name of what p runs, without its folder.
func (p Process) Name() string { return path.Base(p.Program()) }

// Evidence shows p without its arguments, which may hold secrets.
func (p Process) Evidence(source Source) checks.Evidence {
	return checks.Evidence{Source: string(source), Detail: fmt.Sprintf("pid %d, uid %d, %s", p.PID, p.UID, p.Program())}
}

// A Lineage finds what processes descend from, by their number.
type Lineage map[int]Process

// LineageOf returns the lineage of all; of two with one number the first counts.
func LineageOf(all []Process) Lineage {
	l := make(Lineage, len(all))
	for _, p := range all {
		if _, known := l[p.PID]; !known {
			l[p.PID] = p
		}
	}
	return l
}

// Of returns p and what it descends from, itself first.
func (l Lineage) Of(p Process) []Process {
	line := []Process{p}
	for range l { // a hostile answer may hold a circle
		last := line[len(line)-1]
		parent, known := l[last.Parent]
		if !known || parent.PID == last.PID {
			break
		}
		line = append(line, parent)
	}
	return line
}

// Entered reports whether p did not come from first, the first process of its
// container: docker exec started it, or a process that it started.
func (l Lineage) Entered(p Process, first int) bool {
	if first == 0 {
		return false // nobody knows which is the first
	}
	line := l.Of(p)
	root := line[len(line)-1]
	return root.PID != first && root.Parent != first && !slices.ContainsFunc(line, func(o Process) bool { return o.PID == first })
}
