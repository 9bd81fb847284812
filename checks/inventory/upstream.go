package inventory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/image"
	"plimsoll/checks/registry"
	"plimsoll/checks/signature"
)

// labelBaseDigest is the label by which an image says which digest its base had.
const labelBaseDigest = "org.opencontainers.image.base.digest"

// asksAbout reports whether registries may be asked about i, which is named by
// the user or not.
func (v *Inventory) asksAbout(i *image.Image, named, used bool) bool {
	if v.options.Registry == nil || v.options.Demo || len(repositories(i)) == 0 {
		return false
	}
	switch v.options.Ask {
	case registry.All:
		return true
	case registry.Used, "":
		return named || used
	}
	return false
}

// repositories are those that i was pulled from or pushed to, with its digests
// there. What was only built here is in none, and no registry hears of it.
func repositories(i *image.Image) map[string][]string {
	out := map[string][]string{}
	for _, text := range i.Inspect.RepoDigests {
		name, digest, ok := strings.Cut(text, "@")
		if named, err := reference.ParseNormalizedNamed(name); ok && err == nil {
			out[named.Name()] = append(out[named.Name()], digest)
		}
	}
	return out
}

// upstream asks registries about the tags of i, about its base, which is one of
// others, all images of this engine, and about its signatures.
func (v *Inventory) upstream(ctx context.Context, i *image.Image, others []*image.Image, closely bool) *image.Upstream {
	u := &image.Upstream{}
	known := repositories(i)
	for _, tag := range i.Inspect.RepoTags {
		named, err := reference.ParseNormalizedNamed(tag)
		if err != nil {
			continue
		}
		tagged, ok := named.(reference.NamedTagged)
		if digests := known[named.Name()]; ok && len(digests) > 0 {
			s := v.served(ctx, u, tagged, i, digests)
			s.Same, s.Later = v.laterThan(ctx, u, tagged)
			u.Tags = append(u.Tags, s)
		}
	}
	v.upstreamBase(ctx, u, i, others)
	for name, digests := range known {
		v.signed(ctx, u, name+"@"+digests[0], closely)
	}
	return u
}

// signed asks what is beside an image in its registry, where a signature is
// demanded or somebody wants to know it closely: that takes several questions.
func (v *Inventory) signed(ctx context.Context, u *image.Upstream, name string, closely bool) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || !closely && !v.options.Signatures.Demands(named) {
		return
	}
	d, err := v.options.Registry.Head(ctx, named)
	if err != nil {
		if !registry.IsNotFound(err) {
			u.Errs = append(u.Errs, err)
		}
		return
	}
	s, err := v.options.Signatures.Inspect(ctx, v.options.Registry, named, d)
	if err != nil {
		u.Errs = append(u.Errs, err)
		return // what was not seen is not missing
	}
	out := image.Signed{Name: reference.FamiliarString(named), Demanded: v.options.Signatures.Demands(named), Provenance: s.Provenance(), SBOM: s.SBOM()}
	for _, one := range s.Signatures {
		out.Signatures = append(out.Signatures, image.Signature{Kind: one.Kind, Verified: one.By, Failed: one.State == signature.Failed, Why: one.Why})
	}
	for _, one := range s.Statements {
		if one.State == signature.Failed {
			out.Doubted = append(out.Doubted, image.Signature{Kind: one.Predicate, Failed: true, Why: one.Why})
		}
	}
	u.Signed = append(u.Signed, out)
}

// served asks what tag stands for. have are the digests that i has there.
func (v *Inventory) served(ctx context.Context, u *image.Upstream, tag reference.NamedTagged, i *image.Image, have []string) image.Served {
	out := image.Served{Ref: reference.FamiliarString(tag)}
	p := ocispec.Platform{OS: i.Inspect.Os, Architecture: i.Inspect.Architecture, Variant: i.Inspect.Variant}
	s, err := v.options.Registry.Serves(ctx, tag, p, have)
	switch {
	case registry.IsNotFound(err): // a tag of one's own, or one that was removed
		return out
	case err != nil:
		u.Errs = append(u.Errs, err)
		return out
	}
	out.Digest, out.Created = s.Digest.String(), s.Created
	out.Newer = !slices.Contains(have, out.Digest) && !i.Is(out.Digest, s.Platform.String(), s.Config.String())
	return out
}

func (v *Inventory) laterThan(ctx context.Context, u *image.Upstream, tag reference.NamedTagged) (same, later string) {
	if !registry.IsVersion(tag.Tag()) {
		return "", ""
	}
	tags, err := v.options.Registry.Tags(ctx, tag)
	if err != nil {
		if len(u.Errs) == 0 && !registry.IsNotFound(err) {
			u.Errs = append(u.Errs, err)
		}
		return "", ""
	}
	return registry.Newer(tag.Tag(), tags)
}

// upstreamBase asks what the base of i is now: the image that its labels name,
// else the one on this engine whose layers it begins with.
func (v *Inventory) upstreamBase(ctx context.Context, u *image.Upstream, i *image.Image, others []*image.Image) {
	base := baseOf(i, others)
	name, digest := i.Label(labelBase), i.Label(labelBaseDigest)
	if name != "" && digest != "" {
		named, err := reference.ParseDockerRef(name)
		if err != nil || !knownRegistry(reference.Domain(named), append(others, i)) {
			return // a label is what anybody may write: it chooses no server
		}
		tagged, ok := named.(reference.NamedTagged)
		if _, pinned := named.(reference.Digested); !ok || pinned {
			return
		}
		of := base
		if of == nil {
			of = &image.Image{Inspect: i.Inspect}
			of.Inspect.ID, of.Inspect.Descriptor = "", nil
		}
		s := v.served(ctx, u, tagged, of, []string{digest})
		s.Source = "label " + labelBaseDigest
		u.Base = &s
		return
	}
	if base == nil {
		return
	}
	known := repositories(base)
	for _, tag := range base.Inspect.RepoTags {
		named, err := reference.ParseNormalizedNamed(tag)
		if err != nil {
			continue
		}
		tagged, ok := named.(reference.NamedTagged)
		if digests := known[named.Name()]; ok && len(digests) > 0 {
			s := v.served(ctx, u, tagged, base, digests)
			s.Source = "layers of " + base.Ref().Name
			u.Base = &s
			return
		}
	}
}

// baseOf returns the image among others with the most layers of those that i
// begins with, nil without any.
func baseOf(i *image.Image, others []*image.Image) *image.Image {
	var best *image.Image
	own := i.Inspect.RootFS.Layers
	for _, other := range others {
		layers := other.Inspect.RootFS.Layers
		if other.Inspect.ID == i.Inspect.ID || len(layers) == 0 || len(layers) >= len(own) || !slices.Equal(own[:len(layers)], layers) || len(repositories(other)) == 0 {
			continue
		}
		if best == nil || len(layers) > len(best.Inspect.RootFS.Layers) {
			best = other
		}
	}
	return best
}

// knownRegistry reports whether any image came from host: Docker Hub, where
// nearly everything comes from, always counts.
func knownRegistry(host string, images []*image.Image) bool {
	return host == "docker.io" || slices.ContainsFunc(images, func(i *image.Image) bool {
		for name := range repositories(i) {
			if first, _, _ := strings.Cut(name, "/"); first == host {
				return true
			}
		}
		return false
	})
}

// askAgain is how often registries are asked about the images that are followed.
const askAgain = registry.Fresh

// An inquiry is when registries were asked about each image, and what they said.
type inquiry struct {
	at   map[string]time.Time
	said map[string]*image.Upstream
	busy bool
}

func newInquiry() inquiry {
	return inquiry{at: map[string]time.Time{}, said: map[string]*image.Upstream{}}
}

// withUpstream adds to an image what registries said of it.
func (w *world) withUpstream(item Item) Item {
	i, ok := item.Subject.(*image.Image)
	if !ok || w.inquiry.said[i.Inspect.ID] == nil || i.Upstream != nil {
		return item
	}
	with := *i
	with.Upstream = w.inquiry.said[i.Inspect.ID]
	item.Subject = &with
	item.Report = w.v.judge(item.Subject)
	return item
}

// upstreams asks registries about those images among items that want allows, a
// few at a time.
func (v *Inventory) upstreams(ctx context.Context, items []*Item, closely bool, want func(*image.Image) bool) map[string]*image.Upstream {
	var all []*image.Image
	for _, item := range items {
		if i, ok := item.Subject.(*image.Image); ok {
			all = append(all, i)
		}
	}
	var mu sync.Mutex
	said := map[string]*image.Upstream{}
	group := new(errgroup.Group)
	group.SetLimit(readers)
	for _, i := range all {
		if !want(i) {
			continue
		}
		group.Go(func() error {
			u := v.upstream(ctx, i, all, closely || v.options.Ask == registry.All)
			mu.Lock()
			defer mu.Unlock()
			said[i.Inspect.ID] = u
			return nil
		})
	}
	_ = group.Wait() // what failed is in the answers
	return said
}

// serves returns the digest that the registry has for the tag that a container
// was created from, one of those here when it has nothing else for this
// platform; "" when nobody may ask or nobody knows. The engine is asked where we
// cannot: it may know the registry by another way.
func (r reader) serves(ctx context.Context, c *container.Container) string {
	if r.ask == registry.Off {
		return ""
	}
	named, err := reference.ParseDockerRef(c.Settings.Image)
	tag, tagged := named.(reference.NamedTagged)
	if r.direct == nil || err != nil || !tagged {
		return r.registry.ask(ctx, r.client, c.Settings.Image)
	}
	here := &image.Image{Inspect: *c.Image}
	have := repositories(here)[named.Name()]
	p := ocispec.Platform{OS: c.Image.Os, Architecture: c.Image.Architecture, Variant: c.Image.Variant}
	s, err := r.direct.Serves(ctx, tag, p, have)
	switch {
	case registry.IsNotFound(err):
		return ""
	case err != nil:
		return r.registry.ask(ctx, r.client, c.Settings.Image)
	case len(have) > 0 && here.Is(s.Digest.String(), s.Platform.String(), s.Config.String()):
		return have[0]
	}
	return s.Digest.String()
}

// ask asks registries about the next image, once everything else is done.
func (w *world) ask(ctx context.Context) {
	if w.inquiry.busy || !w.out.complete || w.scans.now != "" || w.out.engine.Phase != Connected || len(w.reading) > 0 {
		return
	}
	var next *image.Image
	var all []*image.Image
	for _, item := range w.items {
		i, ok := item.Subject.(*image.Image)
		if !ok {
			continue
		}
		all = append(all, i)
		at := w.inquiry.at[i.Inspect.ID]
		if time.Since(at) < askAgain || !w.v.asksAbout(i, false, i.Use != nil && len(i.Use.Containers) > 0) {
			continue
		}
		if next == nil || at.Before(w.inquiry.at[next.Inspect.ID]) {
			next = i
		}
	}
	if next == nil {
		return
	}
	w.inquiry.busy = true
	w.inquiry.at[next.Inspect.ID] = time.Now()
	era, ctx := w.era, w.v.follow.engine(ctx)
	go w.v.guard(ctx, func() {
		said := w.v.upstream(ctx, next, all, w.v.options.Ask == registry.All)
		w.v.post(ctx, func(w *world) {
			w.inquiry.busy = false
			item, there := w.items[identity{checks.Image, next.Inspect.ID}]
			if i, ok := item.Subject.(*image.Image); ok && there && era == w.era {
				w.inquiry.said[next.Inspect.ID] = said
				with := *i
				with.Upstream = said
				item.Subject = &with
				w.rejudge(item)
				w.baseSaid(next.Inspect.ID)
			}
		})
	})
}
