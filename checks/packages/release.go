package packages

import (
	"bufio"
	"bytes"
	"strings"
)

// A Release is which distribution an image is made of, by its os-release(5).
type Release struct {
	ID       string `json:"id"`                 // "debian"
	Version  string `json:"version,omitempty"`  // VERSION_ID: "12", "3.20.3"; "" for rolling and unreleased ones
	Codename string `json:"codename,omitempty"` // "bookworm"
	Like     string `json:"like,omitempty"`     // ID_LIKE
	Pretty   string `json:"pretty,omitempty"`   // "Debian GNU/Linux 12 (bookworm)"
}

// readRelease reads an os-release file.
func readRelease(data []byte) *Release {
	r := &Release{}
	fields := map[string]*string{
		"ID": &r.ID, "VERSION_ID": &r.Version, "VERSION_CODENAME": &r.Codename, "ID_LIKE": &r.Like, "PRETTY_NAME": &r.Pretty,
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if field := fields[key]; ok && field != nil {
			*field = strings.Trim(value, `"'`)
		}
	}
	if r.ID == "" {
		return nil
	}
	return r
}
