package dockertest

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The names end in .txt so that they are not taken for files of this project.
//
//go:embed all:demo
var demoFiles embed.FS

// WriteDemoFiles writes the project that belongs to [Demo], two Dockerfiles
// and a compose file, into dir.
func WriteDemoFiles(dir string) error {
	return fs.WalkDir(demoFiles, "demo", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(name, "demo")))
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := demoFiles.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(strings.TrimSuffix(to, ".txt"), text, 0o644)
	})
}
