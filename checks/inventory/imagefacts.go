package inventory

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	api "github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
)

// goarch returns the name that images use for a machine of uname(1).
func goarch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv6l":
		return "arm"
	case "i386", "i686":
		return "386"
	}
	return machine
}

// imageRules returns what policy says about images.
func imageRules(policy *checks.Policy) image.Rules {
	if policy == nil {
		return image.Rules{}
	}
	return image.Rules{Registries: policy.Registries, Licenses: policy.Licenses, CoolDown: policy.CoolDown}
}

// labelBase is the label by which an image names what it was built on.
const labelBase = "org.opencontainers.image.base.name"

// base returns what the engine has now of the image that i was built on; nil
// when i does not name it, or it is not here.
func (r reader) base(ctx context.Context, i *api.InspectResponse) (*image.Base, error) {
	if i.Config == nil || i.Config.Labels[labelBase] == "" {
		return nil, nil
	}
	name := i.Config.Labels[labelBase]
	id := r.images.resolve(name)
	if id == "" || id == i.ID || strings.Contains(name, "@") {
		return nil, nil
	}
	b, err := r.images.inspect(ctx, r.client, id)
	if err != nil || b == nil {
		return nil, err
	}
	return &image.Base{Name: name, Layers: b.RootFS.Layers, Date: b.Created, Source: "label " + labelBase}, nil
}

// contentTrust returns where the client of this user keeps data of Docker
// Content Trust about one of tags, "" without any.
func contentTrust(tags []string) string {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	dir = filepath.Join(dir, "trust", "tuf")
	if _, err := os.Stat(dir); err != nil {
		return "" // nobody here uses it
	}
	for _, tag := range tags {
		named, err := reference.ParseNormalizedNamed(tag)
		if err != nil {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(named.Name()))
		if info, err := os.Stat(filepath.Join(path, "metadata")); err == nil && info.IsDir() {
			return path
		}
	}
	return ""
}

// imagesSee tells images which containers use them, once everything was listed,
// and what builds them, once everything was read.
func (w *world) imagesSee() {
	if !w.engineListed {
		return
	}
	use := map[string][]string{}
	for key, id := range w.users {
		if item, ok := w.items[key]; ok {
			use[id] = append(use[id], item.Ref.Name)
		} else {
			delete(w.users, key)
		}
	}
	var builders []Item
	if w.out.complete && len(w.v.options.Roots) > 0 {
		builders = buildersOf(w.items)
	}
	renewed := w.builders
	w.builders = false
	for _, item := range w.items {
		i, ok := item.Subject.(*image.Image)
		if !ok {
			continue
		}
		names := use[i.Inspect.ID]
		slices.Sort(names)
		builds := i.Builds
		if builders != nil && (builds == nil || renewed) {
			builds = buildsOf(i, builders)
		}
		if i.Use != nil && slices.Equal(i.Use.Containers, names) && (i.Builds == nil) == (builds == nil) && slices.Equal(i.Builds, builds) {
			continue
		}
		seen := *i
		seen.Use, seen.Builds = &image.Use{Containers: names}, builds
		item.Subject = &seen
		w.rejudge(item)
	}
}

// buildersOf returns the Dockerfiles and compose files among items, in order;
// not nil.
func buildersOf(items map[identity]Item) []Item {
	out := []Item{}
	for _, item := range items {
		if item.Ref.Kind == checks.Dockerfile || item.Ref.Kind == checks.Compose {
			out = append(out, item)
		}
	}
	slices.SortFunc(out, func(a, b Item) int { return strings.Compare(a.Ref.ID, b.Ref.ID) })
	return out
}

// buildsOf returns those builders that made i: compose files by the tag,
// Dockerfiles by the history. It is not nil.
func buildsOf(i *image.Image, builders []Item) []checks.Ref {
	out := []checks.Ref{}
	for _, b := range builders {
		switch s := b.Subject.(type) {
		case *compose.File:
			if _, builds := BuiltBy(s, i.Inspect.RepoTags); builds {
				out = append(out, b.Ref)
			}
		case *dockerfile.File:
			if i.MadeBy(instructionsOf(s)) {
				out = append(out, b.Ref)
			}
		}
	}
	return out
}

// BuiltBy reports whether a service of f builds an image with one of tags, and from
// which Dockerfile; "" where that is not known.
func BuiltBy(f *compose.File, tags []string) (dockerfile string, builds bool) {
	folder := strings.ToLower(filepath.Base(filepath.Dir(f.Ref().ID)))
	for _, s := range f.Services {
		if s.Compose == nil {
			continue
		}
		if _, built := s.Compose.Keys["build"]; !built {
			continue
		}
		names := []string{s.Settings.Image}
		if s.Settings.Image == "" {
			names = []string{folder + "-" + s.Ref().Name, folder + "_" + s.Ref().Name}
		}
		for _, name := range names {
			named, err := reference.ParseDockerRef(name)
			if err == nil && slices.Contains(tags, reference.FamiliarString(named)) {
				return s.Compose.Dockerfile, true
			}
		}
	}
	return "", false
}

// instructionsOf returns the instructions of the last stage as a history shows
// them, keyword and arguments.
func instructionsOf(f *dockerfile.File) [][2]string {
	final := f.Final()
	if final == nil {
		return nil
	}
	var out [][2]string
	for _, in := range final.Instructions {
		out = append(out, [2]string{in.Keyword, in.Args.String})
	}
	return out
}
