package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
	"plimsoll/fixes/private"
)

// An inverse is what the ledger keeps of a patch. It holds no secret: removed
// text with one in it is in the vault.
type inverse struct {
	Dir   string    `json:"dir"`
	Vault string    `json:"vault"`
	Files []written `json:"files"`
	Kept  []kept    `json:"kept,omitempty"`
}

// Kept is a secret that was put into a file of its own in the project. What it
// holds is in the vault: not even a hash of a secret is in the ledger.
type kept struct {
	Name    string `json:"name"`
	Temp    string `json:"temp"`
	Private string `json:"private"`        // in the vault
	Made    bool   `json:"made,omitempty"` // its directory
}

// A written file is one before or after it was replaced, by hash, so that it
// can be told how far the change had come when it was interrupted.
type written struct {
	Name    string `json:"name"`
	Created bool   `json:"created,omitempty"`
	attributes
	Before string    `json:"before,omitempty"` // sha256
	After  string    `json:"after"`
	Temp   string    `json:"temp"`
	Back   []segment `json:"back"` // edits of After that give Before
}

// A segment replaces bytes [Start, End) by Text, or by a file of the vault.
type segment struct {
	Start   int    `json:"start"`
	End     int    `json:"end"`
	Text    string `json:"text,omitempty"`
	Private string `json:"private,omitempty"`
}

// invert returns the inverse of p and what the vault has to hold for it.
func (p *patch) invert(id string, project *project) (inverse, map[string]string) {
	inv := inverse{Dir: project.dir, Vault: p.vault.Path}
	removed := map[string]string{}
	for n, t := range p.targets {
		w := written{
			Name:       t.old.Name,
			Created:    !t.old.Exists,
			attributes: t.attributes,
			After:      sum(t.after),
			Temp:       temp(t.old.Name, id, n),
		}
		if !w.Created {
			w.Before = t.old.Sum
			shift := 0
			for _, e := range t.change.Edits {
				text := string(t.change.Before[e.Start:e.End])
				s := segment{Start: e.Start + shift, End: e.Start + shift + len(e.New)}
				if text != "" && (len(e.Moved) > 0 || !utf8.ValidString(text) || t.change.HoldsSecret(e.Start, e.End)) {
					s.Private = fmt.Sprintf("undo-%s-%d", id, len(removed))
					removed[s.Private] = text
				} else {
					s.Text = text
				}
				w.Back = append(w.Back, s)
				shift += len(e.New) - (e.End - e.Start)
			}
		}
		inv.Files = append(inv.Files, w)
	}
	for n, d := range p.deposits {
		if d.Path == "" {
			continue
		}
		k := kept{Name: d.file, Temp: temp(d.file, id, len(p.targets)+n), Private: fmt.Sprintf("undo-%s-%d", id, len(removed)), Made: d.makes}
		removed[k.Private] = d.Value.Reveal()
		inv.Kept = append(inv.Kept, k)
	}
	return inv, removed
}

// temp returns the name of the temporary file that becomes name.
func temp(name, id string, n int) string {
	return filepath.Join(filepath.Dir(name), fmt.Sprintf(".plimsoll-%s-%d", id, n))
}

func parseInverse(entry ledger.Entry) (inverse, error) {
	var inv inverse
	if err := json.Unmarshal(entry.Inverse, &inv); err != nil {
		return inv, fmt.Errorf("what %s would be undone with: %w", entry.ID, err)
	}
	// A host is not called by its file.
	if ofHost := entry.Subject.Kind == checks.Host; ofHost && !filepath.IsAbs(inv.Dir) || !ofHost && inv.Dir != filepath.Dir(entry.Subject.ID) {
		return inv, fmt.Errorf("what %s would be undone with speaks of another directory", entry.ID)
	}
	for _, w := range inv.Files {
		if !filepath.IsLocal(w.Name) || !filepath.IsLocal(w.Temp) {
			return inv, fmt.Errorf("what %s would be undone with: %q is outside of the project", entry.ID, w.Name)
		}
	}
	for _, k := range inv.Kept {
		if !filepath.IsLocal(k.Name) || !filepath.IsLocal(k.Temp) {
			return inv, fmt.Errorf("what %s would be undone with: %q is outside of the project", entry.ID, k.Name)
		}
	}
	return inv, nil
}

var errUndoText = errors.New("cannot be rebuilt as it was")

// original returns what w was before it was replaced by after.
func (inv *inverse) original(w *written, after []byte) ([]byte, error) {
	vault := private.Dir{Path: inv.Vault}
	var out []byte
	at := 0
	for _, s := range w.Back {
		if s.Start < at || s.End < s.Start || s.End > len(after) {
			return nil, fmt.Errorf("%s %w: its undo record does not fit", terminal.Line(w.Name), errUndoText)
		}
		out = append(out, after[at:s.Start]...)
		if s.Private != "" {
			text, err := vault.Read(s.Private)
			if err != nil {
				return nil, fmt.Errorf("%s %w: %w", terminal.Line(w.Name), errUndoText, err)
			}
			out = append(out, text...)
		}
		out = append(out, s.Text...)
		at = s.End
	}
	out = append(out, after[at:]...)
	if sum(out) != w.Before {
		return nil, fmt.Errorf("%s %w: the result would differ from the original", terminal.Line(w.Name), errUndoText)
	}
	return out, nil
}

// forget removes from the vault what only undo needed.
func (inv *inverse) forget() error {
	vault := private.Dir{Path: inv.Vault}
	var failed []error
	for _, w := range inv.Files {
		for _, s := range w.Back {
			if s.Private != "" {
				failed = append(failed, vault.Remove(s.Private))
			}
		}
	}
	for _, k := range inv.Kept {
		failed = append(failed, vault.Remove(k.Private))
	}
	return errors.Join(failed...)
}

// restore puts back every file that was replaced, the last one first. It can
// be repeated, and leaves alone what somebody else has changed since, which is
// [fixes.ErrBroken].
func (inv *inverse) restore(project *project, id string) error {
	failed := []error{inv.untangle(project)}
	for n := len(inv.Files) - 1; n >= 0; n-- {
		w := &inv.Files[n]
		if err := w.restore(inv, project, undoTemp(w.Name, id, n)); err != nil {
			failed = append(failed, err)
		}
	}
	if err := inv.sweep(project, id); err != nil {
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("%w: %w", fixes.ErrBroken, err)
	}
	inv.takeBack(project)
	return nil
}

func (w *written) restore(inv *inverse, project *project, temp string) error {
	// Its replacement is still waiting, so that whatever is there is not ours.
	if _, err := project.root.Lstat(w.Temp); err == nil {
		return nil
	}
	data, now, err := project.read(w.Name)
	switch {
	case err != nil:
		return err
	case !now.Exists && w.Created, now.Exists && !w.Created && now.Sum == w.Before:
		return nil
	case !now.Exists:
		return fmt.Errorf("%s is gone", terminal.Line(w.Name))
	case now.Sum != w.After:
		return fmt.Errorf("%s was changed by somebody else and is left as it is: %w", terminal.Line(w.Name), fixes.ErrChanged)
	case w.Created:
		return project.remove(now)
	}
	original, err := inv.original(w, data)
	if err != nil {
		return err
	}
	if err := project.discard(temp); err != nil {
		return err
	}
	if err := project.prepare(temp, original, w.attributes); err != nil {
		return err
	}
	if err := project.put(temp, now); err != nil {
		return errors.Join(err, project.discard(temp))
	}
	return nil
}

// untangle finishes the creation of files that a crash left with two names.
func (inv *inverse) untangle(project *project) error {
	for _, w := range inv.Files {
		file, err := project.root.Lstat(w.Name)
		if err != nil {
			continue
		}
		if temp, err := project.root.Lstat(w.Temp); err == nil && os.SameFile(file, temp) {
			if err := project.discard(w.Temp); err != nil {
				return err
			}
		}
	}
	return nil
}

func undoTemp(name, id string, n int) string { return temp(name, id, n) + "-undo" }

// sweep removes temporary files that a crash left behind.
func (inv *inverse) sweep(project *project, id string) error {
	var failed []error
	for n, w := range inv.Files {
		failed = append(failed, project.discard(w.Temp), project.discard(undoTemp(w.Name, id, n)))
	}
	for _, k := range inv.Kept {
		failed = append(failed, project.discard(k.Temp))
	}
	return errors.Join(failed...)
}
