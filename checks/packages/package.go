// Package packages reads which software an image holds: from the databases of
// its package managers, from what language package managers leave beside the
// code, and from programs that say what they were built from.
//
// Files come as they stream by in the layers of an image ([Collector]); what
// they say is joined afterwards ([Join]), because only then is it known which
// of them a container sees. Every file may be hostile: sizes are bounded, and
// what cannot be read is no package rather than an error of everything.
package packages

// A Type is the package manager whose rules for names and versions apply.
type Type string

const (
	Deb   Type = "deb"
	APK   Type = "apk"
	RPM   Type = "rpm"
	Go    Type = "go"
	NPM   Type = "npm"
	PyPI  Type = "pypi"
	Maven Type = "maven"
	Gem   Type = "gem"
	Cargo Type = "cargo"
	PHP   Type = "composer"
)

// Distribution reports whether packages of type t come from the distribution,
// so that its advisories and its way of counting versions apply.
func (t Type) Distribution() bool { return t == Deb || t == APK || t == RPM }

// A Package is one installed package.
type Package struct {
	Type    Type   `json:"type"`
	Name    string `json:"name"`    // as the package manager calls it: "libc6", "org.slf4j:slf4j-api"
	Version string `json:"version"` // as the package manager writes it: "2.36-9+deb12u10"
	Arch    string `json:"arch,omitempty"`

	// Source and SourceVersion are what the package was built from, where that
	// differs: advisories of Debian, Ubuntu and Alpine speak of sources.
	Source        string `json:"source,omitempty"`
	SourceVersion string `json:"source_version,omitempty"`

	// Path is the file that says so, relative to the root.
	Path string `json:"path"`

	// Layer is the index of the layer that brought this version. Set by [Join].
	Layer int `json:"-"`

	// Owned says that the file belongs to a package of the distribution, which
	// repairs it under its own version numbers. Set by [Join].
	Owned bool `json:"-"`
}

// Origin returns the name and version that advisories for sources speak of.
func (p *Package) Origin() (name, version string) {
	name, version = p.Name, p.Version
	if p.Source != "" {
		name = p.Source
	}
	if p.SourceVersion != "" {
		version = p.SourceVersion
	}
	return name, version
}

// A File is what one file of a layer says about packages. It can be kept: it
// holds nothing but names and versions.
type File struct {
	Path     string    `json:"path"`
	Packages []Package `json:"packages,omitempty"`
	Release  *Release  `json:"release,omitempty"`
	Owns     []string  `json:"owns,omitempty"` // paths that a distribution package installed, of those that matter
	Trouble  string    `json:"trouble,omitempty"`
}

func (f *File) empty() bool {
	return len(f.Packages) == 0 && f.Release == nil && len(f.Owns) == 0 && f.Trouble == ""
}
