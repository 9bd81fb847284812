package inventory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/engine"
	"plimsoll/checks/quicklook"
)

// lists are answers of an engine that many subjects need. Each is asked for
// when it is needed first, and only once.
type lists struct {
	info       func() (engine.Info, error)
	containers func() ([]container.Summary, error) // also those that do not run
	networks   func() ([]network.Network, error)
}

// listsOf returns the lists of the engine behind c. Where sweep is set, what
// quick looks have left is removed when it is seen.
func listsOf(ctx context.Context, c *client.Client, sweep bool) lists {
	info := sync.OnceValues(func() (engine.Info, error) { return engine.Ask(ctx, c) })
	return lists{
		info: info,
		containers: sync.OnceValues(func() ([]container.Summary, error) {
			result, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
			if err != nil {
				return nil, fmt.Errorf("listing containers: %w", err)
			}
			if sweep && slices.ContainsFunc(result.Items, quicklook.Made) {
				if now, err := info(); err == nil {
					_ = quicklook.Sweep(ctx, c, result.Items, clock(now)) // what is still there is tried again the next time
				}
			}
			return slices.DeleteFunc(result.Items, quicklook.Made), nil
		}),
		networks: sync.OnceValues(func() ([]network.Network, error) {
			result, err := c.NetworkList(ctx, client.NetworkListOptions{})
			all := make([]network.Network, 0, len(result.Items))
			for _, n := range result.Items {
				all = append(all, asInspected(n.Network))
			}
			return all, err
		}),
	}
}
