package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes/private"
)

// copierOf returns what reads the layer of the original, for the replacement
// after or, where that is nil, for a file.
func (m *Mechanic) copierOf(ctx context.Context, id string, after *api.InspectResponse, say func(checks.Message, float64)) (*copier, error) {
	got, err := m.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{Size: true})
	if err != nil {
		return nil, fmt.Errorf("inspect the original: %w", err)
	}
	old := &got.Container
	if old.State == nil || old.HostConfig == nil {
		return nil, errdefs.ErrDataLoss.WithMessage("the engine's answer about a container is incomplete")
	}
	if old.State.Running {
		return nil, failed("the original runs again: what it writes cannot be copied")
	}
	diff, err := m.engine.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
	if err != nil {
		return nil, fmt.Errorf("what the container wrote: %w", err)
	}
	before := mountPoints(old)
	covered := before
	if after != nil {
		covered = mountPoints(after)
	}
	c := &copier{engine: m.engine, id: id, layer: layerOf(diff.Changes, before, covered), most: spare}
	if old.SizeRw != nil {
		c.most += 2 * max(0, *old.SizeRw)
	}
	if n := len(c.layer.places); n > mostPlaces {
		return nil, failed("it wrote to %d places meanwhile, too many to copy", n)
	}
	all := max(1, (c.most-spare)/2)
	var told time.Time
	c.say = func(done int64) {
		if now := time.Now(); now.Sub(told) >= tellEvery {
			told = now
			say(checks.Msg("copying what it wrote"), min(1, float64(done)/float64(all)))
		}
	}
	return c, nil
}

// carry copies what the original wrote into the replacement, and makes sure that
// it is there. It may be done again.
func (m *Mechanic) carry(ctx context.Context, j *journal, say func(checks.Message, float64)) (*copier, error) {
	new, err := m.inspect(ctx, j.New)
	if err != nil {
		return nil, err
	}
	if new.State.Running || new.HostConfig.ReadonlyRootfs {
		return nil, failed("nothing can be copied into the replacement")
	}
	c, err := m.copierOf(ctx, j.Old, new, say)
	if err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := c.write(ctx, out)
		out.CloseWithError(err)
		written <- err
	}()
	_, err = m.engine.CopyToContainer(ctx, j.New, client.CopyToContainerOptions{DestinationPath: "/", Content: in, AllowOverwriteDirWithFile: true})
	in.CloseWithError(errors.New("the engine reads no more"))
	// Why nothing more came is the better reason.
	if first := <-written; first != nil && (err == nil || !errors.Is(first, io.ErrClosedPipe) && ctx.Err() == nil) {
		err = first
	}
	if err != nil {
		return nil, fmt.Errorf("copy what it wrote: %w", err)
	}
	return c, m.arrived(ctx, j.New, c)
}

// arrived fails unless all that c has read is in the container id.
func (m *Mechanic) arrived(ctx context.Context, id string, c *copier) error {
	diff, err := m.engine.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
	if err != nil {
		return fmt.Errorf("what was copied: %w", err)
	}
	differs := map[string]bool{}
	for _, change := range diff.Changes {
		differs[change.Path] = change.Kind != api.ChangeDelete
	}
	for p := range c.sent {
		if differs[p] {
			continue
		}
		// What is as in the image is no difference.
		if _, err := m.engine.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: p}); err != nil {
			return fmt.Errorf("%s was copied and is not there: %w", clean(p), err)
		}
	}
	return nil
}

// save writes what the original wrote to the file that j names.
func (m *Mechanic) save(ctx context.Context, j *journal, say func(checks.Message, float64)) (*copier, error) {
	c, err := m.copierOf(ctx, j.Old, nil, say)
	if err != nil {
		return nil, err
	}
	folder, name := filepath.Split(j.File)
	if no := noRoom(filepath.Clean(folder), (c.most-spare)/2); !no.IsZero() {
		return nil, errdefs.ErrResourceExhausted.WithMessage(no.String())
	}
	err = private.Dir{Path: filepath.Clean(folder)}.Fill(name, func(w io.Writer) error { return c.write(ctx, w) })
	if err != nil {
		return nil, fmt.Errorf("save what it wrote: %w", err)
	}
	return c, nil
}

// dropFile removes the file of a change that is put back. What was undone later
// leaves it: it is the user's.
func (m *Mechanic) dropFile(j *journal) {
	if j.File == "" || j.Stage == returning {
		return
	}
	folder, name := filepath.Split(j.File)
	_ = private.Dir{Path: filepath.Clean(folder)}.Remove(name) // it stays private otherwise
}

// copied proves what became of what the original wrote.
func (t *transaction) copied() (proof []checks.Message) {
	c := t.copier
	if c == nil {
		return nil
	}
	lost, name := c.missing(), clean(t.j.Name)
	count := len(c.layer.files) - len(lost)
	switch t.d.written {
	case moved:
		proof = append(proof, checks.Msg("what the original of %s wrote came along: %d paths, %s; docker diff shows them", name, count, bytes(c.bytes)))
	case saved:
		proof = append(proof, checks.Msg("what the original of %s wrote is saved in %s: %d paths, %s; docker cp - NAME:/ reads it", name, clean(t.j.File), count, bytes(c.bytes)))
	}
	if len(lost) > 0 {
		proof = append(proof, checks.Msg("not copied, as sockets are not: %d paths: %s", len(lost), some(lost)))
	}
	return proof
}
