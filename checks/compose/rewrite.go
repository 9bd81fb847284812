package compose

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/yamledit"
)

// A rewriting changes one service of a file into what other settings ask for.
type rewriting struct {
	yamledit.Editor
	service *yaml.Node
	before  *checks.Settings
	want    *checks.Settings
	merges  bool // the service takes keys from elsewhere too
}

// Rewrite returns the edits that make service read as want, and nothing in the
// file differently besides. They are tried on a copy.
func (f *File) Rewrite(service string, want *checks.Settings, reason checks.Message) ([]checks.Edit, error) {
	c := f.service(service)
	if c == nil {
		return nil, refused(checks.Msg("%s has no service %s", f.Name, service))
	}
	text, err := yamledit.Parse(f.Source)
	if err != nil {
		return nil, err
	}
	r := rewriting{Editor: yamledit.Editor{File: text, Reason: reason}, before: &c.Settings, want: want}
	if r.service, err = written(text, service); err != nil {
		return nil, err
	}
	for _, p := range pairs(r.service) {
		r.merges = r.merges || !slices.Contains(r.service.Content, p.key)
	}
	_, extends := yamledit.Get(r.service, "extends")
	r.merges = r.merges || extends != nil
	for _, k := range keys {
		if err := r.set(k); err != nil {
			return nil, refused(checks.Msg("%s of %s cannot be changed here: %s", strings.Join(k.path, "."), service, because(err)))
		}
	}
	for _, c := range []struct {
		key    string
		change func() error
	}{{"logging", r.logging}, {"ports", r.ports}, {"volumes", r.volumes}, {"network_mode", r.networks}, {"sysctls", r.sysctls}} {
		if err := c.change(); err != nil {
			return nil, refused(checks.Msg("%s of %s cannot be changed here: %s", c.key, service, because(err)))
		}
	}
	slices.SortStableFunc(r.Edits, func(a, b checks.Edit) int { return a.Start - b.Start })
	return r.Edits, f.holds(r.Edits, service, want)
}

func refused(why checks.Message) error { return &checks.Problem{What: why} }

// because returns what err says, as a part of a sentence.
func because(err error) checks.Message {
	var p *checks.Problem
	if errors.As(err, &p) {
		return p.What
	}
	return checks.Msg("%s", err.Error())
}

func (f *File) service(name string) *container.Container {
	for _, s := range f.Services {
		if s.Compose.Service == name {
			return s
		}
	}
	return nil
}

// written returns the mapping that service is written in.
func written(text *yamledit.File, service string) (*yaml.Node, error) {
	var found []*yaml.Node
	for _, root := range text.Roots {
		_, services := yamledit.Get(root, "services")
		if _, node := yamledit.Get(services, service); node != nil {
			found = append(found, node)
		}
	}
	if len(found) != 1 || found[0].Kind != yaml.MappingNode {
		return nil, refused(checks.Msg("%s is not written as a list of keys in one place", service))
	}
	return found[0], nil
}

var (
	errVariable = refused(checks.Msg("it depends on a variable: change that where it is set"))
	errMerged   = refused(checks.Msg("it comes from another place, and what comes from there cannot be taken away here"))
)

// set writes k where the settings differ in it.
func (r *rewriting) set(k key) error {
	was, want := k.value(r.before), k.value(r.want)
	if reflect.DeepEqual(was, want) {
		return nil
	}
	path := k.path
	if k.below != nil && r.has(k.below[:len(k.below)-1]) {
		path = k.below
	}
	if path[0] == "restart" && r.has(at("deploy", "restart_policy")) {
		return yamledit.ErrLayout
	}
	m, rest := r.descend(path)
	name := rest[0]
	_, old := yamledit.Get(m, name)
	if len(rest) > 1 && old != nil {
		return errMerged // an alias, or something that holds no keys
	}
	if dynamic(old) {
		return errVariable
	}
	if want == nil {
		return r.unset(m, name, k.neutral)
	}
	if list, ok := want.(yamledit.List); ok && old != nil && old.Kind == yaml.SequenceNode {
		return r.relist(m, name, old, list, k.same)
	}
	for i := len(rest) - 1; i > 0; i-- {
		want = yamledit.Map{{Key: rest[i], Value: want}}
	}
	return r.Set(m, name, want)
}

// descend follows path through the mappings that are written, and returns the
// last of them with the rest of the path.
func (r *rewriting) descend(path []string) (*yaml.Node, []string) {
	m := r.service
	for len(path) > 1 {
		_, next := yamledit.Get(m, path[0])
		if next == nil || next.Kind != yaml.MappingNode {
			break
		}
		m, path = next, path[1:]
	}
	return m, path
}

func (r *rewriting) has(path []string) bool {
	m, rest := r.descend(path)
	_, v := yamledit.Get(m, rest[0])
	return len(rest) == 1 && v != nil
}

// dynamic reports whether a value, or an entry of it, is made from variables.
func dynamic(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	return n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "$") || slices.ContainsFunc(n.Content, dynamic)
}

// unset takes a key away.
func (r *rewriting) unset(m *yaml.Node, name string, neutral yamledit.Value) error {
	own, _ := yamledit.Get(m, name)
	if own != nil && !r.merges && len(m.Content) > 2 {
		return r.Remove(m, name)
	}
	if neutral == nil {
		return errMerged
	}
	return r.Set(m, name, neutral)
}

// relist takes single entries out of a list and puts others behind it.
func (r *rewriting) relist(m *yaml.Node, name string, list *yaml.Node, want yamledit.List, same func(string) string) error {
	if same == nil {
		same = func(entry string) string { return entry }
	}
	var added []string
	wanted := map[string]bool{}
	for _, entry := range want {
		wanted[same(unquoted(entry))] = true
		if !slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return same(resolve(n).Value) == same(unquoted(entry)) }) {
			added = append(added, entry)
		}
	}
	var gone []*yaml.Node
	for _, item := range list.Content {
		if resolve(item).Kind != yaml.ScalarNode {
			return yamledit.ErrLayout
		}
		if !wanted[same(resolve(item).Value)] {
			gone = append(gone, item)
		}
	}
	// One that takes the place of another stays where that was.
	for len(gone) > 0 && len(added) > 0 {
		if err := r.Replace(gone[0], yamledit.Scalar(added[0])); err != nil {
			return err
		}
		gone, added = gone[1:], added[1:]
	}
	for _, item := range gone {
		if err := r.RemoveItem(list, item); err != nil {
			return err
		}
	}
	if len(added) == 0 {
		return nil
	}
	return r.Append(list, added...)
}

// unquoted returns the entry that was written as text.
func unquoted(text string) string {
	var s string
	if yaml.Unmarshal([]byte(text), &s) != nil {
		return text
	}
	return s
}

// holds tries edits on a copy: service must read as want, and all else as before.
func (f *File) holds(edits []checks.Edit, service string, want *checks.Settings) error {
	if len(edits) == 0 {
		return refused(checks.Msg("a compose file has no key for this: change it where the container is made"))
	}
	for i := 1; i < len(edits); i++ {
		if edits[i].Start < edits[i-1].End {
			return fmt.Errorf("edits of %s overlap", service)
		}
	}
	next, err := f.edited(edits)
	if err != nil {
		return err
	}
	for i, s := range next.Services {
		expected := &f.Services[i].Settings
		if s.Compose.Service == service {
			expected = want.Clone()
			if mode := s.Settings.Host.NetworkMode; f.Services[i].Settings.Host.NetworkMode.IsBridge() && mode != want.Host.NetworkMode && mode.IsUserDefined() {
				expected.Host.NetworkMode, expected.Networks = mode, s.Settings.Networks // that of the project
			}
		}
		if !equalSettings(&s.Settings, expected) {
			return refused(checks.Msg("%s would not read as intended: something else in the file, or a file that it extends, decides", s.Compose.Service))
		}
	}
	return nil
}

// edited returns the file with edits: every value that none of them touches is
// as before, and so are the names of the services.
func (f *File) edited(edits []checks.Edit) (*File, error) {
	if err := yamledit.Keeps(f.Source, edits); err != nil {
		return nil, err
	}
	next, err := f.With(applied(f.Source, edits))
	if err != nil {
		return nil, err
	}
	if len(next.Services) != len(f.Services) {
		return nil, refused(checks.Msg("the file would have other services"))
	}
	return next, nil
}

// editor returns what edits the keys of the file, and those.
func (f *File) editor(reason checks.Message) (yamledit.Editor, *yaml.Node, error) {
	text, err := yamledit.Parse(f.Source)
	if err != nil {
		return yamledit.Editor{}, nil, err
	}
	if len(text.Roots) != 1 {
		return yamledit.Editor{}, nil, refused(checks.Msg("%s is not written as a list of keys in one place", f.Name))
	}
	return yamledit.Editor{File: text, Reason: reason}, text.Roots[0], nil
}

// applied returns source with edits, which are in order and disjoint.
func applied(source []byte, edits []checks.Edit) []byte {
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, source[at:e.Start]...), e.New...)
		at = e.End
	}
	return append(out, source[at:]...)
}

func equalSettings(a, b *checks.Settings) bool { return reflect.DeepEqual(canonical(a), canonical(b)) }

// canonical returns s without what can be said in more than one way.
func canonical(s *checks.Settings) any {
	c := s.Clone()
	if h := c.Host; h != nil {
		if h.MemorySwap == 2*h.Memory {
			h.MemorySwap = 0
		}
		if h.RestartPolicy.IsNone() {
			h.RestartPolicy.Name = ""
		}
		if len(h.LogConfig.Config) > 0 && h.LogConfig.Type == "" {
			h.LogConfig.Type = "json-file"
		}
		for _, list := range [][]string{h.CapAdd, h.CapDrop} {
			for i := range list {
				list[i] = capability(list[i])
			}
			slices.Sort(list)
		}
		for i, d := range h.Devices {
			if d.CgroupPermissions == "" {
				h.Devices[i].CgroupPermissions = "rwm"
			}
		}
	}
	data, err := json.Marshal([]any{c.Image, c.Config, c.Host, c.Networks})
	if err != nil {
		panic("compose: settings do not marshal: " + err.Error())
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		panic("compose: settings do not unmarshal: " + err.Error())
	}
	return pruned(v)
}

// pruned returns v without entries that hold nothing.
func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if e = pruned(e); e != nil {
				out[k] = e
			}
		}
		if len(out) > 0 {
			return out
		}
		return nil
	case []any:
		var out []any
		for _, e := range v {
			out = append(out, pruned(e))
		}
		if len(out) > 0 {
			return out
		}
		return nil
	case string:
		if v != "" {
			return v
		}
		return nil
	case bool:
		if v {
			return v
		}
		return nil
	case float64:
		if v != 0 {
			return v
		}
		return nil
	}
	return v
}
