package fixer

import (
	"slices"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// What is wrong in an image is put right in several ways, none of which can do
// the work of another: its containers are moved to another image, the file that
// builds it is changed, or the image gets a name.

// byWay returns ask divided by the ways in which its findings are cured.
func byWay(ask fixes.Ask) []fixes.Ask {
	if ask.Subject.Ref().Kind != checks.Image || len(ask.Request.Findings) < 2 {
		return []fixes.Ask{ask}
	}
	var out []fixes.Ask
	for _, f := range ask.Request.Findings {
		one := ask
		one.Request.Findings = []checks.Finding{f}
		if i := slices.IndexFunc(out, func(o fixes.Ask) bool { return wayOf(o.Request) == wayOf(one.Request) }); i >= 0 {
			out[i].Request.Findings = append(out[i].Request.Findings, f)
		} else {
			out = append(out, one)
		}
	}
	return out
}

// A way is what the first finding of a request for an image needs.
type way struct{ update, source, tag bool }

func wayOf(r fixes.Request) way {
	w := way{update: r.Update}
	if len(r.Findings) == 0 {
		return w
	}
	for _, fix := range r.Findings[0].Fixes {
		if id := r.Fix[r.Findings[0].ID()]; id == "" || id == fix.ID {
			return way{w.update || fix.Update, fix.Source, fix.Tag != nil}
		}
	}
	return w
}
