package compose

import (
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// builtFrom returns the path of the Dockerfile that a service of the compose
// file at path is built from, "" where that is no file here.
func builtFrom(path string, build *types.BuildConfig) string {
	if build == nil || build.DockerfileInline != "" || strings.Contains(build.Context, "://") || strings.HasPrefix(build.Context, "git@") {
		return ""
	}
	context := build.Context
	if !filepath.IsAbs(context) {
		context = filepath.Join(filepath.Dir(path), context)
	}
	name := build.Dockerfile
	if name == "" {
		name = "Dockerfile"
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(context, name)
}
