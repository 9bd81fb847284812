// Package ledger keeps on disk what was done to the user's world, its proof
// and its inverse, written before the first step of every plan.
package ledger

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes/private"
)

// A State is how far an entry has come.
type State string

const (
	Running    State = "running"     // being applied, or interrupted by a crash
	Applied    State = "applied"     // verified
	RolledBack State = "rolled-back" // failed, everything put back
	Broken     State = "broken"      // failed, and could not be put back: needs a person
	Undoing    State = "undoing"     // being taken back, or interrupted by a crash while it was
	Undone     State = "undone"      // taken back by the user
	Final      State = "final"       // verified, and its way back was removed on request
)

// Unfinished reports whether an entry in state s is being worked on, or was
// when the program died.
func (s State) Unfinished() bool { return s == Running || s == Undoing }

// An Entry is one plan that was applied, or was begun.
type Entry struct {
	ID        string          `json:"id"` // sorts by time
	Time      time.Time       `json:"time"`
	Title     string          `json:"title"`
	Mechanism string          `json:"mechanism"`
	Subject   checks.Ref      `json:"subject"`
	Members   []checks.Ref    `json:"members,omitempty"` // changed with it, as one
	Batch     *Part           `json:"batch,omitempty"`   // that it was done with
	Engine    string          `json:"engine,omitempty"`  // info.ID; never recovered onto another
	State     State           `json:"state"`
	Error     string          `json:"error,omitempty"`
	Step      int             `json:"step"`                // index of the step that was begun last
	Inverse   json.RawMessage `json:"inverse"`             // what the mechanism needs to undo and recover; no secrets
	Commands  []string        `json:"commands"`            // equivalent commands, masked
	Proof     []string        `json:"proof,omitempty"`     // what was verified
	Checks    []string        `json:"checks"`              // ids cured
	Files     []string        `json:"files,omitempty"`     // written for the user, who may remove them
	Reminders []string        `json:"reminders,omitempty"` // what a person has to do after it

	// Deploy is the command that makes what runs be as the changed file says,
	// Redeploy the one for when the change was undone, and Deployed whether the
	// first was begun, and the second not: what runs is as the change says, or
	// partly.
	Deploy   []string `json:"deploy,omitempty"`
	Redeploy []string `json:"redeploy,omitempty"`
	Deployed bool     `json:"deployed,omitempty"`
}

// Trailing returns the command that makes what runs be as the file of e says; nil
// when it is already, or nothing is made from it.
func (e *Entry) Trailing() []string {
	switch {
	case e.State == Applied && !e.Deployed:
		return e.Deploy
	case e.State == Undone && e.Deployed:
		return e.Redeploy
	}
	return nil
}

// A Part says which place an entry has in a batch: a plan over many subjects.
type Part struct {
	ID string `json:"id"` // of the batch
	N  int    `json:"part"`
	Of int    `json:"of"` // how many parts were planned
}

// BatchOf returns the entries of the batch called id, in the order in which they
// were carried out.
func BatchOf(entries []Entry, id string) []Entry {
	var out []Entry
	for _, e := range entries {
		if e.Batch != nil && e.Batch.ID == id && id != "" {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Batch.N, b.Batch.N) })
	return out
}

// A Ledger is a directory with one file per entry. Nothing is read or created
// before it is used.
type Ledger struct {
	dir private.Dir
}

// New returns the ledger in dir.
func New(dir string) *Ledger { return &Ledger{private.Dir{Path: dir}} }

// Dir returns where the user's ledger is: $XDG_STATE_HOME/plimsoll, or
// ~/.local/state/plimsoll.
func Dir() (string, error) {
	// The specification says that a relative path is to be ignored.
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "plimsoll"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("where to keep the ledger: %w", err)
	}
	return filepath.Join(home, ".local", "state", "plimsoll"), nil
}

// Path returns the directory of l.
func (l *Ledger) Path() string { return l.dir.Path }

// NewID returns an id for an entry begun now. Ids sort by time.
func NewID(now time.Time) string {
	var b [3]byte
	rand.Read(b[:])
	return now.UTC().Format("20060102-150405.000") + "-" + hex.EncodeToString(b[:])
}

const suffix = ".json"

// validID keeps ids from naming anything but a file of the ledger.
func validID(id string) bool {
	return id != "" && !strings.HasPrefix(id, ".") && strings.IndexFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_')
	}) < 0
}

// Put stores e durably: when it returns, e survives a power cut.
func (l *Ledger) Put(e Entry) error {
	if !validID(e.ID) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("ledger id %q", e.ID))
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err == nil {
		err = l.dir.Write(e.ID+suffix, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// Entry returns the entry called id.
func (l *Ledger) Entry(id string) (Entry, error) {
	if !validID(id) {
		return Entry{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("ledger id %q", id))
	}
	e, err := l.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("no change called %s in the ledger", id))
	}
	return e, err
}

func (l *Ledger) read(id string) (Entry, error) {
	data, err := l.dir.Read(id + suffix)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("%s: %w", filepath.Join(l.dir.Path, id+suffix), err)
	}
	if e.ID != id || e.State == "" || e.Subject.Kind == "" {
		return Entry{}, fmt.Errorf("%s is not an entry of the ledger", filepath.Join(l.dir.Path, id+suffix))
	}
	return e, nil
}

// Entries returns all entries, the newest first, and what is wrong with files
// that are not entries or no longer are: they are left alone.
func (l *Ledger) Entries() (entries []Entry, damaged []error, err error) {
	names, err := l.dir.Names()
	if err != nil {
		return nil, nil, fmt.Errorf("read ledger: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		// Temporary files of a write that a crash cut short start with a dot.
		id, ok := strings.CutSuffix(name, suffix)
		if !ok || !validID(id) {
			continue
		}
		e, err := l.read(id)
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID))
	})
	return entries, damaged, nil
}

// Lock makes sure that only one program at a time changes what is called name,
// or fails with [errdefs.ErrConflict]. A lock ends with its process.
func (l *Ledger) Lock(name string) (release func(), err error) {
	sum := sha256.Sum256([]byte(name))
	return l.dir.Lock(hex.EncodeToString(sum[:16]) + ".lock")
}
