package assets

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"
)

// Translate returns the function that maps an English format to its
// translation in lang. Formats without one stay English, which is also what
// English does to all of them.
func Translate(lang Language) func(format string) string {
	if lang != German {
		return func(format string) string { return format }
	}
	return func(format string) string {
		if german, ok := germanMessages()[format]; ok {
			return german
		}
		return format
	}
}

// germanMessages merges the catalogues of all areas. They are part of the
// program and tests read every one, so a broken one is a bug and panics.
var germanMessages = sync.OnceValue(func() map[string]string {
	names, err := fs.Glob(files, "messages/de/*.json")
	if err != nil {
		panic(err)
	}
	merged := map[string]string{}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(data, &merged)
		}
		if err != nil {
			panic(fmt.Sprintf("assets: %s: %v", name, err))
		}
	}
	return merged
})
