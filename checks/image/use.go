package image

import (
	"strings"

	"plimsoll/checks"
)

var architectureMismatch = check(checks.Check{
	ID:       "image-architecture-mismatch",
	Title:    "Image is for another processor",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}, func(i *Image, report func(checks.Finding)) {
	image, engine := i.Inspect.Architecture, i.Engine
	if image == "" || engine == "" || image == engine || engine == "amd64" && image == "386" || engine == "arm64" && image == "arm" {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s is for %s and the engine runs on %s: its programs are emulated or do not start", i.Ref().Name, image, engine),
		Evidence: []checks.Evidence{{Source: "Architecture", Detail: image}, {Source: "docker info", Detail: engine}},
	})
})

// dangling reports whether nothing names i any more.
func (i *Image) dangling() bool {
	for _, name := range append(i.Inspect.RepoTags[:len(i.Inspect.RepoTags):len(i.Inspect.RepoTags)], i.Inspect.RepoDigests...) {
		if !strings.HasPrefix(name, "<none>") {
			return false
		}
	}
	return true
}

var danglingImage = check(checks.Check{
	ID:       "image-dangling",
	Title:    "Image that nothing names any more",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.1 (v1.6.0)"},
	Covers:   []string{"image-unused"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Inspect.RepoTags == nil && i.Inspect.RepoDigests == nil && i.Use == nil || !i.dangling() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s has lost its name to a later build and keeps its disk space", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "RepoTags", Detail: "none"}},
	})
})

var unused = check(checks.Check{
	ID:       "image-unused",
	Title:    "Image that no container uses",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.1 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Use == nil || len(i.Use.Containers) > 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("no container, running or stopped, was created from %s", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker ps --all", Detail: "none with this image"}},
	})
})

var tagMoved = check(checks.Check{
	ID:       "image-tag-moved",
	Title:    "The tag of an image in use names another one now",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Use == nil {
		return
	}
	for _, tag := range i.Use.Moved {
		report(checks.Finding{
			Key:     tag,
			Message: checks.Msg("containers still run %s, while %s names a newer image", ShortID(i.Inspect.ID), tag),
			Evidence: []checks.Evidence{
				{Source: "docker ps --all", Detail: strings.Join(i.Use.Containers, ", ")},
				{Source: tag, Detail: "names another image"},
			},
		})
	}
})
