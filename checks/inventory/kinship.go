package inventory

import (
	"cmp"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
)

// A Kinship relates Dockerfiles, the images made from them, the containers of
// those, and the services of compose files that build or run them.
type Kinship struct {
	recipes map[*dockerfile.File]Recipe // what was worked out once
}

// A Family is everything that one image stands between.
type Family struct {
	Origins    []Origin // the surest first
	Images     []*Item
	Containers []*Item // of the images, by name
	Services   []Service
}

// An Origin is a Dockerfile from which an image of the family was made.
type Origin struct {
	Item  *Item
	File  *dockerfile.File
	Image *Item
	Match Match // what of it the image's history holds

	// Declared says that a compose file builds the image from it.
	Declared bool
}

// A Service is a service of a compose file to which containers belong, or
// which builds an image of the family.
type Service struct {
	Item *Item // the compose file
	Name string
	Line int
}

// Of returns the family of one subject among all.
func (k *Kinship) Of(of *Item, all iter.Seq[*Item]) Family {
	var f Family
	var files, images, containers, projects []*Item
	for item := range all {
		switch item.Subject.(type) {
		case *dockerfile.File:
			files = append(files, item)
		case *image.Image:
			images = append(images, item)
		case *container.Container:
			containers = append(containers, item)
		case *compose.File:
			projects = append(projects, item)
		}
	}
	slices.SortFunc(files, byName)
	slices.SortFunc(projects, byName)
	services := servicesOf(projects)

	switch s := of.Subject.(type) {
	case *container.Container:
		f.Images = imageOf(images, s)
	case *image.Image:
		f.Images = []*Item{of}
	case *dockerfile.File:
		slices.SortFunc(images, byName)
		f.Origins = k.madeFrom([]*Item{of}, images, containers, services)
		for _, o := range f.Origins {
			f.Images = append(f.Images, o.Image)
		}
	default:
		return f
	}
	if f.Origins == nil {
		f.Origins = k.madeFrom(files, f.Images, containers, services)
	}
	for _, c := range containers {
		made := c.Subject.(*container.Container)
		if slices.ContainsFunc(f.Images, func(i *Item) bool { return made.Inspect != nil && i.Ref.ID == made.Inspect.Image }) {
			f.Containers = append(f.Containers, c)
		}
	}
	slices.SortFunc(f.Containers, byName)
	if _, ok := of.Subject.(*container.Container); ok && len(f.Images) == 0 {
		f.Containers = []*Item{of} // its image is gone, or not read yet
	}
	f.Services = k.serving(f, services)
	return f
}

func byName(a, b *Item) int {
	return cmp.Or(strings.Compare(a.Ref.Name, b.Ref.Name), strings.Compare(a.Ref.ID, b.Ref.ID))
}

func imageOf(images []*Item, c *container.Container) []*Item {
	for _, i := range images {
		if c.Inspect != nil && i.Ref.ID == c.Inspect.Image {
			return []*Item{i}
		}
	}
	return nil
}

// A declared service is one with its compose file.
type declared struct {
	*container.Container
	project *Item
}

func servicesOf(projects []*Item) []declared {
	var out []declared
	for _, p := range projects {
		for _, s := range p.Subject.(*compose.File).Services {
			out = append(out, declared{s, p})
		}
	}
	return out
}

// madeFrom returns which of files each of images was made from. Files that are
// almost the same may all fit: those that fit best are taken.
func (k *Kinship) madeFrom(files, images, containers []*Item, services []declared) []Origin {
	var out []Origin
	for _, i := range images {
		img := i.Subject.(*image.Image)
		rows := ingredients(img.History)
		seen := map[string]bool{}
		for _, r := range rows {
			seen[r.keyword+" "+r.text] = true
			if r.to != "" {
				seen[r.keyword+" … "+r.to] = true
			}
		}
		type candidate struct {
			Origin
			recipe Recipe
			most   float64 // that the share of what is found can be
		}
		var candidates []candidate
		for _, item := range files {
			file := item.Subject.(*dockerfile.File)
			c := candidate{Origin: Origin{Item: item, File: file, Image: i, Declared: declares(services, containers, file.Path, i)}, recipe: k.recipe(file)}
			if m := c.recipe.atMost(seen); c.Declared || m.Sure() {
				c.most = c.share(m)
				candidates = append(candidates, c)
			}
		}
		slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.most, a.most) })
		var fit []Origin
		best := 0.0
		for _, c := range candidates {
			if c.most < best {
				break
			}
			c.Match = c.recipe.Align(img.History)
			share := c.share(c.Match)
			if !c.Declared && !c.Match.Sure() || share < best {
				continue
			}
			if share > best {
				best, fit = share, nil
			}
			fit = append(fit, c.Origin)
		}
		out = append(out, fit...)
	}
	return out
}

// share orders origins: what a compose file says counts more than any history.
func (o Origin) share(m Match) float64 {
	share := float64(m.Known) / float64(max(1, m.Of))
	if o.Declared {
		share++
	}
	return share
}

func (k *Kinship) recipe(f *dockerfile.File) Recipe {
	r, ok := k.recipes[f]
	if !ok {
		r = RecipeOf(f)
		if k.recipes == nil || len(k.recipes) > 4096 { // of files that have changed since, too
			k.recipes = map[*dockerfile.File]Recipe{}
		}
		k.recipes[f] = r
	}
	return r
}

// atMost returns what of r is in a history in whatever order: no alignment
// finds more.
func (r Recipe) atMost(seen map[string]bool) Match {
	var m Match
	for i := range r.steps {
		s := &r.steps[i]
		if !s.telling() {
			continue
		}
		m.Of++
		if s.open || seen[s.keyword+" "+s.text] || s.to != "" && seen[s.keyword+" … "+s.to] {
			m.Known++
		}
	}
	return m
}

// Labels that docker compose puts on what it makes.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
)

// declares reports whether a compose file builds image i from the Dockerfile at
// path: the image or a container of it carries the name of the service.
func declares(services []declared, containers []*Item, path string, i *Item) bool {
	return slices.ContainsFunc(services, func(s declared) bool {
		if s.Compose.Dockerfile != path {
			return false
		}
		if slices.ContainsFunc(i.Subject.(*image.Image).Inspect.RepoTags, func(tag string) bool { return sameTag(tag, s.Settings.Image) }) {
			return true
		}
		return slices.ContainsFunc(containers, func(c *Item) bool {
			made := c.Subject.(*container.Container)
			return made.Inspect != nil && made.Inspect.Image == i.Ref.ID && s.runs(made)
		})
	})
}

// sameTag reports whether two references name the same tag.
func sameTag(a, b string) bool {
	if b == "" {
		return false
	}
	if !strings.Contains(b[strings.LastIndex(b, "/")+1:], ":") {
		b += ":latest"
	}
	return a == b
}

// runs reports whether c is a container of the service.
func (s declared) runs(c *container.Container) bool {
	if c.Settings.Config == nil {
		return false
	}
	labels := c.Settings.Config.Labels
	if labels[composeService] != s.Compose.Service || labels[composeProject] == "" {
		return false
	}
	return slices.ContainsFunc(strings.Split(container.ComposeFiles(labels), ","), func(file string) bool {
		return filepath.Clean(file) == s.Compose.File
	})
}

// serving returns the services that run containers of f or build its images.
func (k *Kinship) serving(f Family, services []declared) []Service {
	var out []Service
	for _, s := range services {
		builds := s.Compose.Dockerfile != "" && slices.ContainsFunc(f.Origins, func(o Origin) bool { return o.File.Path == s.Compose.Dockerfile })
		runs := slices.ContainsFunc(f.Containers, func(c *Item) bool { return s.runs(c.Subject.(*container.Container)) })
		if builds || runs {
			out = append(out, Service{Item: s.project, Name: s.Compose.Service, Line: s.Compose.Line})
		}
	}
	return out
}

// LineOf returns the line of the instruction of o that made a row of the
// image's history, 0 when none is known to.
func (o Origin) LineOf(row int) int {
	for line, l := range o.Match.Layers {
		if l.Row == row {
			return line
		}
	}
	return 0
}

// causes are checks that see the same problem at three places: in a
// Dockerfile, in an image made from it, and in the containers of that.
var causes = [][]string{
	{"user-missing", "final-user-root", "image-user-root", "container-runs-as-root"},
	{"healthcheck-missing", "healthcheck-disabled", "image-healthcheck-missing", "container-healthcheck-missing"},
	{"secret-in-env-or-arg", "secret-literal-in-dockerfile", "image-secret-in-env", "image-secret-in-history", "container-secret-in-env"},
	{"cmd-shell-form", "image-shell-form-entrypoint"},
	{"sudo-used", "image-sudo-present", "image-history-sudo"},
	{"expose-ssh", "expose-management-port", "image-exposes-admin-port"},
	{"expose-privileged-port", "image-exposes-privileged-port"},
	{"volume-sensitive-path", "image-volume-sensitive-path"},
	{"add-instead-of-copy", "image-history-add"},
	{"package-index-update-alone", "image-history-update-alone"},
	{"apt-lists-left", "apk-cache-left", "yum-cache-left", "dnf-cache-left", "microdnf-cache-left", "pip-cache-left", "npm-cache-left",
		"yarn-cache-left", "bundler-cache-left", "zypper-cache-left", "image-history-cache-left"},
	{"tls-verify-off-curl", "tls-verify-off-wget", "tls-verify-off-git", "tls-verify-off-npm", "tls-verify-off-pip", "tls-verify-off-python",
		"tls-verify-off-node", "tls-verify-off-dnf", "pkg-signature-off-apt", "pkg-signature-off-apk", "pkg-signature-off-rpm", "image-history-tls-or-signature-off"},
	{"setuid-bit-added", "image-setuid-setgid-files"},
	{"world-writable-path", "image-world-writable-files"},
	{"secret-file-copied", "context-copies-vcs-or-env", "image-private-key", "image-credential-file", "image-secret-in-file"},
	{"base-image-eol", "image-eol-os"},
	{"base-image-known-vulnerable", "image-vulnerable-critical", "image-vulnerable-known-exploited", "image-vulnerable-likely-exploited", "image-vulnerable-from-base"},
}

// SameCause reports whether two checks see the same problem.
func SameCause(a, b *checks.Check) bool {
	if a.ID == b.ID {
		return true
	}
	return slices.ContainsFunc(causes, func(ids []string) bool {
		return slices.Contains(ids, a.ID) && slices.Contains(ids, b.ID)
	})
}
