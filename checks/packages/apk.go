package packages

import (
	"bytes"
	"path"
	"strings"
)

// readAPK reads lib/apk/db/installed: paragraphs of one-letter fields, of
// which F: and R: name directories and the files in them.
func readAPK(data []byte) (out []Package, owns []string) {
	for paragraph := range bytes.SplitSeq(data, []byte("\n\n")) {
		p := Package{Type: APK}
		dir := ""
		for line := range bytes.SplitSeq(paragraph, []byte("\n")) {
			if len(line) < 2 || line[1] != ':' {
				continue
			}
			switch value := string(line[2:]); line[0] {
			case 'P':
				p.Name = value
			case 'V':
				p.Version = value
			case 'A':
				p.Arch = value
			case 'o':
				p.Source = value
			case 'F':
				dir = value
			case 'R':
				if name := path.Join(dir, value); ofInterest(name) {
					owns = append(owns, name)
				}
			}
		}
		if p.Name != "" && p.Version != "" {
			if p.Source == p.Name {
				p.Source = ""
			}
			out = append(out, p)
		}
	}
	return out, owns
}

// spelled returns text without what does not belong into a name or version.
func spelled(text string) string { return strings.TrimSpace(strings.Trim(text, "\x00")) }
