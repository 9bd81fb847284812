package watch

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"hash/fnv"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll/checks/runtime"
)

// Bounds of what is read of /proc. What is in it belongs to the container.
const (
	mostProcesses = 2000
	mostLine      = 4 << 10 // bytes of a command line
	mostSockets   = 1 << 20 // bytes of a table of sockets
	mostFile      = 64 << 10
)

// lookInside looks at the processes, listeners and CPU time of a container
// through /proc, if that is where its engine runs: the control group of its
// first process has to name it. It is a hundred times cheaper than docker top.
func lookInside(proc string, f *runtime.Facts, l *runtime.Look) (spent time.Duration, ok bool) {
	if f.PID <= 0 {
		return 0, false
	}
	first := filepath.Join(proc, strconv.Itoa(f.PID))
	groups := controlGroups(first, f.ID)
	if len(groups) == 0 {
		return 0, false
	}
	pids := members(groups)
	if len(pids) == 0 {
		return 0, false
	}
	l.Sockets = map[int]bool{}
	for _, pid := range pids {
		p, alive := process(proc, pid)
		if !alive {
			continue
		}
		l.Processes = append(l.Processes, p)
		if fd, err := os.Readlink(filepath.Join(proc, strconv.Itoa(pid), "fd", "0")); err == nil && strings.HasPrefix(fd, "socket:") {
			l.Sockets[pid] = true
		}
	}
	if f.OwnNetwork {
		l.Listening = listening(first)
	}
	return spentBy(groups), len(l.Processes) > 0
}

// controlGroups returns the folders of the control groups of a process, nil
// when they are not those of the container called id.
func controlGroups(process, id string) []string {
	var found []string
	for line := range strings.Lines(string(readSome(filepath.Join(process, "cgroup"), mostFile))) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || !strings.Contains(parts[2], id) || strings.Contains(parts[2], "..") {
			continue
		}
		const root = "/sys/fs/cgroup"
		if parts[1] == "" {
			found = append(found, filepath.Join(root, parts[2]), filepath.Join(root, "unified", parts[2]))
			continue
		}
		found = append(found, filepath.Join(root, parts[1], parts[2]))
		for controller := range strings.SplitSeq(parts[1], ",") {
			found = append(found, filepath.Join(root, controller, parts[2]))
		}
	}
	return found
}

// members returns the processes of a control group and of those below it, of
// which systemd in a container makes some.
func members(groups []string) []int {
	for _, group := range groups {
		var pids []int
		depth := strings.Count(group, "/")
		_ = filepath.WalkDir(group, func(path string, d os.DirEntry, err error) error {
			if err != nil || len(pids) >= mostProcesses {
				return filepath.SkipDir
			}
			if d.IsDir() && strings.Count(path, "/") > depth+3 {
				return filepath.SkipDir
			}
			if d.Name() != "cgroup.procs" {
				return nil
			}
			for _, text := range bytes.Fields(readSome(path, mostFile)) {
				if pid, err := strconv.Atoi(string(text)); err == nil && pid > 0 && len(pids) < mostProcesses {
					pids = append(pids, pid)
				}
			}
			return nil
		})
		if len(pids) > 0 {
			slices.Sort(pids)
			return slices.Compact(pids)
		}
	}
	return nil
}

// stir returns a sum of the processes in a container, which is another one when
// any has begun or ended. It sees those of the container's own control group.
func stir(proc string, f *runtime.Facts) (sum uint64, ok bool) {
	if f.PID <= 0 {
		return 0, false
	}
	for _, group := range controlGroups(filepath.Join(proc, strconv.Itoa(f.PID)), f.ID) {
		if pids := readSome(filepath.Join(group, "cgroup.procs"), mostFile); len(pids) > 0 {
			h := fnv.New64a()
			_, _ = h.Write(pids)
			return h.Sum64(), true
		}
	}
	return 0, false
}

// process reads one process.
func process(proc string, pid int) (p runtime.Process, alive bool) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	p.PID = pid
	for line := range strings.Lines(string(readSome(filepath.Join(dir, "status"), mostFile))) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch name {
		case "PPid":
			p.Parent, _ = strconv.Atoi(fields[0])
			alive = true
		case "Uid":
			p.UID, _ = strconv.Atoi(fields[min(1, len(fields)-1)]) // the effective one
		case "Name":
			p.Command = fields[0]
		}
	}
	if line := bytes.TrimRight(readSome(filepath.Join(dir, "cmdline"), mostLine), "\x00"); len(line) > 0 {
		p.Command = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	} else {
		alive = false // it has ended, and its parent has not noticed
	}
	return p, alive
}

// listening returns the sockets that wait for connections where a process is.
func listening(process string) []runtime.Listener {
	found := []runtime.Listener{}
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(process, "net", table))
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(io.LimitReader(f, mostSockets))
		for lines.Scan() {
			if l, ok := listener(lines.Text()); ok && !slices.Contains(found, l) {
				found = append(found, l)
			}
		}
		f.Close()
	}
	return found
}

// listener reads a line of /proc/net/tcp:
//
//	0: 0B00007F:B4CB 00000000:0000 0A …
func listener(line string) (l runtime.Listener, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[3] != "0A" {
		return l, false
	}
	address, port, _ := strings.Cut(fields[1], ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return l, false
	}
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return l, false
	}
	l.Port = int(n)
	if len(raw) == 4 {
		if raw[3] == 127 && raw[0] == 11 {
			return l, false // the name server that the engine puts there
		}
		l.Loopback = raw[3] == 127
		return l, true
	}
	// Words are little-endian: ::1 ends in 01000000.
	l.Loopback = address == "00000000000000000000000001000000"
	return l, true
}

// spentBy returns the CPU time that a control group has used.
func spentBy(groups []string) time.Duration {
	for _, group := range groups {
		if data := bytes.TrimSpace(readSome(filepath.Join(group, "cpuacct.usage"), 64)); len(data) > 0 {
			if n, err := strconv.ParseInt(string(data), 10, 64); err == nil {
				return time.Duration(n)
			}
		}
		for line := range strings.Lines(string(readSome(filepath.Join(group, "cpu.stat"), mostFile))) {
			if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
				if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
					return time.Duration(n) * time.Microsecond
				}
			}
		}
	}
	return 0
}

// whoEntered returns who runs the docker command that has just started
// something in a container, "" when nobody is found or several are.
func whoEntered(proc string, f *runtime.Facts, command []string) string {
	dir, err := os.Open(proc)
	if err != nil {
		return ""
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return ""
	}
	found := ""
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimRight(string(readSome(filepath.Join(proc, name, "cmdline"), mostLine)), "\x00"), "\x00")
		if !enters(args, f, command) {
			continue
		}
		if found != "" {
			return ""
		}
		p, _ := process(proc, pid)
		found = "uid " + strconv.Itoa(p.UID)
		if u, err := user.LookupId(strconv.Itoa(p.UID)); err == nil {
			found = "user " + u.Username + ", " + found
		}
		found += ", pid " + name + ", " + filepath.Base(args[0]) + " exec"
	}
	return found
}

// enters reports whether args are those of a docker command that starts
// command in a container.
func enters(args []string, f *runtime.Facts, command []string) bool {
	switch filepath.Base(args[0]) {
	case "docker", "docker-compose", "podman", "nerdctl":
	default:
		return false
	}
	at := slices.Index(args, "exec")
	if at < 0 || len(command) == 0 || len(args) <= len(command) || !slices.Equal(args[len(args)-len(command):], command) {
		return false
	}
	_, service, _ := strings.Cut(f.Service, "/")
	return slices.ContainsFunc(args[at+1:len(args)-len(command)], func(a string) bool {
		return a == f.Name || service != "" && a == service || len(a) >= 4 && strings.HasPrefix(f.ID, a)
	})
}

// readSome returns the beginning of a file, nothing when it cannot be read.
func readSome(path string, most int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	return data
}
