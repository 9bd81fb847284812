package dockertest

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/events"
)

// filters are the values wanted by key; a key that is absent wants all.
type filters map[string][]string

func parseFilters(r *http.Request) (filters, error) {
	text := r.FormValue("filters")
	if text == "" {
		return nil, nil
	}
	var sets map[string]map[string]bool
	if err := json.Unmarshal([]byte(text), &sets); err == nil {
		f := filters{}
		for key, set := range sets {
			f[key] = slices.Sorted(maps.Keys(set))
		}
		return f, nil
	}
	var lists filters // as very old clients write it
	if err := json.Unmarshal([]byte(text), &lists); err != nil {
		return nil, badRequest("invalid filter: %v", err)
	}
	return lists, nil
}

// known refuses keys that the call does not have.
func (f filters) known(keys ...string) error {
	for key := range f {
		if !slices.Contains(keys, key) {
			return badRequest("Invalid filter '%s'", key)
		}
	}
	return nil
}

// exact reports whether one of the values is wanted.
func (f filters) exact(key string, values ...string) bool {
	want, ok := f[key]
	if !ok || len(want) == 0 {
		return true
	}
	return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(want, v) })
}

// labels reports whether all wanted labels ("key" or "key=value") are there.
func (f filters) labels(have map[string]string) bool {
	for _, want := range f["label"] {
		key, value, exact := strings.Cut(want, "=")
		got, ok := have[key]
		if !ok || exact && got != value {
			return false
		}
	}
	return true
}

func (f filters) event(m events.Message) bool {
	if f == nil {
		return true
	}
	name := m.Actor.Attributes["name"]
	action := string(m.Action)
	verb, _, _ := strings.Cut(action, ":") // "health_status: healthy" is found as "health_status"
	return f.exact("type", string(m.Type)) &&
		f.exact("event", action, verb) &&
		f.exact("scope", m.Scope) &&
		f.subject(m, events.ContainerEventType, "container", name) &&
		f.subject(m, events.ImageEventType, "image", name, m.Actor.Attributes["image"]) &&
		f.subject(m, events.NetworkEventType, "network", name) &&
		f.subject(m, events.VolumeEventType, "volume", name) &&
		f.labels(m.Actor.Attributes)
}

func (f filters) subject(m events.Message, kind events.Type, key string, names ...string) bool {
	if _, ok := f[key]; !ok {
		return true
	}
	if m.Type != kind && key != "image" {
		return false
	}
	return f.exact(key, append(names, m.Actor.ID)...)
}

// part reports whether a value contains one of the wanted texts, or matches it
// as a regular expression.
func (f filters) part(key, value string) bool {
	want, ok := f[key]
	return !ok || slices.ContainsFunc(want, func(w string) bool {
		if regexp.QuoteMeta(w) == w {
			return strings.Contains(value, w)
		}
		found, err := regexp.MatchString(w, value)
		return w == value || err == nil && found
	})
}

// beginning reports whether a value starts with one of the wanted texts.
func (f filters) beginning(key, value string) bool {
	want, ok := f[key]
	return !ok || slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(value, w) })
}
