package inventory

import (
	"context"
	"errors"
	"time"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/checks/packages"
	"plimsoll/checks/quicklook"
)

// A quickLook is what was seen of an image without its layers.
type quickLook struct {
	at        time.Time
	name      string // of the image
	installed *packages.Inventory
	failed    error // why not all was seen
	quick     *image.Quick
}

// of returns i with what was seen.
func (q quickLook) of(i *image.Image) *image.Image {
	with := *i
	with.Quick = q.quick
	return &with
}

// MayLook returns why no quick look may be taken, in words for the user; nil when
// one may.
func (v *Inventory) MayLook() error {
	full := checks.Msg("read its layers instead, which changes nothing")
	switch t := v.target.Load(); {
	case v.options.ReadOnly:
		return &checks.Problem{What: checks.Msg("read-only: a quick look makes a container of the image, and removes it again"), Do: full}
	case t != nil && t.Plain():
		return &checks.Problem{What: checks.Msg("the connection to the engine is neither encrypted nor authenticated: nothing is made there"), Do: full}
	}
	return nil
}

// remembers reports whether what the layers of i hold is known already.
func (v *Inventory) remembers(i *image.Image) bool {
	_, known := v.options.Cache.Known(i.Inspect.ID)
	return known
}

// look takes a quick look at i.
func (v *Inventory) look(ctx context.Context, c *client.Client, i *image.Image) quickLook {
	q := quickLook{at: time.Now(), name: i.Ref().Name}
	if q.failed = v.MayLook(); q.failed == nil {
		q.installed, q.failed = quicklook.Read(ctx, c, &i.Inspect)
	}
	return v.judgedQuickly(q)
}

// judgedQuickly compares what was seen with the advisories as they are now.
func (v *Inventory) judgedQuickly(q quickLook) quickLook {
	known, err := v.match(q.installed)
	q.quick = &image.Quick{Known: known}
	var said *checks.Problem
	switch all := errors.Join(q.failed, err); {
	case errors.As(all, &said):
		q.quick.Err = said
	case all != nil:
		q.quick.Err = &checks.Problem{What: checks.Msg("the quick look at %s was not complete (%s)", q.name, all.Error()), Err: all}
	}
	return q
}

// QuickLook looks at the packages of the distribution in an image, without its
// layers: what is found comes as an update, and counts until they are read. The
// error is that nothing was seen, or that something was left behind.
func (v *Inventory) QuickLook(ctx context.Context, ref checks.Ref) error {
	c := v.client.Load()
	if c == nil {
		return v.options.Absent
	}
	if err := v.MayLook(); err != nil {
		return err
	}
	subject, err := v.Read(ctx, ref)
	if err != nil {
		return err
	}
	i, ok := subject.(*image.Image)
	if !ok {
		return nil
	}
	q := v.look(ctx, c, i)
	if q.installed != nil {
		v.post(ctx, func(w *world) { w.lookedQuickly(ref.ID, q) })
	}
	return q.failed
}

// lookedQuickly takes in what a quick look at an image brought.
func (w *world) lookedQuickly(id string, q quickLook) {
	item, there := w.items[identity{checks.Image, id}]
	if !there {
		return // it was removed meanwhile
	}
	w.scans.quick[id] = q
	w.put(w.withFiles(item))
}

// maySweep reports whether what quick looks have left is removed: on another
// machine only what the user allows is.
func (v *Inventory) maySweep() bool {
	t := v.target.Load()
	return t != nil && !t.Remote() && v.MayLook() == nil
}

// clock returns what the engine takes for the time.
func clock(info engine.Info) time.Time {
	if at := parseTime(info.SystemTime); !at.IsZero() {
		return at
	}
	return time.Now()
}
