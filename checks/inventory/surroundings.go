package inventory

import (
	"context"
	"strings"

	"github.com/moby/moby/api/types/system"
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

// partsOf returns what an engine consists of. Podman calls its runtime "OCI
// Runtime (runc)" and gives all that the runtime says of itself.
func partsOf(components []system.ComponentVersion) map[string]host.Part {
	parts := map[string]host.Part{}
	for _, c := range components {
		name, version := c.Name, c.Version
		if runtime, ok := strings.CutPrefix(name, "OCI Runtime ("); ok {
			name = strings.TrimSuffix(runtime, ")")
			first, _, _ := strings.Cut(version, "\n")
			version = first[strings.LastIndexByte(first, ' ')+1:]
		}
		parts[name] = host.Part{Version: version, Commit: c.Details["GitCommit"]}
	}
	return parts
}

// cache reads what the build cache holds.
func (r *reading) cache(ctx context.Context) error {
	size := buildCache(ctx, r.client)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host.Usage.BuildCache = size
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
