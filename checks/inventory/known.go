package inventory

import (
	"context"
	"errors"
	"maps"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/packages"
	"plimsoll/checks/scanner"
	"plimsoll/checks/vulnerability"
)

// lookUp compares what an image holds with the advisories on this machine;
// nil when there is nothing to compare.
func (v *Inventory) lookUp(files *layers.Summary) (*vulnerability.Result, error) {
	if files == nil {
		return nil, nil
	}
	return v.match(files.Installed)
}

// match compares packages with the advisories on this machine.
func (v *Inventory) match(installed *packages.Inventory) (*vulnerability.Result, error) {
	if v.options.Advisories == nil || installed == nil {
		return nil, nil
	}
	known, err := v.options.Advisories.Match(installed)
	for _, trouble := range installed.Trouble {
		err = errors.Join(err, errors.New(trouble))
	}
	return known, err
}

// scan reads the layers of an image, from the cache or from the engine, and
// looks up what they hold.
func (v *Inventory) scan(ctx context.Context, i *image.Image, open opener) scanned {
	return v.scanWith(ctx, i, v.options.Scanners, open)
}

// scanWith is [Inventory.scan] with other scanners than those of the options.
func (v *Inventory) scanWith(ctx context.Context, i *image.Image, others []scanner.Name, open opener) scanned {
	files, err := v.options.Cache.Summary(ctx, i.Inspect.ID, layers.Options{DiffIDs: i.Inspect.RootFS.Layers}, open)
	s := scanned{files: files, err: err}
	s.known, s.knownErr = v.lookUp(files)
	s.others = v.consult(ctx, i, others, open)
	return s
}

// of returns i with what the scan brought.
func (s scanned) of(i *image.Image) *image.Image {
	with := i.WithFiles(s.files, s.err)
	with.Known, with.KnownErr = s.known, s.knownErr
	return with.WithScans(s.others)
}

// LookUp compares all images whose layers were read with the advisories as they
// are now, without reading them again.
func (v *Inventory) LookUp(ctx context.Context) {
	v.post(ctx, func(w *world) { w.lookAgain(ctx) })
}

func (w *world) lookAgain(ctx context.Context) {
	done, quick := maps.Clone(w.scans.done), maps.Clone(w.scans.quick)
	w.v.verdicts.forget()
	for _, item := range w.items {
		w.baseRead(item)
	}
	go w.v.guard(ctx, func() {
		for id, q := range quick {
			again := w.v.judgedQuickly(q)
			w.v.post(ctx, func(w *world) {
				if w.scans.quick[id].at == q.at {
					w.lookedQuickly(id, again)
				}
			})
		}
		for id, s := range done {
			if s.files == nil {
				continue
			}
			s.known, s.knownErr = w.v.lookUp(s.files)
			w.v.post(ctx, func(w *world) {
				if item, there := w.items[identity{checks.Image, id}]; there && w.scans.done[id].files == s.files {
					now := w.scans.done[id]
					now.known, now.knownErr = s.known, s.knownErr
					w.scans.done[id] = now
					w.put(w.withFiles(item))
				}
			})
		}
	})
}
