package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
)

// Served is what a registry serves for a tag.
type Served struct {
	Digest digest.Digest // that docker pull would print

	// Platform, Config and Created are of the image for the platform that was
	// asked for: known only where the digest was not expected.
	Platform digest.Digest // of its manifest
	Config   digest.Digest // of its configuration, the id of the image in most engines
	Created  time.Time     // zero when not said

	// Platforms that there are images for, as [PlatformName] calls them: of an
	// index, and known only where that was read.
	Platforms []string `json:",omitempty"`
}

// PlatformName returns p as docker's --platform takes it: "linux/arm/v7".
func PlatformName(p ocispec.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}

// Serves asks what name, which has a tag, stands for on a platform. Where that
// is one of expected nothing more is asked; else its configuration is read, so
// that it can be told whether this platform's image is another at all.
func (c *Client) Serves(ctx context.Context, name reference.NamedTagged, p ocispec.Platform, expected []string) (Served, error) {
	key := servedKey(name, p)
	s, known := c.Remembered(name, p)
	if known && (s.Platform != "" || contains(expected, s.Digest)) {
		return s, nil
	}
	d, err := c.Head(ctx, name)
	if err != nil {
		return Served{}, err
	}
	s = Served{Digest: d.Digest}
	if !contains(expected, s.Digest) {
		if err := c.platform(ctx, name, d, p, &s); err != nil {
			return Served{}, err
		}
	}
	c.cache.put("served", key, s)
	return s, nil
}

// Remembered is what [Client.Serves] was told not long ago. Nobody is asked.
func (c *Client) Remembered(name reference.NamedTagged, p ocispec.Platform) (s Served, known bool) {
	known = c.cache.get("served", servedKey(name, p), &s)
	return s, known
}

func servedKey(name reference.NamedTagged, p ocispec.Platform) string {
	return name.String() + " " + p.OS + "/" + p.Architecture + "/" + p.Variant
}

func contains(digests []string, d digest.Digest) bool {
	for _, other := range digests {
		if other == d.String() {
			return true
		}
	}
	return false
}

// errPlatform is that an index has no image for a platform.
var errPlatform = errors.New("there is no image for this platform")

// platform reads which image d has for p.
func (c *Client) platform(ctx context.Context, name reference.Named, d ocispec.Descriptor, p ocispec.Platform, s *Served) error {
	r, err := c.repository(name)
	if err != nil {
		return err
	}
	if isIndex(d.MediaType) {
		data, err := c.fetch(ctx, r, d)
		if err != nil {
			return err
		}
		var index ocispec.Index
		if err := json.Unmarshal(data, &index); err != nil {
			return fmt.Errorf("index of %s: %w", name, err)
		}
		s.Platforms = platformsOf(index.Manifests)
		var ok bool
		if d, ok = choose(index.Manifests, p); !ok {
			return errPlatform
		}
	}
	s.Platform = d.Digest
	manifest, err := c.manifest(ctx, r, d)
	if err != nil {
		return err
	}
	s.Config = manifest.Config.Digest
	if manifest.Config.Size > largestMetadata {
		return nil
	}
	data, err := c.fetch(ctx, r, manifest.Config)
	if err != nil {
		return err
	}
	var config struct{ Created time.Time }
	if json.Unmarshal(data, &config) == nil && config.Created.Year() > 1980 { // reproducible builds have none
		s.Created = config.Created
	}
	return nil
}

func (c *Client) manifest(ctx context.Context, r *remote.Repository, d ocispec.Descriptor) (m ocispec.Manifest, err error) {
	data, err := c.fetch(ctx, r, d)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

// mostPlatforms is how many platforms of an index are remembered.
const mostPlatforms = 64

// platformsOf returns the platforms of an index, without what is beside images.
func platformsOf(manifests []ocispec.Descriptor) []string {
	var out []string
	for _, m := range manifests {
		if p := m.Platform; p != nil && p.OS != "unknown" && p.OS != "" && p.Architecture != "" && len(out) < mostPlatforms {
			if name := PlatformName(*p); !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// choose returns the manifest for p. A variant decides only where several
// architectures are the same otherwise.
func choose(manifests []ocispec.Descriptor, p ocispec.Platform) (ocispec.Descriptor, bool) {
	var found ocispec.Descriptor
	ok := false
	for _, m := range manifests {
		if m.Platform == nil || m.Platform.OS != p.OS || m.Platform.Architecture != p.Architecture {
			continue
		}
		if !ok || m.Platform.Variant == p.Variant {
			found, ok = m, true
		}
	}
	return found, ok
}

// Tags returns the tags of the repository of name: the first mostPages of
// a list that never ends, but nothing of one that broke off, since what is
// missing in it would pass for what there is not.
func (c *Client) Tags(ctx context.Context, name reference.Named) ([]string, error) {
	var tags []string
	if c.cache.get("tags", name.Name(), &tags) {
		return tags, nil
	}
	r, err := c.repository(name)
	if err != nil {
		return nil, err
	}
	ctx, done, err := c.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	err = r.Tags(ctx, "", func(page []string) error {
		tags = append(tags, page...)
		return nil
	})
	if err != nil && !errors.Is(err, errdef.ErrTooManyPages) {
		return nil, explained(r.Reference.Registry, err)
	}
	c.cache.put("tags", name.Name(), tags)
	return tags, nil
}
