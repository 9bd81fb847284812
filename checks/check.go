// Package checks is the check engine shared by the screen and the command
// line: it says what is wrong, where, how it knows and what should change.
//
// A [Check] is a value that holds everything about one rule. [Run] applies a
// suite of them to one [Subject] and returns a [Report], which replaces every
// earlier report of that subject. Checks are pure: the same subject gives the
// same findings. All I/O happens before, where subjects are gathered (package
// inventory), or after, where findings are fixed (package fixes).
package checks

// A Check describes one problem and how to detect it.
type Check struct {
	// ID is stable, unique and kebab-case, such as "final-user-root". It names
	// the explanation in assets and appears in settings, reports and the ledger.
	ID string

	// Title states the problem in a few words, without a period.
	// It is the key of its own translation.
	Title string

	// Severity is the default; [Policy] may override it.
	Severity Severity

	// Chapter is the lesson the check belongs to.
	Chapter Chapter

	// Refs name the same rule elsewhere: "CIS 4.1 (v1.6.0)", "hadolint DL3002".
	Refs []string

	// Covers lists ids that are not reported on a subject where this one is,
	// because curing this one makes them moot.
	Covers []string

	// Kind is the kind of subject that Run accepts.
	Kind Kind

	// Layers says that it judges what only the layers of an image tell, which
	// are read later than the rest, or not at all.
	Layers bool

	// Run reports each occurrence in subject, whose Ref().Kind is Kind.
	// Packages of subjects wrap it so that a check sees its concrete type.
	Run func(subject Subject, report func(Finding))
}

// A Kind is a sort of subject.
type Kind string

const (
	Dockerfile Kind = "dockerfile"
	Compose    Kind = "compose" // a compose file; its services are judged by the container checks
	Image      Kind = "image"
	Container  Kind = "container"
	Host       Kind = "host" // the engine and the machine it runs on
)

// Kinds lists every kind in display order.
var Kinds = []Kind{Dockerfile, Compose, Container, Image, Host}

// A Ref identifies a subject. It is comparable.
type Ref struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`   // absolute path, container or image id, or engine id
	Name string `json:"name"` // what people call it; not yet sanitised
}

// A Subject is something that can be checked: a snapshot, never changed after
// it was gathered.
type Subject interface {
	Ref() Ref
}

// An Incomplete subject may have been understood only in part. What is wrong
// with the rest of it is still reported.
type Incomplete interface {
	Subject
	Incomplete() error // why, fit to be shown; nil when everything was understood
}

// A Noted subject says what could not be looked at although nothing is wrong
// with it, such as files that only root may read.
type Noted interface {
	Subject
	Notes() []Message
}
