package container

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	subject "plimsoll/checks/container"
)

// usage is what a container uses at one moment.
type usage struct {
	memory int64 // bytes, without file cache that the kernel can take back
	pids   int64 // threads
}

// statsLimit is far above the size of one sample.
const statsLimit = 1 << 20

// observe completes w by what the container uses and has written, as far as
// nobody has watched it for longer. One sample is a weak basis, but better
// than none: a limit below it would kill.
func (m *Mechanic) observe(ctx context.Context, w *world) error {
	c := w.container
	if c.Changed == nil {
		diff, err := m.engine.ContainerDiff(ctx, c.Inspect.ID, client.ContainerDiffOptions{})
		switch {
		case err == nil:
			c.Changed = append([]api.FilesystemChange{}, diff.Changes...)
		case !errdefs.IsNotImplemented(err) && !errdefs.IsNotFound(err):
			return fmt.Errorf("what the container wrote: %w", err)
		}
	}
	o := subject.Observed{Since: m.o.Now()}
	if c.Observed != nil {
		o = *c.Observed
	}
	o.CPUs = w.info.NCPU
	if c.Inspect.State.Running && !c.Inspect.State.Paused {
		sample, err := m.sample(ctx, c.Inspect.ID)
		if err != nil {
			return err
		}
		w.used = sample
		o.MemoryPeak = max(o.MemoryPeak, uint64(sample.memory))
		o.PidsPeak = max(o.PidsPeak, uint64(sample.pids))
	}
	c.Observed = &o
	return nil
}

// sample takes one look at what the container id uses.
func (m *Mechanic) sample(ctx context.Context, id string) (usage, error) {
	result, err := m.engine.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return usage{}, fmt.Errorf("what the container uses: %w", err)
	}
	defer result.Body.Close()
	var s api.StatsResponse
	if err := json.NewDecoder(io.LimitReader(result.Body, statsLimit)).Decode(&s); err != nil {
		return usage{}, fmt.Errorf("what the container uses: %w", err)
	}
	memory, pids := subject.Used(&s)
	return usage{memory: int64(memory), pids: int64(pids)}, nil
}
