package files

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// A composeDocument is a compose file with the containers of its services.
type composeDocument struct{ *compose.File }

func asCompose(s checks.Subject) document {
	if f, ok := s.(*compose.File); ok {
		return composeDocument{f}
	}
	return nil
}

func (d composeDocument) subject() checks.Subject { return d.File }

func (d composeDocument) text() text { return text{path: d.Path, name: d.Name, source: d.Source} }

// A file that is not understood is never a subject.
func (d composeDocument) refusal() error { return nil }

func (d composeDocument) with(source []byte, changed func(string) ([]byte, bool)) (document, error) {
	with := d.File.With
	if dotenv, ok := changed(".env"); ok {
		with = func(source []byte) (*compose.File, error) { return d.File.WithBeside(source, dotenv) }
	}
	next, err := with(source)
	if err != nil {
		return nil, err
	}
	return composeDocument{next}, nil
}

func (d composeDocument) place(path string) string { return path }

func (d composeDocument) beside(path string) (string, error) {
	if path != "" {
		return "", refuse(checks.Msg("%s cannot be patched in a copy: change the file itself", path))
	}
	return filepath.Base(d.Path) + hardened, nil
}

func (d composeDocument) deploy(next document, name string) []string {
	services := d.Differing(next.(composeDocument).File)
	if len(services) == 0 {
		return nil
	}
	// What earlier changes of the file have not reached yet comes along.
	for _, name := range d.Drifting() {
		if !slices.Contains(services, name) {
			services = append(services, name)
		}
	}
	return ComposeUp(filepath.Dir(d.Path), d.Project(), []string{filepath.Join(filepath.Dir(d.Path), name)}, services)
}

func (d composeDocument) command(dir, name string, _ []string) string {
	return terminal.Line(fmt.Sprintf("%s -f %s config --quiet", strings.Join(composeProgram(), " "), fixes.Quote(filepath.Join(dir, name))))
}
