package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/atomicwriter"
)

// schema is the version of the file of normals. One of another version is
// ignored, and written anew: everything in it can be learned again.
const schema = 1

const mostStored = 16 << 20 // bytes

type stored struct {
	Schema  int               `json:"schema"`
	Normals map[string]Normal `json:"normals"` // by engine and service
}

// Load reads what was learned from the file at path; nothing when there is
// none, or one that cannot be used.
func Load(path string) (map[string]Normal, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostStored))
	if err != nil {
		return nil, err
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Schema != schema {
		return nil, nil
	}
	return s.Normals, nil
}

// Save replaces the file at path, whole or not at all. Names of programs and
// ports are in it, no arguments.
func Save(path string, normals map[string]Normal) error {
	data, err := json.Marshal(stored{schema, normals})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = atomicwriter.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep what is normal: %w", err)
	}
	return nil
}
