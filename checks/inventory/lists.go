package inventory

import (
	"context"
	"fmt"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/engine"
)

// lists are answers of an engine that many subjects need. Each is asked for
// when it is needed first, and only once.
type lists struct {
	info       func() (engine.Info, error)
	containers func() ([]container.Summary, error) // also those that do not run
	networks   func() ([]network.Network, error)
}

func listsOf(ctx context.Context, c *client.Client) lists {
	return lists{
		info: sync.OnceValues(func() (engine.Info, error) { return engine.Ask(ctx, c) }),
		containers: sync.OnceValues(func() ([]container.Summary, error) {
			result, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
			if err != nil {
				return nil, fmt.Errorf("listing containers: %w", err)
			}
			return result.Items, nil
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
