package container

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
)

// An update moves a tag of the engine to the image that was pulled. It does so
// as late as it can: pulling leaves the tag where it was, so that whoever looks
// at what an update would change, and thinks better of it, has changed nothing.
// Whatever takes the update back takes the tag back too: else docker compose up
// would bring the new image again.

// A movedTag is a tag that a transaction moves.
type movedTag struct {
	Ref  string `json:"ref"`
	From string `json:"from,omitempty"` // id of the image that it named; "" for none
	To   string `json:"to"`
}

// movable reports whether ref is a tag, which can name another image.
func movable(ref string) bool {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return false
	}
	_, digested := named.(reference.Digested)
	return !digested
}

// tag makes ref name the image id.
func (m *Mechanic) tag(ctx context.Context, id, ref string) error {
	if _, err := m.engine.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: ref}); err != nil {
		return fmt.Errorf("tag %s as %s: %w", shortImage(id), clean(ref), err)
	}
	return nil
}

// untag puts a tag back, unless somebody has moved it on meanwhile, or the image
// that it named is gone.
func (m *Mechanic) untag(ctx context.Context, t *movedTag) error {
	if t == nil || t.From == "" || t.From == t.To {
		return nil
	}
	now, err := m.image(ctx, t.Ref)
	if err != nil || now == nil || now.ID != t.To {
		return err
	}
	if err := m.tag(ctx, t.From, t.Ref); !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// moving returns what naming image by ref does to the tag.
func (m *Mechanic) moving(ctx context.Context, ref string, image *image.InspectResponse) (*movedTag, error) {
	t := &movedTag{Ref: ref, To: image.ID}
	now, err := m.image(ctx, ref)
	if now != nil {
		t.From = now.ID
	}
	return t, err
}
