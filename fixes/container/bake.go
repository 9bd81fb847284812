package container

import (
	stdbytes "bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
)

// A madeImage is an image that was made of the original.
type madeImage struct {
	Ref string `json:"ref"`
	ID  string `json:"id,omitempty"` // once known
}

// comment is by which an image is known as the one of a transaction.
func comment(tx string) string { return "plimsoll " + tx }

// bake makes an image of the stopped original. Secrets are left out of its
// configuration, where the replacement gets them from its own again.
func (t *transaction) bake(ctx context.Context) error {
	old, err := t.m.inspect(ctx, t.j.Old)
	if err != nil {
		return err
	}
	if old.State.Running {
		return failed("the original runs again: what it writes cannot be kept")
	}
	config := &api.Config{}
	for _, name := range t.d.world.secretNames() {
		config.Env = append(config.Env, name+"=")
	}
	made, err := t.m.engine.ContainerCommit(ctx, t.j.Old, client.ContainerCommitOptions{Reference: t.j.Image.Ref, Comment: comment(t.j.Tx), NoPause: true, Config: config})
	if err != nil {
		return fmt.Errorf("make an image of what it wrote: %w", err)
	}
	t.j.Image.ID = made.ID
	image, err := t.m.image(ctx, made.ID)
	if err == nil && image == nil {
		err = errdefs.ErrNotFound.WithMessage("the image that was made is gone")
	}
	if err != nil {
		return err
	}
	t.image, t.d.world.made = image, image.ID
	return nil
}

// unbake removes the image that a transaction made, unless something else uses
// it by now.
func (m *Mechanic) unbake(ctx context.Context, j *journal) error {
	if j.Image == nil {
		return nil
	}
	image, err := m.image(ctx, j.Image.Ref)
	if err != nil || image == nil || image.Comment != comment(j.Tx) {
		return err
	}
	_, err = m.engine.ImageRemove(ctx, j.Image.Ref, client.ImageRemoveOptions{})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		return fmt.Errorf("remove the image %s: %w", clean(j.Image.Ref), err)
	}
	return nil
}

// bakedIn proves what the image holds, and says what is left to a person.
func (t *transaction) bakedIn(ctx context.Context) (proof, reminders []checks.Message, err error) {
	if t.j.Image == nil {
		return nil, nil, nil
	}
	ref := clean(t.j.Image.Ref)
	proof = append(proof, checks.Msg("what the original wrote is in the image %s, which it runs", ref))
	var raw stdbytes.Buffer
	if _, err := t.m.engine.ImageInspect(ctx, t.j.Image.ID, client.ImageInspectWithRawResponse(&raw)); err != nil {
		return nil, nil, fmt.Errorf("inspect the image that was made: %w", err)
	}
	var all any
	if err := json.Unmarshal(raw.Bytes(), &all); err != nil {
		return nil, nil, fmt.Errorf("inspect the image that was made: %w", err)
	}
	var shown []string
	for _, entry := range t.d.world.inspect().Config.Env {
		if slices.Contains(t.d.world.secretNames(), variable(entry)) && says(all, entry) {
			shown = append(shown, variable(entry))
		}
	}
	switch {
	case len(shown) > 0:
		reminders = append(reminders, checks.Msg("the image %s holds values of %s, as this engine keeps the configuration of the container in it: do not push or save it", ref, clean(strings.Join(shown, ", "))))
	case len(t.d.world.secretNames()) > 0:
		proof = append(proof, checks.Msg("docker inspect shows no value of %s in it", clean(strings.Join(t.d.world.secretNames(), ", "))))
	}
	return proof, reminders, nil
}

// says reports whether text is one of the strings in a JSON value.
func says(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return v == text
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return says(e, text) })
	case map[string]any:
		for _, e := range v {
			if says(e, text) {
				return true
			}
		}
	}
	return false
}
