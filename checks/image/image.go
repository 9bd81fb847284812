// Package image judges images by their configuration, their history and what
// their layers hold.
package image

import (
	"errors"
	"time"

	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/vulnerability"
)

// An Image is a snapshot of one local image.
type Image struct {
	Inspect image.InspectResponse
	History []image.HistoryResponseItem // newest layer first, as the engine sends it
	Passwd  []byte                      // /etc/passwd of the image; nil when it was not read
	Now     time.Time                   // when the snapshot was taken

	// Files is what its layers hold; nil when they were not read, and FilesErr
	// why not, if somebody wanted to.
	Files    *layers.Summary
	FilesErr error

	// Known are the known vulnerabilities of the packages in Files; nil when
	// nobody looked, and KnownErr what could not be looked up.
	Known    *vulnerability.Result
	KnownErr error

	// Quick is what a quick look at the packages of the distribution brought;
	// nil when nobody took one. It counts until the layers were read.
	Quick *Quick

	// Scans are what other scanners said, Together what they and Known found.
	// Set by [Image.WithScans].
	Scans    []vulnerability.Scan
	Together []vulnerability.Vulnerability

	Upstream *Upstream // what registries say; nil when they were not asked

	Arch  string // of the engine, as in GOARCH: "amd64"; "" when not known
	Use   *Use   // what containers make of it; nil when not known
	Base  *Base  // what it was built on; nil when not known
	Trust string // where the client keeps data of Docker Content Trust about it; "" without

	// Builds are the Dockerfiles and compose files at hand that build it; nil
	// when nobody looked.
	Builds []checks.Ref

	Rules Rules
}

// Rules are what the project has decided, from its settings.
type Rules struct {
	Registries []string      // that images may come from; empty means any
	CoolDown   time.Duration // for which an update has to have been out
	Licenses   []string      // SPDX ids of packages that may not be in them: "AGPL-3.0-only", "GPL-*"
}

// Quick is what is known without the layers: of packages of the distribution
// only, whatever else the image holds.
type Quick struct {
	Known *vulnerability.Result // nil: there is no place to keep advisories
	Err   error                 // what could not be looked at or looked up, fit to be shown
}

// quick returns what only a quick look says of i; nil when the layers or another
// scanner say more, or nobody looked.
func (i *Image) quick() *vulnerability.Result {
	if i.Quick == nil || i.Files != nil || i.Known != nil || i.scanned() {
		return nil
	}
	return i.Quick.Known
}

// Quickly reports whether what [Image.Vulnerabilities] returns is of packages of
// the distribution only.
func (i *Image) Quickly() bool { return i.quick() != nil }

// LookedUp returns what is known of the packages of i by us, quickly or from its
// layers; nil when nobody looked.
func (i *Image) LookedUp() *vulnerability.Result {
	if i.Known != nil {
		return i.Known
	}
	return i.quick()
}

// Use is what containers make of an image.
type Use struct {
	Containers []string // names of those that were created from it, running or not
}

// A Base is the image that another one says it was built on, as the engine has
// it now.
type Base struct {
	Name   string   // "debian:12"
	Layers []string // diff ids
	Date   string   // when it was created, RFC 3339
	Source string   // how it is known: a label, or a Dockerfile
}

// Incomplete implements [checks.Incomplete].
func (i *Image) Incomplete() error {
	var all []error
	err := i.FilesErr
	if err == nil {
		err = i.Files.Err()
	}
	switch {
	case err != nil:
		all = append(all, &checks.Problem{What: checks.Msg("the files of %s were not all read (%s)", i.Ref().Name, err.Error()), Err: err})
	case i.KnownErr != nil:
		all = append(all, &checks.Problem{What: checks.Msg("the packages of %s were not all looked up (%s)", i.Ref().Name, i.KnownErr.Error()), Err: i.KnownErr})
	case i.Files == nil && i.Quick != nil && i.Quick.Err != nil:
		all = append(all, i.Quick.Err)
	}
	if i.Upstream != nil {
		all = append(all, i.Upstream.Errs...)
	}
	for _, s := range i.Scans {
		if s.Problem != nil {
			all = append(all, s.Problem)
		}
	}
	return errors.Join(all...)
}

// WithScans returns i with what other scanners said of it.
func (i *Image) WithScans(scans []vulnerability.Scan) *Image {
	with := *i
	with.Scans, with.Together = scans, nil
	if len(scans) > 0 {
		with.Together = vulnerability.Union(i.Known, scans)
	}
	return &with
}

// Vulnerabilities returns what is known of i, by us and by others, the worst
// first.
func (i *Image) Vulnerabilities() []vulnerability.Vulnerability {
	switch {
	case len(i.Scans) > 0 && !i.Quickly():
		return i.Together
	case i.LookedUp() != nil:
		return i.LookedUp().Vulnerabilities
	}
	return nil
}

// WithFiles returns i with what its layers hold.
func (i *Image) WithFiles(files *layers.Summary, err error) *Image {
	with := *i
	with.Files, with.FilesErr = files, err
	if files != nil {
		with.Passwd = files.Passwd()
	}
	return &with
}

// Ref implements [checks.Subject]. The name is the first tag, else the digest,
// else the short id.
func (i *Image) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Image, ID: i.Inspect.ID, Name: Name(i.Inspect.RepoTags, i.Inspect.RepoDigests, i.Inspect.ID)}
}

// Name returns what people call an image with these references and id.
func Name(tags, digests []string, id string) string {
	for _, t := range tags {
		if t != "<none>:<none>" {
			return t
		}
	}
	for _, d := range digests {
		if d != "<none>@<none>" {
			return d
		}
	}
	return ShortID(id)
}

// ShortID returns the first twelve hexadecimal digits of an image or container id.
func ShortID(id string) string {
	const algorithm = "sha256:"
	if len(id) > len(algorithm) && id[:len(algorithm)] == algorithm {
		id = id[len(algorithm):]
	}
	return id[:min(12, len(id))]
}

func check(c checks.Check, run func(*Image, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Image
	remedy, atSource := sourced[c.ID]
	c.Run = func(s checks.Subject, report func(checks.Finding)) {
		i := s.(*Image)
		run(i, func(f checks.Finding) {
			if atSource && len(f.Fixes) == 0 {
				f.Fixes = i.atSource(remedy)
			}
			report(f)
		})
	}
	return &c
}
