package runtime

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// Options adjust a [Monitor]. Zero values mean the defaults.
type Options struct {
	Learn   time.Duration // how long a container is watched until it is known; 1 h
	StartUp time.Duration // in which a container may install what it needs; 30 s
	Sustain time.Duration // from which on full CPU use is no peak; 10 min
	Busy    float64       // CPUs that are much for a container without a limit; 0.8
	Normals *Normals
}

// A Monitor remembers what containers did and says what does not belong. Its
// methods must not be called by several goroutines at a time.
type Monitor struct {
	o    Options
	runs map[string]*run // by container id
}

// A run is one container since it was started.
type run struct {
	started  time.Time
	seen     map[int]string  // processes that were judged: command by pid
	written  map[string]bool // paths that docker diff has shown
	looked   bool            // written is known
	chance   uint64          // decides which of too many new files are looked at, the same until they were
	entered  time.Time       // when something was first executed in it; zero: never
	ports    map[string]bool // listeners that were judged
	busy     time.Time       // since when it uses a whole CPU; zero when it does not
	busySaid bool
	deaths   []time.Time
	said     map[string]time.Time // alerts by check and key
}

// NewMonitor returns a monitor that has seen nothing.
func NewMonitor(o Options) *Monitor {
	if o.Learn == 0 {
		o.Learn = time.Hour
	}
	if o.StartUp == 0 {
		o.StartUp = 30 * time.Second
	}
	if o.Sustain == 0 {
		o.Sustain = 10 * time.Minute
	}
	if o.Busy == 0 {
		o.Busy = 0.8
	}
	if o.Normals == nil {
		o.Normals = &Normals{}
	}
	return &Monitor{o: o, runs: map[string]*run{}}
}

// again is how long the same alert is not repeated.
const again = time.Minute

// run returns what is remembered of this run of a container. What restarts
// takes its deaths along.
func (m *Monitor) run(f *Facts) *run {
	r := m.runs[f.ID]
	if r == nil {
		r = &run{said: map[string]time.Time{}}
		m.runs[f.ID] = r
	}
	if r.seen == nil || !f.Started.IsZero() && !r.started.Equal(f.Started) {
		*r = run{started: f.Started, seen: map[int]string{}, written: r.written, looked: r.looked, ports: map[string]bool{}, deaths: r.deaths, said: r.said}
		if r.written == nil {
			r.written = map[string]bool{}
		}
	}
	return r
}

// Learned returns what is normal as far as it was learned, and whether that
// has changed since the last time.
func (m *Monitor) Learned() (map[string]Normal, bool) { return m.o.Normals.Learned() }

// Standing tells how well a container is known.
func (m *Monitor) Standing(f *Facts) Standing { return m.o.Normals.standing(f, m.o.Learn) }

// Gone forgets a container that was removed.
func (m *Monitor) Gone(id string) { delete(m.runs, id) }

// mostSaid is how many alerts a run remembers before it looks which are old:
// the container chooses what they are about.
const mostSaid = 256

// say keeps an alert from being repeated all the time.
func (r *run) say(alerts []Alert) []Alert {
	if len(r.said) > mostSaid && len(alerts) > 0 {
		maps.DeleteFunc(r.said, func(_ string, last time.Time) bool { return alerts[0].At.Sub(last) >= again })
	}
	return slices.DeleteFunc(alerts, func(a Alert) bool {
		key := a.Check + " " + a.Key
		if last, ok := r.said[key]; ok && a.At.Sub(last) < again && !a.At.Before(last) {
			return true
		}
		r.said[key] = a.At
		return false
	})
}

// Exec judges something that was started in a container from outside.
func (m *Monitor) Exec(f *Facts, e Exec, at time.Time) []Alert {
	if f.isHealthCheck(e.Line()) && !e.Privileged {
		return nil
	}
	r := m.run(f)
	if r.entered.IsZero() {
		r.entered = at
	}
	return r.say(JudgeExec(f, e, at))
}

// What is a crash loop.
const (
	fewestDeaths = 3
	deathWindow  = 10 * time.Minute
)

// Died judges the end of a container. One that was told to end does not fail.
func (m *Monitor) Died(f *Facts, code string, told bool, at time.Time) []Alert {
	r := m.run(f)
	if told || code == "0" || code == "" {
		return nil
	}
	r.deaths = append(slices.DeleteFunc(r.deaths, func(d time.Time) bool { return at.Sub(d) > deathWindow }), at)
	if len(r.deaths) < fewestDeaths {
		return nil
	}
	n := len(r.deaths)
	r.deaths = nil // the next alert needs as many again
	return r.say([]Alert{{
		Check: CrashLooping, Container: f.ID, Name: f.Name, At: at, Severity: checks.Medium, Source: Events,
		Message:  checks.Msg("%s has failed %d times within %d minutes, last with exit code %s", f.Name, n, int(deathWindow/time.Minute), code),
		Evidence: []checks.Evidence{{Source: string(Events), Detail: "die: exitCode " + code}},
	}})
}

// OOM judges that the kernel killed a process for its memory.
func (m *Monitor) OOM(f *Facts, at time.Time) []Alert {
	return m.run(f).say([]Alert{{
		Check: OOMKilled, Container: f.ID, Name: f.Name, At: at, Severity: checks.Medium, Source: Events,
		Message:  checks.Msg("a process in %s was killed because its memory ran out", f.Name),
		Evidence: []checks.Evidence{{Source: string(Events), Detail: "oom"}},
	}})
}

// A Look is what was seen of a running container at one moment. What is nil was
// not looked at.
type Look struct {
	At        time.Time
	Source    Source // of Processes: Top or Proc
	Processes []Process
	Sockets   map[int]bool // processes whose standard input is a network connection
	Changed   []container.FilesystemChange
	Listening []Listener
	CPU       float64 // CPUs used since the look before; negative: not known

	// Programs are those of the changed paths that may be executed, with the
	// time of their last change. The caller finds out, for paths that
	// [Monitor.New] names; nil: it did not, and no file is judged.
	Programs map[string]time.Time
}

// A Listener is a socket that waits for connections.
type Listener struct {
	Port     int
	Loopback bool
}

// mostNew is how many new files are looked at more closely at once. The others
// stay new until the look after.
const mostNew = 24

// New returns changed paths that were not there at the look before, the first
// look having none, so that somebody may look at them more closely. Of too many
// it is left to chance which, so that nothing can hide behind the others.
func (m *Monitor) New(f *Facts, changed []container.FilesystemChange) []string {
	r := m.run(f)
	if !r.looked && r.entered.IsZero() {
		return nil
	}
	folders := foldersOf(changed)
	var fresh []string
	for _, c := range changed {
		p := path.Clean(c.Path)
		if c.Kind == container.ChangeDelete || r.written[p] || folders[p] || f.mounted(p) {
			continue
		}
		fresh = append(fresh, p)
	}
	if len(fresh) > mostNew {
		rand.New(rand.NewPCG(r.chance, 0)).Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
	}
	return fresh[:min(len(fresh), mostNew)]
}

// foldersOf returns the folders in which something changed, which are listed
// for that reason alone.
func foldersOf(changed []container.FilesystemChange) map[string]bool {
	folders := map[string]bool{}
	for _, c := range changed {
		folders[path.Dir(path.Clean(c.Path))] = true
	}
	return folders
}

// Seen judges a look, and learns from it.
func (m *Monitor) Seen(f *Facts, l Look) []Alert {
	r, n := m.run(f), m.o.Normals.of(f)
	settled := n.settled(m.o.Learn)
	var alerts []Alert
	if l.Changed != nil {
		alerts = append(alerts, m.changes(f, r, &l)...)
	}
	if l.Processes != nil {
		alerts = append(alerts, m.processes(f, r, n, &l, settled)...)
	}
	if l.Listening != nil && f.OwnNetwork {
		alerts = append(alerts, listeners(f, r, n, &l, settled)...)
	}
	if l.CPU >= 0 {
		alerts = append(alerts, m.cpu(f, r, n, &l, settled)...)
	}
	if !n.Declared {
		n.watch(l.At)
		m.o.Normals.changed = true
	}
	return r.say(alerts)
}

// changes judges what was written: programs that its image does not have.
func (m *Monitor) changes(f *Facts, r *run, l *Look) []Alert {
	first := !r.looked
	if l.Programs == nil && (!first || !r.entered.IsZero()) {
		return nil
	}
	fresh := m.New(f, l.Changed)
	r.looked, r.chance = true, rand.Uint64()
	before := r.written
	r.written = make(map[string]bool, len(l.Changed))
	for _, c := range l.Changed {
		if p := path.Clean(c.Path); c.Kind != container.ChangeDelete && (first || before[p]) {
			r.written[p] = true
		}
	}
	for _, p := range fresh {
		r.written[p] = true
	}
	if r.entered.IsZero() && !f.Started.IsZero() && l.At.Sub(f.Started) < m.o.StartUp {
		return nil // it installs what it needs
	}
	fresh = slices.DeleteFunc(fresh, func(p string) bool {
		changed, program := l.Programs[p]
		return !program || first && changed.Before(r.entered.Truncate(time.Second))
	})
	if len(fresh) == 0 {
		return nil
	}
	for pid, command := range r.seen { // before anybody knew where its program came from
		if slices.Contains(fresh, path.Clean(Process{Command: command}.Program())) {
			delete(r.seen, pid)
		}
	}
	a := Alert{
		Check: FileDrift, Container: f.ID, Name: f.Name, At: l.At, Severity: checks.High, Key: fresh[0], Source: Diff,
		Message: checks.Msg("%d programs were written into %s while it ran, such as %s", len(fresh), f.Name, fresh[0]),
	}
	for _, p := range fresh[:min(len(fresh), 5)] {
		a.Evidence = append(a.Evidence, checks.Evidence{Source: string(Diff), Detail: p})
	}
	return []Alert{a}
}

// processes judges those that were not there at the look before.
func (m *Monitor) processes(f *Facts, r *run, n *Normal, l *Look, settled bool) []Alert {
	var alerts []Alert
	now := make(map[int]string, len(l.Processes))
	lineage := LineageOf(l.Processes)
	for _, p := range l.Processes {
		now[p.PID] = p.Command
		if r.seen[p.PID] == p.Command {
			continue
		}
		line := lineage.Of(p)
		entered := lineage.Entered(p, f.PID)
		if entered && slices.ContainsFunc(line, func(o Process) bool { return f.isHealthCheck(o.Command) }) {
			continue
		}
		if a, bad := m.process(f, r, n, l, line, settled && !entered && (!n.Declared || n.Programs != nil)); bad {
			alerts = append(alerts, a)
			continue
		}
		if !settled && !entered && !n.Declared {
			n.Programs = insert(n.Programs, p.Name(), mostPrograms)
		}
	}
	r.seen = now
	return alerts
}

// process judges the first process of line, which descends from the others.
// learned wants it to be among the programs that are known.
func (m *Monitor) process(f *Facts, r *run, n *Normal, l *Look, line []Process, learned bool) (Alert, bool) {
	p := line[0]
	name := p.Name()
	a := Alert{Container: f.ID, Name: f.Name, At: l.At, Key: name, Source: l.Source, Evidence: []checks.Evidence{p.Evidence(l.Source)}}
	c := words(p.Command)
	shell, _ := c.isShell()
	program := path.Clean(p.Program())
	switch {
	case Mines(p.Command):
		a.Check, a.Severity = UnexpectedProcess, checks.Critical
		a.Message = checks.Msg("%s runs %s, which computes coins for somebody else", f.Name, name)
	case HandsOutShell(p.Command):
		a.Check, a.Severity = OutboundSuspicious, checks.Critical
		a.Message = checks.Msg("%s runs %s in a way that hands a shell to another machine", f.Name, name)
	case shell && l.Sockets[p.PID]:
		a.Check, a.Severity, a.Key = OutboundSuspicious, checks.Critical, "socket "+name
		a.Message = checks.Msg("a shell in %s takes its commands from a network connection: %s", f.Name, name)
		a.Evidence = append(a.Evidence, checks.Evidence{Source: fmt.Sprintf("/proc/%d/fd/0", p.PID), Detail: "socket"})
	case path.IsAbs(program) && r.written[program] && !r.entered.IsZero():
		a.Check, a.Severity = UnexpectedProcess, checks.High
		a.Message = checks.Msg("%s runs %s, which its image does not have", f.Name, program)
		a.Evidence = append(a.Evidence, checks.Evidence{Source: string(Diff), Detail: program})
	case m.installs(f, l, c) && !strings.Contains(f.Command, c.unwrapped().name()):
		a.Check, a.Severity = PackageManagerRun, checks.High
		a.Message = checks.Msg("somebody runs %s in %s, which changes what its image brought", name, f.Name)
	case learned && !contains(n.Programs, name) && !declaredAs(n, p) && !scheduled(line) && p.PID != f.PID:
		a.Check, a.Severity = UnexpectedProcess, checks.High
		a.Message = checks.Msg("%s runs %s, which it has never run before", f.Name, name)
		if shell {
			a.Check, a.Severity = ShellOpened, checks.Medium
			a.Message = checks.Msg("%s has started a shell, which it has never done before: %s", f.Name, name)
		}
		a.Evidence = append(a.Evidence, normalEvidence(n, n.Programs))
	default:
		return a, false
	}
	return a, true
}

// installs reports whether c changes what is installed, other than while the
// container starts.
func (m *Monitor) installs(f *Facts, l *Look, c command) bool {
	return c.managesPackages() && (f.Started.IsZero() || l.At.Sub(f.Started) >= m.o.StartUp)
}

// declaredAs reports whether n names the whole path of p.
func declaredAs(n *Normal, p Process) bool { return contains(n.Programs, p.Program()) }

// scheduled reports whether the first of line was started by a scheduler of its
// container, whose hour may come later than anybody watches.
func scheduled(line []Process) bool {
	return slices.ContainsFunc(line, func(o Process) bool { return schedulers[o.Name()] })
}

func normalEvidence(n *Normal, known []string) checks.Evidence {
	source := "learned"
	if n.Declared {
		source = "configuration"
	}
	if len(known) == 0 {
		return checks.Evidence{Source: source, Detail: "nothing"}
	}
	return checks.Evidence{Source: source, Detail: strings.Join(known[:min(len(known), 8)], ", ")}
}

// ephemeral is where ports begin that programs get without asking for one.
const ephemeral = 32768

// listeners judges where a container waits for connections.
func listeners(f *Facts, r *run, n *Normal, l *Look, settled bool) []Alert {
	if n.Declared && n.Listeners == nil {
		return nil // nothing was said about them
	}
	var alerts []Alert
	for _, s := range l.Listening {
		port := fmt.Sprintf("%d/tcp", s.Port)
		if r.ports[port] || f.Ports[port] || s.Loopback && s.Port >= ephemeral || contains(n.Listeners, port) {
			continue
		}
		r.ports[port] = true
		if !settled {
			n.Listeners = insert(n.Listeners, port, mostPorts)
			continue
		}
		a := Alert{
			Check: UnexpectedListener, Container: f.ID, Name: f.Name, At: l.At, Severity: checks.Medium, Key: port, Source: Proc,
			Message:  checks.Msg("%s waits for connections on port %s, which it has never done before", f.Name, port),
			Evidence: []checks.Evidence{{Source: fmt.Sprintf("/proc/%d/net/tcp", f.PID), Detail: "LISTEN " + port}, normalEvidence(n, n.Listeners)},
		}
		alerts = append(alerts, a)
	}
	return alerts
}

// cpu judges how long a container without a limit computes.
func (m *Monitor) cpu(f *Facts, r *run, n *Normal, l *Look, settled bool) []Alert {
	if !settled {
		n.CPU = max(n.CPU, l.CPU)
		return nil
	}
	if n.Declared && n.CPU == 0 {
		return nil // nothing was said about it
	}
	usual := max(m.o.Busy, 2*n.CPU)
	if f.CPULimited || l.CPU < usual {
		r.busy, r.busySaid = time.Time{}, false
		return nil
	}
	if r.busy.IsZero() {
		r.busy = l.At
	}
	if l.At.Sub(r.busy) < m.o.Sustain || r.busySaid {
		return nil
	}
	r.busySaid = true
	return []Alert{{
		Check: CPUSustained, Container: f.ID, Name: f.Name, At: l.At, Severity: checks.Medium, Source: Stats,
		Message: checks.Msg("%s has used %.1f CPUs for %d minutes, which it has never done before, and has no limit", f.Name, l.CPU, int(l.At.Sub(r.busy)/time.Minute)),
		Evidence: []checks.Evidence{
			{Source: string(Stats), Detail: fmt.Sprintf("%.2f CPUs", l.CPU)},
			{Source: "learned", Detail: fmt.Sprintf("%.2f CPUs", n.CPU)},
		},
	}}
}
