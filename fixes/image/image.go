// Package image changes what an engine says of its images: it gives them names
// that stay. What moves containers to another image is package container's.
package image

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/image"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/container"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A Mechanic is the mechanic for images: of their names itself, of their
// containers through the group.
type Mechanic struct {
	*container.Group
	engine *client.Client
	plain  bool
}

var (
	_ fixer.Mechanic = (*Mechanic)(nil)
	_ fixer.Fetcher  = (*Mechanic)(nil)
)

// New returns the mechanic for the images of engine. Plain says that others can
// listen to the connection, so that nothing is changed through it.
func New(engine *client.Client, group *container.Group, plain bool) *Mechanic {
	return &Mechanic{group, engine, plain}
}

// A naming gives an image one more name. It is what the plan and the ledger hold.
type naming struct {
	Ref string `json:"ref"`
	ID  string `json:"id"` // of the image
}

func (n naming) ref() string { return terminal.Line(n.Ref) }

// Plan implements [fixer.Mechanic].
func (m *Mechanic) Plan(ctx context.Context, s checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	i, ok := s.(*subject.Image)
	at := slices.IndexFunc(request.Findings, func(f checks.Finding) bool { return tagging(&f, request) != nil })
	if !ok || at < 0 || len(request.Findings) > 1 || request.Update {
		return m.Group.Plan(ctx, s, request)
	}
	fix := tagging(&request.Findings[at], request)
	plan := &fixes.Plan{Title: fix.Title, Mechanism: fixes.Tag, Fingerprint: i.Inspect.ID}
	values := checks.Values{}
	for _, c := range fix.Choices {
		values[c.Key] = c.Default
		if value, given := request.Values[c.Key]; given {
			values[c.Key] = value
		}
		if c.Valid != nil {
			if err := c.Valid(values[c.Key]); err != nil {
				return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s cannot be %q: %v", c.Key, values[c.Key], err))
			}
		}
		plan.Choices = append(plan.Choices, fixes.Choice{Choice: c, Value: values[c.Key]})
	}
	n := naming{Ref: fix.Tag(values), ID: i.Inspect.ID}
	now, err := m.named(ctx, n.Ref)
	switch {
	case err != nil:
		return nil, err
	case now == n.ID:
		return nil, errdefs.ErrNotModified.WithMessage(fmt.Sprintf("%s names this image already", n.ref()))
	case now != "":
		plan.Blocked = checks.Msg("%s names another image: choose another tag", n.ref())
	}
	tried := *i
	tried.Inspect.RepoTags = append(slices.Clone(tried.Inspect.RepoTags), n.Ref)
	plan.Cures = m.gone(request.Findings, &tried)
	plan.Changes = []fixes.Change{{Field: "RepoTags", Before: terminal.Line(fmt.Sprint(i.Inspect.RepoTags)), After: terminal.Line(fmt.Sprint(tried.Inspect.RepoTags))}}
	plan.Steps = []fixes.Step{
		{Op: "tag", Target: n.ref(), Why: checks.Msg("the names that it has stay"), Command: fixes.Command([]string{"docker", "tag", n.ID, n.Ref})},
		{Op: "verify", Target: n.ref(), Why: checks.Msg("the engine is asked what the name means now")},
	}
	plan.Detail = n
	return plan, nil
}

// tagging returns the fix of f that gives its image a name, if that is asked for.
func tagging(f *checks.Finding, request fixes.Request) *checks.Fix {
	for k := range f.Fixes {
		if id := request.Fix[f.ID()]; f.Fixes[k].Tag != nil && (id == "" || id == f.Fixes[k].ID) {
			return &f.Fixes[k]
		}
	}
	return nil
}

// gone returns those of findings that i does not have.
func (m *Mechanic) gone(findings []checks.Finding, i *subject.Image) []checks.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f checks.Finding) bool {
		left := checks.Run(i, []*checks.Check{f.Check}, &checks.Policy{Profile: checks.All}).Findings
		return slices.ContainsFunc(left, func(other checks.Finding) bool { return other.Key == f.Key })
	})
}

// named returns the id of the image that ref names, "" for none.
func (m *Mechanic) named(ctx context.Context, ref string) (string, error) {
	got, err := m.engine.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("inspect image: %w", err)
	}
	return got.ID, nil
}

// Apply implements [fixer.Mechanic].
func (m *Mechanic) Apply(ctx context.Context, id string, plan *fixes.Plan, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	n, ok := plan.Detail.(naming)
	if !ok {
		return m.Group.Apply(ctx, id, plan, record, progress)
	}
	if m.plain {
		return nil, errPlain
	}
	if now, err := m.named(ctx, n.Ref); err != nil || now != "" {
		if err == nil {
			err = fmt.Errorf("%s names an image by now: %w", n.ref(), fixes.ErrChanged)
		}
		return nil, err
	}
	if err := record(0, n); err != nil {
		return nil, err
	}
	progress(fixes.Progress{Step: 0, Ratio: -1})
	if _, err := m.engine.ImageTag(ctx, client.ImageTagOptions{Source: n.ID, Target: n.Ref}); err != nil {
		return nil, fmt.Errorf("tag the image as %s: %w", n.ref(), err)
	}
	progress(fixes.Progress{Step: 1, Ratio: -1})
	now, err := m.named(ctx, n.Ref)
	if err != nil || now != n.ID {
		if err == nil {
			err = errdefs.ErrInternal.WithMessage(fmt.Sprintf("the engine says that %s names %s", n.ref(), subject.ShortID(now)))
		}
		return nil, err
	}
	return &fixes.Receipt{Cured: plan.Cures, Proof: []checks.Message{checks.Msg("%s names the image %s", n.ref(), subject.ShortID(n.ID))}}, nil
}

var errPlain error = errdefs.ErrPermissionDenied.WithMessage("the connection to this engine is not encrypted: use ssh:// or TLS to change anything")

// CanUndo implements [fixer.Mechanic].
func (m *Mechanic) CanUndo(ctx context.Context, entry ledger.Entry) error {
	if entry.Mechanism != string(fixes.Tag) {
		return m.Group.CanUndo(ctx, entry)
	}
	if m.plain {
		return errPlain
	}
	n, err := decode(entry)
	if err != nil {
		return err
	}
	got, err := m.engine.ImageInspect(ctx, n.Ref)
	switch {
	case errdefs.IsNotFound(err):
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s is gone already", n.ref()))
	case err != nil:
		return fmt.Errorf("inspect image: %w", err)
	case got.ID != n.ID:
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s names another image by now", n.ref()))
	case len(got.RepoTags) < 2:
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s is the last name of its image, which would go with it", n.ref()))
	}
	return nil
}

// Undo implements [fixer.Mechanic].
func (m *Mechanic) Undo(ctx context.Context, entry ledger.Entry, record fixer.Record, progress func(fixes.Progress)) error {
	if entry.Mechanism != string(fixes.Tag) {
		return m.Group.Undo(ctx, entry, record, progress)
	}
	n, err := decode(entry)
	if err == nil {
		err = m.CanUndo(ctx, entry)
	}
	if err != nil {
		return err
	}
	progress(fixes.Progress{Message: checks.Msg("taking the name %s away", n.ref()), Ratio: -1, Undoing: true})
	if _, err := m.engine.ImageRemove(ctx, n.Ref, client.ImageRemoveOptions{}); err != nil {
		return fmt.Errorf("untag %s: %w", n.ref(), err)
	}
	return nil
}

// Recover implements [fixer.Mechanic].
func (m *Mechanic) Recover(ctx context.Context, entry ledger.Entry, finish bool, record fixer.Record, progress func(fixes.Progress)) (ledger.State, error) {
	if entry.Mechanism != string(fixes.Tag) {
		return m.Group.Recover(ctx, entry, finish, record, progress)
	}
	n, err := decode(entry)
	if err != nil {
		return "", err
	}
	switch now, err := m.named(ctx, n.Ref); {
	case err != nil:
		return "", err
	case now != n.ID:
		return ledger.RolledBack, nil // it had not come to that, or is undone
	case finish:
		return ledger.Applied, nil
	}
	if err := m.Undo(ctx, entry, record, progress); err != nil {
		return "", err
	}
	return ledger.RolledBack, nil
}

func decode(entry ledger.Entry) (naming, error) {
	var n naming
	if err := json.Unmarshal(entry.Inverse, &n); err != nil || n.Ref == "" || n.ID == "" {
		return n, fmt.Errorf("ledger entry %s does not say which name an image got", entry.ID)
	}
	return n, nil
}
