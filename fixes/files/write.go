package files

import (
	"fmt"
	"path/filepath"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// PlanWrite makes a plan that changes one file as change says, whatever kind of
// file it is: whoever asks has proved that the result is right. It is applied,
// entered in the ledger and undone like a patch of a Dockerfile. The kind of
// subject must be one that m is the mechanic of.
func (m *Mechanic) PlanWrite(subject checks.Ref, change fixes.FileChange, title checks.Message) (*fixes.Plan, error) {
	project, err := openProject(filepath.Dir(change.Path))
	if err != nil {
		return nil, err
	}
	defer project.Close()
	source, id, err := project.read(filepath.Base(change.Path))
	if err != nil {
		return nil, err
	}
	if id.Exists == change.Created || string(source) != string(change.Before) {
		return nil, fmt.Errorf("%s: %w", terminal.Line(change.Name), fixes.ErrChanged)
	}
	change.Name = terminal.Line(change.Name)
	t := target{old: id, source: id, after: change.After, attributes: id.attributes, change: change}
	p := &patch{dir: project.dir, vault: vaultOf(m.o.Secrets, project.dir), targets: []target{t}}
	plan := &fixes.Plan{
		Subject: subject, Mechanism: fixes.Patch, Title: title, Files: []fixes.FileChange{change},
		Steps: []fixes.Step{
			{Op: "write", Target: change.Name, Why: checks.Msg("all edits at once: the file is the old one or the new one, never a part of it"), Command: patchCommand(project.dir, t)},
			{Op: "verify", Target: change.Name, Why: checks.Msg("what was written is read back")},
		},
		Fingerprint: p.fingerprint(), Detail: p,
	}
	if !writable(project.dir) {
		plan.Blocked = checks.Msg("%s cannot be written: make it writable for yourself first", terminal.Line(project.dir))
	}
	return plan, nil
}
