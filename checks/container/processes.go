package container

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// Processes reads the answer to [TopColumns]; nil if it is something else.
func Processes(top container.TopResponse) []Process {
	var all []Process
	for _, row := range top.Processes {
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

// program returns the path or name of what p runs.
func (p Process) program() string {
	first, _, _ := strings.Cut(strings.TrimSpace(p.Command), " ")
	return strings.TrimSuffix(strings.TrimPrefix(first, "-"), ":") // a login shell, "sshd: /usr/sbin/sshd"
}

func (p Process) evidence() checks.Evidence {
	return checks.Evidence{Source: "docker top", Detail: fmt.Sprintf("pid %d, uid %d, %s", p.PID, p.UID, p.program())}
}

// watched declares a rule about the processes that were seen in a container.
func watched(c checks.Check, run func(*Container, []Process, func(checks.Finding))) *checks.Check {
	return stateful(c, func(s *Container, _ *container.InspectResponse, report func(checks.Finding)) {
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
		if name := path.Base(p.program()); name == "sshd" || name == "dropbear" {
			report(checks.Finding{
				Message:  checks.Msg("%s runs an ssh server: a second way in, with accounts and keys of its own", c.Settings.Name),
				Evidence: []checks.Evidence{p.evidence()},
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

// entered reports whether p did not come from the first process of c: docker
// exec started it, or a process that it started.
func (c *Container) entered(p Process, all []Process) bool {
	first := c.Inspect.State.Pid
	for range all {
		if p.PID == first {
			return false
		}
		i := slices.IndexFunc(all, func(o Process) bool { return o.PID == p.Parent })
		if i < 0 {
			return p.Parent != first && first != 0
		}
		p = all[i]
	}
	return false
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
	for _, p := range all {
		if p.UID == 0 && c.entered(p, all) {
			report(checks.Finding{
				Message:  checks.Msg("somebody entered %s as root with docker exec, although it runs as user %d", c.Settings.Name, uid),
				Evidence: []checks.Evidence{p.evidence()},
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
	for _, p := range all {
		if p.UID == uid || c.entered(p, all) {
			continue
		}
		f := checks.Finding{
			Message: checks.Msg("%s was told to run as user %d, but a process in it runs as user %d", c.Settings.Name, uid, p.UID),
			Evidence: []checks.Evidence{
				{Source: "Config.User", Detail: strconv.Itoa(uid)}, p.evidence(),
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

// miners are programs that compute for others, and what they are told to.
var miners = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|/)(?:xmrig|xmr-stak|minerd|cpuminer(?:-multi)?|cgminer|bfgminer|ethminer|nbminer|t-rex|lolminer|kdevtmpfsi|kinsing|xmrigdaemon)(?:\s|$)|stratum\+(?:tcp|ssl)://|--donate-level\b`)
})

// remoteShells are ways to hand a shell to somebody elsewhere.
var remoteShells = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`/dev/tcp/|\b(?:nc|ncat|netcat|nc\.traditional)\s.*-(?:e|-exec)\b|\bsocat\b.*\bexec:`)
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
		program := p.program()
		f := checks.Finding{Key: path.Base(program), Evidence: []checks.Evidence{p.evidence()}}
		switch {
		case miners().MatchString(p.Command):
			f.Severity = checks.Critical
			f.Message = checks.Msg("%s runs %s, which computes coins for somebody else", c.Settings.Name, path.Base(program))
		case remoteShells().MatchString(p.Command):
			f.Severity = checks.Critical
			f.Message = checks.Msg("%s runs %s in a way that hands a shell to another machine", c.Settings.Name, path.Base(program))
		case path.IsAbs(program) && added[path.Clean(program)]:
			f.Message = checks.Msg("%s runs %s, which its image does not have", c.Settings.Name, program)
			f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker diff", Detail: program})
		default:
			continue
		}
		report(f)
	}
})
