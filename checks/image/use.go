package image

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

var architectureMismatch = check(checks.Check{
	ID:       "image-architecture-mismatch",
	Title:    "Image is for another processor",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}, func(i *Image, report func(checks.Finding)) {
	image, engine := i.Inspect.Architecture, i.Arch
	if image == "" || engine == "" || image == engine || engine == "amd64" && image == "386" || engine == "arm64" && image == "arm" {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s is for %s and the engine runs on %s: its programs are emulated or do not start", i.Ref().Name, image, engine),
		Evidence: []checks.Evidence{{Source: "Architecture", Detail: image}, {Source: "docker info", Detail: engine}},
	})
})

// names returns the tags and digests of i.
func (i *Image) names() []string {
	return slices.DeleteFunc(slices.Concat(i.Inspect.RepoTags, i.Inspect.RepoDigests), func(name string) bool {
		return strings.Contains(name, "<none>")
	})
}

var dangling = check(checks.Check{
	ID:       "image-dangling",
	Title:    "Image that nothing names any more",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.1 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Use == nil || len(i.Use.Containers) > 0 || len(i.names()) > 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s has neither a name nor a container and keeps its disk space", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "RepoTags", Detail: "none"}, {Source: "docker ps --all", Detail: "none with this image"}},
	})
})

var unused = check(checks.Check{
	ID:       "image-unused",
	Title:    "Image that no container uses",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.1 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Use == nil || len(i.Use.Containers) > 0 || len(i.names()) == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("no container, running or stopped, was created from %s", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "docker ps --all", Detail: "none with this image"}},
	})
})

var untrustedRegistry = check(checks.Check{
	ID:       "image-untrusted-registry",
	Title:    "Image from a registry that is not allowed",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.2 (v1.6.0)", "dockle CIS-DI-0002"},
}, func(i *Image, report func(checks.Finding)) {
	if len(i.Rules.Registries) == 0 {
		return
	}
	// Only what was pulled or pushed has a digest: a tag alone may be of a
	// build on this machine.
	for _, digest := range i.Inspect.RepoDigests {
		name, _, _ := strings.Cut(digest, "@")
		if strings.Contains(name, "<none>") || checks.FromRegistry(i.Rules.Registries, name) {
			continue
		}
		report(checks.Finding{
			Key:      name,
			Message:  checks.Msg("%s comes from %s, which is none of the registries that the project allows", i.Ref().Name, name),
			Evidence: []checks.Evidence{{Source: "RepoDigests", Detail: digest}, {Source: "allowed registries", Detail: strings.Join(i.Rules.Registries, " ")}},
		})
	}
})

var noDockerfile = check(checks.Check{
	ID:       "image-no-dockerfile-known",
	Title:    "No Dockerfile here builds this image",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}, func(i *Image, report func(checks.Finding)) {
	if i.Builds == nil || len(i.Builds) > 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("no Dockerfile at hand builds %s: what is wrong in it cannot be put right at its source", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "Dockerfiles and compose files of the project", Detail: "none builds it"}},
		Fixes: []checks.Fix{{
			ID: "history", Title: checks.Msg("write a Dockerfile that is reconstructed from its history"), Source: true,
			Caution: checks.Msg("a starting point: what was copied into the image is taken from the image itself, and what builders do not record is missing"),
		}},
	})
})

// trustEnds is the day on which Docker switches off notary.docker.io.
const trustEnds = "2026-12-08"

var legacyTrust = check(checks.Check{
	ID:       "image-trust-legacy-dct",
	Title:    "Trust in this image rests on Docker Content Trust",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.5 (v1.6.0), which asks for it", "dockle CIS-DI-0005"},
}, func(i *Image, report func(checks.Finding)) {
	if i.Trust == "" {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("the signature of %s is one of Docker Content Trust, whose service ends on %s", i.Ref().Name, trustEnds),
		Evidence: []checks.Evidence{{Source: "trust data of the client", Detail: i.Trust}},
	})
})

var baseOutdated = check(checks.Check{
	ID:       "image-base-outdated",
	Title:    "Image was built on an older base than there is",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	if u := i.Upstream; u != nil && u.Base != nil && u.Base.Newer {
		report(checks.Finding{
			Message: checks.Msg("the registry serves another %s than the one that %s was built on", u.Base.Ref, i.Ref().Name),
			Evidence: []checks.Evidence{
				{Source: u.Base.Source, Detail: u.Base.Ref},
				{Source: "registry, " + u.Base.Ref, Detail: u.Base.Digest},
			},
		})
		return
	}
	b := i.Base
	if b == nil || len(b.Layers) == 0 || len(i.Inspect.RootFS.Layers) == 0 {
		return
	}
	own := i.Inspect.RootFS.Layers
	if len(own) >= len(b.Layers) && slices.Equal(own[:len(b.Layers)], b.Layers) || !after(b.Date, i.Inspect.Created) {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("%s was built on another %s than the one that is here now, which is newer", i.Ref().Name, b.Name),
		Evidence: []checks.Evidence{
			{Source: b.Source, Detail: b.Name},
			{Source: "RootFS.Layers", Detail: "does not begin with the layers of " + b.Name},
			{Source: b.Name + ", Created", Detail: b.Date},
		},
	})
})
