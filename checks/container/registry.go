package container

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var imageOutdated = stateful(checks.Check{
	ID:       "container-image-outdated",
	Title:    "Registry has a newer image",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)", "CWE-1104"},
}, func(c *Container, _ *container.InspectResponse, report func(checks.Finding)) {
	if c.Served == "" || c.Image == nil || !pullable(c.Settings.Image) || len(c.Image.RepoDigests) == 0 {
		return
	}
	here := slices.ContainsFunc(c.Image.RepoDigests, func(ref string) bool {
		_, digest, _ := strings.Cut(ref, "@")
		return digest == c.Served
	})
	if here || c.Image.Descriptor != nil && c.Image.Descriptor.Digest.String() == c.Served {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("%s runs an older image than the registry serves for %s", c.Settings.Name, c.Settings.Image),
		Evidence: []checks.Evidence{
			{Source: "RepoDigests", Detail: strings.Join(c.Image.RepoDigests, ", ")},
			{Source: "registry", Detail: c.Served},
		},
		Fixes: []checks.Fix{renew()},
	})
})
