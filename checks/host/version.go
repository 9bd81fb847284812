package host

import (
	"cmp"
	"strconv"
	"strings"
)

// A version is of one of the engine's parts: numbers, and what is left of a
// release candidate. Revisions of distributions ("+dfsg1", "-0ubuntu1") do not
// take part in comparisons.
type version struct {
	numbers   [3]int
	candidate int // "-rc.3" is 3, "rc95" is 95; a release is after all of them
}

const released = 1 << 30

// parseVersion reads "v1.2.8", "1.0.0-rc93", "20.10.24+dfsg1", "6.18.44-cloud"
// and the like; ok is false of anything else.
func parseVersion(text string) (v version, ok bool) {
	text = strings.TrimPrefix(text, "v")
	v.candidate = released
	for i := range v.numbers {
		end := 0
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(text[:end])
		if err != nil {
			return v, false
		}
		v.numbers[i] = n
		text = text[end:]
		if i == 2 || !strings.HasPrefix(text, ".") {
			ok = i > 0
			break
		}
		text = text[1:]
	}
	text = strings.TrimLeft(text, "-~.")
	for stage, before := range map[string]int{"alpha": 2000, "beta": 1000, "rc": 0} {
		rest, found := strings.CutPrefix(text, stage)
		if !found {
			continue
		}
		rest = strings.TrimLeft(rest, ".")
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		n, _ := strconv.Atoi(rest[:end])
		v.candidate = n - before
	}
	return v, ok
}

func (v version) compare(w version) int {
	for i, n := range v.numbers {
		if c := cmp.Compare(n, w.numbers[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(v.candidate, w.candidate)
}

// branch is what a release belongs to: 1.2 of 1.2.8.
func (v version) branch() [2]int { return [2]int{v.numbers[0], v.numbers[1]} }

// hasFix reports whether v is not before the fix: fixes are the first good
// releases of the branches that got one, in any order. A branch without one
// is good when it is younger than all of them.
func (v version) hasFix(fixes []version) bool {
	good := true
	for _, fix := range fixes {
		if fix.branch() == v.branch() {
			return v.compare(fix) >= 0
		}
		good = good && v.compare(fix) > 0
	}
	return good
}
