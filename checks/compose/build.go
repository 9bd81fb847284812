package compose

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// A Build is a directory that a builder is sent for a service.
type Build struct {
	Context    string // absolute path
	Dockerfile string // absolute path, "" where it is written in the compose file or is none of Context's
}

// builds returns what is sent for the services of the compose file at path.
func builds(path string, project *types.Project) []Build {
	var all []Build
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		build := project.Services[name].Build
		if build == nil {
			continue
		}
		if context := localContext(path, build.Context); context != "" {
			all = append(all, Build{context, builtFrom(path, build)})
		}
		for _, extra := range slices.Sorted(maps.Values(build.AdditionalContexts)) {
			if context := localContext(path, extra); context != "" {
				all = append(all, Build{Context: context})
			}
		}
	}
	return all
}

// localContext returns the directory that context is, "" where a builder fetches it.
func localContext(path, context string) string {
	switch kind, _, _ := strings.Cut(context, ":"); {
	case strings.Contains(context, "://"), strings.HasPrefix(context, "git@"), kind == "service", kind == "target":
		return ""
	case filepath.IsAbs(context):
		return filepath.Clean(context)
	}
	return filepath.Join(filepath.Dir(path), context)
}

// builtFrom returns the path of the Dockerfile that a service of the compose
// file at path is built from, "" where that is no file here.
func builtFrom(path string, build *types.BuildConfig) string {
	if build == nil || build.DockerfileInline != "" {
		return ""
	}
	context := localContext(path, build.Context)
	name := build.Dockerfile
	switch {
	case context == "":
		return ""
	case name == "":
		name = "Dockerfile"
	case filepath.IsAbs(name):
		return filepath.Clean(name)
	}
	return filepath.Join(context, name)
}
