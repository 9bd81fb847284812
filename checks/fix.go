package checks

import "plimsoll/checks/secret"

// A Fix says what should change; package fixes works out how, proves it on a
// copy and carries it out. Exactly one of Edit, Change, Update, Source and Tag is set.
type Fix struct {
	// ID tells alternatives of one finding apart: "digest", "nonroot-user".
	ID string

	// Title is a verb phrase: "pin the digest".
	Title Message

	// Caution says what may break; zero if nothing.
	Caution Message

	// Safe marks a mechanical change that preserves meaning and needs no
	// choice: "fix everything safe" applies these only.
	Safe bool

	// Alone marks a change that what runs cannot take in without being taken down
	// first. It is not made together with others, which would wait for that too.
	Alone bool

	// Brings lists ids of checks that may report the result where they did not
	// before, because what is cured weighs more: a new stage has a base image of
	// its own. Anything else that is new takes the fix back.
	Brings []string

	// Choices are what the user may decide, each with a default.
	Choices []Choice

	// Edit returns the changes to files for values, which holds a valid entry
	// for every choice. It is pure.
	Edit func(values Values) ([]Edit, error)

	// Change alters what a container was created from, in place; s is a deep
	// copy. It is pure but for s.
	Change func(s *Settings, values Values) error

	// Update moves the containers of an image to what the registry has for its
	// tag.
	Update bool

	// Source changes the file that an image is made from, or writes one that makes
	// another from it.
	Source bool

	// Tag returns one more name that an image gets.
	Tag func(values Values) string
}

// A Choice is one decision of the user: a form field on the screen, --set
// key=value without one.
type Choice struct {
	Key     string  // kebab-case, unique within a subject: "user", "memory"
	Label   Message // "user to run as"
	Why     Message // why Default was suggested; zero if obvious
	Default string  // always valid; empty where Example is set

	// Example is set where only the user can know the answer: there is no
	// default then, and nothing is done without one. It is valid.
	Example string

	Options []string // the only values allowed; nil means free text

	// Names are what Options are called, in the same order; nil where they speak
	// for themselves.
	Names []Message

	// Valid returns why value cannot be used; nil accepts everything.
	Valid func(value string) error
}

// Values are chosen values by [Choice.Key].
type Values map[string]string

// An Edit replaces bytes [Start, End) of a file by New.
type Edit struct {
	// Path is relative to the directory of the subject's file, and empty for
	// the subject's file itself. A file that does not exist is created when
	// Start and End are 0. An existing one is appended to at its end when
	// Start and End are -1, on a line of its own.
	Path       string
	Start, End int
	New        string
	Reason     Message // one clause, shown beside the changed line

	// Moved are secrets that this edit takes out of the file. They are kept
	// in a private file of their own and never appear in a plan, log or ledger.
	Moved []MovedSecret
}

// A MovedSecret is a secret value on its way from a file in the project to a
// private one.
type MovedSecret struct {
	ID    string    // id of the build secret: "npm_token"
	Value Sensitive // what the private file will hold

	// Path is the new file, relative to the directory of the subject's file,
	// where what runs reads it; empty for one that only builds read, which is
	// kept where no build can see it.
	Path string

	// Readable says that another user than the owner reads the file at Path: it
	// lets everybody read it then, and its directory lets nobody else enter.
	Readable bool
}

// Sensitive is text that prints, formats and marshals as a mask.
type Sensitive string

const mask = secret.Mask

func (Sensitive) String() string               { return mask }
func (Sensitive) GoString() string             { return mask }
func (Sensitive) MarshalText() ([]byte, error) { return []byte(mask), nil }

// Reveal returns the secret itself.
func (s Sensitive) Reveal() string { return string(s) }
