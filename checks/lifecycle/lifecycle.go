// Package lifecycle knows until when releases of distributions, languages and
// services get security fixes.
package lifecycle

import (
	_ "embed"
	"strings"
	"sync"
	"time"
)

// Checked is the day of which the table is.
const Checked = "2026-11-01"

//go:embed eol.tsv
var table string

// A Release is one release of something that images are made of.
type Release struct {
	Product string   // "Python"
	Cycle   string   // "3.7"
	Names   []string // all names of the cycle: "10", "buster"
	End     string   // the last day with security fixes, 2006-01-02
}

// Ended reports whether the release was past its end on day, 2006-01-02.
func (r Release) Ended(day string) bool { return r.End < day }

// releases is the table by image: "debian", "mcr.microsoft.com/dotnet/sdk".
var releases = sync.OnceValue(func() map[string][]Release {
	out := map[string][]Release{}
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || len(fields) != 4 {
			continue
		}
		names := strings.Split(fields[2], ",")
		for _, image := range strings.Split(fields[0], ",") {
			out[image] = append(out[image], Release{fields[1], names[0], names, fields[3]})
		}
	}
	return out
})

// Of returns the releases of an official image, the oldest first; none when
// it is not in the table.
func Of(image string) []Release { return releases()[image] }

// Find returns the release of an official image that version belongs to: 3.7
// holds 3.7.6, too.
func Find(image, version string) (Release, bool) {
	for _, r := range Of(image) {
		for _, name := range r.Names {
			if version == name || strings.HasPrefix(version, name+".") {
				return r, true
			}
		}
	}
	return Release{}, false
}

// Day returns the day by which to judge at the time now: that of the table
// when now is zero.
func Day(now time.Time) string {
	if now.IsZero() {
		return Checked
	}
	return now.UTC().Format(time.DateOnly)
}
