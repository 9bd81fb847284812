// Package ledger keeps on disk what was done to the user's world, its proof
// and its inverse, written before the first step of every plan.
package ledger

import (
	"encoding/json"
	"time"

	"plimsoll/checks"
)

// A State is how far an entry has come.
type State string

const (
	Running    State = "running"     // being applied, or interrupted by a crash
	Applied    State = "applied"     // verified
	RolledBack State = "rolled-back" // failed, everything put back
	Broken     State = "broken"      // failed, and could not be put back: needs a person
	Undone     State = "undone"      // taken back by the user
)

// An Entry is one plan that was applied, or was begun.
type Entry struct {
	ID        string          `json:"id"` // sorts by time
	Time      time.Time       `json:"time"`
	Title     string          `json:"title"`
	Mechanism string          `json:"mechanism"`
	Subject   checks.Ref      `json:"subject"`
	Engine    string          `json:"engine,omitempty"` // info.ID; never recovered onto another
	State     State           `json:"state"`
	Error     string          `json:"error,omitempty"`
	Step      int             `json:"step"`            // index of the step that was begun last
	Inverse   json.RawMessage `json:"inverse"`         // what the mechanism needs to undo and recover; no secrets
	Commands  []string        `json:"commands"`        // equivalent commands, masked
	Proof     []string        `json:"proof,omitempty"` // what was verified
	Checks    []string        `json:"checks"`          // ids cured
}
