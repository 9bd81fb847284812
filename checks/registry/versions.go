package registry

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A version is a tag that says which version it is: "1.25.3-alpine3.20" has the
// numbers 1, 25, 3 and the flavour "-alpine#.#".
type version struct {
	tag     string
	prefix  string // "v" or nothing, or a word: "release-"
	numbers []int
	flavour string // what follows, with # for numbers
	minor   []int  // the numbers in it
}

// parseVersion reads tag; false for what is no version: "latest", "bookworm", a
// commit or a date.
func parseVersion(tag string) (version, bool) {
	v := version{tag: tag}
	at := strings.IndexAny(tag, "0123456789")
	if at < 0 || at > 0 && tag[:at] != "v" {
		return v, false
	}
	v.prefix = tag[:at]
	rest := tag[at:]
	for {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		n, err := strconv.Atoi(rest[:end])
		if err != nil || n >= 1e6 { // a date, or a part of a commit
			return v, false
		}
		v.numbers = append(v.numbers, n)
		rest = rest[end:]
		if len(rest) < 2 || rest[0] != '.' || rest[1] < '0' || rest[1] > '9' {
			break
		}
		rest = rest[1:]
	}
	if rest != "" && rest[0] != '-' { // "3d5f1c", "1_2"
		return v, false
	}
	var b strings.Builder
	for i := 0; i < len(rest); {
		end := i
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if end == i {
			b.WriteByte(rest[i])
			i++
			continue
		}
		n, err := strconv.Atoi(rest[i:end])
		if err != nil {
			return v, false
		}
		v.minor = append(v.minor, n)
		b.WriteByte('#')
		i = end
	}
	v.flavour = b.String()
	return v, true
}

// compare orders versions of one form.
func (v version) compare(other version) int {
	return cmp.Or(slices.Compare(v.numbers, other.numbers), slices.Compare(v.minor, other.minor))
}

// IsVersion reports whether tag says which version it is.
func IsVersion(tag string) bool {
	_, ok := parseVersion(tag)
	return ok
}

// Before reports whether both tags are versions, and tag is the earlier one as far
// as both say: 12 is not before 12.5, since it moves by itself.
func Before(tag, other string) bool {
	a, ok := parseVersion(tag)
	b, also := parseVersion(other)
	n := min(len(a.numbers), len(b.numbers))
	return ok && also && slices.Compare(a.numbers[:n], b.numbers[:n]) < 0
}

// Newer returns the tags among all that are later versions in the same form as
// tag: the last one of its own major version, and the last one of all, where
// there are any; nothing for a tag that is no version. A tag of one number, like
// 12, moves by itself within it.
func Newer(tag string, all []string) (same, later string) {
	own, ok := parseVersion(tag)
	if !ok {
		return "", ""
	}
	var bestSame, bestLater *version
	for _, other := range all {
		v, ok := parseVersion(other)
		// Of one flavour, so that a release is never followed by its candidates.
		if !ok || v.prefix != own.prefix || v.flavour != own.flavour || len(v.numbers) != len(own.numbers) {
			continue
		}
		// From 12 to 2024 is another way to count, not a later version.
		if v.numbers[0] >= 1000 && own.numbers[0] < 1000 || v.compare(own) <= 0 {
			continue
		}
		if slices.Compare(v.numbers, own.numbers) == 0 && len(own.minor) == 0 {
			continue
		}
		best := &bestLater
		if v.numbers[0] == own.numbers[0] {
			best = &bestSame
		}
		if *best == nil || (*best).compare(v) < 0 {
			*best = &v
		}
	}
	if bestSame != nil {
		same = bestSame.tag
	}
	if bestLater != nil {
		later = bestLater.tag
	}
	return same, later
}
