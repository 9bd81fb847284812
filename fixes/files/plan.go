// Package files changes Dockerfiles and compose files: by ranges of bytes, so that
// nothing else moves, proved on a copy before anything is written, and with a way
// back for every byte.
package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// Options say what a [Mechanic] works with.
type Options struct {
	// Checks prove every patch: those that were reported must be gone, and
	// none may be new. Those of other kinds are ignored.
	Checks []*checks.Check

	// Policy says which of the remaining findings a plan mentions.
	Policy *checks.Policy

	// Secrets is the directory for secrets that are moved out of files.
	Secrets string
}

// A Mechanic patches files of one kind and the files beside them.
type Mechanic struct {
	kind checks.Kind
	o    Options
}

// New returns a mechanic for files of kind: [checks.Dockerfile], [checks.Compose],
// or [checks.Host] for the configuration of a local engine.
func New(kind checks.Kind, o Options) *Mechanic {
	o.Checks = slices.DeleteFunc(slices.Clone(o.Checks), func(c *checks.Check) bool { return c.Kind != kind })
	return &Mechanic{kind, o}
}

// A patch is what Apply needs of a plan: fixes.Plan.Detail.
type patch struct {
	dir      string
	proof    *proof // nil for what was proved elsewhere, see [Mechanic.PlanWrite]
	vault    vault
	deposits []deposit
	targets  []target
	owner    attributes      // of the file, for those that are made beside it
	conceals map[string]bool // lists that keep a deposit out of Git and of builds
}

// A target is one file that is written.
type target struct {
	old    identity // of the file that is written
	source identity // of the file that it was made from; the same unless written beside
	after  []byte
	attributes
	change fixes.FileChange
}

// suffix of a patched file that is written beside its original.
const hardened = ".hardened"

// Plan makes a plan; see package fixer.
func (m *Mechanic) Plan(ctx context.Context, subject checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	file := open(m.kind, subject)
	if file == nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("not a file of kind %s: %T", m.kind, subject))
	}
	project, err := openProject(filepath.Dir(file.text().path))
	if err != nil {
		return nil, err
	}
	defer project.Close()

	plan := &fixes.Plan{Subject: subject.Ref(), Mechanism: fixes.Patch}
	block := func(err error) error {
		r := refusal(err)
		if r == nil {
			return err
		}
		if plan.Blocked.IsZero() {
			plan.Blocked = r.What.Clean()
		}
		return nil
	}
	name := filepath.Base(file.text().path)
	source, id, err := project.read(name)
	switch {
	case err != nil:
		if err := block(err); err != nil {
			return nil, err
		}
	case id.Exists == file.text().absent || id.Exists && string(source) != string(file.text().source):
		return nil, fmt.Errorf("%s: %w", terminal.Line(file.text().name), fixes.ErrChanged)
	}

	if err := file.refusal(); err != nil {
		plan.Title = checks.Msg("fix %s", terminal.Line(file.text().name))
		plan.Blocked = checks.Msg("%s does not parse, so that no change of it can be proved: %s", terminal.Line(file.text().name), terminal.Line(err.Error()))
		return plan, nil
	}
	proof, err := m.prove(ctx, project, file, request)
	if err != nil {
		return nil, err
	}
	plan.Title = proof.title()
	if t := file.text(); t.absent && t.source != nil {
		plan.Title = checks.Msg("write %s", terminal.Line(t.name))
	}
	plan.Choices = proof.choices
	plan.Cures, plan.Leaves = proof.cures, proof.leaves
	if !request.Beside {
		plan.After = []checks.Subject{proof.after.file.subject()}
	}
	plan.Notes = proof.notes

	p := &patch{dir: project.dir, proof: proof, vault: vaultOf(m.o.Secrets, project.dir), owner: id.attributes}
	if err := p.conceal(project, file); err != nil {
		if err := block(err); err != nil {
			return nil, err
		}
	}
	if err := p.aim(project, file, id, request.Beside); err != nil {
		if err := block(err); err != nil {
			return nil, err
		}
	}
	if v, ok := file.(validating); ok && len(p.targets) > 0 {
		if err := block(v.validate(ctx, proof.after.file.text().source)); err != nil {
			return nil, err
		}
	}
	if len(p.targets) == 0 && plan.Blocked.IsZero() {
		plan.Blocked = proof.nothing()
	}
	if plan.Blocked.IsZero() && !writable(project.dir) {
		plan.Blocked = checks.Msg("%s cannot be written: make it writable for yourself first", terminal.Line(project.dir))
	}
	if err := p.deposit(project); err != nil {
		if err := block(err); err != nil {
			return nil, err
		}
	}
	for _, t := range p.targets {
		plan.Files = append(plan.Files, t.change)
	}
	plan.Notes = append(plan.Notes, p.notes(file, request.Beside)...)
	if plan.Blocked.IsZero() && !request.Beside && !proof.alone {
		name := filepath.Base(file.text().path)
		plan.Deploy, plan.Redeploy = file.deploy(proof.after.file, name), proof.after.file.deploy(file, name)
	}
	if len(plan.Deploy) > 0 {
		plan.Notes = append(plan.Notes, checks.Msg("what runs stays as it is until: %s", terminal.Line(fixes.Command(plan.Deploy))))
		if f, ok := file.(composeDocument); ok && len(f.Running) > 0 {
			plan.Notes = append(plan.Notes, checks.Msg("that makes containers anew: what they wrote outside of volumes is lost then"))
		}
	} else if _, ok := file.(daemonDocument); ok {
		plan.Notes = append(plan.Notes, checks.Msg("the engine takes it in when it is started the next time"))
	}
	plan.Steps = p.steps(project, file)
	plan.Fingerprint = p.fingerprint()
	plan.Detail = p
	return plan, nil
}

// aim decides which files are written, from the drafts that were proved.
func (p *patch) aim(project *project, file document, subject identity, beside bool) error {
	drafts := p.proof.after.drafts
	var refused error
	for _, name := range slices.Sorted(maps.Keys(drafts)) {
		d := drafts[name]
		if !d.changed() {
			continue
		}
		from := name
		if name == "" {
			from = filepath.Base(file.text().path)
		}
		_, source, err := project.read(from)
		if err != nil {
			refused = errors.Join(refused, err)
			source = identity{Name: from}
		} else if source.Exists != d.exists || d.exists && source.Sum != sum(d.before) {
			return fmt.Errorf("%s: %w", terminal.Line(from), fixes.ErrChanged)
		}
		t := target{old: source, source: source, after: d.bytes(), attributes: source.attributes}
		if !source.Exists {
			t.attributes = attributes{UID: subject.UID, GID: subject.GID}
		}
		if beside && !p.conceals[name] {
			to, err := file.beside(name)
			if err != nil {
				return err
			}
			if _, t.old, err = project.read(to); err != nil {
				return err
			}
			if t.old.Exists {
				refused = errors.Join(refused, refuse(checks.Msg("%s exists already: move it away, or change the file itself", to)))
			}
		}
		shown := filepath.Join(filepath.Dir(file.text().name), t.old.Name)
		if name == "" && !beside {
			shown = file.text().name
		}
		t.change = fixes.FileChange{
			Path:    project.path(t.old.Name),
			Name:    terminal.Line(shown),
			Created: !t.old.Exists,
			Before:  d.before,
			After:   t.after,
			Edits:   d.edits(),
		}
		p.targets = append(p.targets, t)
	}
	return refused
}

// deposit finds a place for every secret that the patch takes out of a file.
func (p *patch) deposit(project *project) error {
	for _, t := range p.targets {
		for _, e := range t.change.Edits {
			if len(e.Moved) > 0 && !filepath.IsAbs(p.vault.Path) {
				return errdefs.ErrFailedPrecondition.WithMessage("there is no private place for secrets")
			}
			for _, s := range e.Moved {
				if slices.ContainsFunc(p.deposits, func(d deposit) bool { return d.MovedSecret == s }) {
					continue
				}
				place := func() (deposit, error) { return p.vault.place(s, p.deposits) }
				if s.Path != "" {
					place = func() (deposit, error) { return p.placeBeside(project, s) }
				}
				d, err := place()
				if err != nil {
					return err
				}
				p.deposits = append(p.deposits, d)
			}
		}
	}
	if len(p.deposits) > 0 && p.vault.within(project.dir) {
		return refuse(checks.Msg("the private place for secrets, %s, is inside of the build context: a build would copy them", p.vault.Path))
	}
	return nil
}

// fingerprint identifies every file that the plan was made from and writes.
func (p *patch) fingerprint() string {
	var all []identity
	for _, t := range p.targets {
		all = append(all, t.source, t.old)
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic("dockerfile: identities do not marshal: " + err.Error())
	}
	return sum(data)
}
