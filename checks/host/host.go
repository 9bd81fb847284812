// Package host judges the engine and the machine it runs on.
package host

import (
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
}

// Running is what is needed of a running container to recognise a monitor.
type Running struct{ Name, Image string }

// Ref implements [checks.Subject].
func (h *Host) Ref() checks.Ref {
	name := h.Info.Name
	if name == "" {
		name = h.Endpoint
	}
	return checks.Ref{Kind: checks.Host, ID: h.Info.ID, Name: name}
}

func check(c checks.Check, run func(*Host, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Host
	c.Run = func(s checks.Subject, report func(checks.Finding)) { run(s.(*Host), report) }
	return &c
}
