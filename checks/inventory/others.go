package inventory

import (
	"context"
	"os"
	"slices"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/scanner"
	"plimsoll/checks/vulnerability"
)

// consult lets the scanners called names look at i, or remembers what they said
// not long ago. One that is not installed is said to be missing.
func (v *Inventory) consult(ctx context.Context, i *image.Image, names []scanner.Name, open opener) []vulnerability.Scan {
	if len(names) == 0 || v.options.Demo {
		return nil // what is made up cannot be scanned
	}
	said := map[scanner.Name]vulnerability.Scan{}
	var ask []scanner.Installed
	for _, tool := range scanner.Find(ctx, os.Getenv) {
		if s, known := v.options.Scans.Get(i.Inspect.ID, tool); known {
			said[tool.Name] = s
		} else if slices.Contains(names, tool.Name) {
			ask = append(ask, tool)
		}
	}
	target := scanner.Target{ID: i.Inspect.ID, Size: i.Inspect.Size, DiffIDs: i.Inspect.RootFS.Layers, Open: open}
	for _, s := range scanner.Scan(ctx, ask, target, os.Getenv) {
		said[scanner.Name(s.Scanner)] = s
		for _, tool := range ask {
			if string(tool.Name) == s.Scanner && ctx.Err() == nil {
				v.options.Scans.Put(i.Inspect.ID, tool, s)
			}
		}
	}
	var out []vulnerability.Scan
	for _, name := range names {
		s, ok := said[name]
		if !ok {
			s = scanner.Missing(name)
		}
		out = append(out, s)
	}
	return out
}

// longestConsultation is for all scanners together, one after the other.
const longestConsultation = time.Hour

// Consult lets all scanners that are installed look at an image, whether they
// are configured or not. It returns what could not be asked.
func (v *Inventory) Consult(ctx context.Context, ref checks.Ref, progress func(percent int)) error {
	c := v.client.Load()
	if c == nil {
		return v.options.Absent
	}
	names := slices.Clone(v.options.Scanners)
	for _, tool := range scanner.Find(ctx, os.Getenv) {
		if !slices.Contains(names, tool.Name) {
			names = append(names, tool.Name)
		}
	}
	if len(names) == 0 {
		return &checks.Problem{What: checks.Msg("no other scanner is installed here"), Do: checks.Msg("trivy, grype and docker scout are known")}
	}
	subject, err := v.Read(ctx, ref)
	if err != nil {
		return err
	}
	i, ok := subject.(*image.Image)
	if !ok {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, longestConsultation)
	defer stop()
	s := v.scanWith(ctx, i, names, v.saved(c, i, progress))
	v.post(ctx, func(w *world) { w.scanned(ref.ID, s) })
	return ctx.Err()
}
