package dockerfile

import (
	"strconv"
	"strings"
)

// A stageUse is a place that takes files from a stage or an image: the --from
// of a COPY, or the from of a mount.
type stageUse struct {
	in         *Instruction
	name       string // as written
	start, end int    // bytes of name; -1 when they are not plainly there
	mount      bool
}

// stageUses returns every place that names where files come from.
func (f *File) stageUses() []stageUse {
	var out []stageUse
	for _, in := range f.Instructions {
		if in.Stage == nil || len(in.Flags) == 0 || in.Keyword != "COPY" && in.Keyword != "RUN" {
			continue
		}
		for _, flag := range in.Flags {
			switch {
			case in.Keyword == "COPY" && flag.Name == "from":
				out = append(out, f.stageUse(in, flag, flag.Value, false))
			case in.Keyword == "RUN" && flag.Name == "mount":
				for field := range strings.SplitSeq(flag.Value, ",") {
					if name, ok := strings.CutPrefix(strings.TrimSpace(field), "from="); ok {
						out = append(out, f.stageUse(in, flag, name, true))
					}
				}
			}
		}
	}
	return out
}

func (f *File) stageUse(in *Instruction, flag Flag, name string, mount bool) stageUse {
	u := stageUse{in: in, name: name, start: -1, end: -1, mount: mount}
	if i := strings.Index(string(f.Source[flag.Start:flag.End]), "from="+name); i >= 0 {
		u.start = flag.Start + i + len("from=")
		u.end = u.start + len(name)
	}
	return u
}

// number returns the index of a stage that u gives in place of a name.
func (u stageUse) number() (int, bool) {
	n, err := strconv.Atoi(u.name)
	return n, err == nil && !u.mount
}

// stageOf returns the stage that u means, nil when it means an image. Of stages
// with one name it is the last, also for what stands above it.
func (f *File) stageOf(u stageUse) *Stage {
	if n, ok := u.number(); ok {
		if n < 0 || n >= len(f.Stages) {
			return nil
		}
		return f.Stages[n]
	}
	return f.stageNamed(u.name)
}

// stageNamed returns the last stage called name, or nil.
func (f *File) stageNamed(name string) *Stage {
	for i := len(f.Stages) - 1; i >= 0; i-- {
		if s := f.Stages[i]; s.Name != "" && strings.EqualFold(s.Name, name) {
			return s
		}
	}
	return nil
}

// needs returns what each stage is built from: the stage in its FROM and those
// that it takes files from.
func (f *File) needs() map[*Stage][]*Stage {
	out := map[*Stage][]*Stage{}
	for _, s := range f.Stages {
		if s.Parent != nil {
			out[s] = append(out[s], s.Parent)
		}
		if prefix, suffix, ok := namePattern(s.Base.Text); ok {
			for _, other := range f.Stages[:s.Index] {
				name := strings.ToLower(other.Name)
				if name != "" && len(name) >= len(prefix)+len(suffix) && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
					out[s] = append(out[s], other)
				}
			}
		}
	}
	for _, u := range f.stageUses() {
		if s := f.stageOf(u); s != nil {
			out[u.in.Stage] = append(out[u.in.Stage], s)
		}
	}
	return out
}

// namePattern returns what stands before and after the variables in a name
// that is chosen when the image is built, in lower case.
func namePattern(base string) (prefix, suffix string, ok bool) {
	start := strings.IndexByte(base, '$')
	if start < 0 {
		return "", "", false
	}
	if end := strings.LastIndexByte(base, '}'); end > start {
		suffix = base[end+1:]
	}
	return strings.ToLower(base[:start]), strings.ToLower(suffix), true
}
