package layers

import (
	"bytes"
	"encoding/json"
	"io"
	"path"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Sizes in bytes and numbers above which lists are not those of an image.
const (
	largestList  = 32 << 20
	largestText  = 256 << 10 // of one package
	mostPackages = 50_000
	mostOwned    = 500_000
)

// packages is the visitor that reads the lists of package managers.
type packages struct {
	layer *Layer
	collector
	path  string
	read  func(path string, data []byte)
	owned int
}

func (p *packages) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular {
		return nil
	}
	limit := largestText
	dir, base := path.Split(f.Path)
	switch {
	case f.Path == "var/lib/dpkg/status", f.Path == "lib/apk/db/installed", f.Path == "usr/lib/apk/db/installed":
		limit = largestList
		p.read = p.dpkg
		if base == "installed" {
			p.read = p.apk
		}
	case dir == "var/lib/dpkg/info/" && path.Ext(base) == ".list", f.Path == "var/lib/dpkg/diversions":
		limit, p.read = largestList, p.list
	case dir == "var/lib/dpkg/status.d/" && path.Ext(base) == ".md5sums":
		p.read = p.sums
	case dir == "var/lib/dpkg/status.d/":
		p.read = p.dpkg
	case base == "copyright" && strings.HasPrefix(dir, "usr/share/doc/"):
		p.read = p.copyright
	case base == "METADATA" && strings.HasSuffix(dir, ".dist-info/"):
		p.read = p.python
	case base == "package.json" && strings.Contains(dir, "node_modules/"):
		p.read = p.node
	default:
		return nil
	}
	if len(p.layer.Packages) > mostPackages || p.owned > mostOwned {
		return nil
	}
	p.path, p.collector = f.Path, collector{data: p.data[:0], limit: limit}
	return p
}

// Close reads what was collected.
func (p *packages) Close() error {
	p.read(p.path, p.data)
	if cap(p.data) > largestText {
		p.data = nil
	}
	return nil
}

func (p *packages) add(found Package) {
	if found.Name != "" {
		p.layer.Packages = append(p.layer.Packages, found)
	}
}

// own notes that packages brought the files at paths.
func (p *packages) own(list string, paths func(yield func(string) bool)) {
	owned := Owned{List: list}
	for name := range paths {
		if mayBeProgram(name) {
			owned.Paths = append(owned.Paths, ownable(name))
		}
	}
	p.owned += len(owned.Paths)
	p.layer.Owned = append(p.layer.Owned, owned)
}

// ownable identifies a path, be /bin a link to /usr/bin or not.
func ownable(name string) uint64 {
	return xxhash.Sum64String(strings.TrimPrefix(strings.TrimPrefix(name, "/"), "usr/"))
}

// mayBeProgram reports whether packages bring programs where name is.
func mayBeProgram(name string) bool {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "/"), "usr/")
	top, _, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(name, ".so") {
		return false
	}
	switch top {
	case "bin", "sbin", "lib", "lib32", "lib64", "libexec", "games", "opt":
		switch path.Ext(name) {
		case ".py", ".pm", ".pl", ".gz", ".ko", ".h", ".a", ".mo", ".txt", ".conf", ".md", ".xml", ".json":
			return false
		}
		return true
	}
	return false
}

// dpkg reads the paragraphs of a status file.
func (p *packages) dpkg(list string, data []byte) {
	found := Package{Manager: "dpkg", List: list}
	installed := true
	flush := func() {
		if installed && len(p.layer.Packages) < mostPackages {
			p.add(found)
		}
		found, installed = Package{Manager: "dpkg", List: list}, true
	}
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			flush()
			continue
		}
		key, value, _ := bytes.Cut(line, []byte(": "))
		switch string(key) {
		case "Package":
			found.Name = string(value)
		case "Version":
			found.Version = string(value)
		case "Architecture":
			found.Arch = string(value)
		case "Source":
			found.Source = strings.Trim(strings.ReplaceAll(string(value), "(", ""), ")")
		case "Status":
			installed = bytes.HasSuffix(value, []byte(" installed"))
		}
	}
	flush()
}

// apk reads the database of apk, where a letter begins each line.
func (p *packages) apk(list string, data []byte) {
	found := Package{Manager: "apk", List: list}
	flush := func() {
		if len(p.layer.Packages) < mostPackages {
			p.add(found)
		}
		found = Package{Manager: "apk", List: list}
	}
	p.own(list, func(yield func(string) bool) {
		dir := ""
		for line := range bytes.Lines(data) {
			line = bytes.TrimRight(line, "\r\n")
			if len(line) == 0 {
				flush()
				continue
			}
			if len(line) < 2 || line[1] != ':' {
				continue
			}
			value := string(line[2:])
			switch line[0] {
			case 'P':
				found.Name = value
			case 'V':
				found.Version = value
			case 'A':
				found.Arch = value
			case 'L':
				found.License = value
			case 'o':
				found.Source = value
			case 'F':
				dir = value
			case 'R':
				yield(dir + "/" + value)
			}
		}
	})
	flush()
}

func (p *packages) list(list string, data []byte) {
	p.own(list, func(yield func(string) bool) {
		for line := range bytes.Lines(data) {
			if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '/' {
				yield(string(line))
			}
		}
	})
}

func (p *packages) sums(list string, data []byte) {
	p.own(list, func(yield func(string) bool) {
		for line := range bytes.Lines(data) {
			if _, name, ok := bytes.Cut(bytes.TrimSpace(line), []byte("  ")); ok {
				yield(string(name))
			}
		}
	})
}

// copyright reads the licences that a package of Debian names, where the file
// has the form that programs can read.
func (p *packages) copyright(file string, data []byte) {
	if !bytes.HasPrefix(data, []byte("Format:")) && !bytes.HasPrefix(data, []byte("Format-Specification:")) {
		return
	}
	name := path.Base(path.Dir(file))
	seen := map[string]bool{}
	for line := range bytes.Lines(data) {
		value, ok := bytes.CutPrefix(line, []byte("License:"))
		if license := string(bytes.TrimSpace(value)); ok && license != "" && !seen[license] && len(seen) < 64 {
			seen[license] = true
			p.layer.Licenses = append(p.layer.Licenses, License{name, license, file})
		}
	}
}

// python reads the head of what a wheel says of itself.
func (p *packages) python(list string, data []byte) {
	found := Package{Manager: "pypi", List: list}
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		key, value, _ := bytes.Cut(line, []byte(": "))
		switch string(key) {
		case "Name":
			found.Name = string(value)
		case "Version":
			found.Version = string(value)
		case "License-Expression":
			found.License = string(value)
		case "License":
			if found.License == "" && len(value) < 100 {
				found.License = string(value)
			}
		}
	}
	p.add(found)
}

func (p *packages) node(list string, data []byte) {
	var of struct {
		Name, Version string
		License       any
	}
	if json.Unmarshal(data, &of) != nil || of.Version == "" {
		return
	}
	license, _ := of.License.(string)
	p.add(Package{Manager: "npm", Name: of.Name, Version: of.Version, License: license, List: list})
}
