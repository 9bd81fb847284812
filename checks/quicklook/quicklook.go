// Package quicklook reads which packages of its distribution an image holds
// without reading its layers: in a second, where an archive of all layers takes
// many. For that it makes a container of the image, which never starts, has no
// network and is removed again, and has the engine copy the databases of the
// package managers out of it.
//
// It says nothing of what is not in those databases: packages of programming
// languages, programs without a package, and what earlier layers hide. No
// container that somebody else made is looked at, since what is installed there
// may be something else than in the image.
package quicklook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/packages"
)

// Label is on every container that is made here.
const Label = "plimsoll.quick"

// command is what such a container would run if somebody started it: nothing
// that is there.
const command = "/plimsoll-only-looks-at-this-image"

const (
	longest = time.Minute      // a look
	removal = 10 * time.Second // of the container, whatever happened before
)

// Read returns which packages of its distribution i has. Their layers are not
// known: -1. When the error is that the container could not be removed, what
// was read is returned all the same.
func Read(ctx context.Context, c *client.Client, i *image.InspectResponse) (found *packages.Inventory, err error) {
	ctx, stop := context.WithTimeout(ctx, longest)
	defer stop()
	name := newName()
	_, err = c.ContainerCreate(ctx, client.ContainerCreateOptions{Config: config(i), HostConfig: hostConfig(i), Name: name})
	if errdefs.IsConflict(err) {
		return nil, err // it is not ours
	}
	// The engine may have made it although the answer did not come.
	defer func() {
		if failed := remove(context.WithoutCancel(ctx), c, name); failed != nil {
			err = errors.Join(err, &checks.Problem{
				What: checks.Msg("a container that was made to look into the image could not be removed (%s)", failed.Error()),
				Do:   checks.Msg("remove it with: docker rm %s", name),
				Err:  failed,
			})
		}
	}()
	if err != nil {
		return nil, &checks.Problem{What: checks.Msg("the engine makes no container to look into the image (%s)", err.Error()), Err: err}
	}
	return databases(ctx, c, name)
}

func newName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "plimsoll-quick-" + hex.EncodeToString(b[:])
}

func config(i *image.InspectResponse) *container.Config {
	return &container.Config{
		Image: i.ID, Labels: map[string]string{Label: "1"}, Entrypoint: []string{command},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}
}

// hostConfig keeps the container apart from everything. Where the image wants
// volumes, which the engine would make and fill, there is memory instead.
func hostConfig(i *image.InspectResponse) *container.HostConfig {
	h := &container.HostConfig{
		NetworkMode: network, ReadonlyRootfs: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
	}
	if i.Config != nil {
		for _, target := range slices.Sorted(maps.Keys(i.Config.Volumes)) {
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeTmpfs, Target: target})
		}
	}
	return h
}

const network = "none"

func remove(ctx context.Context, c *client.Client, name string) error {
	ctx, stop := context.WithTimeout(ctx, removal)
	defer stop()
	_, err := c.ContainerRemove(ctx, name, client.ContainerRemoveOptions{RemoveVolumes: true}) // no other than its own have no name
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// Made reports whether a container was made here: one that never ran, whose
// label did not come with its image.
func Made(s container.Summary) bool {
	return s.Labels[Label] != "" && s.State == container.StateCreated && s.HostConfig.NetworkMode == network && s.Command == command
}

// abandoned is the age from which nobody looks into a container any more.
const abandoned = longest + removal + time.Minute

// Sweep removes those of all containers that a look has left whose process was
// killed. Now is the time by the clock of the engine.
func Sweep(ctx context.Context, c *client.Client, all []container.Summary, now time.Time) error {
	var errs []error
	for _, s := range all {
		if Made(s) && now.Sub(time.Unix(s.Created, 0)) > abandoned {
			errs = append(errs, remove(ctx, c, s.ID))
		}
	}
	return errors.Join(errs...)
}
