package container

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
)

// Containers of docker compose are not replaced here when their image changes:
// the original that would be kept as the way back has the labels of compose,
// which takes it for a second one of the service and removes one of them. Their
// tag is moved, with all others of the image, and compose makes them anew from it
// when it is asked to; it carries over what they keep in volumes without a name.

// A project is what docker compose makes containers from.
type project struct {
	name, dir string
	files     string // separated by commas
}

const composeDir = "com.docker.compose.project.working_dir"

// project returns what docker compose made the container from, where its files
// are here.
func (w *world) project() (p project, service string, ok bool) {
	labels := w.ownLabels()
	p, service = project{name: labels[composeProject], dir: labels[composeDir]}, labels[composeService]
	if p.name == "" || service == "" || strings.EqualFold(labels[composeOneOff], "true") || !filepath.IsAbs(p.dir) || !w.local() || !w.foreign().IsZero() {
		return p, service, false
	}
	var all []string
	for file := range strings.SplitSeq(labels[composeFiles], ",") {
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.dir, file)
		}
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return p, service, false
		}
		all = append(all, file)
	}
	p.files = strings.Join(all, ",")
	return p, service, true
}

// A deployment is what docker compose is left to do.
type deployment struct {
	project  project
	services []string
	worlds   []*world
	plans    []*fixes.Plan // what would come of it, blocked
}

// compose returns the deployment of those of worlds that can follow, of the
// project that has most of them: one command is one project's. blocked are their
// plans by name. It is nil where there are none.
func compose(worlds []*world, blocked map[string]*fixes.Plan) *deployment {
	byProject := map[project]*deployment{}
	for _, w := range worlds {
		plan := blocked[w.name()]
		p, service, ok := w.project()
		if !ok || plan == nil {
			continue
		}
		d := byProject[p]
		if d == nil {
			d = &deployment{project: p}
			byProject[p] = d
		}
		if !slices.Contains(d.services, service) {
			d.services = append(d.services, service)
		}
		d.worlds, d.plans = append(d.worlds, w), append(d.plans, plan)
	}
	if len(byProject) == 0 {
		return nil
	}
	return slices.MaxFunc(slices.Collect(maps.Values(byProject)), func(a, b *deployment) int {
		return cmp.Or(cmp.Compare(len(a.worlds), len(b.worlds)), strings.Compare(b.project.name, a.project.name))
	})
}

// command returns what docker compose is asked.
func (d *deployment) command() []string {
	slices.Sort(d.services)
	return files.ComposeUp(d.project.dir, d.project.name, strings.Split(d.project.files, ","), d.services)
}

// names returns the names of its containers.
func (d *deployment) names() string {
	var names []string
	for _, w := range d.worlds {
		names = append(names, clean(w.name()))
	}
	return strings.Join(names, ", ")
}

// note says what is left to do.
func (d *deployment) note() checks.Message {
	return checks.Msg("docker compose manages %s and makes them anew from the image when it is asked to: %s", d.names(), clean(fixes.Command(d.command())))
}
