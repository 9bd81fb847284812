package scanner

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"plimsoll/checks"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// A report is what a scanner wrote, read.
type report struct {
	found  []vulnerability.Vulnerability
	layers []string  // of each of found: the diff id of the layer, "" when not said
	data   time.Time // of the advisories; zero when not said
}

// Bounds of what is kept of one finding: scanners repeat what images and
// databases say.
const (
	longestID   = 128
	longestName = 256
	longestText = 400
	mostAliases = 32
)

// add keeps v, which was found in the layer with this diff id. What names
// neither a vulnerability nor a package is left out.
func (r *report) add(v vulnerability.Vulnerability, layer string) {
	if v.ID == "" || v.Package.Name == "" {
		return
	}
	v.ID = shortened(v.ID, longestID)
	for _, text := range []*string{&v.Package.Name, &v.Package.Version, &v.Package.Path, &v.Fixed} {
		*text = shortened(strings.TrimSpace(*text), longestName)
	}
	v.Summary = shortened(strings.TrimSpace(v.Summary), longestText)
	v.Aliases = v.Aliases[:min(len(v.Aliases), mostAliases)]
	for i, id := range v.Aliases {
		v.Aliases[i] = shortened(id, longestID)
	}
	// As with our own: what stands for one CVE is called by that.
	cves := slices.DeleteFunc(slices.Clone(v.Aliases), func(id string) bool { return !strings.HasPrefix(id, "CVE-") })
	if len(cves) == 1 && !strings.HasPrefix(v.ID, "CVE-") {
		v.Aliases = append(slices.DeleteFunc(v.Aliases, func(id string) bool { return id == cves[0] }), v.ID)
		v.ID = cves[0]
	}
	if v.Package.Type == packages.Go {
		v.Package.Version = strings.TrimPrefix(strings.TrimPrefix(v.Package.Version, "go"), "v")
	}
	v.Package.Layer = -1
	r.found, r.layers = append(r.found, v), append(r.layers, layer)
}

// located returns what was found, with layers told by their place in diffIDs.
func (r *report) located(diffIDs []string) []vulnerability.Vulnerability {
	for i, layer := range r.layers {
		if layer != "" {
			r.found[i].Package.Layer = slices.Index(diffIDs, layer)
		}
	}
	return r.found
}

// severity reads the words of all scanners; 0 when nobody has judged.
func severity(word string) checks.Severity {
	switch strings.ToLower(word) {
	case "critical":
		return checks.Critical
	case "high":
		return checks.High
	case "medium", "moderate":
		return checks.Medium
	case "low", "negligible":
		return checks.Low
	}
	return 0
}

// shortened returns at most most bytes of text, cut between characters.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// types are our names for those of package URLs.
var types = map[string]packages.Type{
	"deb": packages.Deb, "apk": packages.APK, "rpm": packages.RPM, "golang": packages.Go, "npm": packages.NPM, "pypi": packages.PyPI,
	"maven": packages.Maven, "gem": packages.Gem, "cargo": packages.Cargo, "composer": packages.PHP,
}

// parsePURL reads a package URL, "pkg:deb/debian/apt@2.6.1?arch=amd64":
// https://github.com/package-url/purl-spec
func parsePURL(text string) (p packages.Package, ok bool) {
	rest, ok := strings.CutPrefix(text, "pkg:")
	if !ok {
		return p, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, qualifiers, _ := strings.Cut(rest, "?")
	kind, rest, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if at := strings.LastIndexByte(rest, '@'); at > 0 {
		p.Version = unescaped(rest[at+1:])
		rest = rest[:at]
	}
	p.Type = types[strings.ToLower(kind)]
	namespace, name := "", rest
	if slash := strings.LastIndexByte(rest, '/'); slash >= 0 {
		namespace, name = unescaped(rest[:slash]), rest[slash+1:]
	}
	p.Name = unescaped(name)
	switch {
	case namespace == "" || p.Type.Distribution():
	case p.Type == packages.Maven:
		p.Name = namespace + ":" + p.Name
	default:
		p.Name = namespace + "/" + p.Name
	}
	if values, err := url.ParseQuery(qualifiers); err == nil {
		p.Arch = values.Get("arch")
		if epoch := values.Get("epoch"); epoch != "" && epoch != "0" && p.Type == packages.RPM {
			p.Version = epoch + ":" + p.Version
		}
	}
	return p, p.Name != ""
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
