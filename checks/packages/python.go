package packages

import (
	"bytes"
	"regexp"
	"strings"
)

// readPython reads METADATA of a dist-info directory, or PKG-INFO of an
// egg-info: headers as in mail, then a description.
func readPython(data []byte) []Package {
	p := Package{Type: PyPI}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), ":")
		switch strings.ToLower(key) {
		case "name":
			p.Name = pythonName(spelled(value))
		case "version":
			p.Version = spelled(value)
		}
	}
	if p.Name == "" || p.Version == "" {
		return nil
	}
	return []Package{p}
}

var pythonSeparators = regexp.MustCompile(`[-_.]+`)

// pythonName returns name as the index normalises it (PEP 503).
func pythonName(name string) string {
	return strings.ToLower(pythonSeparators.ReplaceAllString(name, "-"))
}

var pinned = regexp.MustCompile(`(?m)^\s*name = "([^"]+)"\s*\n\s*version = "([^"]+)"`)

// readTOMLLock reads poetry.lock, uv.lock and Cargo.lock: each package is a
// table that starts with its name and its version.
func readTOMLLock(kind Type) func([]byte) []Package {
	return func(data []byte) []Package {
		var out []Package
		for _, m := range pinned.FindAllSubmatch(bytes.ReplaceAll(data, []byte("\r"), nil), -1) {
			name := string(m[1])
			if kind == PyPI {
				name = pythonName(name)
			}
			out = append(out, Package{Type: kind, Name: name, Version: string(m[2])})
		}
		return out
	}
}
