package compose

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

	"plimsoll/checks"
)

// A folder is that of a compose file. Nothing outside of it is read, through
// links neither.
type folder struct {
	dir  string
	root *os.Root // nil when the folder does not exist
	env  types.Mapping
}

func openFolder(path string) *folder {
	f := &folder{dir: filepath.Dir(path)}
	if root, err := os.OpenRoot(f.dir); err == nil {
		f.root = root
	}
	return f
}

func (f *folder) close() {
	if f.root != nil {
		f.root.Close()
	}
}

var errOutside = errors.New("lies outside the folder of the compose file")

// read returns the content of a regular file of moderate size.
func (f *folder) read(name string) ([]byte, error) {
	if filepath.IsAbs(name) {
		rel, err := filepath.Rel(f.dir, name)
		if err != nil {
			return nil, errOutside
		}
		name = rel
	}
	if !filepath.IsLocal(name) {
		return nil, errOutside
	}
	if f.root == nil {
		return nil, fs.ErrNotExist
	}
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSize {
		return nil, errors.New("is not a regular file of at most 1 MiB")
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSize))
}

// dotenvName is the file whose variables a compose file may use.
const dotenvName = ".env"

// variables returns what .env sets. The environment of this process is left
// out, so that a file is judged alike wherever it is looked at.
func (f *folder) variables() types.Mapping {
	if f.env == nil {
		f.env = types.Mapping{}
		for name, value := range f.dotenv(dotenvName) {
			f.env[name] = value
		}
		f.env["PWD"] = f.dir
	}
	return f.env
}

// dotenv returns the variables that a file sets, none if it cannot be read: it
// is often kept out of a repository.
func (f *folder) dotenv(name string) map[string]string {
	data, err := f.read(name)
	if err != nil {
		return nil
	}
	variables, err := dotenv.ParseWithLookup(bytes.NewReader(data), func(string) (string, bool) { return "", false })
	if err != nil {
		return nil
	}
	return variables
}

// environment returns the variables of a service. Values that the file takes
// from elsewhere stay references, so that nothing secret is taken in and a
// reader is told what the file says: "TOKEN=${TOKEN}".
func environment(f *folder, config types.ServiceConfig, s *service) []string {
	values := map[string]string{}
	for _, file := range config.EnvFiles {
		for name, value := range f.dotenv(file.Path) {
			values[name] = value
		}
	}
	for name, value := range config.Environment {
		values[name] = "${" + name + "}"
		if value != nil {
			values[name] = *value
		}
	}
	for name, written := range s.environment {
		if _, ok := config.Environment[name]; !ok || !strings.Contains(written, "$") {
			continue
		}
		values[name] = withoutVariables(written)
		if values[name] == "" {
			values[name] = "${" + strings.Trim(written, "${}") + "}"
		}
	}
	return types.Mapping(values).Values()
}

// guard refuses files that a compose file may not take settings from, and
// leaves all others to the loader.
type guard struct{ folder *folder }

func (g guard) Accept(path string) bool { return g.check(path) != nil }

func (g guard) Load(_ context.Context, path string) (string, error) { return "", g.check(path) }

func (g guard) Dir(path string) string { return filepath.Dir(path) }

func (g guard) check(path string) error {
	data, err := g.folder.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &checks.Problem{What: checks.Msg("%s, which it extends, does not exist", path)}
	case err != nil:
		return &checks.Problem{What: checks.Msg("%s, which it extends, was not read: only regular files in the folder of the compose file are", path), Err: err}
	}
	_, err = parseDocument(path, data)
	var problem *checks.Problem
	if err == nil || errors.As(err, &problem) {
		return err
	}
	return &checks.Problem{What: checks.Msg("%s, which it extends: %s", path, err.Error()), Err: err}
}
