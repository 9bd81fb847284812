package layers

import (
	"bytes"
	"encoding/json"
	"io"
	"path"
	"strings"

	"plimsoll/checks/packages"
)

// Sizes in bytes and numbers above which a file tells no licences.
const (
	largestList    = 32 << 20 // of all packages
	largestLicense = 256 << 10
	mostLicenses   = 50_000
)

// licenses is the visitor that learns under which licences packages are, as far
// as they say so themselves.
type licenses struct {
	layer *Layer
	collector
	path string
	read func(data []byte)
}

func (l *licenses) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular || len(l.layer.Licenses) > mostLicenses {
		return nil
	}
	limit := largestLicense
	dir, base := path.Split(f.Path)
	switch {
	case f.Path == "lib/apk/db/installed", f.Path == "usr/lib/apk/db/installed":
		limit, l.read = largestList, l.apk
	case base == "copyright" && strings.HasPrefix(dir, "usr/share/doc/"):
		l.read = l.debian
	case base == "METADATA" && strings.HasSuffix(dir, ".dist-info/"):
		l.read = l.python
	case base == "package.json" && strings.Contains(dir, "node_modules/"):
		l.read = l.node
	default:
		return nil
	}
	l.path, l.collector = f.Path, collector{data: l.data[:0], limit: limit}
	return l
}

// Close reads what was collected.
func (l *licenses) Close() error {
	l.read(l.data)
	if cap(l.data) > largestLicense {
		l.data = nil
	}
	return nil
}

func (l *licenses) add(found License) {
	if found.Package != "" && found.Name != "" {
		found.File = l.path
		l.layer.Licenses = append(l.layer.Licenses, found)
	}
}

// debian reads the licences that a package names, where the file has the form
// that programs can read.
func (l *licenses) debian(data []byte) {
	if !bytes.HasPrefix(data, []byte("Format:")) && !bytes.HasPrefix(data, []byte("Format-Specification:")) {
		return
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(data) {
		value, ok := bytes.CutPrefix(line, []byte("License:"))
		if name := string(bytes.TrimSpace(value)); ok && !seen[name] && len(seen) < 64 {
			seen[name] = true
			l.add(License{Type: packages.Deb, Package: path.Base(path.Dir(l.path)), Name: name})
		}
	}
}

// apk reads the database of apk, where a letter begins each line.
func (l *licenses) apk(data []byte) {
	name := ""
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case bytes.HasPrefix(line, []byte("P:")):
			name = string(line[2:])
		case bytes.HasPrefix(line, []byte("L:")):
			l.add(License{Type: packages.APK, Package: name, Name: string(line[2:])})
		}
	}
}

// python reads the head of what a wheel says of itself.
func (l *licenses) python(data []byte) {
	found := License{Type: packages.PyPI}
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		key, value, _ := bytes.Cut(line, []byte(": "))
		switch string(key) {
		case "Name":
			found.Package = string(value)
		case "License-Expression":
			found.Name = string(value)
		case "License":
			if found.Name == "" && len(value) < 100 {
				found.Name = string(value)
			}
		}
	}
	l.add(found)
}

func (l *licenses) node(data []byte) {
	var of struct {
		Name    string
		License any
	}
	if json.Unmarshal(data, &of) == nil {
		name, _ := of.License.(string)
		l.add(License{Type: packages.NPM, Package: of.Name, Name: name})
	}
}

// software is the visitor that reads which packages are installed.
type software struct{ packages.Collector }

func (s *software) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular {
		return nil
	}
	return s.Content(f.Path, f.Mode&0o111 != 0, f.Size)
}
