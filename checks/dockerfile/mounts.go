package dockerfile

import (
	"path"
	"slices"
	"strings"
)

// A mount is one --mount of a RUN.
type mount struct {
	flag   Flag
	kind   string // "bind" by default
	from   string
	source string
	target string
	id     string
}

// mounts returns the mounts of in.
func (in *Instruction) mounts() []mount {
	var out []mount
	for _, flag := range in.Flags {
		if flag.Name != "mount" {
			continue
		}
		m := mount{flag: flag, kind: "bind"}
		for _, field := range strings.Split(flag.Value, ",") {
			name, value, _ := strings.Cut(field, "=")
			switch strings.ToLower(name) {
			case "type":
				m.kind = strings.ToLower(value)
			case "from":
				m.from = value
			case "source", "src":
				m.source = value
			case "target", "dst", "destination":
				m.target = value
			case "id":
				m.id = value
			}
		}
		if m.kind == "secret" && m.id == "" {
			m.id = path.Base(m.target)
		}
		out = append(out, m)
	}
	return out
}

// mountsOf returns the mounts of in that name the id.
func (in *Instruction) mountsOf(id string) []mount {
	return slices.DeleteFunc(in.mounts(), func(m mount) bool { return m.id != id })
}

// mountsKind reports whether in has a mount of the kind.
func (in *Instruction) mountsKind(kind string) bool {
	for _, m := range in.mounts() {
		if m.kind == kind {
			return true
		}
	}
	return false
}
