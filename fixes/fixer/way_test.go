package fixer_test

import (
	"testing"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// What is wrong in one image is put right in ways that do not mix; findings of a
// container are cured together.
func TestImagesByWay(t *testing.T) {
	b, _ := newThings(t, nil)
	image := ask(a(checks.Image, "shop:latest@compose.yaml"), "root", "latest", "health")
	tag := func(checks.Values) string { return "shop:1" }
	image.Request.Findings[0].Fixes = []checks.Fix{{ID: "dockerfile", Source: true}}
	image.Request.Findings[1].Fixes = []checks.Fix{{ID: "tag", Tag: tag}}
	image.Request.Findings[2].Fixes = []checks.Fix{{ID: "dockerfile", Source: true}}
	container := ask(a(checks.Container, "live"), "memory", "pids")
	batch, err := b.PlanBatch(t.Context(), []fixes.Ask{image, container})
	if err != nil {
		t.Fatal(err)
	}
	want := "shop:latest@compose.yaml patch latest\ncompose.yaml patch root/shop:latest health/shop:latest for shop:latest@compose.yaml\nlive update memory pids"
	if got := described(batch); got != want {
		t.Errorf("planned\n%s\nwant\n%s", got, want)
	}
}
