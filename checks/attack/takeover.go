package attack

import (
	"strings"

	"plimsoll/checks"
)

// Ways out of a container need root inside, as a rule. Who is not root has to
// become it first, by a setuid program unless new privileges are denied.
const (
	easeNotRoot  = 0.4
	easeHardened = 0.2
	easeRemapped = 0.15 // root inside is nobody outside
)

// rooted returns how easily root is had in the container of a, and what says
// that it is there already. On an engine that remaps users it is of little use.
func (s *search) rooted(a *arrival) (ease float64, because []fact) {
	n := a.node
	ease = easeNotRoot
	if f, ok := s.fact(n, asRoot); ok {
		ease, because = 1, []fact{f}
	} else if n.hardened {
		ease = easeHardened
	}
	if s.remapped(n) {
		ease *= easeRemapped
	}
	return ease, because
}

func (s *search) remapped(n *node) bool { return s.m.engine != nil && s.m.engine.remaps && n.remapped }

// rootGrounds are what rooted says.
func (n *node) rootGrounds(because []fact) []Ground {
	var grounds []Ground
	for _, f := range because {
		grounds = append(grounds, n.ground(f, checks.Msg("runs as root")))
	}
	return grounds
}

// hostOf returns what falls when a container of n breaks out.
func (s *search) hostOf(n *node) Spot {
	if s.m.engine != nil && !n.planned() {
		return s.m.engine.spot
	}
	return Spot{Ref: checks.Ref{Kind: checks.Host}}
}

// escape notes a way out of the container of a that needs root there.
func (s *search) escape(r *Rule, a *arrival, ease float64, tell func() (checks.Message, []Ground)) {
	root, because := s.rooted(a)
	s.lose(a, Takeover, s.hostOf(a.node), r.step(ease*root, a.node.asRoot(because, tell)))
}

// asRoot puts the grounds of rooted before those of tell.
func (n *node) asRoot(because []fact, tell func() (checks.Message, []Ground)) func() (checks.Message, []Ground) {
	return func() (checks.Message, []Ground) {
		message, grounds := tell()
		return message, append(n.rootGrounds(because), grounds...)
	}
}

var engineSocket = &Rule{
	ID:    "path-engine-socket",
	Title: "Out through the engine's socket",
	Refs:  []string{"T1610", "T1611"},
	escape: func(r *Rule, s *search, a *arrival) {
		n := a.node
		for _, f := range s.all(n.spot, n.facts, socket) {
			ease, because := s.rooted(a)
			if s.remapped(n) {
				ease /= easeRemapped // the engine does not care who asks
			}
			s.lose(a, Takeover, s.hostOf(n), r.step(ease, n.asRoot(because, func() (checks.Message, []Ground) {
				return checks.Msg("through %s %s tells the engine to start a container with the disk of the host, and to show the secrets of all others; read-only does not help", f.detail, n.spot.Name()),
					[]Ground{n.ground(f, checks.Msg("engine socket"))}
			})))
		}
	},
}

var privilegedMode = &Rule{
	ID:    "path-privileged",
	Title: "Out of a privileged container",
	Refs:  []string{"T1611"},
	escape: func(r *Rule, s *search, a *arrival) {
		if f, ok := s.fact(a.node, unconfined); ok {
			s.escape(r, a, 1, func() (checks.Message, []Ground) {
				return checks.Msg("privileged, %s mounts the disk of the host and writes to it", a.node.spot.Name()), []Ground{a.node.ground(f, checks.Msg("privileged mode"))}
			})
		}
	},
}

var hostPath = &Rule{
	ID:    "path-host-path",
	Title: "Out through a path of the host",
	Refs:  []string{"T1611", "T1053.003", "T1098.004"},
	escape: func(r *Rule, s *search, a *arrival) {
		n := a.node
		for _, f := range s.all(n.spot, n.facts, writesHost) {
			ease, how := writing(f.detail)
			s.escape(r, a, ease, func() (checks.Message, []Ground) {
				return how(n.spot.Name(), f.detail), []Ground{n.ground(f, checks.Msg("%s writable", f.detail))}
			})
		}
		for _, f := range s.all(n.spot, n.facts, readsKeys) {
			root, because := s.rooted(a)
			s.lose(a, Credentials, Spot{Ref: s.hostOf(n).Ref}, r.step(0.8*root, n.asRoot(because, func() (checks.Message, []Ground) {
				return checks.Msg("%s reads keys and password hashes of the host in %s", n.spot.Name(), f.detail),
					[]Ground{n.ground(f, checks.Msg("%s readable", f.detail))}
			})))
		}
	},
}

// writing returns how easily a file that is written in p runs on the host, and
// says how.
func writing(p string) (float64, func(name, p string) checks.Message) {
	switch {
	case p == "/" || p == "/etc" || p == "/var" || p == "/var/spool" || strings.Contains(p, "cron"):
		return 1, func(name, p string) checks.Message {
			return checks.Msg("%s writes a cron job to %s of the host, which runs it as root", name, p)
		}
	case strings.HasPrefix(p, "/root") || strings.HasPrefix(p, "/home"):
		return 0.9, func(name, p string) checks.Message {
			return checks.Msg("%s adds an SSH key or a start-up line to %s of the host and logs in", name, p)
		}
	case strings.Contains(p, "systemd"):
		return 0.9, func(name, p string) checks.Message {
			return checks.Msg("%s adds a unit to %s of the host, which systemd starts as root", name, p)
		}
	case strings.HasPrefix(p, "/proc") || strings.HasPrefix(p, "/sys"):
		return 0.8, func(name, p string) checks.Message {
			return checks.Msg("%s changes settings of the kernel in %s, such as the program that handles crashes, which then runs as root", name, p)
		}
	case strings.HasPrefix(p, "/var/lib/"):
		return 0.8, func(name, p string) checks.Message {
			return checks.Msg("in %s %s changes files and settings of every other container", p, name)
		}
	}
	return 0.8, func(name, p string) checks.Message {
		return checks.Msg("%s replaces a program or a setting in %s of the host", name, p)
	}
}

var hostDevice = &Rule{
	ID:    "path-host-device",
	Title: "Out through a device",
	Refs:  []string{"T1611", "T1006"},
	escape: func(r *Rule, s *search, a *arrival) {
		n := a.node
		for _, f := range s.all(n.spot, n.facts, device) {
			s.escape(r, a, 0.9, func() (checks.Message, []Ground) {
				return checks.Msg("%s reads and writes %s, past every right of the file system", n.spot.Name(), f.detail), []Ground{n.ground(f, checks.Msg("device %s", f.detail))}
			})
		}
	},
}

// escapes are capabilities that lead out of a container and how easily they do
// by themselves: profiles of AppArmor and seccomp stop some of what they allow.
var escapes = map[string]float64{
	"ALL": 0.9, "SYS_ADMIN": 0.7, "SYS_MODULE": 1, "DAC_READ_SEARCH": 0.7, "SYS_RAWIO": 0.5, "BPF": 0.3, "MAC_ADMIN": 0.2,
}

var capability = &Rule{
	ID:    "path-capability",
	Title: "Out with a capability",
	Refs:  []string{"T1611"},
	escape: func(r *Rule, s *search, a *arrival) {
		n := a.node
		for _, f := range s.all(n.spot, n.facts, capable) {
			if escapes[f.detail] == 0 {
				continue // of use only with something else
			}
			s.escape(r, a, escapes[f.detail], func() (checks.Message, []Ground) {
				return abusing(f.detail, n.spot.Name()), []Ground{n.ground(f, checks.Msg("capability %s", f.detail))}
			})
		}
	},
}

// abusing says what a capability is good for.
func abusing(name, who string) checks.Message {
	switch name {
	case "SYS_MODULE":
		return checks.Msg("with SYS_MODULE %s loads a module into the kernel of the host", who)
	case "DAC_READ_SEARCH":
		return checks.Msg("with DAC_READ_SEARCH %s opens files of the host by their handles, such as /etc/shadow", who)
	case "SYS_RAWIO":
		return checks.Msg("with SYS_RAWIO %s talks to disks and memory directly", who)
	case "BPF":
		return checks.Msg("with BPF %s loads programs into the kernel of the host that see every other process", who)
	case "ALL":
		return checks.Msg("with every capability %s mounts file systems of the host or loads a module into its kernel", who)
	}
	return checks.Msg("with %s %s mounts file systems and leaves its namespaces", name, who)
}

var hostProcesses = &Rule{
	ID:    "path-host-processes",
	Title: "Out through a process of the host",
	Refs:  []string{"T1055.008", "T1057"},
	escape: func(r *Rule, s *search, a *arrival) {
		n := a.node
		f, ok := s.fact(n, seesHost)
		if !ok {
			return
		}
		label := checks.Msg("processes of the host")
		for _, c := range s.all(n.spot, n.facts, capable) {
			if c.detail == "SYS_PTRACE" || c.detail == "ALL" {
				s.escape(r, a, 0.9, func() (checks.Message, []Ground) {
					return checks.Msg("%s sees every process of the host and may put its own code into one", n.spot.Name()), []Ground{n.ground(f, label), n.ground(c, checks.Msg("capability %s", c.detail))}
				})
				return
			}
		}
		s.lose(a, Credentials, Spot{Ref: s.hostOf(n).Ref}, r.step(easeNotRoot, func() (checks.Message, []Ground) {
			return checks.Msg("%s reads the command line of every process of the host, and what was given there", n.spot.Name()), []Ground{n.ground(f, label)}
		}))
	},
}

var runtimeEscape = &Rule{
	ID:    "path-runtime-escape",
	Title: "Out through a known hole",
	Refs:  []string{"T1068", "T1611"},

	elsewhere: true,
	escape: func(r *Rule, s *search, a *arrival) {
		e := s.m.engine
		if e == nil || a.node.planned() {
			return
		}
		for _, f := range s.all(e.spot, e.facts, escapable) {
			s.escape(r, a, 0.6, func() (checks.Message, []Ground) {
				return checks.Msg("a published hole in what runs %s leads out of it: %s", a.node.spot.Name(), f.detail), []Ground{groundOf(e.spot.Ref, f, checks.Msg("known escape"))}
			})
		}
	},
}
