package compose

import (
	"bytes"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// Labels by which compose tells where a container comes from.
const (
	labelService = "com.docker.compose.service"
	labelFiles   = "com.docker.compose.project.config_files"
	labelDir     = "com.docker.compose.project.working_dir"
	labelProject = "com.docker.compose.project"
	labelOneOff  = "com.docker.compose.oneoff"
)

// Runs reports whether c is a container of a service of the file at path, and
// of no other file besides, which might change the service.
func Runs(c *container.Container, path string) bool {
	config := c.Settings.Config
	return config != nil && container.ComposeFiles(config.Labels) == path && config.Labels[labelService] != "" && !c.Kept()
}

// eachDifference calls f for every container of a service and what it has in
// another way than the file says.
func (f *File) eachDifference(report func(*container.Container, *container.Container, []container.Difference)) {
	for _, service := range f.Services {
		for _, running := range f.Running {
			if running.Settings.Config.Labels[labelService] != service.Compose.Service {
				continue
			}
			all := slices.DeleteFunc(container.Differences(service, running), func(d container.Difference) bool { return f.variable(service, d.Keys) })
			report(service, running, all)
		}
	}
}

// observed returns service with what its container tells of the engine.
func (f *File) observed(service *container.Container) *container.Container {
	for _, running := range f.Running {
		if running.Settings.Config.Labels[labelService] == service.Compose.Service && running.Settings.Host != nil {
			seen := *service
			seen.EngineLog = &running.Settings.Host.LogConfig
			return &seen
		}
	}
	return service
}

// Drifting returns the services whose containers are not as the file says, but
// for those that were hardened, which would be lost.
func (f *File) Drifting() []string {
	drift, keep := map[string]bool{}, map[string]bool{}
	f.eachDifference(func(service, _ *container.Container, all []container.Difference) {
		for _, d := range all {
			drift[service.Compose.Service] = true
			keep[service.Compose.Service] = keep[service.Compose.Service] || d.Hardened
		}
	})
	var names []string
	for _, s := range f.Services {
		if name := s.Compose.Service; drift[name] && !keep[name] {
			names = append(names, name)
		}
	}
	return names
}

// variable reports whether the value below one of keys depends on a variable,
// which may be another one where compose runs.
func (f *File) variable(service *container.Container, keys []string) bool {
	lines := bytes.Split(f.Source, []byte("\n"))
	for _, key := range keys {
		for at, line := range service.Compose.Keys {
			if (at == key || strings.HasPrefix(at, key+".")) && line >= 1 && line <= len(lines) && bytes.ContainsRune(lines[line-1], '$') {
				return true
			}
		}
	}
	return false
}

// lineOf returns the line of the first of keys that the service has, else its own.
func lineOf(service *container.Container, keys []string) int {
	for _, key := range keys {
		if line, ok := service.Compose.Keys[key]; ok {
			return line
		}
	}
	return service.Compose.Line
}

var fileDrift = rule(checks.Check{
	ID:       driftID,
	Title:    "Container differs from the compose file",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CWE-1188"},
}, func(f *File, report func(checks.Finding)) {
	f.eachDifference(func(service, running *container.Container, all []container.Difference) {
		var names []string
		var evidence []checks.Evidence
		line := 0
		for _, d := range all {
			if d.Hardened {
				continue
			}
			if line == 0 {
				line = lineOf(service, d.Keys)
			}
			names = append(names, d.Keys[0])
			evidence = append(evidence, checks.Evidence{Source: d.Keys[0], Detail: d.File + " ≠ " + d.Running})
		}
		if len(names) == 0 {
			return
		}
		report(checks.Finding{
			Key: running.Settings.Name, Line: line, EndLine: line, Evidence: evidence,
			Message: checks.Msg("%s does not run as the file says: %s", running.Settings.Name, strings.Join(names, ", ")),
		})
	})
})

var fixNotPersisted = rule(checks.Check{
	ID:       NotPersisted,
	Title:    "Hardening that the compose file does not have",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CWE-1188"},
}, func(f *File, report func(checks.Finding)) {
	f.eachDifference(func(service, running *container.Container, all []container.Difference) {
		for _, d := range all {
			if !d.Hardened {
				continue
			}
			line := lineOf(service, d.Keys)
			report(checks.Finding{
				Key: running.Settings.Name + "/" + d.Keys[0], Line: line, EndLine: line,
				Message:  checks.Msg("the next docker compose up takes %s from %s: the container has %s, the file %s", d.Keys[0], running.Settings.Name, d.Running, d.File),
				Evidence: []checks.Evidence{{Source: d.Keys[0], Detail: d.File}, {Source: "docker inspect " + running.Settings.Name, Detail: d.Running}},
				Fixes:    f.fixes(service, []checks.Fix{writeBack(d.Keys[0], running)}),
			})
		}
	})
})

// MadeFrom returns the path of the compose file that c says it was made from,
// and the service. It is not ok when that are several files, when a run of a
// single command made it, or when it is the image that says so: an image may
// claim anything. The path is a claim still: what is there has to be looked at.
func MadeFrom(c *container.Container) (path, service string, ok bool) {
	config := c.Settings.Config
	if config == nil || c.Kept() || strings.EqualFold(config.Labels[labelOneOff], "true") {
		return "", "", false
	}
	path, service = container.ComposeFiles(config.Labels), config.Labels[labelService]
	if i := c.Image; i != nil && i.Config != nil {
		for _, label := range []string{labelFiles, labelService, labelDir} {
			if said := i.Config.Labels[label]; said != "" && said == config.Labels[label] {
				return "", "", false
			}
		}
	}
	return path, service, service != "" && filepath.IsAbs(path) && filepath.Clean(path) == path && !strings.Contains(path, ",")
}

// Differing returns the services of next that f has in another way, in order.
func (f *File) Differing(next *File) []string {
	var names []string
	for _, s := range next.Services {
		old := f.service(s.Compose.Service)
		if old == nil || !reflect.DeepEqual(canonical(&old.Settings), canonical(&s.Settings)) {
			names = append(names, s.Compose.Service)
		}
	}
	return names
}

// Project returns the name of the project that runs from f, "" if nothing does.
func (f *File) Project() string {
	for _, c := range f.Running {
		if name := c.Settings.Config.Labels[labelProject]; name != "" {
			return name
		}
	}
	return ""
}
