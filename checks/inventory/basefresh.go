package inventory

import (
	"context"
	"slices"

	"github.com/distribution/reference"
	api "github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/registry"
)

// Whether the base of a Dockerfile is behind its tag follows from what
// registries said about the image on this engine. They are not asked for a file:
// it may name anything.

// remembered adds to b, which is i on this engine and called ref by a Dockerfile,
// which digest the registry is known to serve for its tag, and for which
// platforms; nothing when nobody has asked. Where that is the same image for this
// platform, it is the digest that is here. What was only built here is for one
// platform.
func (r reader) remembered(ref string, i *api.InspectResponse, b *dockerfile.Base) {
	b.Served, b.Platforms = "", nil
	p := ocispec.Platform{OS: i.Os, Architecture: i.Architecture, Variant: i.Variant}
	if len(i.RepoDigests) == 0 && p.OS != "" && p.Architecture != "" {
		b.Platforms = []string{registry.PlatformName(p)}
	}
	named, err := reference.ParseDockerRef(ref)
	if r.direct == nil || r.ask == registry.Off || err != nil {
		return
	}
	pinned, digested := named.(reference.Digested)
	tag := "latest"
	if tagged, ok := named.(reference.Tagged); ok {
		tag = tagged.Tag()
	} else if digested {
		return // no tag that it could be behind
	}
	name, err := reference.WithTag(reference.TrimNamed(named), tag)
	if err != nil {
		return
	}
	local := &image.Image{Inspect: *i}
	have := repositories(local)[name.Name()]
	if len(have) == 0 {
		return // only built here
	}
	s, known := r.direct.Remembered(name, p)
	if !known {
		return
	}
	if !digested || pinned.Digest() == s.Digest {
		b.Platforms = s.Platforms
	}
	switch same := local.Is(s.Digest.String(), s.Platform.String(), s.Config.String()); {
	case same && digested && slices.Contains(have, pinned.Digest().String()):
		b.Served = pinned.Digest().String()
	case same:
		b.Served = b.Digest
	default:
		b.Served = s.Digest.String()
	}
}

// fresh adds to f what registries have said and scans have found of its bases,
// which r may not have known when it read f.
func (r reader) fresh(ctx context.Context, f *dockerfile.File) {
	for ref, b := range f.Bases {
		i, err := r.images.inspect(ctx, r.client, b.ID)
		if err != nil || i == nil {
			continue
		}
		r.remembered(ref, i, &b)
		if r.vulnerable(ctx, ref, &b) == nil {
			f.Bases[ref] = b
		}
	}
}

// baseSaid has the Dockerfiles read again that build on the image called id, of
// which a registry has said something.
func (w *world) baseSaid(id string) {
	for _, item := range w.items {
		f, ok := item.Subject.(*dockerfile.File)
		if !ok {
			continue
		}
		for _, b := range f.Bases {
			if b.ID == id {
				w.mark(item.Ref)
				break
			}
		}
	}
}
