package fixer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A thing is a subject of some kind; what is done to it follows from its name.
type thing struct{ ref checks.Ref }

func (t thing) Ref() checks.Ref { return t.ref }

func a(kind checks.Kind, id string) thing { return thing{checks.Ref{Kind: kind, ID: id, Name: id}} }

func ask(t thing, findings ...string) fixes.Ask {
	var r fixes.Request
	for _, id := range findings {
		r.Findings = append(r.Findings, checks.Finding{Check: &checks.Check{ID: id, Kind: t.ref.Kind}, Subject: t.ref})
	}
	return fixes.Ask{Subject: t, Request: r}
}

// things is a mechanic that writes down what it is told to do. Containers called
// live-… are changed live; what is called stuck-… cannot be; bad-… fails.
type things struct {
	fixer.Mechanic
	log  *[]string
	memo func(ref checks.Ref) string // what a plan of it changes; nil for nothing
	did  func()                      // called after each change; nil for nobody
}

func (m *things) Plan(_ context.Context, s checks.Subject, r fixes.Request) (*fixes.Plan, error) {
	ref := s.Ref()
	p := &fixes.Plan{Subject: ref, Title: checks.Msg("harden %s", ref.Name), Mechanism: fixes.Patch, Cures: r.Findings}
	if ref.Kind == checks.Container {
		p.Mechanism = fixes.Recreate
		if strings.HasPrefix(ref.Name, "live") {
			p.Mechanism = fixes.Update
		}
	}
	if strings.HasPrefix(ref.Name, "stuck") {
		p.Blocked = checks.Msg("%s cannot be changed", ref.Name)
	}
	if strings.HasPrefix(ref.Name, "nothing") {
		return nil, errdefs.ErrFailedPrecondition.WithMessage("nothing is left to change")
	}
	if m.memo != nil {
		p.Changes = []fixes.Change{{Field: "memory", After: m.memo(ref)}}
	}
	return p, nil
}

func (m *things) PlanAll(ctx context.Context, asks []fixes.Ask) []fixes.Part {
	var parts []fixes.Part
	for _, ask := range asks {
		plan, err := m.Plan(ctx, ask.Subject, ask.Request)
		parts = append(parts, fixes.Part{Asks: []fixes.Ask{ask}, Plan: plan, Err: err})
	}
	return parts
}

var errBad = errors.New("it does not start")

func (m *things) Apply(_ context.Context, _ string, p *fixes.Plan, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	progress(fixes.Progress{})
	if err := record(0, "before"); err != nil {
		return nil, err
	}
	if strings.HasPrefix(p.Subject.Name, "bad") {
		return nil, errBad
	}
	var cured []string
	for _, f := range p.Cures {
		cured = append(cured, f.Check.ID)
	}
	*m.log = append(*m.log, strings.TrimSpace("do "+p.Subject.Name+" "+strings.Join(cured, ",")))
	if m.did != nil {
		m.did()
	}
	return &fixes.Receipt{Cured: p.Cures}, nil
}

func (m *things) CanUndo(context.Context, ledger.Entry) error { return nil }

func (m *things) Undo(_ context.Context, e ledger.Entry, _ fixer.Record, _ func(fixes.Progress)) error {
	*m.log = append(*m.log, "undo "+e.Subject.Name)
	return nil
}

func (m *things) Recover(context.Context, ledger.Entry, bool, fixer.Record, func(fixes.Progress)) (ledger.State, error) {
	return ledger.RolledBack, nil
}

func newThings(t *testing.T, change func(*fixer.Options)) (*bench, *things) {
	m := &things{log: &[]string{}}
	return newBench(t, func(o *fixer.Options) {
		o.Mechanics = map[checks.Kind]fixer.Mechanic{checks.Container: m, checks.Dockerfile: m, checks.Compose: m, checks.Image: m}
		// Containers called SERVICE@FILE are made from a file.
		o.Source = func(_ context.Context, s checks.Subject, r fixes.Request) (checks.Subject, fixes.Request, error) {
			service, file, ok := strings.Cut(s.Ref().Name, "@")
			if !ok {
				return nil, r, nil
			}
			there := fixes.Request{}
			for _, f := range r.Findings {
				there.Findings = append(there.Findings, checks.Finding{Check: f.Check, Subject: checks.Ref{Kind: checks.Compose, ID: file, Name: file}, Key: service})
			}
			return a(checks.Compose, file), there, nil
		}
		if change != nil {
			change(o)
		}
	}), m
}

// described returns a batch as text: a line for each part.
func described(b *fixes.Batch) string {
	var lines []string
	for _, p := range b.Parts {
		line := p.Subject().Name + " "
		switch {
		case p.Err != nil:
			line += "error " + p.Err.Error()
		case !p.Plan.Blocked.IsZero():
			line += "blocked " + p.Plan.Blocked.String()
		default:
			line += string(p.Plan.Mechanism)
			for _, f := range p.Plan.Cures {
				line += " " + strings.Trim(f.Check.ID+"/"+f.Key, "/")
			}
			for _, r := range p.For {
				line += " for " + r.Name
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func planned(t *testing.T, b *bench, asks ...fixes.Ask) *fixes.Batch {
	t.Helper()
	batch, err := b.PlanBatch(t.Context(), asks)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// What was asked in many ways becomes one part for each thing that changes: what
// takes nothing away first, what cannot be done last.
func TestBatchIsMergedAndOrdered(t *testing.T) {
	b, _ := newThings(t, nil)
	batch := planned(t, b,
		ask(a(checks.Container, "stuck"), "root"),
		ask(a(checks.Container, "nothing"), "root"),
		ask(a(checks.Container, "web"), "root"),
		ask(a(checks.Container, "live-db"), "memory"),
		ask(a(checks.Container, "web"), "caps", "root"),
		ask(a(checks.Container, "stuck-api@shop.yaml"), "root"),
		ask(a(checks.Container, "live-cache@shop.yaml"), "memory"), // a deploy of the file would take it back
		ask(a(checks.Container, "live-cache@other.yaml"), "memory"),
		ask(a(checks.Dockerfile, "/p/Dockerfile"), "user"),
		ask(a(checks.Compose, "shop.yaml"), "ports"),
		ask(a(checks.Host, "host"), "root"),
	)
	want := `/p/Dockerfile patch user
shop.yaml patch ports root/stuck-api memory/live-cache for stuck-api@shop.yaml for live-cache@shop.yaml
live-db update memory
live-cache@other.yaml update memory
web recreate root caps
stuck blocked stuck cannot be changed`
	if got := described(batch); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 7 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := batch.Applicable(); n != 5 {
		t.Errorf("%d applicable", n)
	}
}

func states(t *testing.T, b *bench) string {
	t.Helper()
	entries, err := b.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range slices.Backward(entries) {
		line := e.Subject.Name + " " + string(e.State)
		if e.Batch != nil {
			line += fmt.Sprintf(" %d/%d", e.Batch.N, e.Batch.Of)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestBatchIsAppliedAndUndoneAsOne(t *testing.T) {
	b, m := newThings(t, nil)
	batch := planned(t, b, ask(a(checks.Container, "web"), "root"), ask(a(checks.Container, "db"), "root"), ask(a(checks.Dockerfile, "/p/Dockerfile"), "user"))
	var heard []int
	receipt, err := b.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, func(p fixes.Progress) { heard = append(heard, p.Part) })
	if err != nil || receipt.Done() != 3 || receipt.Failed != -1 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	if !slices.Equal(heard, []int{0, 1, 2}) {
		t.Errorf("heard of the parts %v", heard)
	}
	if got := states(t, b); got != "/p/Dockerfile applied 1/3, db applied 3/3, web applied 2/3" {
		t.Errorf("ledger: %s", got)
	}
	// One part was undone by itself before.
	if err := b.Undo(t.Context(), receipt.Receipts[1].Entry, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.CanUndoBatch(t.Context(), batch.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.UndoBatch(t.Context(), batch.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(*m.log, "; "); got != "do /p/Dockerfile user; do web root; do db root; undo web; undo db; undo /p/Dockerfile" {
		t.Errorf("done: %s", got)
	}
	if err := b.CanUndoBatch(t.Context(), batch.ID); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("nothing is left to undo: %v", err)
	}
	if err := b.UndoBatch(t.Context(), "20261126-000000.000-abcdef", nil); !errdefs.IsNotFound(err) {
		t.Errorf("a batch that never was: %v", err)
	}
}

func TestBatchStopsAtTheFirstFailure(t *testing.T) {
	for policy, want := range map[fixes.OnFailure]struct{ log, ledger string }{
		"":             {"do live-db memory; do web root", "bad-api rolled-back 3/4, live-db applied 1/4, web applied 2/4"},
		fixes.Keep:     {"do live-db memory; do web root", "bad-api rolled-back 3/4, live-db applied 1/4, web applied 2/4"},
		fixes.TakeBack: {"do live-db memory; do web root; undo web; undo live-db", "bad-api rolled-back 3/4, live-db undone 1/4, web undone 2/4"},
	} {
		b, m := newThings(t, nil)
		batch := planned(t, b, ask(a(checks.Container, "web"), "root"), ask(a(checks.Container, "bad-api"), "root"), ask(a(checks.Container, "late"), "root"), ask(a(checks.Container, "live-db"), "memory"))
		receipt, err := b.ApplyBatch(t.Context(), batch, fixes.BatchOptions{OnFailure: policy}, nil)
		if !errors.Is(err, errBad) || !strings.Contains(err.Error(), "bad-api") || receipt.Failed != 2 {
			t.Errorf("%s: %+v, %v", policy, receipt, err)
		}
		if got := strings.Join(*m.log, "; "); got != want.log {
			t.Errorf("%s did: %s", policy, got)
		}
		if got := states(t, b); got != want.ledger {
			t.Errorf("%s in the ledger: %s", policy, got)
		}
		if kept := receipt.Done(); policy == fixes.TakeBack && (kept != 0 || receipt.Undone != 2) || policy != fixes.TakeBack && kept != 2 {
			t.Errorf("%s: %d kept, %d undone", policy, kept, receipt.Undone)
		}
	}
}

// A part that would now do something else than what was confirmed is not done.
func TestBatchStopsAtWhatIsNotAsShown(t *testing.T) {
	b, m := newThings(t, nil)
	memory := "256 MiB"
	m.memo = func(ref checks.Ref) string {
		if ref.Name == "web" {
			return memory
		}
		return ""
	}
	batch := planned(t, b, ask(a(checks.Container, "db"), "root"), ask(a(checks.Container, "web"), "root"))
	memory = "64 MiB"
	receipt, err := b.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil)
	if !errors.Is(err, fixes.ErrChanged) || receipt.Failed != 1 || strings.Join(*m.log, "") != "do db root" {
		t.Errorf("%v, %v", err, *m.log)
	}
}

// What was given up is not begun, and what was done follows what was chosen.
func TestBatchIsCancelledBetweenParts(t *testing.T) {
	b, m := newThings(t, nil)
	batch := planned(t, b, ask(a(checks.Container, "db"), "root"), ask(a(checks.Container, "web"), "root"))
	ctx, cancel := context.WithCancel(t.Context())
	m.did = cancel
	_, err := b.ApplyBatch(ctx, batch, fixes.BatchOptions{OnFailure: fixes.TakeBack}, nil)
	if got := strings.Join(*m.log, "; "); !errors.Is(err, context.Canceled) || got != "do db root; undo db" {
		t.Errorf("%v, did %s", err, got)
	}
}

// After a crash the part that was under way is recovered as always; the batch
// can be taken back then, and not before.
func TestBatchAfterACrash(t *testing.T) {
	b, m := newThings(t, nil)
	batch := planned(t, b, ask(a(checks.Container, "db"), "root"), ask(a(checks.Container, "web"), "root"))
	if _, err := b.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	e, err := b.ledger.Entry(batch.Parts[1].Plan.ID)
	if err != nil {
		t.Fatal(err)
	}
	e.State = ledger.Running
	if err := b.ledger.Put(e); err != nil {
		t.Fatal(err)
	}
	if err := b.UndoBatch(t.Context(), batch.ID, nil); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "recover it first") {
		t.Errorf("undone in the middle of it: %v", err)
	}
	if err := b.Recover(t.Context(), e.ID, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.UndoBatch(t.Context(), batch.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := (*m.log)[2:]; !slices.Equal(got, []string{"undo db"}) {
		t.Errorf("did %s", got)
	}
}

func TestReadOnlyAppliesNoBatch(t *testing.T) {
	b, m := newThings(t, func(o *fixer.Options) { o.ReadOnly = true })
	batch := planned(t, b, ask(a(checks.Container, "db"), "root"))
	if _, err := b.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil); !errdefs.IsPermissionDenied(err) || len(*m.log) > 0 {
		t.Errorf("%v, %v", err, *m.log)
	}
}
