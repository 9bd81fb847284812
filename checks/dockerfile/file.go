// Package dockerfile reads Dockerfiles into stages and byte ranges, and judges
// them: the final stage and everything it inherits.
package dockerfile

import (
	"plimsoll/checks"
)

// A Base is what is known of an image that a Dockerfile builds on.
type Base struct {
	ID      string   // local image id
	Digest  string   // sha256:… the reference was pulled by; "" when only built here
	User    string   // Config.User
	Env     []string // Config.Env
	Health  bool     // has a health check
	Tags    []string // every tag of the same image, such as debian:12.5
	Passwd  []byte   // /etc/passwd; nil when not read
	OnBuild []string
}

// Context is what is known of the build context: the directory of the file.
type Context struct {
	Known  bool     // false for a file read from somewhere without a context
	Ignore []byte   // .dockerignore; nil when there is none
	Names  []string // names in the directory, at most 1,000, directories with a slash
}

// Ref implements [checks.Subject].
func (f *File) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Dockerfile, ID: f.Path, Name: f.Name}
}

func check(c checks.Check, run func(*File, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Dockerfile
	c.Run = func(s checks.Subject, report func(checks.Finding)) { run(s.(*File), report) }
	return &c
}

// A File is a Dockerfile that was read. Facts from outside (Bases, Context)
// are set by whoever gathers it; checks say so when they do not know.
type File struct {
	Path    string // absolute
	Name    string // shown: relative to where the user looks from
	Source  []byte
	Context Context
	Bases   map[string]Base // by reference as it stands in FROM, ARG defaults expanded
}
