package container

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/client"
)

// createNetwork makes a network for the transaction tx, which its label names.
func (m *Mechanic) createNetwork(ctx context.Context, name, tx string) (warnings []string, err error) {
	result, err := m.engine.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: map[string]string{labelTx: tx}})
	if err != nil {
		return nil, fmt.Errorf("create network %s: %w", clean(name), err)
	}
	return result.Warning, nil
}

// removeOverlay removes the network of a swarm that was made for the transaction
// tx. A swarm refuses it while a service uses it, and for a moment after the last
// task has left it.
func (m *Mechanic) removeOverlay(ctx context.Context, tx string) {
	for range attempts {
		networks, err := m.engine.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", labelTx+"="+tx)})
		if err != nil {
			return
		}
		left := 0
		for _, n := range networks.Items {
			if n.Labels[labelTx] != tx {
				continue
			}
			if _, err := m.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil {
				left++
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(m.o.Poll)
	}
}

// removeNetwork removes the network that was made for the transaction tx. One
// that a container has come to use since stays, even if that is stopped; so
// does one that cannot be removed: an unused network does no harm.
func (m *Mechanic) removeNetwork(ctx context.Context, tx string) {
	networks, err := m.engine.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", labelTx+"="+tx)})
	if err != nil || len(networks.Items) == 0 {
		return
	}
	containers, err := m.engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return
	}
	used := map[string]bool{}
	for _, c := range containers.Items {
		if c.NetworkSettings == nil {
			continue
		}
		for name := range c.NetworkSettings.Networks {
			used[name] = true
		}
	}
	for _, n := range networks.Items {
		if n.Labels[labelTx] == tx && !used[n.Name] {
			_, _ = m.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		}
	}
}
