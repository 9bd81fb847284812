package packages

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// readNode reads the package.json of an installed package.
func readNode(data []byte) []Package {
	var doc struct{ Name, Version string }
	if json.Unmarshal(data, &doc) != nil || doc.Name == "" || doc.Version == "" {
		return nil
	}
	return []Package{{Type: NPM, Name: doc.Name, Version: doc.Version}}
}

// readNodeLock reads package-lock.json and npm-shrinkwrap.json of every
// version of the format.
func readNodeLock(data []byte) []Package {
	type dependency struct {
		Version      string
		Dev          bool
		Dependencies map[string]json.RawMessage
	}
	var doc struct {
		Packages map[string]struct {
			Name, Version string
			Dev, Link     bool
		}
		Dependencies map[string]json.RawMessage
	}
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	var out []Package
	add := func(name, version string, dev bool) {
		if name != "" && version != "" && !dev && !strings.Contains(version, ":") {
			out = append(out, Package{Type: NPM, Name: name, Version: version})
		}
	}
	if len(doc.Packages) > 0 {
		for _, at := range slices.Sorted(maps.Keys(doc.Packages)) {
			p := doc.Packages[at]
			if i := strings.LastIndex(at, "node_modules/"); i >= 0 && !p.Link {
				if p.Name == "" {
					p.Name = at[i+len("node_modules/"):]
				}
				add(p.Name, p.Version, p.Dev)
			}
		}
		return out
	}
	var walk func(map[string]json.RawMessage, int)
	walk = func(all map[string]json.RawMessage, depth int) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			var d dependency
			if json.Unmarshal(all[name], &d) == nil && depth < 64 {
				add(name, d.Version, d.Dev)
				walk(d.Dependencies, depth+1)
			}
		}
	}
	walk(doc.Dependencies, 0)
	return out
}

// readComposer reads vendor/composer/installed.json and composer.lock.
func readComposer(data []byte) []Package {
	type list []struct{ Name, Version string }
	var doc struct{ Packages list }
	if json.Unmarshal(data, &doc) != nil && json.Unmarshal(data, &doc.Packages) != nil {
		return nil
	}
	var out []Package
	for _, p := range doc.Packages {
		if p.Name != "" && p.Version != "" {
			out = append(out, Package{Type: PHP, Name: p.Name, Version: strings.TrimPrefix(p.Version, "v")})
		}
	}
	return out
}
