package packages

import (
	"bytes"
	"regexp"
	"strings"
)

var (
	gemName    = regexp.MustCompile(`(?m)^\s*s\.name\s*=\s*["']([^"']+)["']`)
	gemVersion = regexp.MustCompile(`(?m)^\s*s\.version\s*=\s*["']([^"']+)["']`)
)

// readGem reads a specification as RubyGems writes it: a program, but of
// assignments only.
func readGem(data []byte) []Package {
	name, version := gemName.FindSubmatch(data), gemVersion.FindSubmatch(data)
	if name == nil || version == nil {
		return nil
	}
	return []Package{{Type: Gem, Name: string(name[1]), Version: string(version[1])}}
}

// readGemLock reads the GEM part of a Gemfile.lock: four spaces, a name, and
// the version in parentheses, with the platform behind a dash.
func readGemLock(data []byte) []Package {
	var out []Package
	inside := false
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		text := strings.TrimRight(string(line), "\r")
		if text != "" && text[0] != ' ' {
			inside = text == "GEM"
			continue
		}
		entry, ok := strings.CutPrefix(text, "    ")
		if !ok || !inside || strings.HasPrefix(entry, " ") {
			continue
		}
		name, version, ok := strings.Cut(strings.TrimSuffix(entry, ")"), " (")
		if !ok {
			continue
		}
		version, _, _ = strings.Cut(version, "-")
		out = append(out, Package{Type: Gem, Name: name, Version: version})
	}
	return out
}
