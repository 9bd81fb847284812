package compose

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"plimsoll/checks"
)

// quiet silences the log of the loader, which would write over the screen.
var quiet = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// standIns are tried in turn for values that are empty without the variables
// that are not set: nothing, as docker compose does, then what is a size, a
// number and a name.
var standIns = []string{"", "1"}

func load(folder *folder, path string, source []byte) (*types.Project, error) {
	quiet()
	var first error
	for _, standIn := range standIns {
		project, unset, err := loadWith(folder, path, source, standIn)
		if err == nil {
			return project, nil
		}
		if first == nil {
			first = err
		}
		if !unset {
			break
		}
	}
	return nil, first
}

// loadWith reports as well whether variables were not set.
func loadWith(folder *folder, path string, source []byte, standIn string) (_ *types.Project, unset bool, _ error) {
	dir := filepath.Dir(path)
	details := types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: path, Content: append([]byte{}, source...)}},
		Environment: folder.variables(),
	}
	project, err := loader.LoadWithContext(context.Background(), details, func(o *loader.Options) {
		o.Interpolate.Substitute = func(text string, lookup template.Mapping) (string, error) {
			text, missing, err := substitute(text, lookup, standIn, "1")
			unset = unset || missing
			return text, err
		}
		o.Interpolate.TypeCastMapping = forgiving(o.Interpolate.TypeCastMapping, standIn)
		o.ResourceLoaders = []loader.ResourceLoader{guard{folder}}
		o.Profiles = []string{"*"}
		o.SkipInclude = true
		o.SkipConsistencyCheck = true // what an included file declares is not known
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.SetProjectName(projectName(dir), true)
	})
	return project, unset, err
}

// projectName returns the name that docker compose gives to a project in dir.
func projectName(dir string) string {
	if name := loader.NormalizeProjectName(filepath.Base(dir)); name != "" {
		return name
	}
	return "project"
}

// forgiving returns casts that take standIn for a harmless value of their type.
func forgiving(casts map[tree.Path]interpolation.Cast, standIn string) map[tree.Path]interpolation.Cast {
	all := make(map[tree.Path]interpolation.Cast, len(casts))
	for path, cast := range casts {
		all[path] = func(value string) (any, error) {
			v, err := cast(value)
			if err == nil || value != standIn {
				return v, err
			}
			if v, err := cast("1"); err == nil {
				return v, nil
			}
			return cast("false")
		}
	}
	return all
}

// substitute replaces variables: those that are not set by nothing, those that
// have to be set by required, and by standIn what is empty then. It reports
// whether there were such variables.
func substitute(text string, lookup template.Mapping, standIn, required string) (_ string, missing bool, _ error) {
	replace := func(reference string, lookup template.Mapping, config *template.Config) (string, error) {
		value, found, err := template.DefaultReplacementAppliedFunc(reference, lookup, config)
		var refused *template.MissingRequiredError
		switch {
		case errors.As(err, &refused):
			missing = true
			return required, nil
		case err == nil && !found:
			missing = true
		}
		return value, err
	}
	text, err := template.SubstituteWithOptions(text, lookup, template.WithoutLogging, template.WithReplacementFunction(replace))
	if text == "" && missing {
		text = standIn
	}
	return text, missing, err
}

// withoutVariables replaces variables by their defaults, or by nothing.
func withoutVariables(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	replaced, _, err := substitute(text, func(string) (string, bool) { return "", false }, "", "")
	if err != nil {
		return text
	}
	return replaced
}

var (
	keyPath  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`services\.[^\s:]+`) })
	yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)^.*(line \d+.*)$`) })
)

// refuse says why the file at path, called name, was not loaded, with the line
// where the loader tells a path of keys only.
func refuse(path, name string, doc *document, err error) error {
	var problem *checks.Problem
	if errors.As(err, &problem) {
		return problem
	}
	text := strings.ReplaceAll(err.Error(), "validating "+path+": ", "")
	do := checks.Msg("correct the file; docker compose config tells more")
	if m := yamlLine().FindStringSubmatch(text); m != nil {
		return &checks.Problem{What: checks.Msg("%s: %s", name, m[1]), Do: do, Err: err}
	}
	for path := keyPath().FindString(text); path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		if line, ok := doc.lines[path]; ok {
			return &checks.Problem{What: checks.Msg("%s, line %d: %s", name, line, text), Do: do, Err: err}
		}
	}
	return &checks.Problem{What: checks.Msg("%s: %s", name, text), Do: do, Err: err}
}

// refuseWithout is refuse for a file that was well-formed but has no services.
func refuseWithout(name string, err error) error {
	return &checks.Problem{
		What: checks.Msg("%s has no services", name),
		Do:   checks.Msg("put them below a key called services, which files of Compose version 1 lack"),
		Err:  err,
	}
}
