package scanner

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/sys/atomicwriter"

	"plimsoll/checks/vulnerability"
)

// A Cache remembers what scanners said of images, for [Fresh]. The zero value
// remembers nothing.
type Cache struct{ dir string }

// NewCache returns the cache below dir, the user's directory for caches.
func NewCache(dir string) Cache { return Cache{filepath.Join(dir, "plimsoll", "scans")} }

// UserCache returns the cache of the user, in $XDG_CACHE_HOME.
func UserCache() Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}
	}
	return NewCache(dir)
}

const (
	Fresh   = 12 * time.Hour      // advisories of scanners change several times a day
	keep    = 30 * 24 * time.Hour // what nobody has asked for
	largest = 64 << 20
)

// A record is a scan as a file. Layers, which packages do not write themselves,
// are those of its vulnerabilities.
type record struct {
	Scan   vulnerability.Scan
	Layers []int
}

func (c Cache) file(image string, i Installed) string {
	if c.dir == "" {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s", image, i.Name, i.Version, i.Path))
	return filepath.Join(c.dir, fmt.Sprintf("%x.json", sum[:16]))
}

// Get returns what i said of an image not long ago.
func (c Cache) Get(image string, i Installed) (vulnerability.Scan, bool) {
	path := c.file(image, i)
	info, err := os.Lstat(path)
	if path == "" || err != nil || !info.Mode().IsRegular() || info.Size() > largest {
		return vulnerability.Scan{}, false
	}
	var r record
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &r) != nil || len(r.Layers) != len(r.Scan.Vulnerabilities) {
		return vulnerability.Scan{}, false
	}
	if age := time.Since(r.Scan.Taken); age < 0 || age > Fresh || r.Scan.Scanner != string(i.Name) {
		return vulnerability.Scan{}, false
	}
	for n := range r.Layers {
		r.Scan.Vulnerabilities[n].Package.Layer = r.Layers[n]
	}
	return r.Scan, true
}

// Put remembers a scan that found out something.
func (c Cache) Put(image string, i Installed, s vulnerability.Scan) {
	path := c.file(image, i)
	if path == "" || s.Problem != nil || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	r := record{Scan: s}
	for _, v := range s.Vulnerabilities {
		r.Layers = append(r.Layers, v.Package.Layer)
	}
	if data, err := json.Marshal(r); err == nil {
		_ = atomicwriter.WriteFile(path, data, 0o600) // or it is asked again
	}
	files, _ := os.ReadDir(c.dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > keep {
			_ = os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
}
