// Package container judges containers by what they were created from and by
// what they do. Services of compose files are judged by the same checks, as
// far as these need settings only.
package container

import (
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// A Container is a snapshot of one container.
type Container struct {
	Settings checks.Settings

	// Inspect is nil for a service of a compose file, which has no state.
	Inspect *container.InspectResponse

	// Image is the image that the container runs, nil when it is not there.
	Image *image.InspectResponse

	// TagID is the id of the image that Settings.Image names now, "" when
	// nothing does. It differs from Inspect.Image when the tag has moved.
	TagID string

	// Passwd is /etc/passwd of the image, nil when it was not read.
	Passwd []byte

	// Changed is what docker diff shows: the paths that the container wrote to
	// outside of its mounts. It is nil when it was not read.
	Changed []container.FilesystemChange

	// NoNewPrivileges says that the container is denied new privileges without
	// asking for it: the engine denies them to all (daemon.json).
	NoNewPrivileges bool

	// Engine is what the engine says of itself, nil when it was not asked.
	Engine *Engine

	// Observed is what the container was seen to use, nil when not observed.
	Observed *Observed

	// Processes are those that run in it, nil when nobody looked.
	Processes []Process

	// Alerts are what it was seen to do that it should not, the oldest first.
	Alerts []runtime.Alert

	// Places are what stands behind its mounts on this machine, by target;
	// nil when nobody looked, or the engine runs elsewhere.
	Places map[string]Place

	// Served is the digest that the registry serves for Settings.Image now, ""
	// when it was not asked.
	Served string

	// Around is what stands beside the container, nil when not known.
	Around *Around

	// EngineLog is how the engine keeps the log of a service that does not say,
	// as its container shows; nil when nothing runs. It is nil for containers.
	EngineLog *container.LogConfig

	// Compose tells where the service is declared; nil for running containers.
	Compose *Position

	Now time.Time // when the snapshot was taken
}

// A Position is where a service stands in a compose file.
type Position struct {
	File          string // absolute path
	Service       string
	Dockerfile    string // absolute path of what it is built from; "" when it is not, or from elsewhere
	Line, EndLine int

	// Keys is the line of each key of the service and of what stands below it:
	// "privileged", "deploy.resources.limits.memory", and entries of lists by
	// what they are about: "ports.8080", "volumes./data", "environment.TOKEN".
	Keys map[string]int
}

// New returns the snapshot of an inspected container. i may be nil.
func New(c container.InspectResponse, i *image.InspectResponse, tagID string, now time.Time) *Container {
	s := checks.Settings{Name: strings.TrimPrefix(c.Name, "/"), Config: c.Config, Host: c.HostConfig}
	if c.Config != nil {
		s.Image = c.Config.Image
	}
	if c.NetworkSettings != nil {
		s.Networks = c.NetworkSettings.Networks
	}
	return &Container{Settings: s, Inspect: &c, Image: i, TagID: tagID, Now: now}
}

// Ref implements [checks.Subject].
func (c *Container) Ref() checks.Ref {
	if c.Compose != nil {
		return checks.Ref{Kind: checks.Compose, ID: c.Compose.File, Name: c.Compose.File}
	}
	ref := checks.Ref{Kind: checks.Container, Name: c.Settings.Name}
	if c.Inspect != nil {
		ref.ID = c.Inspect.ID
	}
	return ref
}

// windows reports whether c is a Windows container, to which what is said of
// users, capabilities and file systems does not apply.
func (c *Container) windows() bool {
	return c.Inspect != nil && c.Inspect.Platform == "windows" || c.Image != nil && c.Image.Os == "windows"
}
