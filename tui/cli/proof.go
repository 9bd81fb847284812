package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/proof"
)

// prove proves a plan by building and prints what came of it. A plan that is
// not proved is an error.
func (a *app) prove(ctx context.Context, s *session, file *dockerfile.File, plan *fixes.Plan) error {
	switch {
	case a.readOnly:
		return errors.New(a.T("--prove-by-building: read-only: images would be built and removed on the engine"))
	case s.demo != "":
		return errors.New(a.T("--prove-by-building: the engine of the demo builds nothing"))
	case s.prover == nil:
		return errors.New(a.T("--prove-by-building: no Docker Engine is known"))
	}
	p, err := s.prover.Prove(ctx, file, plan, a.progress(a.out))
	if err != nil {
		return fmt.Errorf("--prove-by-building: %w", err)
	}
	if err := a.writeProof(a.out, p); err != nil {
		return err
	}
	if !p.Proved() {
		return errors.New(a.T("the plan is not proved by building, and is not applied"))
	}
	return nil
}

// writeProof prints the facts of both images side by side.
func (a *app) writeProof(w io.Writer, p *proof.Proof) error {
	good, bad := lipgloss.NewStyle().Foreground(lipgloss.Color("2")), lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	marks := map[proof.Verdict]string{proof.Same: " ", proof.Meant: "≠", proof.Better: good.Render("✓"), proof.NotWell: bad.Render("✗")}
	say := func(m checks.Message) string { return terminal.Line(m.In(a.translate)) }
	widest := func(texts func(proof.Fact) checks.Message) int {
		n := 0
		for _, f := range p.Facts {
			n = max(n, ansi.StringWidth(say(texts(f))))
		}
		return n
	}
	names := widest(func(f proof.Fact) checks.Message { return f.Name })
	befores := max(widest(func(f proof.Fact) checks.Message { return f.Before }), ansi.StringWidth(a.T("as it is")))
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", bold.Render(a.T("Proof by building")))
	fmt.Fprintf(&b, "    %s  %s  %s\n", pad("", names), faint.Render(pad(a.T("as it is"), befores)), faint.Render(a.T("patched")))
	for _, f := range p.Facts {
		fmt.Fprintf(&b, "  %s %s  %s  %s\n", marks[f.Verdict], pad(say(f.Name), names), faint.Render(pad(say(f.Before), befores)), say(f.After))
	}
	for _, f := range p.Cured {
		fmt.Fprintf(&b, "  %s %s\n", good.Render("✓"), a.T("the image is cured of %s", f.Check.ID))
	}
	for _, m := range p.Wrong {
		fmt.Fprintf(&b, "  %s %s\n", bad.Render("✗"), say(m))
	}
	if p.Log != "" {
		fmt.Fprintf(&b, "%s\n", faint.Render(terminal.Text(p.Log)))
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "  %s\n", faint.Render(say(n)))
	}
	verdict := good.Render(a.T("proved by building in %s", p.Took.Round(100*time.Millisecond)))
	if !p.Proved() {
		verdict = bad.Render(a.T("not proved by building"))
	}
	fmt.Fprintf(&b, "  %s\n", verdict)
	_, err := lipgloss.Fprintln(w, b.String())
	return err
}
