package image

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

var historyCacheLeft = check(checks.Check{
	ID:       "image-history-cache-left",
	Layers:   true,
	Title:    "A layer keeps the cache of a package manager",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"dockle DKL-DI-0004", "dockle DKL-DI-0005"},
}, func(i *Image, report func(checks.Finding)) {
	evidence := i.cachesByHistory()
	if i.Files != nil && i.Files.Err() == nil {
		evidence = i.cachesInLayers() // what is there beats what a command promises
	}
	if len(evidence) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("%s carries the cache of a package manager, which no container needs", i.Ref().Name),
			Evidence: evidence,
		})
	}
})

// littleCache is the size below which a cache is not worth a word: empty
// directories and locks stay behind.
const littleCache = 64 << 10

func (i *Image) cachesInLayers() (evidence []checks.Evidence) {
	for _, c := range i.Files.Caches {
		if c.Size >= littleCache {
			evidence = append(evidence, checks.Evidence{Source: i.layer(c.Layer), Detail: fmt.Sprintf("%s in /%s", size(c.Size), c.Path)})
		}
	}
	return evidence
}

func (i *Image) cachesByHistory() (evidence []checks.Evidence) {
	for _, s := range i.steps() {
		if s.instruction == "RUN" && mentions(s.text, "update", "add", "install") && leavesCache(commands(s.text)) {
			evidence = append(evidence, s.evidence())
		}
	}
	return evidence
}

// leavesCache reports whether a script fills a cache and does not empty it.
func leavesCache(all [][]string) bool {
	removes := func(dir string) bool {
		return slices.ContainsFunc(all, func(words []string) bool {
			return runs(words, "rm") && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, dir) }) || runs(words, "find", dir)
		})
	}
	switch {
	case runsAny(all, aptTools, []string{"update"}):
		return !removes("/var/lib/apt")
	case runsAny(all, []string{"apk"}, []string{"add"}):
		return !runsAny(all, []string{"apk"}, []string{"--no-cache"}) && !removes("/var/cache/apk")
	case runsAny(all, rpmTools, []string{"install"}):
		return !runsAny(all, rpmTools, []string{"clean"}) && !removes("/var/cache")
	}
	return false
}
