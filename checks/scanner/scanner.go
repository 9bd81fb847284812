// Package scanner runs the vulnerability scanners of others that are installed:
// Trivy, Grype and Docker Scout. Each is given an archive of the image, never
// the engine, and has bounds of time, memory and output. What it says is read
// into the same form as our own findings; why it says nothing, a missing
// database or a lost network, is explained. No scanner is asked to update
// anything.
package scanner

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A Name is that of a scanner, as the configuration writes it.
type Name string

const (
	Trivy Name = "trivy"
	Grype Name = "grype"
	Scout Name = "scout"
)

// Names lists all scanners in display order.
var Names = []Name{Trivy, Grype, Scout}

// Parse returns the scanners called names, without repetitions.
func Parse(names []string) ([]Name, error) {
	var out []Name
	for _, text := range names {
		name := Name(strings.ToLower(text))
		if !slices.Contains(Names, name) {
			return nil, fmt.Errorf("there is no scanner %q: use trivy, grype or scout", text)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// An Installed is a scanner on this machine.
type Installed struct {
	Name    Name
	Path    string
	Version string // "0.74.0", or what it calls itself: "dev"; "" when that is not known

	// Problem is why it must not or cannot be run; nil when it can.
	Problem *checks.Problem
}

// kind is what differs between scanners.
type kind struct {
	program string   // file name
	module  string   // Go module that it is built from
	ask     []string // arguments that make it say its version
	update  string   // command that brings its advisories, "" when it has none here
	online  bool     // it works by asking its server, so it needs the network and the login

	// scan returns the arguments that make it scan archive and write to standard
	// output, or to out, which then exists.
	scan func(archive, out string) []string
	file bool // it writes to out

	env     []string // settings that keep it to its job: unlike flags, old versions ignore unknown ones
	inherit []string // names of variables of ours that it may see

	parse func([]byte) (*report, error)
	signs []sign // of why it failed, by what it complains of
}

var kinds = map[Name]*kind{Trivy: &trivy, Grype: &grype, Scout: &scout}

// compromised are releases into which somebody put code that steals: their
// files may still lie around. https://nvd.nist.gov/vuln/detail/CVE-2026-33634
var compromised = map[Name][]string{Trivy: {"0.69.4", "0.69.5", "0.69.6"}}

// Watched are the scanners of which harmful releases are known.
func Watched() []Name {
	return slices.DeleteFunc(slices.Clone(Names), func(n Name) bool { return len(compromised[n]) == 0 })
}

// Compromised reports whether this version is known to be harmful.
func Compromised(name Name, version string) bool {
	core, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "+")
	core, _, _ = strings.Cut(core, "-")
	return slices.Contains(compromised[name], core)
}
