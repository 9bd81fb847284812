package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/docker/go-units"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// writePlan prints what a plan would do.
func (a *app) writePlan(w io.Writer, p *fixes.Plan) error {
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", bold.Render(p.Title.In(a.translate)))
	for i := range p.Files {
		a.writeHunks(&b, &p.Files[i])
	}
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "  %s: %s → %s\n", c.Field, terminal.Line(c.Before), terminal.Line(c.After))
		if !c.Why.IsZero() {
			fmt.Fprintf(&b, "      %s\n", faint.Render(c.Why.In(a.translate)))
		}
	}
	for _, c := range p.Choices {
		if c.Example != "" && c.Value == "" {
			fmt.Fprintf(&b, "  %s\n", a.T("needs an answer: %s (for example --set %s=%s)", c.Label.In(a.translate), c.Key, fixes.Quote(c.Example)))
			continue
		}
		fmt.Fprintf(&b, "  %s\n", a.T("choice: %s (--set %s=%s)", c.Label.In(a.translate), c.Key, terminal.Line(fixes.Quote(c.Value))))
		for i, name := range c.Names {
			fmt.Fprintf(&b, "      %s\n", faint.Render(terminal.Line(c.Options[i])+": "+name.In(a.translate)))
		}
	}
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "%s\n  %s\n", bold.Render(title), strings.Join(lines, "\n  "))
		}
	}
	if p.Fetch != "" {
		section(a.T("To be fetched first"), []string{a.T("%s: what it changes is shown before anything is replaced", terminal.Line(p.Fetch))})
	}
	if p.Card != nil {
		section(a.T("What the new image changes"), a.card(p.Card))
	}
	section(a.T("Cures"), a.messages(p.Cures))
	section(a.T("Leaves"), a.messages(p.Leaves))
	var notes []string
	for _, n := range p.Notes {
		notes = append(notes, n.In(a.translate))
	}
	if p.Downtime > 0 {
		notes = append(notes, a.T("expected downtime: %s", p.Downtime.Round(100*time.Millisecond)))
	}
	section(a.T("To know"), notes)
	var commands []string
	for _, c := range p.Commands() {
		first, _, more := strings.Cut(c, "\n")
		if more {
			first += " …" // a patch, which is shown above
		}
		commands = append(commands, terminal.Line(first))
	}
	section(a.T("The same by hand"), commands)
	if !p.Blocked.IsZero() {
		section(a.T("Cannot be applied"), []string{p.Blocked.In(a.translate)})
	}
	_, err := lipgloss.Fprintln(w, b.String())
	return err
}

func (a *app) messages(findings []checks.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s  %s", f.Check.ID, f.Message.In(a.translate)))
	}
	return out
}

func (a *app) writeHunks(b *strings.Builder, c *fixes.FileChange) {
	added, removed := lipgloss.NewStyle().Foreground(lipgloss.Color("2")), lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	faint := lipgloss.NewStyle().Faint(true)
	fmt.Fprintf(b, "--- %s\n+++ %s\n", terminal.Line(c.Name), terminal.Line(c.Name))
	for _, h := range c.Hunks() {
		fmt.Fprintf(b, "%s\n", faint.Render(fmt.Sprintf("@@ -%d +%d @@", h.OldLine, h.NewLine)))
		for _, l := range h.Lines {
			text := string(l.Kind) + l.Text
			switch l.Kind {
			case '+':
				text = added.Render(text)
			case '-':
				text = removed.Render(text)
			}
			b.WriteString(text)
			for _, r := range l.Reasons {
				b.WriteString(faint.Render("   ← " + r.In(a.translate)))
			}
			b.WriteByte('\n')
		}
	}
}

// writeReceipt prints the proof of an applied plan.
func (a *app) writeReceipt(w io.Writer, r *fixes.Receipt) error {
	var b strings.Builder
	ok := lipgloss.NewStyle().Foreground(lipgloss.Color("2")).Render("✓")
	for _, p := range r.Proof {
		fmt.Fprintf(&b, "  %s %s\n", ok, p.In(a.translate))
	}
	fmt.Fprintf(&b, "  %s %s\n", ok, a.T("%d findings cured, %d left", len(r.Cured), len(r.Left)))
	for _, m := range r.Reminders {
		fmt.Fprintf(&b, "  ! %s\n", m.In(a.translate))
	}
	if r.Away > 0 {
		fmt.Fprintf(&b, "  %s\n", a.T("away for %s", r.Away.Round(10*time.Millisecond)))
	}
	fmt.Fprintf(&b, "  %s\n", a.T("undo with: plimsoll undo %s", r.Entry))
	_, err := lipgloss.Fprint(w, b.String())
	return err
}

// progress returns a reporter that prints a line per step.
func (a *app) progress(w io.Writer) func(fixes.Progress) {
	last, tenth := "", 0
	return func(p fixes.Progress) {
		line := p.Message.In(a.translate)
		if now := p.Transfer; now != nil { // a line for every tenth
			if t := int(10 * max(0, p.Ratio)); t > tenth {
				tenth = t
				line = a.transfer(now)
			} else if last != "" {
				return
			}
		}
		if p.Undoing {
			line = a.T("putting back: %s", line)
		}
		if line != last && line != "" {
			fmt.Fprintf(w, "  … %s\n", line)
			last = line
		}
	}
}

// transfer says how far an image has come.
func (a *app) transfer(t *fixes.Transfer) string {
	done := 0
	for _, l := range t.Layers {
		if l.State.Finished() {
			done++
		}
	}
	return a.T("pulling %s: %d %%, %s of %s, %d of %d layers", terminal.Line(t.Image), int(100*t.Ratio),
		units.HumanSize(float64(t.Done)), units.HumanSize(float64(t.Total)), done, len(t.Layers))
}
