package inventory

import (
	"context"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"plimsoll/checks/host"
)

// surroundings adds to h what files say where its engine is this machine's.
func (r reader) surroundings(h *host.Host) {
	if r.site.Root == nil {
		return
	}
	site := r.site
	if r.local {
		site.Daemon = site.daemonOf(h.Info, r.endpoint)
	}
	site.describe(h)
}

// version reads what the engine consists of and what its build cache holds.
// Both change seldom, and no event tells.
func (r *reading) version(ctx context.Context) error {
	version, err := r.client.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		if unreachable(err) {
			return err
		}
		return nil // then docker info has to do
	}
	parts := map[string]host.Part{}
	for _, c := range version.Components {
		parts[c.Name] = host.Part{Version: c.Version, Commit: c.Details["GitCommit"]}
	}
	cache := buildCache(ctx, r.client)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host.Platform, r.host.Parts, r.host.Usage.BuildCache = version.Platform.Name, parts, cache
	return nil
}

// buildCache asks for the size of the build cache. Older engines measure every
// container and image for any answer, and are not asked.
func buildCache(ctx context.Context, c *client.Client) int64 {
	if versions.LessThan(c.ClientVersion(), "1.42") {
		return 0
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	usage, err := c.DiskUsage(ctx, client.DiskUsageOptions{BuildCache: true})
	if err != nil {
		return 0 // an engine without a builder, or a busy one: nothing depends on it
	}
	return usage.BuildCache.TotalSize
}
