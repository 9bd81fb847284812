// Package host judges the engine and the machine it runs on.
package host

import (
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"

	"plimsoll/checks"
)

// A Host is a snapshot of an engine.
type Host struct {
	Info       system.Info
	Version    string           // engine version
	APIVersion string           // negotiated
	Endpoint   string           // what it was reached by: "unix:///var/run/docker.sock"
	Bridge     *network.Inspect // the default bridge; nil when there is none
	Containers []Running        // running containers, to recognise monitors
	Processes  []string         // names of processes on a local Linux engine; nil when unknown
	Now        time.Time

	Attached []Attached        // every container, also stopped ones; nil when unknown
	Networks []network.Network // nil when unknown
	Routes   []Route           // of this machine, to other networks than the engine's; nil when unknown
	Volumes  []Volume          // nil when unknown
	Swarm    *Swarm            // nil unless the engine manages a swarm
	Gaps     []Gap             // what the engine would not tell
	Podman   bool              // the engine is Podman, and Version that of Podman

	Platform string          // who built the engine: "Docker Engine - Community", "Docker Desktop 4.44.3 (202357)"; often ""
	Parts    map[string]Part // what the engine consists of by name: "containerd", "runc", "BuildKit"
	Daemon   *Daemon         // how a local engine was configured; nil when it is not on this machine
	Machine  *Machine        // the Linux machine of a local engine; nil when it is not this one
	Client   *Client         // the docker command of this user; nil when it was not looked at
	Usage    Usage
}

// Running is what is needed of a running container to recognise a monitor or
// a door past the firewall.
type Running struct {
	Name, Image string
	Published   string // ports on other than loopback addresses: "0.0.0.0:80->80/tcp"; "" when none
}

// Usage is what lies about on the engine.
type Usage struct {
	Images, UnusedImages int   // UnusedImages have no container, not even a stopped one
	UnusedSize           int64 // bytes of them, shared layers counted again
	BuildCache           int64 // bytes; 0 when unknown
}

// Ref implements [checks.Subject].
func (h *Host) Ref() checks.Ref {
	name := h.Info.Name
	if name == "" {
		name = h.Endpoint
	}
	return checks.Ref{Kind: checks.Host, ID: h.Info.ID, Name: name}
}

func (h *Host) linux() bool { return h.Info.OSType == "linux" }

func (h *Host) desktop() bool {
	return strings.Contains(h.Info.OperatingSystem, "Docker Desktop") || strings.HasPrefix(h.Platform, "Docker Desktop")
}

func (h *Host) rootless() bool { return slices.ContainsFunc(h.Info.SecurityOptions, isRootless) }

// securityOption returns the value that one of SecurityOptions gives key for
// name: "builtin" of "name=seccomp,profile=builtin".
func (h *Host) securityOption(name, key string) (value string, ok bool) {
	for _, option := range h.Info.SecurityOptions {
		first, rest, _ := strings.Cut(option, ",")
		if strings.TrimPrefix(first, "name=") != name {
			continue
		}
		for _, part := range strings.Split(rest, ",") {
			if v, found := strings.CutPrefix(part, key+"="); found {
				return v, true
			}
		}
		return "", true
	}
	return "", false
}

// securityOptions is the evidence of what they do not say.
func (h *Host) securityOptions() checks.Evidence {
	said := strings.Join(h.Info.SecurityOptions, " ")
	if said == "" {
		said = "none"
	}
	return checks.Evidence{Source: "docker info, SecurityOptions", Detail: said}
}

func check(c checks.Check, run func(*Host, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Host
	c.Run = func(s checks.Subject, report func(checks.Finding)) {
		h := s.(*Host)
		if h.Podman && ofDocker[c.ID] {
			return
		}
		run(h, func(f checks.Finding) {
			if cure, ok := cures[c.ID]; ok {
				f.Fixes = h.configure(cure(h))
			}
			report(f)
		})
	}
	return &c
}
