package packages

import (
	"bytes"
	"path"
	"strings"
)

// readDpkg reads var/lib/dpkg/status, or a file of status.d in images without
// a shell, both in the form of deb822(5). Only packages that are installed
// count: after "dpkg --remove" the paragraph stays for the sake of its
// configuration.
func readDpkg(data []byte) []Package {
	var out []Package
	for paragraph := range bytes.SplitSeq(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		p := Package{Type: Deb}
		installed := true
		for line := range bytes.SplitSeq(paragraph, []byte("\n")) {
			key, value, ok := strings.Cut(string(line), ":")
			if !ok || line[0] == ' ' || line[0] == '\t' {
				continue
			}
			switch value = strings.TrimSpace(value); key {
			case "Package":
				p.Name = value
			case "Version":
				p.Version = value
			case "Architecture":
				p.Arch = value
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			case "Source": // "util-linux" or "gcc-12 (12.2.0-14)"
				p.Source, value, ok = strings.Cut(value, " ")
				if ok {
					p.SourceVersion = strings.Trim(value, "()")
				}
			}
		}
		if installed && p.Name != "" && p.Version != "" {
			out = append(out, p)
		}
	}
	return out
}

// readOwned reads the list of files of one Debian package and returns those
// that may say something about packages themselves.
func readOwned(data []byte) []string {
	var out []string
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		if name := strings.TrimPrefix(string(line), "/"); ofInterest(name) {
			out = append(out, name)
		}
	}
	return out
}

// readSums reads the same from the checksums that images without dpkg keep of a
// package.
func readSums(data []byte) []string {
	var out []string
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		if _, name, ok := strings.Cut(string(line), "  "); ok && ofInterest(name) {
			out = append(out, name)
		}
	}
	return out
}

// ofInterest reports whether the file at name may say something about packages
// that its distribution did not install.
func ofInterest(name string) bool {
	if languageKind(name) != nil {
		return true
	}
	dir := path.Base(path.Dir(name))
	return dir == "bin" || dir == "sbin" || dir == "libexec"
}
