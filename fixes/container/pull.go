package container

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"plimsoll/checks"
)

// pull gets the newest image of the reference. No credentials are sent: an
// image that needs some has to be pulled with docker pull, which knows them.
func (t *transaction) pull(ctx context.Context) error {
	w := t.d.world
	ref := w.reference()
	demanded := ""
	if t.m.o.Trust != nil {
		var err error
		if demanded, err = t.m.o.Trust(ctx, ref); err != nil {
			return err
		}
	}
	stream, err := t.m.engine.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err != nil {
		return fmt.Errorf("pull %s: %w", clean(ref), err)
	}
	defer stream.Close()
	layers := map[string]float64{}
	for message, err := range stream.JSONMessages(ctx) {
		if err != nil {
			return fmt.Errorf("pull %s: %w", clean(ref), err)
		}
		if message.Error != nil {
			return fmt.Errorf("pull %s: %s", clean(ref), clean(message.Error.Message))
		}
		switch p := message.Progress; {
		case message.ID == "" || strings.HasPrefix(message.Status, "Pulling from"):
		case strings.HasPrefix(message.Status, "Pull complete"), strings.HasPrefix(message.Status, "Already exists"):
			layers[message.ID] = 1
		case p != nil && p.Total > 0 && strings.HasPrefix(message.Status, "Downloading"):
			layers[message.ID] = 0.9 * float64(p.Current) / float64(p.Total)
		default:
			layers[message.ID] = max(layers[message.ID], 0)
		}
		t.say(checks.Msg("pulling %s", clean(ref)), mean(layers))
	}
	image, err := t.m.image(ctx, ref)
	if err != nil {
		return err
	}
	if image == nil {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("%s was pulled but is not on the engine", clean(ref)))
	}
	if demanded != "" && !slices.ContainsFunc(image.RepoDigests, func(d string) bool { return strings.HasSuffix(d, "@"+demanded) }) {
		return &checks.Problem{What: checks.Msg("%s became another image while it was pulled: the signature that was verified is not of that", clean(ref))}
	}
	if image.ID == w.inspect().Image && len(viewOf(&w.container.Settings).differences(viewOf(t.d.want))) == 0 {
		return errdefs.ErrNotModified.WithMessage(fmt.Sprintf("%s runs the newest image of %s already", clean(w.name()), clean(ref)))
	}
	t.image = image
	return nil
}

// mean returns the mean of the layers' progress, -1 when there are none.
func mean(layers map[string]float64) float64 {
	if len(layers) == 0 {
		return -1
	}
	sum := 0.0
	for _, v := range layers {
		sum += v
	}
	return sum / float64(len(layers))
}
