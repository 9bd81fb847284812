package image

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
)

// filesRule declares a rule that the files in the layers of an image decide.
func filesRule(c checks.Check, run func(*Image, *layers.Summary, func(checks.Finding))) *checks.Check {
	c.Layers = true
	return check(c, func(i *Image, report func(checks.Finding)) {
		if i.Files != nil {
			run(i, i.Files, report)
		}
	})
}

// layer says which layer that at index n is, and what step of the history made
// it.
func (i *Image) layer(n int) string {
	if i.Files == nil || n < 0 || n >= len(i.Files.Layers) {
		return fmt.Sprintf("layer %d", n+1)
	}
	text := fmt.Sprintf("layer %d of %d", n+1, len(i.Files.Layers))
	if step := i.Files.Layers[n].Step; step >= 0 {
		text += fmt.Sprintf(" (history, step %d)", step+1)
	}
	return text
}

// made returns the step of the history that made the layer at index n; none
// when nobody knows.
func (i *Image) made(n int) []checks.Evidence {
	if i.Files == nil || n < 0 || n >= len(i.Files.Layers) {
		return nil
	}
	at := i.Files.Layers[n].Step
	if at < 0 || at >= len(i.History) {
		return nil
	}
	return []checks.Evidence{parseStep(at+1, i.History[len(i.History)-1-at].CreatedBy).evidence()}
}

// mostEvidence is how many files a finding names.
const mostEvidence = 12

// files returns evidence for each of found, the first ones if there are many.
func (i *Image) files(found []layers.Found, say func(layers.Found) string) []checks.Evidence {
	var out []checks.Evidence
	for _, f := range found[:min(len(found), mostEvidence)] {
		out = append(out, checks.Evidence{Source: i.layer(f.Layer), Detail: say(f)})
	}
	return more(out, len(found))
}

// more adds how many there are beyond those that evidence names.
func more(evidence []checks.Evidence, all int) []checks.Evidence {
	if n := all - len(evidence); n > 0 {
		evidence = append(evidence, checks.Evidence{Source: fmt.Sprintf("and %d more", n)})
	}
	return evidence
}

func slashed(f layers.Found) string { return "/" + f.Path }

func withMode(f layers.Found) string { return fmt.Sprintf("%04o /%s", f.Mode, f.Path) }

// some names the first of all paths, for a sentence.
func some(found []layers.Found) string {
	const most = 3
	var names []string
	for _, f := range found {
		if name := "/" + f.Path; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// size says how many bytes n are, as people do.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
