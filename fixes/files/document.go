package files

import (
	"context"

	"plimsoll/checks"
)

// A document is a file of some kind as it was read: what the mechanic has to
// know of the kind to change one.
type document interface {
	// subject is what the checks judge.
	subject() checks.Subject

	text() text

	// refusal says why the file cannot be understood, nil if it can.
	refusal() error

	// with returns the document with other text and the same facts from
	// outside. changed returns the new content of a file beside it, if that
	// is another one too.
	with(source []byte, changed func(path string) ([]byte, bool)) (document, error)

	// place returns the file that an edit of path, of a file beside it, belongs in.
	place(path string) string

	// beside returns where the patched copy of a file goes that is called path
	// in edits; "" is the document itself.
	beside(path string) (string, error)

	// deploy returns the command that makes what runs be as next says, which is
	// called name; nil where nothing runs from such a file.
	deploy(next document, name string) []string

	// command returns the command that puts the result to use. It is in dir,
	// called name, and asks for the secrets in deposits.
	command(dir, name string, deposits []string) string
}

// A validating document knows a program that says whether it would take source.
type validating interface {
	// validate returns an error of refuse when the program would not.
	validate(ctx context.Context, source []byte) error
}

// Text is what a document has in common with any other.
type text struct {
	path   string // absolute
	name   string // shown
	source []byte
	absent bool // there is no such file yet
}

// open returns subject as a document, nil if it is none of kind.
func open(kind checks.Kind, subject checks.Subject) document {
	if subject.Ref().Kind != kind {
		return nil
	}
	for _, as := range []func(checks.Subject) document{asDockerfile, asCompose, asDaemon} {
		if d := as(subject); d != nil {
			return d
		}
	}
	return nil
}
