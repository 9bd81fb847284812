// Package image judges images by their configuration and history.
package image

import (
	"time"

	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
)

// An Image is a snapshot of one local image.
type Image struct {
	Inspect image.InspectResponse
	History []image.HistoryResponseItem // newest layer first, as the engine sends it
	Passwd  []byte                      // /etc/passwd of the image; nil when it was not read
	Now     time.Time                   // when the snapshot was taken

	// Containers are the names of containers created from this image.
	Containers []string
}

// Ref implements [checks.Subject]. The name is the first tag, else the digest,
// else the short id.
func (i *Image) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Image, ID: i.Inspect.ID, Name: Name(i.Inspect.RepoTags, i.Inspect.RepoDigests, i.Inspect.ID)}
}

// Name returns what people call an image with these references and id.
func Name(tags, digests []string, id string) string {
	for _, t := range tags {
		if t != "<none>:<none>" {
			return t
		}
	}
	for _, d := range digests {
		if d != "<none>@<none>" {
			return d
		}
	}
	return ShortID(id)
}

// ShortID returns the first twelve hexadecimal digits of an image or container id.
func ShortID(id string) string {
	const algorithm = "sha256:"
	if len(id) > len(algorithm) && id[:len(algorithm)] == algorithm {
		id = id[len(algorithm):]
	}
	return id[:min(12, len(id))]
}

func check(c checks.Check, run func(*Image, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Image
	c.Run = func(s checks.Subject, report func(checks.Finding)) { run(s.(*Image), report) }
	return &c
}
