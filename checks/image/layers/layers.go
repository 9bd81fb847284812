// Package layers reads what the layers of an image hold, as a stream: nothing
// is extracted, no link is followed, and everything that a hostile image could
// make large is bounded.
package layers

import (
	"io"

	"plimsoll/checks/packages"
)

// A Kind is what an entry of a layer is.
type Kind uint8

const (
	Regular Kind = iota
	Dir
	Symlink
	Hardlink
	Device
	Other
	Whiteout // deletes the path, and all below, of the layers underneath
	Opaque   // empties the directory of what the layers underneath put there
)

// A File is one entry of a layer.
type File struct {
	Path       string // relative to the root, clean; of a [Whiteout] what it deletes
	Kind       Kind
	Mode       uint16 // permissions with setuid, setgid and sticky as in chmod(1)
	UID, GID   int32
	Size       int64  // bytes that were there to be read, whatever a header claims
	Capability bool   // has file capabilities
	Program    bool   // the content is one for this kind of system (ELF)
	Sum        uint64 // of the content, of files from [smallestSummed] bytes on that were read to their end; else 0
}

// Permission bits beyond those for owner, group and others.
const (
	SetUID = 0o4000
	SetGID = 0o2000
	Sticky = 0o1000
)

// A Visitor looks at the entries of one layer as they stream by, so that one
// pass serves all who want to know something.
type Visitor interface {
	// Visit is told of each entry in the order of the layer. The content of a
	// regular file goes to what it returns, nil meaning nowhere: until a Write
	// fails, or [Limits.Content] is reached, or the file ends; then comes Close.
	// Size is still what the header claims.
	Visit(f *File) io.WriteCloser
}

// A Secret is where a secret stands. The value itself is never kept.
type Secret struct {
	Path       string
	Kind       SecretKind
	Rule       string // what it looks like
	Start, End int    // byte range in the file; 0, 0 when the file as a whole
}

// A SecretKind says why something counts as a secret.
type SecretKind uint8

const (
	PrivateKey SecretKind = iota
	Credential            // a file that exists to hold credentials
	Token                 // something in a file has the form of a credential
)

// An Account is a line of /etc/passwd, without anything secret.
type Account struct {
	Name       string
	UID, GID   int
	NoPassword bool // the password is empty, rather than locked or elsewhere
}

// A Group is a line of /etc/group.
type Group struct {
	Name string
	GID  int
}

// A License is one that a package's own file names.
type License struct {
	Type    packages.Type
	Package string
	Name    string // as the package spells it: "GPL-2+", "MIT OR Apache-2.0"
	File    string
}

// A Setting is a line of configuration.
type Setting struct {
	File string
	Line int
	Text string
}

// A Layer is what one layer holds. It contains no secret values, so that it may
// be written to disk.
type Layer struct {
	Files      []File
	Secrets    []Secret
	Accounts   []Account       // of etc/passwd in this layer
	Groups     []Group         // of etc/group in this layer
	Unlocked   []string        // accounts whose password in etc/shadow is empty
	Prefix     string          // before all names: "./" or ""
	Software   []packages.File // what its files say about packages
	Licenses   []License
	Untrusted  []Setting // configuration that installs without verifying
	Escapes    []string  // some of the names that point out of the image
	Incomplete string    // why it was not read to its end; "" when it was
}

// A Manifest says which layers an image has.
type Manifest struct {
	Layers []Ref // the lowest first
}

// A Ref names a layer of an image.
type Ref struct {
	DiffID string // digest of the uncompressed layer
	Name   string // of the file in the archive that holds the layer
	Packed string // how that file is compressed: "gzip", "zstd" or ""
	Step   int    // index of the instruction in the history, the oldest being 0; -1 if unknown
}

// Contents are an image as it was read.
type Contents struct {
	Manifest Manifest
	Layers   []*Layer // as in the manifest
}
