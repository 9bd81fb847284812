package layers

import (
	"bytes"
	"io"
	"path"
	"regexp"
	"strings"
	"sync"

	"plimsoll/checks/secret"
)

// untrusted is the visitor that looks for configuration by which package
// managers install what nobody signed.
type untrusted struct {
	layer *Layer
	collector
	path  string
	rules *regexp.Regexp
}

// largestSettings bounds a file of configuration.
const largestSettings = 64 << 10

// untrustedIn say what switches verification off in the configuration of apt,
// in its lists of sources, and in that of the tools for RPM packages and pip.
var (
	untrustedApt = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:AllowUnauthenticated|AllowInsecureRepositories|AllowDowngradeToInsecureRepositories|force-yes|Verify-Peer\s+"?(?:false|0|no))`)
	})
	untrustedSources = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^(?:deb(?:-src)?\s+\[[^\]]*trusted=yes|trusted:\s*yes|deb(?:-src)?\s+\[[^\]]*allow-insecure=yes)`)
	})
	untrustedRPM = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^(?:gpgcheck|sslverify|pkg_gpgcheck)\s*=\s*(?:0|no|false|off)`)
	})
	untrustedPip = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)^trusted-host\s*=`) })
	switchedOff  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)"(?:false|0|no|off)"\s*;?\s*$`) })
)

func (u *untrusted) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular || f.Size > largestSettings {
		return nil
	}
	dir, base := path.Split(f.Path)
	switch {
	case dir == "etc/apt/apt.conf.d/", f.Path == "etc/apt/apt.conf":
		u.rules = untrustedApt()
	case f.Path == "etc/apt/sources.list", dir == "etc/apt/sources.list.d/":
		u.rules = untrustedSources()
	case dir == "etc/yum.repos.d/" && path.Ext(base) == ".repo", dir == "etc/zypp/repos.d/", f.Path == "etc/yum.conf", f.Path == "etc/dnf/dnf.conf":
		u.rules = untrustedRPM()
	case base == "pip.conf" && (dir == "etc/" || strings.HasSuffix(dir, "/pip/")), base == "pip.conf" && strings.HasSuffix(dir, "/.pip/"):
		u.rules = untrustedPip()
	default:
		return nil
	}
	u.path, u.collector = f.Path, collector{limit: largestSettings}
	return u
}

// Close looks for lines that switch verification off.
func (u *untrusted) Close() error {
	number := 0
	for line := range bytes.Lines(u.data) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || strings.HasPrefix(text, "//") || !u.rules.MatchString(text) {
			continue
		}
		// Of apt the name alone says what is allowed, unless it is forbidden.
		if u.rules == untrustedApt() && !strings.Contains(strings.ToLower(text), "verify-peer") && switchedOff().MatchString(text) {
			continue
		}
		if len(u.layer.Untrusted) < 64 {
			u.layer.Untrusted = append(u.layer.Untrusted, Setting{u.path, number, secret.Redact(text)})
		}
	}
	u.data = nil
	return nil
}
