package checks

import "time"

// A Suppression is the user's word that something is known and accepted.
type Suppression struct {
	Reason string    // safe to show; may be empty where another tool needs none
	Until  time.Time // the last day on which it holds; zero for ever
	Source string    // whose word it is: "plimsoll", "hadolint", "BuildKit", ".plimsoll.yaml"
	Line   int       // where it is written: in the subject, else in the configuration
}

// InSubject reports whether s is written in the subject itself.
func (s Suppression) InSubject() bool { return s.Source != ConfigurationName }

// Expired reports whether s no longer holds on the day of now.
func (s Suppression) Expired(now time.Time) bool {
	return !s.Until.IsZero() && now.Format(time.DateOnly) > s.Until.Format(time.DateOnly)
}

// ConfigurationName is the file in which a project says what it accepts.
const ConfigurationName = ".plimsoll.yaml"

// A Suppressed finding is real, but does not count.
type Suppressed struct {
	Finding
	Suppression Suppression
}

// An Exception accepts findings on subjects, from a configuration. Exactly one
// of Path, Container, Image and Host is set.
type Exception struct {
	Suppression
	Checks    []string // ids
	Path      string   // glob of a file below Root; ** matches directories
	Container string   // glob of a name
	Image     string   // glob of a reference
	Host      bool
	Root      string // directory of the configuration, absolute
}

// A Label is what a user requires of a label of an image.
type Label struct {
	Required bool
	Type     string // one of [LabelTypes]; "" for what is usual for its key
}

// LabelTypes are the types that the value of a label can be required to have.
var LabelTypes = []string{"text", "url", "rfc3339", "spdx", "hash", "semver", "email", "digest"}
