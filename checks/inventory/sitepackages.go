package inventory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll/checks/host"
)

// Debian and Ubuntu keep the version of a program and add fixes; which ones is
// written in the changelog of the package.

// enginePackages are theirs that bring a part of the engine, or a scanner of
// which harmful releases are known.
var enginePackages = []string{"docker.io", "containerd", "runc", "trivy"}

const (
	dpkgStatus    = "/var/lib/dpkg/status"
	mostStatus    = 64 << 20 // bytes of the list of packages
	mostChangelog = 8 << 20  // bytes of a changelog, unpacked
)

// A packageCache remembers the packages of a machine until their list changes.
type packageCache struct {
	sync.Mutex
	changed  time.Time
	packages map[string]host.Package
}

// packagesHere are those of this machine.
var packagesHere packageCache

func (s *Site) packages() map[string]host.Package {
	info, err := fs.Stat(s.Root, rooted(dpkgStatus))
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostStatus {
		return nil
	}
	if s.known == nil {
		s.known = &packageCache{}
	}
	s.known.Lock()
	defer s.known.Unlock()
	if s.known.packages != nil && s.known.changed.Equal(info.ModTime()) {
		return s.known.packages
	}
	f, err := s.Root.Open(rooted(dpkgStatus))
	if err != nil {
		s.note(dpkgStatus, err)
		return nil
	}
	defer f.Close()
	packages := map[string]host.Package{}
	for n, version := range installed(io.LimitReader(f, mostStatus), enginePackages) {
		packages[n] = host.Package{Name: n, Version: version, Fixed: s.changelog(n)}
	}
	s.known.changed, s.known.packages = info.ModTime(), packages
	return packages
}

// installed reads the versions of the wanted packages from dpkg's list.
func installed(r io.Reader, wanted []string) map[string]string {
	versions := map[string]string{}
	var pkg string
	var is bool
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(key) {
		case "Package":
			pkg, is = string(value), false
		case "Status":
			is = string(value) == "install ok installed"
		case "Version":
			if is && slices.Contains(wanted, pkg) {
				versions[pkg] = string(value)
			}
		}
	}
	return versions
}

var cve = regexp.MustCompile(`CVE-\d{4}-\d{4,}`)

// changelog returns the CVEs that the changelog of a package names, nil when
// it is not installed.
func (s *Site) changelog(pkg string) map[string]bool {
	packed, err := s.limited("/usr/share/doc/"+pkg+"/changelog.Debian.gz", most)
	if err != nil {
		return nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, mostChangelog))
	if err != nil {
		return nil
	}
	fixed := map[string]bool{}
	for _, id := range cve.FindAll(text, -1) {
		fixed[strings.Clone(string(id))] = true
	}
	return fixed
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
