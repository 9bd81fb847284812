package registry

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/sys/atomicwriter"
)

// A Cache remembers what registries answered, for [Fresh]. The zero value
// remembers nothing. No credentials are in it.
type Cache struct{ dir string }

// NewCache returns the cache below dir, the user's directory for caches.
func NewCache(dir string) Cache { return Cache{filepath.Join(dir, "plimsoll", "registry")} }

// UserCache returns the cache of the user, in $XDG_CACHE_HOME.
func UserCache() Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}
	}
	return NewCache(dir)
}

const (
	Fresh   = 6 * time.Hour // tags that matter move less often
	keep    = 30 * 24 * time.Hour
	largest = 8 << 20
)

// A record is an answer as a file.
type record struct {
	Key    string
	At     time.Time
	Answer json.RawMessage
}

func (c Cache) file(kind, key string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + key))
	return filepath.Join(c.dir, fmt.Sprintf("%s-%x.json", kind, sum[:16]))
}

// get fills answer with what was remembered not too long ago.
func (c Cache) get(kind, key string, answer any) bool {
	if c.dir == "" {
		return false
	}
	path := c.file(kind, key)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > largest {
		return false
	}
	var r record
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &r) != nil || r.Key != key {
		return false
	}
	if age := time.Since(r.At); age < 0 || age > Fresh {
		return false
	}
	return json.Unmarshal(r.Answer, answer) == nil
}

// put remembers answer. What cannot be written is asked again.
func (c Cache) put(kind, key string, answer any) {
	if c.dir == "" || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	data, err := json.Marshal(answer)
	if err == nil {
		data, err = json.Marshal(record{Key: key, At: time.Now().UTC(), Answer: data})
	}
	if err != nil || atomicwriter.WriteFile(c.file(kind, key), data, 0o600) != nil {
		return
	}
	files, _ := os.ReadDir(c.dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > keep {
			_ = os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
}
