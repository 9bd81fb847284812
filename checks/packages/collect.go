package packages

import (
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// errFull says that a file is larger than what says something about packages.
var errFull = errors.New("too large")

// A kind is a sort of file that says something about packages.
type kind struct {
	most int // bytes that are read
	read func(f *File, data []byte)
}

const (
	text     = 4 << 20
	database = 96 << 20
)

func lists(read func([]byte) []Package) func(*File, []byte) {
	return func(f *File, data []byte) { f.Packages = read(data) }
}

var (
	releaseKind  = &kind{most: 64 << 10, read: func(f *File, data []byte) { f.Release = readRelease(data) }}
	dpkgKind     = &kind{most: database, read: lists(readDpkg)}
	dpkgListKind = &kind{most: 16 << 20, read: func(f *File, data []byte) { f.Owns = readOwned(data) }}
	dpkgSumsKind = &kind{most: text, read: func(f *File, data []byte) { f.Owns = readSums(data) }}
	apkKind      = &kind{most: database, read: func(f *File, data []byte) { f.Packages, f.Owns = readAPK(data) }}
	rpmKind      = &kind{most: database, read: func(f *File, data []byte) {
		var err error
		if f.Packages, f.Owns, err = readRPM(data); err != nil {
			f.Trouble = err.Error()
		}
	}}
	pythonKind     = &kind{most: text, read: lists(readPython)}
	pythonLockKind = &kind{most: 4 * text, read: lists(readTOMLLock(PyPI))}
	cargoLockKind  = &kind{most: 4 * text, read: lists(readTOMLLock(Cargo))}
	nodeKind       = &kind{most: text, read: lists(readNode)}
	nodeLockKind   = &kind{most: 8 * text, read: lists(readNodeLock)}
	composerKind   = &kind{most: 4 * text, read: lists(readComposer)}
	gemKind        = &kind{most: text, read: lists(readGem)}
	gemLockKind    = &kind{most: text, read: lists(readGemLock)}
	jarKind        = &kind{most: largestJar, read: lists(func(data []byte) []Package { return readJar(data, 0) })}
)

// exact are the files of distributions.
var exact = map[string]*kind{
	"etc/os-release":                    releaseKind,
	"usr/lib/os-release":                releaseKind,
	"var/lib/dpkg/status":               dpkgKind,
	"lib/apk/db/installed":              apkKind,
	"usr/lib/apk/db/installed":          apkKind,
	"var/lib/rpm/rpmdb.sqlite":          rpmKind,
	"var/lib/rpm/Packages":              rpmKind,
	"var/lib/rpm/Packages.db":           rpmKind,
	"usr/lib/sysimage/rpm/rpmdb.sqlite": rpmKind,
	"usr/lib/sysimage/rpm/Packages":     rpmKind,
	"usr/lib/sysimage/rpm/Packages.db":  rpmKind,
	"usr/share/rpm/rpmdb.sqlite":        rpmKind,
}

// Databases returns the paths of what the package managers of distributions
// keep, and of what names the distribution; those that end in a slash are
// directories.
func Databases() []string {
	return append(slices.Sorted(maps.Keys(exact)), "var/lib/dpkg/status.d/")
}

// kindOf returns what the file at name says by its name, nil for nothing.
func kindOf(name string) *kind {
	if k := exact[name]; k != nil {
		return k
	}
	switch {
	case strings.HasPrefix(name, "var/lib/dpkg/status.d/") && strings.HasSuffix(name, ".md5sums"):
		return dpkgSumsKind
	case strings.HasPrefix(name, "var/lib/dpkg/status.d/"):
		return dpkgKind
	case strings.HasPrefix(name, "var/lib/dpkg/info/") && strings.HasSuffix(name, ".list"):
		return dpkgListKind
	}
	return languageKind(name)
}

// languageKind returns the kind of what the package managers of programming
// languages leave.
func languageKind(name string) *kind {
	dir, base := path.Split(name)
	switch base {
	case "METADATA":
		if strings.HasSuffix(dir, ".dist-info/") {
			return pythonKind
		}
	case "PKG-INFO":
		if strings.HasSuffix(dir, ".egg-info/") || strings.HasSuffix(dir, "/EGG-INFO/") {
			return pythonKind
		}
	case "poetry.lock", "uv.lock":
		return pythonLockKind
	case "package.json":
		if owner := path.Dir(path.Clean(dir)); path.Base(owner) == "node_modules" || strings.HasPrefix(path.Base(owner), "@") && path.Base(path.Dir(owner)) == "node_modules" {
			return nodeKind
		}
	case "package-lock.json", "npm-shrinkwrap.json", ".package-lock.json":
		if !strings.Contains(dir, "node_modules/") {
			return nodeLockKind
		}
	case "installed.json":
		if strings.HasSuffix(dir, "vendor/composer/") {
			return composerKind
		}
	case "composer.lock":
		return composerKind
	case "Gemfile.lock":
		return gemLockKind
	case "Cargo.lock":
		return cargoLockKind
	}
	switch {
	case strings.HasSuffix(base, ".egg-info"):
		return pythonKind
	case strings.HasSuffix(base, ".gemspec") && strings.HasSuffix(dir, "specifications/"):
		return gemKind
	case isJar(base):
		return jarKind
	}
	return nil
}

// A Collector gathers what the files of one layer say about packages.
type Collector struct {
	files []File
	kept  []byte // of a program, used again for the next
}

// Content returns where the content of the regular file at name goes, nil when
// it says nothing about packages. The writer is used by one goroutine, and has
// to be closed before the next file.
func (c *Collector) Content(name string, executable bool, size int64) io.WriteCloser {
	if k := kindOf(name); k != nil {
		return &whole{kind: k, file: &File{Path: name}, done: c.add}
	}
	if executable && size > 4<<10 {
		return &program{file: &File{Path: name}, done: c.add, size: size, kept: c.kept, give: func(kept []byte) { c.kept = kept }}
	}
	return nil
}

// Files returns what was gathered, in the order of the layer.
func (c *Collector) Files() []File { return c.files }

func (c *Collector) add(f *File) {
	for i := range f.Packages {
		f.Packages[i].Path = f.Path
	}
	if !f.empty() {
		c.files = append(c.files, *f)
	}
}

// whole keeps a file in order to read it at its end.
type whole struct {
	kind *kind
	file *File
	done func(*File)
	data []byte
	full bool
}

func (w *whole) Write(b []byte) (int, error) {
	if len(w.data)+len(b) > w.kind.most {
		w.data, w.full = nil, true
		return 0, errFull
	}
	w.data = append(w.data, b...)
	return len(b), nil
}

func (w *whole) Close() error {
	if w.full {
		w.file.Trouble = "larger than what is read of such a file"
	} else {
		read(w.kind, w.file, w.data)
	}
	w.data = nil
	w.done(w.file)
	return nil
}

// read keeps a defect in one reader from ending the others: the file counts as
// not understood.
func read(k *kind, f *File, data []byte) {
	defer func() {
		if r := recover(); r != nil {
			*f = File{Path: f.Path, Trouble: "could not be understood"}
		}
	}()
	k.read(f, data)
}
