// Package container changes containers: live where the engine can, otherwise
// by a replacement that takes over only after it was proved to be the same but
// for the intended change. The original is kept, stopped, as the way back.
//
// # The way of a replacement
//
// The replacement is created under a fixed temporary name, which is a lock
// that the engine holds: a second transaction fails before it touches
// anything. It is then inspected and compared with the original; up to here
// nothing has happened to that. Only then is the original stopped and renamed,
// the replacement renamed and started. The last act before the start takes the
// restart policy from the original, so that no restart of the engine ever
// brings up both on one volume: before that act only the original can come
// back by itself, after it only the replacement.
//
// The engine itself is the backup: the journal holds ids, names and the old
// restart policy, no configuration and so no secrets. Going forward and going
// back both look at what is there rather than at what was to be done, so that
// they can be repeated from any point at which a crash left them.
package container

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/image"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// An Engine is the part of the Docker client that changing containers needs.
type Engine interface {
	ClientVersion() string
	DaemonHost() string
	Info(context.Context, client.InfoOptions) (client.SystemInfoResult, error)

	ContainerList(context.Context, client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerInspect(context.Context, string, client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerStats(context.Context, string, client.ContainerStatsOptions) (client.ContainerStatsResult, error)
	ContainerDiff(context.Context, string, client.ContainerDiffOptions) (client.ContainerDiffResult, error)
	ContainerLogs(context.Context, string, client.ContainerLogsOptions) (client.ContainerLogsResult, error)
	ContainerCreate(context.Context, client.ContainerCreateOptions) (client.ContainerCreateResult, error)
	ContainerStart(context.Context, string, client.ContainerStartOptions) (client.ContainerStartResult, error)
	ContainerStop(context.Context, string, client.ContainerStopOptions) (client.ContainerStopResult, error)
	ContainerRename(context.Context, string, client.ContainerRenameOptions) (client.ContainerRenameResult, error)
	ContainerUpdate(context.Context, string, client.ContainerUpdateOptions) (client.ContainerUpdateResult, error)
	ContainerPause(context.Context, string, client.ContainerPauseOptions) (client.ContainerPauseResult, error)
	ContainerUnpause(context.Context, string, client.ContainerUnpauseOptions) (client.ContainerUnpauseResult, error)
	ContainerTop(context.Context, string, client.ContainerTopOptions) (client.ContainerTopResult, error)
	Events(context.Context, client.EventsListOptions) client.EventsResult
	ContainerRemove(context.Context, string, client.ContainerRemoveOptions) (client.ContainerRemoveResult, error)
	ContainerStatPath(context.Context, string, client.ContainerStatPathOptions) (client.ContainerStatPathResult, error)
	ContainerCommit(context.Context, string, client.ContainerCommitOptions) (client.ContainerCommitResult, error)
	CopyFromContainer(context.Context, string, client.CopyFromContainerOptions) (client.CopyFromContainerResult, error)
	CopyToContainer(context.Context, string, client.CopyToContainerOptions) (client.CopyToContainerResult, error)

	ImageInspect(context.Context, string, ...client.ImageInspectOption) (client.ImageInspectResult, error)
	ImageRemove(context.Context, string, client.ImageRemoveOptions) (client.ImageRemoveResult, error)
	ImageTag(context.Context, client.ImageTagOptions) (client.ImageTagResult, error)
	ImagePull(context.Context, string, client.ImagePullOptions) (client.ImagePullResponse, error)

	NetworkList(context.Context, client.NetworkListOptions) (client.NetworkListResult, error)
	NetworkCreate(context.Context, string, client.NetworkCreateOptions) (client.NetworkCreateResult, error)
	NetworkRemove(context.Context, string, client.NetworkRemoveOptions) (client.NetworkRemoveResult, error)
	NetworkConnect(context.Context, string, client.NetworkConnectOptions) (client.NetworkConnectResult, error)
	NetworkDisconnect(context.Context, string, client.NetworkDisconnectOptions) (client.NetworkDisconnectResult, error)

	ServiceInspect(context.Context, string, client.ServiceInspectOptions) (client.ServiceInspectResult, error)
	ServiceUpdate(context.Context, string, client.ServiceUpdateOptions) (client.ServiceUpdateResult, error)
	TaskList(context.Context, client.TaskListOptions) (client.TaskListResult, error)
	SecretList(context.Context, client.SecretListOptions) (client.SecretListResult, error)
	SecretCreate(context.Context, client.SecretCreateOptions) (client.SecretCreateResult, error)
	SecretRemove(context.Context, string, client.SecretRemoveOptions) (client.SecretRemoveResult, error)
}

// Options adjust a [Mechanic]. Zero values mean the defaults.
type Options struct {
	// Plain says that everybody on the way to the engine can change what is
	// sent: every plan is then blocked.
	Plain bool

	// Grace is how long a container without a health check has to run before
	// it is taken to work; 10 s.
	Grace time.Duration

	// Listen is how long a container may take to listen on the ports that it
	// listened on before; 60 s.
	Listen time.Duration

	// Trust is asked before an image is pulled. It returns the digest that has to
	// come, "" for any, or why nothing may be pulled; nil trusts everything.
	Trust func(ctx context.Context, ref string) (digest string, err error)

	// Auth returns the credentials for the registry of an image, as the engine
	// takes them, "" without any; nil for never any.
	Auth func(ctx context.Context, ref string) (string, error)

	// Images reads an image for the checks; nil compares no more of two images
	// than the engine says.
	Images func(ctx context.Context, id string) (*image.Image, error)

	// CoolDown is how long the image of an update has to have been out.
	CoolDown time.Duration

	// Still is how long the tasks of a service may show no progress while they are
	// replaced; 2 min.
	Still time.Duration

	// Poll is how often a starting container is looked at; 250 ms.
	Poll time.Duration

	Now func() time.Time

	// Evidence is the folder for what is kept of quarantined containers.
	Evidence string

	// Written is the private folder for what containers wrote outside of volumes.
	Written string

	// Secrets is the private folder for secrets that leave an environment.
	Secrets string

	// MountInfo is read for the id of the container that this program runs in;
	// /proc/self/mountinfo.
	MountInfo string
}

// A Mechanic plans and carries out changes of containers.
type Mechanic struct {
	engine Engine
	o      Options
}

var (
	_ fixer.Mechanic = (*Mechanic)(nil)
	_ fixer.Adopter  = (*Mechanic)(nil)
	_ fixer.Fetcher  = (*Mechanic)(nil)
)

// New returns the mechanic for the containers of engine.
func New(engine Engine, o Options) *Mechanic {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.Grace, 10*time.Second)
	set(&o.Listen, time.Minute)
	set(&o.Still, 2*time.Minute)
	set(&o.Poll, 250*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MountInfo == "" {
		o.MountInfo = "/proc/self/mountinfo"
	}
	return &Mechanic{engine, o}
}

// Plan implements [fixer.Mechanic].
func (m *Mechanic) Plan(ctx context.Context, s checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	c, ok := s.(*subject.Container)
	if !ok || c.Inspect == nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("not a container of an engine: %s", clean(s.Ref().Name)))
	}
	w, err := m.look(ctx, c)
	if err != nil {
		return nil, err
	}
	return m.planFor(ctx, w, request)
}

// planFor plans what is asked of one container.
func (m *Mechanic) planFor(ctx context.Context, w *world, request fixes.Request) (p *fixes.Plan, err error) {
	if request.Quarantine {
		return w.planQuarantine(request, m.o.Evidence)
	}
	if request.Fetched != "" {
		if w.fetched, err = m.image(ctx, request.Fetched); err != nil {
			return nil, err
		}
		if w.fetched == nil {
			return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the image %s that was fetched is gone", shortImage(request.Fetched)))
		}
	}
	p, err = w.plan(request)
	if err == nil && p.Card != nil {
		m.compareImages(ctx, w, p)
		m.cool(p, w.target(p.Detail.(*detail)), request.Values)
	}
	return p, err
}

// clean makes text from outside fit to be shown.
func clean(s string) string { return terminal.Line(secret.Redact(s)) }

// Names and labels by which the containers of a transaction are known.
const (
	newSuffix = ".plimsoll-new"  // of a replacement that has not taken over: the lock
	oldInfix  = ".plimsoll-old-" // between the name of an original and its transaction

	labelTx       = "plimsoll.tx"
	labelReplaces = "plimsoll.replaces"
	labelName     = "plimsoll.name"
	labelImage    = "plimsoll.image"   // the reference, where the container was created by id
	labelWritten  = "plimsoll.written" // what becomes of what the original wrote, where that is not to be left
)

// shelved reports whether name is that of an original that was replaced.
func shelved(name string) bool { return strings.Contains(name, oldInfix) }
