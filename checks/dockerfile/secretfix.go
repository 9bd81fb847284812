package dockerfile

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// A hidden variable is one that leaves the file: who declares it, which steps
// read it, and what it was.
type hidden struct {
	name      string
	id        string // of the build secret
	declared  []*Instruction
	consumers []*Instruction
	env       bool   // by ENV, so the container has it too
	value     string // "" when no value is written down
}

// hideFix returns the fix that turns the variable name into a build secret, or
// leaves it to whoever starts the container where no step reads it.
func (f *File) hideFix(name string) []checks.Fix {
	if !f.ordinary() || f.Refusal != nil {
		return nil
	}
	group := f.hiddenWith(name)
	if len(group) == 0 {
		return nil
	}
	self := group[slices.IndexFunc(group, func(h hidden) bool { return h.name == name })]
	edits, ok := f.hideEdits(group)
	if !ok {
		return nil
	}
	fix := checks.Fix{ID: "build-secret", Edit: fixed(edits...)}
	switch {
	case len(self.consumers) == 0:
		fix.ID = "run-time"
		fix.Title = checks.Msg("leave %s out of the image", name)
		fix.Caution = checks.Msg("the container must get %s when it starts, with --env-file or as a secret; and change it, it has been seen", name)
	case self.env:
		fix.Title = checks.Msg("give %s to the steps that need it as a build secret", name)
		fix.Caution = checks.Msg("the build needs --secret id=%s,src=FILE, and a container that reads %s must get it when it starts", self.id, name)
	default:
		fix.Title = checks.Msg("give %s to the steps that need it as a build secret", name)
		fix.Caution = checks.Msg("the build needs --secret id=%s,src=FILE instead of --build-arg %s=…", self.id, name)
	}
	return []checks.Fix{fix}
}

// hiddenWith returns what has to be hidden together with name: an ENV of which
// nothing would be left has to go as a whole.
func (f *File) hiddenWith(name string) []hidden {
	first, ok := f.hidden(name)
	if !ok {
		return nil
	}
	group := []hidden{first}
	for i := 0; i < len(group); i++ {
		for _, in := range group[i].declared {
			var others []hidden
			whole := len(f.Pairs(in)) <= 32
			for _, p := range f.Pairs(in) {
				if slices.ContainsFunc(group, func(h hidden) bool { return h.name == p.Name }) {
					continue
				}
				h, ok := f.hidden(p.Name)
				if whole = whole && ok && secret.SensitiveName(p.Name) && mayBeSecret(in, p); whole {
					others = append(others, h)
				}
			}
			if whole {
				group = append(group, others...)
			}
		}
	}
	return group
}

// hidden returns the variable name if everything that uses it is understood.
func (f *File) hidden(name string) (hidden, bool) {
	h := hidden{name: name, id: keptID(name)}
	for _, in := range f.Instructions {
		declares := (in.Keyword == "ENV" || in.Keyword == "ARG") && f.declares(in, name)
		switch {
		case declares:
			h.declared = append(h.declared, in)
			h.env = h.env || in.Keyword == "ENV"
			for _, p := range f.Pairs(in) {
				if p.Name != name {
					if f.refers(p.Value, name) {
						return h, false
					}
					continue
				}
				if !p.HasValue || !secret.Literal(p.Value) || strings.Contains(p.Value, "$") {
					continue
				}
				value, _ := f.expand(p.Value, variables{})
				if h.value != "" && h.value != value {
					return h, false // two values for one name: a person has to decide
				}
				h.value = value
			}
		case in.Keyword == "RUN" && in.Stage != nil && f.refers(string(f.Source[in.Start:in.End]), name):
			h.consumers = append(h.consumers, in)
		case in.Keyword == "CMD" || in.Keyword == "ENTRYPOINT" || in.Keyword == "HEALTHCHECK":
			// Read when the container runs.
		case f.refers(in.Args.String, name):
			return h, false
		}
	}
	if len(h.consumers) == 0 && !h.env {
		h.consumers = f.silentConsumers(name)
		if len(h.consumers) == 0 {
			return h, false
		}
	}
	return h, len(h.declared) > 0 && len(h.declared)+len(h.consumers) <= 100
}

// refers reports whether text uses the variable name.
func (f *File) refers(text, name string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(name)
		before := strings.TrimSuffix(text[:start], "{")
		if strings.HasSuffix(before, "$") && (end == len(text) || text[end] != '_' && !isLetterOrDigit(text[end])) {
			return true
		}
		at = end
	}
}

// silentConsumers returns the steps with a tool that reads the variable name
// without being told to.
func (f *File) silentConsumers(name string) []*Instruction {
	var tools []string
	for _, t := range []struct{ names, tools string }{
		{"NPM_TOKEN NODE_AUTH_TOKEN", "npm yarn pnpm"},
		{"GITHUB_TOKEN GH_TOKEN", "gh"},
		{"COMPOSER_AUTH", "composer"},
		{"AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN", "aws"},
		{"CARGO_REGISTRY_TOKEN", "cargo"},
		{"TWINE_PASSWORD", "twine"},
		{"SENTRY_AUTH_TOKEN", "sentry-cli"},
	} {
		if slices.Contains(strings.Fields(t.names), name) {
			tools = strings.Fields(t.tools)
		}
	}
	var out []*Instruction
	f.eachRun(func(in *Instruction) {
		if slices.ContainsFunc(tools, func(tool string) bool { return hasWord(in.Args.String, tool) }) {
			out = append(out, in)
		}
	})
	return out
}

// longestID is how long the name of a kept secret may be.
const longestID = 64

// keptID returns the id of the build secret for a variable. Its value is kept in
// a file of that name, which is neither hidden nor longer than files may be.
func keptID(name string) string {
	id := strings.TrimLeft(secretID(name), ".-")
	if id == "" {
		id = "secret"
	}
	if len(id) > longestID {
		sum := sha256.Sum256([]byte(name))
		id = id[:longestID-9] + "-" + hex.EncodeToString(sum[:4])
	}
	return id
}

// secretID returns the id of the build secret for a variable or a file.
func secretID(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x80 && (isLetterOrDigit(byte(r)) || r == '_' || r == '-' || r == '.'):
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

// hideEdits takes the variables of group out of the file and gives them to the
// steps that read them.
func (f *File) hideEdits(group []hidden) ([]checks.Edit, bool) {
	var edits []checks.Edit
	for _, h := range group {
		for _, in := range h.consumers {
			more, ok := f.giveSecret(in, h)
			if !ok {
				return nil, false
			}
			edits = append(edits, more...)
		}
	}
	gone := func(name string) bool {
		return slices.ContainsFunc(group, func(h hidden) bool { return h.name == name })
	}
	reason := checks.Msg("what is declared here stays in the image for everyone who has it")
	for _, h := range group {
		for _, in := range h.declared {
			pairs := f.Pairs(in)
			var moved []checks.MovedSecret
			if h.value != "" {
				moved = []checks.MovedSecret{{ID: h.id, Value: checks.Sensitive(h.value)}}
			}
			if !slices.ContainsFunc(pairs, func(p Pair) bool { return !gone(p.Name) }) {
				if in.open {
					return nil, false
				}
				edit := f.remove(in, reason)
				edit.Moved = moved
				edits = append(edits, edit)
				continue
			}
			for i, p := range pairs {
				if p.Name != h.name {
					continue
				}
				edit := checks.Edit{Start: p.Start, End: p.End, Reason: reason, Moved: moved}
				if i == 0 {
					edit.End = pairs[1].Start
				} else {
					edit.Start = pairs[i-1].End
				}
				edits = append(edits, edit)
			}
		}
	}
	return edits, true
}

// giveSecret mounts the secret of h into the step in, as the variable that the
// step reads where the frontend can, else as a file that is read there.
func (f *File) giveSecret(in *Instruction, h hidden) ([]checks.Edit, bool) {
	if in.Stage.windows || !in.posix {
		return nil, false
	}
	if f.mountsVariables() && !in.open && in.Args.String != "" && len(in.mountsOf(h.id)) == 0 {
		flag := "--mount=type=secret,id=" + h.id + ",env=" + h.name
		if h.value != "" {
			flag += ",required=true"
		}
		at := in.Args.Offset(0)
		return []checks.Edit{{Start: at, End: at, New: flag + " ", Reason: checks.Msg("set for this step only, and stored nowhere")}}, true
	}
	export, ok := f.prependEdit(in, "export "+h.name+`="$(cat /run/secrets/`+h.id+`)"`, checks.Msg("read by this step only, and stored nowhere"))
	if !ok {
		return nil, false
	}
	return append(f.mountSecret(in, h.id, "", h.value != ""), export), true
}

// mountSecret returns the edit that mounts the build secret id into the step
// in, unless it is mounted there already.
func (f *File) mountSecret(in *Instruction, id, target string, required bool) []checks.Edit {
	if len(in.mountsOf(id)) > 0 {
		return nil
	}
	flag := "--mount=type=secret,id=" + id
	if target != "" {
		flag += ",target=" + target
	}
	if u := f.userAt(in); u.known && !u.isRoot() {
		flag += ",mode=0444" // the file would be root's
	}
	if required {
		flag += ",required=true"
	}
	at := in.Args.Offset(0)
	return []checks.Edit{{Start: at, End: at, New: flag + " ", Reason: checks.Msg("the secret is there during this step only")}}
}
