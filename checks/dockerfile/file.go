// Package dockerfile reads Dockerfiles into stages and byte ranges, and judges
// them: the final stage and everything it inherits.
package dockerfile

import (
	"fmt"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A File is a Dockerfile that was read. Facts from outside (Bases, Context)
// are set by whoever gathers it; checks say so when they do not know.
type File struct {
	Path    string // absolute
	Name    string // shown: relative to where the user looks from
	Source  []byte
	Context Context
	Bases   map[string]Base // by reference as it stands in FROM, ARG defaults expanded
	Rules   Rules
	New     bool      // it is on no disk yet
	Now     time.Time // the day to judge by; zero means that of the table of lifecycles

	// Set by Parse.
	Stages       []*Stage
	Instructions []*Instruction // all of them, the ones before the first FROM too
	Escape       byte           // what continues a line and quotes: '\\' or '`'
	Refusal      *Refusal       // nil when BuildKit accepts the file

	triggers *File // what ONBUILD makes others build; nil when nothing

	lower   bool // most keywords are in lower case
	globals *globals
}

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
	Created time.Time // zero when not known
	Seen    time.Time // when these facts were read

	// What a registry said, or was found in the image; empty when nobody looked.
	Served    string   // sha256:… that the registry serves for the tag now
	Platforms []string // that the image exists for: "linux/amd64"
	Fixable   []string // serious known vulnerabilities with a fix, the worst first: "CVE-2024-1234"
	Unrated   bool     // nobody has rated those of Fixable
	Beyond    []string // those of Fixable that no package of the distribution repairs
	Repaired  []string // packages of the distribution whose newer versions repair the others
	Manager   string   // the program in the image that installs them: "apt-get"; "" for none
	Better    []string // tags with fewer of them, the best first
}

// Context is what is known of the build context: the directory of the file.
type Context struct {
	Known  bool     // false for a file read from somewhere without a context
	Ignore []byte   // .dockerignore; nil when there is none
	Names  []string // names in the directory, at most 1,000, directories with a slash
}

// Parse reads a Dockerfile. It never fails: of a file that BuildKit refuses it
// returns everything that can be read, and the reason in [File.Refusal].
// The file keeps src, which must not change any more.
func Parse(path, name string, src []byte) *File {
	f := &File{Path: path, Name: name, Source: src, Escape: '\\', globals: &globals{}}
	f.scan()
	f.divide()
	f.lower = f.lowerKeywords()
	f.triggers = f.child()
	f.Refusal = refusal(f.skeleton())
	return f
}

// Forget drops what was worked out about the instructions of f while it was judged,
// most of what it occupies; what is asked for again is made again. Nobody else
// may read f meanwhile.
func (f *File) Forget() {
	for _, in := range f.Instructions {
		in.known.Store(nil)
	}
	if f.triggers != nil {
		f.triggers.Forget()
	}
}

// ordinary reports whether f is of a size that people write. Nobody could read
// the patch of a larger one, and what looks at all pairs of instructions would
// take for ever.
func (f *File) ordinary() bool { return len(f.Instructions) <= 1000 }

// BaseImages returns the references of all images that the file builds on and
// whose names are certain, without scratch and earlier stages: the keys that
// [File.Bases] should have.
func (f *File) BaseImages() []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range f.Stages {
		if s.External() && s.Certain && !seen[s.Image] {
			seen[s.Image] = true
			out = append(out, s.Image)
		}
	}
	return out
}

// Ref implements [checks.Subject].
func (f *File) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Dockerfile, ID: f.Path, Name: f.Name}
}

// Incomplete implements [checks.Incomplete].
func (f *File) Incomplete() error {
	if f.Refusal == nil {
		return nil
	}
	return f.Refusal
}

// A Refusal is why BuildKit would not build the file.
type Refusal struct {
	Line        int // 0 when it is the file as a whole
	Reason      string
	Instruction string // the keyword that is not one, if that is the reason
}

// Error returns the reason in a form that is fit to be shown: it may repeat
// bytes of the file.
func (r *Refusal) Error() string {
	reason := terminal.Line(secret.Redact(r.Reason))
	if r.Line == 0 {
		return reason
	}
	return fmt.Sprintf("line %d: %s", r.Line, reason)
}
