package image

import (
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
)

func TestUpstream(t *testing.T) {
	for name, c := range map[string]struct {
		up       Upstream
		coolDown time.Duration
		want     []string
	}{
		"current":         {up: Upstream{Tags: []Served{{Ref: "shop:1"}}}},
		"newer":           {up: Upstream{Tags: []Served{{Ref: "shop:1", Newer: true}}}, want: []string{"image-outdated medium shop:1"}},
		"newer, old":      {up: Upstream{Tags: []Served{{Ref: "shop:1", Newer: true, Created: today.AddDate(0, 0, -4)}}}, coolDown: 3 * day, want: []string{"image-outdated medium shop:1"}},
		"newer, fresh":    {up: Upstream{Tags: []Served{{Ref: "shop:1", Newer: true, Created: today.AddDate(0, 0, -2)}}}, coolDown: 3 * day, want: []string{"image-update-too-fresh info shop:1"}},
		"newer, any":      {up: Upstream{Tags: []Served{{Ref: "shop:1", Newer: true, Created: today.AddDate(0, 0, -2)}}}, want: []string{"image-outdated medium shop:1"}},
		"newer, undated":  {up: Upstream{Tags: []Served{{Ref: "shop:1", Newer: true}}}, coolDown: 3 * day, want: []string{"image-outdated medium shop:1"}},
		"same line":       {up: Upstream{Tags: []Served{{Ref: "shop:1.0", Same: "1.1"}}}, want: []string{"image-newer-version-tag low shop:1.0"}},
		"new line":        {up: Upstream{Tags: []Served{{Ref: "shop:1.0", Later: "2.0"}}}, want: []string{"image-newer-version-tag info shop:1.0"}},
		"base":            {up: Upstream{Base: &Served{Ref: "debian:12", Newer: true}}, want: []string{"image-base-outdated medium "}},
		"base is current": {up: Upstream{Base: &Served{Ref: "debian:12"}}},
	} {
		t.Run(name, func(t *testing.T) {
			i := &Image{Inspect: image.InspectResponse{ID: "sha256:1", RepoTags: []string{"shop:1"}}, Now: today, Upstream: &c.up, Rules: Rules{CoolDown: c.coolDown}}
			var got []string
			for _, f := range checks.Run(i, []*checks.Check{outdated, updateTooFresh, newerVersion, baseOutdated}, nil).Findings {
				got = append(got, f.Check.ID+" "+f.Severity.String()+" "+f.Key)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
