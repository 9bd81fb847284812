package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// pull gets the newest image of the reference.
func (t *transaction) pull(ctx context.Context) error {
	w := t.d.world
	ref := w.reference()
	image, err := t.m.fetch(ctx, ref, func(now *fixes.Transfer) {
		t.progress(fixes.Progress{Step: t.step, Message: checks.Msg("pulling %s", clean(ref)), Ratio: now.Ratio, Transfer: now})
	})
	if err != nil {
		return err
	}
	if image.ID == w.inspect().Image && len(viewOf(&w.container.Settings).differences(viewOf(t.d.want))) == 0 {
		return upToDate(w.name(), ref)
	}
	t.image = image
	return nil
}

// Fetch implements [fixer.Fetcher].
func (m *Mechanic) Fetch(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (string, error) {
	d, ok := plan.Detail.(*detail)
	if !ok || m.o.Plain {
		return "", errdefs.ErrInvalidArgument.WithMessage("not a plan for a container that can be changed")
	}
	t := &transaction{m: m, d: d, progress: progress}
	if err := t.pull(ctx); err != nil {
		return "", err
	}
	return t.image.ID, nil
}

func upToDate(name, ref string) error {
	return errdefs.ErrNotModified.WithMessage(fmt.Sprintf("%s runs the newest image of %s already", clean(name), clean(ref)))
}

// tellEvery is how often the progress of a download is told: engines say it for
// each layer, ten times a second.
const tellEvery = 100 * time.Millisecond

// fetch has the engine pull ref, with the credentials that the user has for its
// registry, after whoever is to be asked has agreed, and returns what came. The
// tag names the same image afterwards as before.
func (m *Mechanic) fetch(ctx context.Context, ref string, tell func(*fixes.Transfer)) (*image.InspectResponse, error) {
	demanded := ""
	if m.o.Trust != nil {
		var err error
		if demanded, err = m.o.Trust(ctx, ref); err != nil {
			return nil, err
		}
	}
	before, err := m.image(ctx, ref)
	if err != nil {
		return nil, err
	}
	failed := m.pull(ctx, ref, tell)
	// Also when it was given up: the tag moves in the last moment of a pull.
	after := context.WithoutCancel(ctx)
	image, err := m.image(after, ref)
	if err == nil && before != nil && image != nil && image.ID != before.ID {
		err = m.tag(after, before.ID, ref)
	}
	if failed != nil || err != nil {
		return nil, errors.Join(failed, err)
	}
	if image == nil {
		return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("%s was pulled but is not on the engine", clean(ref)))
	}
	if demanded != "" && !slices.ContainsFunc(image.RepoDigests, func(d string) bool { return strings.HasSuffix(d, "@"+demanded) }) {
		return nil, &checks.Problem{What: checks.Msg("%s became another image while it was pulled: the signature that was verified is not of that", clean(ref))}
	}
	return image, nil
}

func (m *Mechanic) pull(ctx context.Context, ref string, tell func(*fixes.Transfer)) error {
	var options client.ImagePullOptions
	var locked error // the credentials
	if m.o.Auth != nil {
		// Many images need none, so that the pull goes on without.
		options.RegistryAuth, locked = m.o.Auth(ctx, ref)
	}
	explain := func(err error) error {
		err = pullError(ref, options.RegistryAuth != "", err)
		var p *checks.Problem
		if locked != nil && errors.As(err, &p) {
			p.Do = checks.Msg("its credentials could not be read (%s)", clean(locked.Error()))
		}
		return err
	}
	stream, err := m.engine.ImagePull(ctx, ref, options)
	if err != nil {
		return explain(err)
	}
	defer stream.Close()
	seen := transfer{now: fixes.Transfer{Image: clean(ref), Ratio: -1}}
	var told time.Time
	for message, err := range stream.JSONMessages(ctx) {
		if err == nil && message.Error != nil {
			err = message.Error
		}
		if err != nil {
			return explain(err)
		}
		if changed := seen.heard(message); changed || m.o.Now().Sub(told) >= tellEvery {
			told = m.o.Now()
			tell(seen.snapshot())
		}
	}
	return ctx.Err()
}
