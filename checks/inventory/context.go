package inventory

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"plimsoll/checks/dockerfile"
)

// contexts reads build contexts. While a whole tree is gathered it lists each
// directory once, however many Dockerfiles stand in it; nil always reads.
type contexts struct {
	mu    sync.Mutex
	names map[string][]string // by directory
}

// of returns what stands beside the Dockerfile at path: its directory is taken
// for the build context, as docker build . does.
func (c *contexts) of(path string) dockerfile.Context {
	dir := filepath.Dir(path)
	names, err := c.list(dir)
	if err != nil {
		return dockerfile.Context{}
	}
	out := dockerfile.Context{Known: true, Names: names}
	// A list for this Dockerfile alone wins over the one of the directory.
	for _, name := range []string{filepath.Base(path) + ".dockerignore", ".dockerignore"} {
		if len(names) < maxNames && !slices.Contains(names, name) {
			continue
		}
		ignore, err := readFile(filepath.Join(dir, name))
		if err == nil {
			out.Ignore = append([]byte{}, ignore...) // not nil: it is there
			break
		}
		if !errors.Is(err, os.ErrNotExist) {
			out.Known = false
		}
	}
	return out
}

func (c *contexts) list(dir string) ([]string, error) {
	if c == nil {
		return listNames(dir)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if names, ok := c.names[dir]; ok {
		return names, nil
	}
	names, err := listNames(dir)
	if err != nil {
		return nil, err
	}
	if c.names == nil {
		c.names = map[string][]string{}
	}
	c.names[dir] = names
	return names, nil
}

// maxNames bounds how many names of a build context are kept.
const maxNames = 1000

func listNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxNames)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names, nil
}
