package container

import (
	"path"
	"strconv"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// A Process runs in a container.
type Process = runtime.Process

// TopColumns asks docker top for what [Processes] reads.
var TopColumns = runtime.TopColumns

// Processes reads the answer to [TopColumns]; nil if it is something else.
func Processes(top container.TopResponse) []Process { return runtime.Processes(top) }

func topEvidence(p Process) checks.Evidence { return p.Evidence(runtime.Top) }

// watched declares a rule about the processes that were seen in a container,
// now or when an alert was raised.
func watched(c checks.Check, run func(*Container, []Process, func(checks.Finding))) *checks.Check {
	return alerting(c, func(s *Container, _ *container.InspectResponse, report func(checks.Finding)) {
		if s.running() && len(s.Processes) > 0 && !s.windows() {
			run(s, s.Processes, report)
		}
	})
}

var sshdRunning = watched(checks.Check{
	ID:       "container-sshd-running",
	Title:    "ssh server in the container",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.7 (v1.6.0)"},
}, func(c *Container, all []Process, report func(checks.Finding)) {
	for _, p := range all {
		if name := path.Base(p.Program()); name == "sshd" || name == "dropbear" {
			report(checks.Finding{
				Message:  checks.Msg("%s runs an ssh server: a second way in, with accounts and keys of its own", c.Settings.Name),
				Evidence: []checks.Evidence{topEvidence(p)},
			})
			return
		}
	}
})

// numbered reports whether the numbers of users that docker top shows are
// those inside of c.
func (c *Container) numbered() bool {
	return c.Engine != nil && !c.Engine.Rootless && (!c.Engine.UserNamespaces || c.Settings.Host != nil && c.Settings.Host.UsernsMode.IsHost())
}

// configuredUID returns the number that the processes of c were told to run
// as. It is not known for a name that nobody explained.
func (c *Container) configuredUID() (int, bool) {
	if c.Inspect.Config == nil {
		return 0, false
	}
	user := c.Inspect.Config.User // not that of the settings, which a fix may have changed
	if user == "" && c.Image != nil && c.Image.Config != nil {
		user = c.Image.Config.User
	}
	return checks.UID(user, c.Passwd)
}

// entered returns what tells whether docker exec started a process of all, or a
// process that it started.
func (c *Container) entered(all []Process) func(Process) bool {
	lineage := runtime.LineageOf(all)
	return func(p Process) bool { return lineage.Entered(p, c.Inspect.State.Pid) }
}

var execRoot = watched(checks.Check{
	ID:       "container-exec-root",
	Title:    "Entered as root",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 5.24 (v1.6.0)", "CWE-250"},
}, func(c *Container, all []Process, report func(checks.Finding)) {
	uid, known := c.configuredUID()
	if !known || uid == 0 || !c.numbered() {
		return
	}
	entered := c.entered(all)
	for _, p := range all {
		if p.UID == 0 && entered(p) {
			report(checks.Finding{
				Message:  checks.Msg("somebody entered %s as root with docker exec, although it runs as user %d", c.Settings.Name, uid),
				Evidence: []checks.Evidence{topEvidence(p)},
			})
			return
		}
	}
})

var processUserMismatch = watched(checks.Check{
	ID:       "container-process-user-mismatch",
	Title:    "Process with rights that were not given",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CWE-250"},
}, func(c *Container, all []Process, report func(checks.Finding)) {
	uid, known := c.configuredUID()
	if !known || uid == 0 || !c.numbered() {
		return // root may become anybody
	}
	entered := c.entered(all)
	for _, p := range all {
		if p.UID == uid || entered(p) {
			continue
		}
		f := checks.Finding{
			Message: checks.Msg("%s was told to run as user %d, but a process in it runs as user %d", c.Settings.Name, uid, p.UID),
			Evidence: []checks.Evidence{
				{Source: "Config.User", Detail: strconv.Itoa(uid)}, topEvidence(p),
			},
		}
		if p.UID == 0 {
			f.Severity = checks.High
			f.Message = checks.Msg("%s was told to run as user %d, but a process in it is root", c.Settings.Name, uid)
		}
		report(f)
		return
	}
})

var unexpectedProcess = watched(checks.Check{
	ID:       "container-unexpected-process",
	Title:    "Process that does not belong there",
	Severity: checks.High,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"MITRE ATT&CK T1496", "CWE-506"},
}, func(c *Container, all []Process, report func(checks.Finding)) {
	added := map[string]bool{}
	for _, change := range c.Changed {
		if change.Kind != container.ChangeDelete {
			added[path.Clean(change.Path)] = true
		}
	}
	for _, p := range all {
		program := p.Program()
		f := checks.Finding{Key: path.Base(program), Evidence: []checks.Evidence{topEvidence(p)}}
		switch {
		case runtime.Mines(p.Command):
			f.Severity = checks.Critical
			f.Message = checks.Msg("%s runs %s, which computes coins for somebody else", c.Settings.Name, path.Base(program))
		case runtime.HandsOutShell(p.Command):
			f.Severity = checks.Critical
			f.Message = checks.Msg("%s runs %s in a way that hands a shell to another machine", c.Settings.Name, path.Base(program))
		case path.IsAbs(program) && added[path.Clean(program)] && !c.initProgram(path.Clean(program)):
			f.Message = checks.Msg("%s runs %s, which its image does not have", c.Settings.Name, program)
			f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker diff", Detail: program})
		default:
			continue
		}
		report(f)
	}
})
