package suppress

import (
	"path/filepath"
	"strings"

	"plimsoll/checks"
)

// exceptionsFor returns the exceptions of policy that speak of a subject.
func exceptionsFor(subject checks.Ref, policy *checks.Policy) []checks.Exception {
	if policy == nil {
		return nil
	}
	var out []checks.Exception
	for _, e := range policy.Exceptions {
		if Concerns(e, subject) {
			out = append(out, e)
		}
	}
	return out
}

// Concerns reports whether e speaks of a subject.
func Concerns(e checks.Exception, subject checks.Ref) bool {
	switch subject.Kind {
	case checks.Dockerfile, checks.Compose:
		rel, err := filepath.Rel(e.Root, subject.ID)
		return e.Path != "" && err == nil && filepath.IsLocal(rel) && Match(e.Path, filepath.ToSlash(rel), true)
	case checks.Container:
		return e.Container != "" && Match(e.Container, subject.Name, false)
	case checks.Image:
		return e.Image != "" && Match(e.Image, subject.Name, false)
	case checks.Host:
		return e.Host
	}
	return false
}

// Match reports whether name matches pattern, in which * is any text and ? any
// character. In a path both stop at slashes, and ** is any number of
// directories. It takes time in proportion to the product of the lengths at
// most, whatever the pattern.
func Match(pattern, name string, path bool) bool {
	if !path {
		return wildcard(pattern, name)
	}
	return segments(strings.Split(strings.TrimPrefix(pattern, "./"), "/"), strings.Split(name, "/"))
}

// segments matches directories like wildcard matches characters: on a mismatch
// the last ** takes one more.
func segments(pattern, name []string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, from = p, n
			p++
		case p < len(pattern) && wildcard(pattern[p], name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}

func wildcard(pattern, name string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
