package dockerfile

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"plimsoll/checks"
)

var frontendSyntaxUnpinned = check(checks.Check{
	ID:       "frontend-syntax-unpinned",
	Title:    "Syntax image not pinned",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CWE-829"},
}, func(f *File, report func(checks.Finding)) {
	image, start, line, ok := f.frontend()
	if !ok {
		return
	}
	r := parseReference(image)
	if r.digest != "" {
		return
	}
	finding := checks.Finding{
		Line: line, EndLine: line,
		Message:  checks.Msg("%s reads the whole build and can change it, and its tag can mean another image tomorrow", image),
		Evidence: []checks.Evidence{{Source: "syntax", Detail: image}},
	}
	if r.mirrored() == "docker/dockerfile" && r.tag != "" && r.tag != "latest" {
		finding.Severity = checks.Info
	}
	if b, ok := f.Bases[image]; ok && strings.HasPrefix(b.Digest, "sha256:") {
		finding.Fixes = []checks.Fix{{
			ID: "digest", Title: checks.Msg("pin the digest"), Safe: true,
			Edit: fixed(checks.Edit{
				Start: start + len(image), End: start + len(image), New: "@" + b.Digest,
				Reason: checks.Msg("the digest names exactly the image that is here now"),
			}),
		}}
	} else {
		finding.Fixes = []checks.Fix{askedDigest("syntax-digest", image, start+len(image))}
	}
	report(finding)
})

// frontend returns the image of the syntax directive and where it stands.
func (f *File) frontend() (image string, start, line int, ok bool) {
	head := f.Source
	if len(f.Instructions) > 0 {
		head = head[:f.Instructions[0].Start]
	}
	if !bytes.Contains(bytes.ToLower(head), []byte("syntax")) {
		return "", 0, 0, false
	}
	image, _, at, ok := parser.DetectSyntax(f.Source)
	if !ok || len(at) == 0 || image == "" {
		return "", 0, 0, false
	}
	line = at[0].Start.Line
	for range line - 1 {
		start += bytes.IndexByte(f.Source[start:], '\n') + 1
	}
	i := bytes.Index(f.Source[start:], []byte(image))
	if i < 0 || bytes.IndexByte(f.Source[start:start+i], '#') < 0 {
		return "", 0, 0, false
	}
	return image, start + i, line, true
}

// mountsVariables reports whether the file asks for a frontend that can mount a
// secret as a variable: docker/dockerfile does from 1.10 on. What an engine has
// built in may be older, and a digest alone does not tell.
func (f *File) mountsVariables() bool {
	image, _, _, ok := f.frontend()
	r := parseReference(image)
	if !ok || r.mirrored() != "docker/dockerfile" {
		return false
	}
	version := strings.TrimSuffix(r.tag, "-labs")
	switch version {
	case "", "1", "latest", "labs":
		return r.digest == ""
	}
	major, minor, _ := strings.Cut(version, ".")
	minor, _, _ = strings.Cut(minor, ".")
	first, err := strconv.Atoi(major)
	second, err2 := strconv.Atoi(minor)
	return err == nil && err2 == nil && (first > 1 || first == 1 && second >= 10)
}
