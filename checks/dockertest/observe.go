package dockertest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

func (s *Server) topContainer(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	switch {
	case !c.running():
		return conflict("Container %s is not running", c.ID)
	case c.State.Restarting:
		return conflict("Container %s is restarting, wait until the container is running", c.ID)
	}
	s.emitContainer(c, events.ActionTop, nil)
	table := container.TopResponse{
		Titles:    []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"},
		Processes: c.processes(),
	}
	if columns, ok := columnsOf(r.FormValue("ps_args")); ok {
		table = project(table, columns)
	}
	return answer(w, http.StatusOK, table)
}

// columnsOf reads "-eo pid,uid,args".
func columnsOf(arguments string) ([]string, bool) {
	for _, flag := range []string{"-eo", "-o", "axo", "-axo"} {
		if rest, ok := strings.CutPrefix(arguments, flag); ok {
			return strings.Split(strings.TrimSpace(rest), ","), true
		}
	}
	return nil, false
}

func project(table container.TopResponse, columns []string) container.TopResponse {
	source := map[string]string{"uid": "UID", "user": "UID", "pid": "PID", "ppid": "PPID", "tty": "TTY", "time": "TIME", "args": "CMD", "cmd": "CMD", "command": "CMD", "comm": "CMD"}
	out := container.TopResponse{}
	for _, column := range columns {
		title := strings.ToUpper(column)
		if title == "ARGS" {
			title = "COMMAND"
		}
		out.Titles = append(out.Titles, title)
	}
	for _, row := range table.Processes {
		var cells []string
		for _, column := range columns {
			cell := "-"
			if i := slices.Index(table.Titles, source[column]); i >= 0 && i < len(row) {
				cell = row[i]
			}
			if column == "uid" && cell == "root" {
				cell = "0"
			}
			cells = append(cells, cell)
		}
		out.Processes = append(out.Processes, cells)
	}
	return out
}

func (c *ctr) processes() [][]string {
	if c.doing.Processes != nil {
		return c.doing.Processes
	}
	user, _, _ := strings.Cut(cmp.Or(c.Config.User, "root"), ":")
	if user == "0" {
		user = "root"
	}
	return [][]string{{user, strconv.Itoa(c.State.Pid), strconv.Itoa(c.State.Pid - 1), "0", c.started.UTC().Format("15:04"), "?", "00:00:00", strings.Join(append([]string{c.Path}, c.Args...), " ")}}
}

// A logLine is one write of the program.
type logLine struct {
	at     time.Time
	stream byte // 1 or 2
	text   string
}

func (c *ctr) print(stream, text string, at time.Time) {
	number := byte(1)
	if stream == "stderr" {
		number = 2
	}
	for line := range strings.Lines(text) {
		c.log = append(c.log, logLine{at, number, strings.TrimSuffix(line, "\n") + "\n"})
	}
}

// Print adds lines to the log of a container.
func (s *Server) Print(ref, stream, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(ref)
	if err != nil {
		return err
	}
	c.print(stream, text, s.clock.Now())
	s.wake(c)
	return nil
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		s.mu.Unlock()
		return err
	}
	out, errs := truth(r, "stdout"), truth(r, "stderr")
	if !out && !errs {
		s.mu.Unlock()
		return badRequest("Bad parameters: you must choose at least one stream")
	}
	since, err := parseTimestamp(r.FormValue("since"))
	if err != nil {
		s.mu.Unlock()
		return err
	}
	next := 0
	if tail, err := strconv.Atoi(r.FormValue("tail")); err == nil && tail >= 0 {
		next = max(0, len(c.log)-tail)
	}
	w.Header().Set("Content-Type", "application/vnd.docker.multiplexed-stream")
	if c.Config.Tty {
		w.Header().Set("Content-Type", "application/vnd.docker.raw-stream")
	}
	for {
		var b bytes.Buffer
		for ; next < len(c.log); next++ {
			l := c.log[next]
			if l.stream == 1 && !out || l.stream == 2 && !errs || l.at.UnixNano() < since {
				continue
			}
			line := l.text
			if truth(r, "timestamps") {
				line = stamp(l.at) + " " + line
			}
			if !c.Config.Tty {
				var head [8]byte
				head[0] = l.stream
				binary.BigEndian.PutUint32(head[4:], uint32(len(line)))
				b.Write(head[:])
			}
			b.WriteString(line)
		}
		more := truth(r, "follow") && c.running()
		woken := make(chan struct{})
		if more {
			c.waiters = append(c.waiters, woken)
		}
		s.mu.Unlock()
		w.Write(b.Bytes())
		http.NewResponseController(w).Flush()
		if !more {
			return nil
		}
		select {
		case <-woken:
		case <-r.Context().Done():
			return nil
		case <-closing(r):
			return nil
		}
		s.mu.Lock()
	}
}

func (c *ctr) memory() uint64     { return cmp.Or(c.doing.Memory, 8<<20) }
func (c *ctr) memoryPeak() uint64 { return max(c.doing.MemoryPeak, c.memory()) }

func (s *Server) stats(w http.ResponseWriter, r *http.Request) error {
	stream := r.FormValue("stream") == "" || truth(r, "stream")
	s.mu.Lock()
	c, err := s.find(r.PathValue("id"))
	s.mu.Unlock()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	var before container.StatsResponse
	out := json.NewEncoder(w)
	for {
		s.mu.Lock()
		now := s.sample(c, before)
		s.mu.Unlock()
		if out.Encode(now) != nil || http.NewResponseController(w).Flush() != nil || !stream {
			return nil
		}
		before = now
		select {
		case <-c.gone:
			return nil
		default:
		}
		if !s.pause(r, time.Second) {
			return nil
		}
	}
}

func (s *Server) sample(c *ctr, before container.StatsResponse) container.StatsResponse {
	now := container.StatsResponse{ID: c.ID, Name: c.Name, PreRead: before.Read, PreCPUStats: before.CPUStats}
	if !c.running() {
		return now
	}
	at := s.clock.Now()
	now.Read, now.OSType = at, "linux"
	up := at.Sub(c.started)
	limit := uint64(c.HostConfig.Memory)
	if limit == 0 {
		limit = uint64(s.info.MemTotal)
	}
	now.CPUStats = container.CPUStats{
		CPUUsage:    container.CPUUsage{TotalUsage: uint64(float64(up) * c.doing.CPU)},
		SystemUsage: uint64(at.UnixNano()) * uint64(s.info.NCPU), OnlineCPUs: uint32(s.info.NCPU),
	}
	now.MemoryStats = container.MemoryStats{
		Usage: c.memory(), MaxUsage: c.memoryPeak(), Limit: limit,
		Stats: map[string]uint64{"total_inactive_file": 0, "inactive_file": 0},
	}
	now.PidsStats.Current = cmp.Or(c.doing.Pids, uint64(len(c.processes())))
	if p := c.HostConfig.PidsLimit; p != nil && *p > 0 {
		now.PidsStats.Limit = uint64(*p)
	}
	if len(c.NetworkSettings.Networks) > 0 {
		now.Networks = map[string]container.NetworkStats{"eth0": {RxBytes: uint64(up.Seconds() * 120), TxBytes: uint64(up.Seconds() * 80)}}
	}
	return now
}
