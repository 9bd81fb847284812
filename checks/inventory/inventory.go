// Package inventory gathers what there is to check, the engine's objects and
// the files of a project, and keeps it current: something changes, the subject
// is read again, judged, and its item replaced.
package inventory

import (
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// An Item is one subject as it is known now. It replaces every earlier item
// with the same Ref.Kind and Ref.ID.
type Item struct {
	Ref    checks.Ref
	Status Status

	// Subject is nil until it was read: lists come first, details trickle in.
	Subject checks.Subject

	// Report is what is wrong with Subject; its Errors also say why a subject
	// could not be read.
	Report checks.Report
}

// Status is what a row shows beside the name before anything was inspected.
type Status struct {
	State    string // of a container: "running", "exited", "created", "paused", "restarting", "dead"; else ""
	Image    string // reference a container was created from
	Health   string // "healthy", "unhealthy", "starting" or ""
	Project  string // compose project or ""
	Size     int64  // bytes of an image
	Created  time.Time
	Observed bool   // what it uses is followed right now
	Kept     bool   // an original that a fix replaced and keeps for undo
	Past     bool   // what is left of a task of a Swarm service
	Layers   Layers // of an image: whether they were read
}

// Layers is how far the layers of an image were read.
type Layers struct {
	State   LayersState
	Percent int // while they are being read
}

// A LayersState is whether the layers of an image were read.
type LayersState uint8

const (
	LayersUnread LayersState = iota
	LayersWaiting
	LayersReading
	LayersRead
	LayersFailed // the report says why
)

// An Update is what changed since the one before.
type Update struct {
	Engine   EngineState
	Items    []Item       // new or changed
	Removed  []checks.Ref // gone
	Complete bool         // everything that exists has been read at least once

	Alerts []runtime.Alert // that were raised since, the oldest first
}

// A Phase is how the connection to the engine stands.
type Phase int

const (
	Connecting Phase = iota
	Connected
	Lost   // was connected; retried with back-off
	Absent // never reached; retried with back-off
)

// EngineState describes the engine and the connection to it.
type EngineState struct {
	Phase    Phase
	Endpoint string // "unix:///var/run/docker.sock"
	Context  string // name of the docker CLI context, "" when chosen otherwise
	Name     string // host name of the engine
	Version  string // "28.2.2"
	Podman   bool   // it is not Docker's
	API      string // negotiated version, "1.41"
	Remote   bool   // not on this machine
	Demo     bool
	Err      error     // why not connected, in words that say what to do
	Retry    time.Time // when the next attempt is made
}
