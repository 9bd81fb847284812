package inventory

import (
	"strings"

	"github.com/moby/moby/api/types/image"

	"plimsoll/checks/dockerfile"
)

// baseFacts returns what a Dockerfile that builds on i should know of it.
func baseFacts(i *image.InspectResponse) dockerfile.Base {
	b := dockerfile.Base{ID: i.ID, Tags: i.RepoTags}
	for _, d := range i.RepoDigests {
		if _, digest, ok := strings.Cut(d, "@"); ok {
			b.Digest = digest
			break
		}
	}
	if c := i.Config; c != nil {
		b.User, b.Env, b.OnBuild = c.User, c.Env, c.OnBuild
		b.Health = c.Healthcheck != nil && len(c.Healthcheck.Test) > 0 && c.Healthcheck.Test[0] != "NONE"
	}
	return b
}
