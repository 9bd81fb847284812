package fixer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// Options say what a [Dispatcher] works with.
type Options struct {
	Ledger *ledger.Ledger

	// Mechanics by the kind of subject that they change. A kind without one
	// cannot be fixed.
	Mechanics map[checks.Kind]Mechanic

	// Reader makes plans start from the world as it is, not as it was shown.
	// Nil plans from the subject that is handed in.
	Reader Reader

	// Source finds the file that decides about a subject. Nil means that there
	// are none.
	Source Source

	// Engine returns the id of the connected engine. It is asked only where an
	// engine is to be changed; nil means that there is none.
	Engine func(context.Context) (string, error)

	// Environment tells other programs which engine is meant: "DOCKER_HOST=…".
	Environment []string

	// ReadOnly refuses everything that changes something.
	ReadOnly bool

	Now func() time.Time // nil: time.Now
}

// A Dispatcher hands each subject to the mechanic for its kind, and keeps the
// ledger and the locks.
type Dispatcher struct{ o Options }

var _ Fixer = (*Dispatcher)(nil)

// New returns a dispatcher.
func New(o Options) *Dispatcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Dispatcher{o}
}

// Plan implements [Fixer].
func (d *Dispatcher) Plan(ctx context.Context, subject checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	m, err := d.mechanic(subject.Ref())
	if err != nil {
		return nil, err
	}
	engine, err := d.engine(ctx, subject.Ref())
	if err != nil {
		return nil, err
	}
	request = moved(request)
	if asksSource(request) {
		return d.atSource(ctx, subject, request)
	}
	if subject, request, err = d.refresh(ctx, subject, request); err != nil {
		return nil, err
	}
	if request.WriteBack {
		return d.atSource(ctx, subject, request)
	}
	plan, err := d.plan(ctx, m, subject, request)
	if err != nil {
		return nil, err
	}
	if d.belongsToFile(plan, request) {
		if better, err := d.atSource(ctx, subject, request); err == nil && better.Blocked.IsZero() {
			return better, nil
		} // else why not is what plan says, with the way to do it by hand
	}
	plan.Engine = engine
	return plan, nil
}

// plan makes the plan of m for a subject as it is now.
func (d *Dispatcher) plan(ctx context.Context, m Mechanic, subject checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	plan, err := m.Plan(ctx, subject, request)
	if err != nil {
		return nil, err
	}
	plan.ID, plan.Subject = ledger.NewID(d.o.Now()), subject.Ref()
	return plan, nil
}

// asksSource reports whether all that is asked for is done in the file that the
// subject, an image, is made from. What an image is never changes, and the file is
// read anew.
func asksSource(request fixes.Request) bool {
	for _, f := range request.Findings {
		i := slices.IndexFunc(f.Fixes, func(fix checks.Fix) bool { return fix.ID == cmp.Or(request.Fix[f.ID()], fix.ID) })
		if i < 0 || !f.Fixes[i].Source {
			return false
		}
	}
	return len(request.Findings) > 0
}

// moved returns request with what its fixes of an image ask for: no change of the
// image, but that its containers are moved to a newer one.
func moved(request fixes.Request) fixes.Request {
	update := func(f checks.Finding) bool {
		return slices.ContainsFunc(f.Fixes, func(fix checks.Fix) bool { return fix.Update })
	}
	if i := slices.IndexFunc(request.Findings, update); i >= 0 {
		request.Update, request.Pull, request.Tag = true, true, request.Findings[i].Key
		request.Findings = slices.DeleteFunc(slices.Clone(request.Findings), update)
	}
	return request
}

// belongsToFile reports whether the file that decides about a container may be
// able to take what cannot be done with the container itself.
func (d *Dispatcher) belongsToFile(plan *fixes.Plan, request fixes.Request) bool {
	return plan.Mechanism == fixes.Recreate && !plan.Blocked.IsZero() && d.o.Source != nil && !request.Update
}

// atSource plans the change of the file that decides about subject.
func (d *Dispatcher) atSource(ctx context.Context, subject checks.Subject, request fixes.Request) (*fixes.Plan, error) {
	file, there, err := d.source(ctx, subject, request)
	if err != nil {
		return nil, err
	}
	m, err := d.mechanic(file.Ref())
	if err != nil {
		return nil, err
	}
	return d.plan(ctx, m, file, there)
}

// source returns the file that decides about subject, and request in terms of
// that.
func (d *Dispatcher) source(ctx context.Context, subject checks.Subject, request fixes.Request) (checks.Subject, fixes.Request, error) {
	none := errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("no file here decides about %s", name(subject.Ref())))
	if d.o.Source == nil {
		return nil, request, none
	}
	file, there, err := d.o.Source(ctx, subject, request)
	switch {
	case err != nil:
		return nil, request, err
	case file == nil:
		return nil, request, none
	case len(there.Findings) == 0 && !isNew(file):
		return nil, request, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s has nothing of this to fix", name(file.Ref())))
	}
	return file, there, nil
}

// isNew reports whether a file would be written that there is not yet.
func isNew(s checks.Subject) bool {
	f, ok := s.(*dockerfile.File)
	return ok && f.New
}

// A Writer is a mechanic that writes one file as it is told, for changes that
// cure no finding.
type Writer interface {
	PlanWrite(subject checks.Ref, change fixes.FileChange, title checks.Message) (*fixes.Plan, error)
}

// PlanWrite plans a change of one file that whoever asks has proved. It is
// applied, recorded and undone like the fixes of subject's kind.
func (d *Dispatcher) PlanWrite(ctx context.Context, subject checks.Ref, change fixes.FileChange, title checks.Message) (*fixes.Plan, error) {
	m, err := d.mechanic(subject)
	if err != nil {
		return nil, err
	}
	w, ok := m.(Writer)
	if !ok {
		return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("nothing here writes a file for a subject of kind %q", subject.Kind))
	}
	engine, err := d.engine(ctx, subject)
	if err != nil {
		return nil, err
	}
	plan, err := w.PlanWrite(subject, change, title)
	if err != nil {
		return nil, err
	}
	plan.ID, plan.Engine = ledger.NewID(d.o.Now()), engine
	return plan, nil
}

// refresh reads subject again and finds the requested findings in it, because
// the fixes of a finding speak of the snapshot that it was found in.
func (d *Dispatcher) refresh(ctx context.Context, subject checks.Subject, request fixes.Request) (checks.Subject, fixes.Request, error) {
	for _, f := range request.Findings {
		if f.Subject.Kind != subject.Ref().Kind || f.Subject.ID != subject.Ref().ID {
			return nil, request, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("finding of %s in a request for %s", name(f.Subject), name(subject.Ref())))
		}
	}
	if d.o.Reader == nil {
		return subject, request, nil
	}
	now, err := d.o.Reader.Read(ctx, subject.Ref())
	if err != nil {
		return nil, request, fmt.Errorf("read %s again: %w", name(subject.Ref()), err)
	}
	if len(request.Findings) == 0 {
		return now, request, nil
	}
	var found []checks.Finding
	for _, old := range request.Findings {
		report := checks.Run(now, []*checks.Check{old.Check}, &checks.Policy{Profile: checks.All})
		for _, f := range report.Findings {
			if f.Key == old.Key {
				f.Severity = old.Severity
				found = append(found, f)
				break
			}
		}
	}
	if len(found) == 0 {
		return nil, request, fmt.Errorf("%s: nothing of this is left to fix: %w", name(now.Ref()), fixes.ErrChanged)
	}
	request.Findings = found
	return now, request, nil
}

// Fetch implements [Fixer].
func (d *Dispatcher) Fetch(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (string, error) {
	if !plan.Blocked.IsZero() {
		return "", errdefs.ErrFailedPrecondition.WithMessage(plan.Blocked.String())
	}
	m, engine, release, err := d.begin(ctx, plan.Subject)
	if err != nil {
		return "", err
	}
	defer release()
	if engine != plan.Engine {
		return "", fmt.Errorf("connected to another Docker Engine: %w", fixes.ErrChanged)
	}
	f, ok := m.(Fetcher)
	if !ok || plan.Fetch == "" {
		return "", errdefs.ErrInvalidArgument.WithMessage("nothing has to be fetched for this plan")
	}
	return f.Fetch(ctx, plan, quiet(progress))
}

// Apply implements [Fixer].
func (d *Dispatcher) Apply(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	return d.apply(ctx, plan, nil, progress)
}

// apply carries plan out, as the part of a batch where one is given.
func (d *Dispatcher) apply(ctx context.Context, plan *fixes.Plan, part *ledger.Part, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	if !plan.Blocked.IsZero() {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(plan.Blocked.String())
	}
	m, engine, release, err := d.begin(ctx, plan.Subject, plan.Members...)
	if err != nil {
		return nil, err
	}
	defer release()
	if engine != plan.Engine {
		return nil, fmt.Errorf("connected to another Docker Engine: %w", fixes.ErrChanged)
	}
	if _, err := d.o.Ledger.Entry(plan.ID); !errdefs.IsNotFound(err) {
		return nil, errors.Join(errdefs.ErrAlreadyExists.WithMessage("plan "+plan.ID+" was applied before: make a new one"), err)
	}
	for _, ref := range append([]checks.Ref{plan.Subject}, plan.Members...) {
		if err := d.nothingUnfinished(ref, engine); err != nil {
			return nil, err
		}
	}
	entry := ledger.Entry{
		ID:        plan.ID,
		Time:      d.o.Now(),
		Title:     plain(plan.Title.String()),
		Mechanism: string(plan.Mechanism),
		Subject:   plan.Subject,
		Members:   plan.Members,
		Batch:     part,
		Engine:    engine,
		State:     ledger.Running,
		Commands:  []string{},
		Checks:    ids(plan.Cures),
		Deploy:    plan.Deploy,
		Redeploy:  plan.Redeploy,
	}
	for _, c := range plan.Commands() {
		entry.Commands = append(entry.Commands, secret.Redact(c))
	}
	if err := d.o.Ledger.Put(entry); err != nil {
		return nil, err
	}
	began := d.o.Now()
	receipt, err := m.Apply(ctx, plan.ID, plan, d.record(&entry), quiet(progress))
	if err != nil {
		entry.State = ledger.RolledBack
		return nil, d.end(&entry, err)
	}
	receipt.Entry = entry.ID
	if receipt.Took == 0 {
		receipt.Took = d.o.Now().Sub(began)
	}
	entry.State, entry.Checks = ledger.Applied, ids(receipt.Cured)
	for _, p := range receipt.Proof {
		entry.Proof = append(entry.Proof, plain(p.String()))
	}
	entry.Files = receipt.Files
	for _, m := range receipt.Reminders {
		entry.Reminders = append(entry.Reminders, plain(m.String()))
	}
	if err := d.o.Ledger.Put(entry); err != nil {
		return receipt, fmt.Errorf("the change was made and verified, but is not in the ledger as such: it will be offered for recovery: %w", err)
	}
	return receipt, nil
}

// record returns the function by which a mechanic makes entry follow it.
func (d *Dispatcher) record(entry *ledger.Entry) Record {
	return func(step int, inverse any) error {
		data, err := json.Marshal(inverse)
		if err != nil {
			return fmt.Errorf("record step %d: %w", step, err)
		}
		entry.Step, entry.Inverse = step, data
		return d.o.Ledger.Put(*entry)
	}
}

// end stores the state of entry after err, which it returns.
func (d *Dispatcher) end(entry *ledger.Entry, err error) error {
	if errors.Is(err, fixes.ErrBroken) {
		entry.State = ledger.Broken
	}
	entry.Error = ""
	if err != nil {
		entry.Error = plain(err.Error())
	}
	return errors.Join(err, d.o.Ledger.Put(*entry))
}

var errReadOnly error = errdefs.ErrPermissionDenied.WithMessage("read-only: nothing is changed; the plan shows the commands to run by hand")

// begin returns the mechanic for ref, the id of its engine, and the locks that
// keep others away from it and its members.
func (d *Dispatcher) begin(ctx context.Context, ref checks.Ref, members ...checks.Ref) (m Mechanic, engine string, release func(), err error) {
	if d.o.ReadOnly {
		return nil, "", nil, errReadOnly
	}
	if m, err = d.mechanic(ref); err != nil {
		return nil, "", nil, err
	}
	if engine, err = d.engine(ctx, ref); err != nil {
		return nil, "", nil, err
	}
	held := map[string]func(){}
	release = func() {
		for _, let := range held {
			let()
		}
	}
	for _, one := range append([]checks.Ref{ref}, members...) {
		lock := lockName(one, engine)
		if held[lock] != nil {
			continue // the subject is one of the members
		}
		let, err := d.o.Ledger.Lock(lock)
		if errdefs.IsConflict(err) {
			err = errdefs.ErrConflict.WithMessage(fmt.Sprintf("another plimsoll is changing %s right now", name(one)))
		}
		if err != nil {
			release()
			return nil, "", nil, err
		}
		held[lock] = let
	}
	return m, engine, release, nil
}

func (d *Dispatcher) mechanic(ref checks.Ref) (Mechanic, error) {
	m, ok := d.o.Mechanics[ref.Kind]
	if !ok {
		return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("nothing here can change a subject of kind %q", ref.Kind))
	}
	return m, nil
}

// isFile reports whether a subject is changed in the file system, so that no
// engine is needed: of a host it is the file that its engine reads, and may not
// come up with.
func isFile(ref checks.Ref) bool {
	return ref.Kind == checks.Dockerfile || ref.Kind == checks.Compose || ref.Kind == checks.Host
}

func (d *Dispatcher) engine(ctx context.Context, ref checks.Ref) (string, error) {
	if isFile(ref) {
		return "", nil
	}
	if d.o.Engine == nil {
		return "", errdefs.ErrUnavailable.WithMessage("no Docker Engine is connected")
	}
	id, err := d.o.Engine(ctx)
	if err != nil {
		return "", fmt.Errorf("which engine this is: %w", err)
	}
	if id == "" {
		return "", errdefs.ErrFailedPrecondition.WithMessage("the engine does not say which one it is: a change could not be taken back safely")
	}
	return id, nil
}

// lockName names what one change may touch. Files share siblings such as
// .dockerignore with their neighbours, so that the directory is locked.
func lockName(ref checks.Ref, engine string) string {
	switch {
	case ref.Kind == checks.Host:
		return "configuration of engine " + ref.ID
	case isFile(ref):
		return "directory " + filepath.Dir(ref.ID)
	}
	return "engine " + engine + " " + string(ref.Kind) + " " + ref.ID
}

func (d *Dispatcher) nothingUnfinished(ref checks.Ref, engine string) error {
	entries, err := d.Entries()
	if err != nil {
		return err
	}
	for _, e := range entries {
		touches := func(other checks.Ref) bool { return lockName(other, e.Engine) == lockName(ref, engine) }
		if e.State.Unfinished() && (touches(e.Subject) || slices.ContainsFunc(e.Members, touches)) {
			return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("the change %s of %s was interrupted: recover it first", e.ID, name(e.Subject)))
		}
	}
	return nil
}

func quiet(progress func(fixes.Progress)) func(fixes.Progress) {
	if progress == nil {
		return func(fixes.Progress) {}
	}
	return progress
}

func ids(findings []checks.Finding) []string {
	out := make([]string, 0, len(findings))
	for _, f := range findings {
		out = append(out, f.Check.ID)
	}
	return out
}

// plain makes text that may come from outside fit for the ledger and a terminal.
func plain(s string) string { return terminal.Line(secret.Redact(s)) }

func name(ref checks.Ref) string { return terminal.Line(ref.Name) }
