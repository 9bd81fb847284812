package files

import (
	"io/fs"
	"os"
)

const noFollow = 0

func identify(name string, info fs.FileInfo) identity {
	return identity{Name: name, Exists: true, attributes: attributes{Mode: info.Mode()}}
}

func links(fs.FileInfo) uint64          { return 1 }
func mayOwn(fs.FileInfo) bool           { return true }
func giveTo(*os.File, attributes) error { return nil }
func writable(string) bool              { return true }
