package container

import (
	"encoding/json"
	"fmt"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/fixes/ledger"
)

// A journal is what is needed to finish a replacement, or to go back, from any
// point. It holds no settings: the original is the backup.
type journal struct {
	Tx       string   `json:"tx"`
	Name     string   `json:"name"`
	Old      string   `json:"old"`           // id of the original
	New      string   `json:"new,omitempty"` // id of the replacement, once known
	Stage    stage    `json:"stage"`
	Baseline baseline `json:"baseline"`
	Network  string   `json:"network,omitempty"` // made for the replacement

	// Held says that the original was stopped before the stage tells so.
	Held bool `json:"held,omitempty"`

	// Written is what becomes of what the original wrote outside of volumes, File
	// where that is saved, and Image what is made of it.
	Written fate       `json:"written,omitempty"`
	File    string     `json:"file,omitempty"`
	Image   *madeImage `json:"image,omitempty"`

	Tag *movedTag `json:"tag,omitempty"` // once it is to be moved

	Secrets []shelter `json:"secrets,omitempty"`

	Policy    api.RestartPolicy `json:"policy"` // of the original
	NewPolicy api.RestartPolicy `json:"new_policy"`
}

// shelf returns the name under which the original is kept.
func (j *journal) shelf() string { return j.Name + oldInfix + j.Tx }

// touched reports whether something may have happened to the original.
func (j *journal) touched() bool { return j.Held || j.Stage.touched() }

// pending reports whether what the original wrote may not yet be where it is to be.
func (j *journal) pending() bool { return !j.Stage.settled() }

// finishable reports whether the replacement is known to be one that can take
// over: one that is to be made of the original may be a trial before.
func (j *journal) finishable() bool {
	return j.touched() && (j.Written != baked || j.Stage.settled())
}

// lock returns the temporary name of the replacement.
func (j *journal) lock() string { return j.Name + newSuffix }

// decode returns the journal of a replacement.
func decode(entry ledger.Entry) (journal, error) {
	var j journal
	if err := json.Unmarshal(entry.Inverse, &j); err != nil {
		return j, fmt.Errorf("ledger entry %s: %w", entry.ID, err)
	}
	if j.Tx != entry.ID || j.Name == "" || j.Old == "" {
		return j, fmt.Errorf("ledger entry %s is not the journal of a replacement", entry.ID)
	}
	return j, nil
}
